"""Objects that stand on any density model of the package."""

from sklvm.wrappers._classifier import JointDensityClassifier
from sklvm.wrappers._imputer import ModelImputer
from sklvm.wrappers._outliers import DensityOutlierDetector
from sklvm.wrappers._selection import ComponentSelection, select_n_components
from sklvm.wrappers._units import score_in_units

__all__ = [
    "ComponentSelection",
    "DensityOutlierDetector",
    "JointDensityClassifier",
    "ModelImputer",
    "score_in_units",
    "select_n_components",
]
