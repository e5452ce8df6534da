"""Type hints; written by .ci/write-stubs from the docstrings."""

from sklvm._show_versions import show_versions as show_versions
from sklvm.autoencoder import GMVAE as GMVAE
from sklvm.autoencoder import VAE as VAE
from sklvm.autoencoder import ConditionalVAE as ConditionalVAE
from sklvm.label_maps import LabelMapCodec as LabelMapCodec
from sklvm.mixture import BernoulliMixtureEM as BernoulliMixtureEM
from sklvm.mixture import CategoricalMixtureEM as CategoricalMixtureEM
from sklvm.mixture import GaussianMixtureEM as GaussianMixtureEM
from sklvm.mixture import MixtureEM as MixtureEM
from sklvm.mixture import PoissonMixtureEM as PoissonMixtureEM
from sklvm.mixture import elbo as elbo
from sklvm.segmentation import SparseSegmentationRDA as SparseSegmentationRDA
from sklvm.state import load as load
from sklvm.state import save as save
from sklvm.wrappers import DensityOutlierDetector as DensityOutlierDetector
from sklvm.wrappers import JointDensityClassifier as JointDensityClassifier
from sklvm.wrappers import ModelImputer as ModelImputer
from sklvm.wrappers import score_in_units as score_in_units
from sklvm.wrappers import select_n_components as select_n_components

__version__: str
__all__ = [
    "GMVAE",
    "VAE",
    "BernoulliMixtureEM",
    "CategoricalMixtureEM",
    "ConditionalVAE",
    "DensityOutlierDetector",
    "GaussianMixtureEM",
    "JointDensityClassifier",
    "LabelMapCodec",
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
    "show_versions",
]
