"""What every torch estimator stands on."""

import sklvm._needs_torch  # noqa: F401
from sklvm.neural._networks import ConvDecoder, ConvEncoder

__all__ = ["ConvDecoder", "ConvEncoder"]
