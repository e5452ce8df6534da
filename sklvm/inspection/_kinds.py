"""Which kind of model an estimator is, without importing torch to find out."""

import sys

from sklvm.mixture._fitted import FittedMixture


def is_mixture(estimator):
    """A mixture fitted by EM."""
    return isinstance(estimator, FittedMixture)


def is_autoencoder(estimator):
    """VAE or GMVAE: a density of rows with a continuous latent."""
    return _is_instance(estimator, "sklvm.autoencoder._density", "DensityAutoencoder")


def is_density(estimator):
    """A density of rows: it scores, samples and imputes them."""
    return is_mixture(estimator) or is_autoencoder(estimator)


def is_conditional(estimator):
    return _is_instance(estimator, "sklvm.autoencoder", "ConditionalVAE")


def is_segmentation(estimator):
    return _is_instance(estimator, "sklvm.segmentation", "SparseSegmentationRDA")


def is_any(estimator):
    """An estimator of this package."""
    kinds = is_mixture, is_autoencoder, is_conditional, is_segmentation
    return any(is_kind(estimator) for is_kind in kinds)


def _is_instance(estimator, module, name):
    # An instance comes from a module that has been imported.
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(estimator, getattr(loaded, name))
