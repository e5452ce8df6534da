"""Latent-variable models with scikit-learn's interface."""

from importlib import import_module
from typing import TYPE_CHECKING

from sklvm._optional import missing_torch
from sklvm._show_versions import show_versions
from sklvm.label_maps import LabelMapCodec
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

if TYPE_CHECKING:
    from sklvm.autoencoder import GMVAE, VAE, ConditionalVAE
    from sklvm.segmentation import SparseSegmentationRDA

__version__ = "0.1.0.dev0"

__all__ = [
    "BernoulliMixtureEM",
    "CategoricalMixtureEM",
    "DensityOutlierDetector",
    "GaussianMixtureEM",
    "JointDensityClassifier",
    "LabelMapCodec",
    "MixtureEM",
    "ModelImputer",
    "PoissonMixtureEM",
    "__version__",
    "elbo",
    "load",
    "save",
    "score_in_units",
    "select_n_components",
    "show_versions",
]

# Imported when they are first asked for: torch takes longer to import than the rest of
# the package, and the mixtures do not need it. Where it is not installed, they are not
# in what `from sklvm import *` and `dir` give, and asking for one is an error that says
# what to install.
_NEURAL = {
    "GMVAE": "sklvm.autoencoder",
    "VAE": "sklvm.autoencoder",
    "ConditionalVAE": "sklvm.autoencoder",
    "SparseSegmentationRDA": "sklvm.segmentation",
}
if not missing_torch():
    __all__ += ["GMVAE", "VAE", "ConditionalVAE", "SparseSegmentationRDA"]


def __getattr__(name):
    if name in _NEURAL:
        return getattr(import_module(_NEURAL[name]), name)
    raise AttributeError(f"module 'sklvm' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
