"""Latent-variable models with scikit-learn's interface."""

from importlib import import_module

from sklvm.mixture import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
    elbo,
)
from sklvm.state import load, save
from sklvm.wrappers import (
    DensityOutlierDetector,
    JointDensityClassifier,
    ModelImputer,
    score_in_units,
    select_n_components,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "GMVAE",
    "VAE",
    "BernoulliMixtureEM",
    "CategoricalMixtureEM",
    "ConditionalVAE",
    "DensityOutlierDetector",
    "GaussianMixtureEM",
    "JointDensityClassifier",
    "MixtureEM",
    "ModelImputer",
    "PoissonMixtureEM",
    "SparseSegmentationRDA",
    "__version__",
    "elbo",
    "load",
    "save",
    "score_in_units",
    "select_n_components",
]

# Imported when they are first asked for: torch takes longer to import than the rest of
# the package, and the mixtures do not need it.
_NEURAL = {
    "GMVAE": "sklvm.autoencoder",
    "VAE": "sklvm.autoencoder",
    "ConditionalVAE": "sklvm.autoencoder",
    "SparseSegmentationRDA": "sklvm.segmentation",
}


def __getattr__(name):
    if name in _NEURAL:
        return getattr(import_module(_NEURAL[name]), name)
    raise AttributeError(f"module 'sklvm' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_NEURAL])
