"""Diagnostics in numbers, and displays: `from_estimator` computes, `plot` draws."""

from sklvm.inspection._components import ComponentsDisplay
from sklvm.inspection._diagnostics import latent_diagnostics
from sklvm.inspection._latent_space import LatentSpaceDisplay
from sklvm.inspection._lower_bound import LowerBoundDisplay
from sklvm.inspection._model_selection import ModelSelectionDisplay
from sklvm.inspection._rate_distortion import RateDistortionDisplay
from sklvm.inspection._reconstruction import ReconstructionDisplay
from sklvm.inspection._samples import SampleDisplay
from sklvm.inspection._traversal import LatentTraversalDisplay

__all__ = [
    "ComponentsDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "LowerBoundDisplay",
    "ModelSelectionDisplay",
    "RateDistortionDisplay",
    "ReconstructionDisplay",
    "SampleDisplay",
    "latent_diagnostics",
]
