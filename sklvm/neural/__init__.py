"""What every torch estimator stands on."""

from sklvm.neural._networks import ConvDecoder, ConvEncoder

__all__ = ["ConvDecoder", "ConvEncoder"]
