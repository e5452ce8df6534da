"""Which kind of model an estimator is. Torch is imported where it may be needed."""

from sklvm.mixture._fitted import FittedMixture


def is_mixture(estimator):
    """A mixture fitted by EM."""
    return isinstance(estimator, FittedMixture)


def is_autoencoder(estimator):
    """VAE or GMVAE: a density of rows with a continuous latent."""
    from sklvm.autoencoder._density import DensityAutoencoder

    return isinstance(estimator, DensityAutoencoder)


def is_conditional(estimator):
    from sklvm.autoencoder import ConditionalVAE

    return isinstance(estimator, ConditionalVAE)


def is_segmentation(estimator):
    from sklvm.segmentation import SparseSegmentationRDA

    return isinstance(estimator, SparseSegmentationRDA)
