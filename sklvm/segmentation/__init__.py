"""Segmentations compressed to a few labelled pixels, by rate and distortion."""

import sklvm._needs_torch  # noqa: F401
from sklvm.segmentation._rda import SparseSegmentationRDA

__all__ = ["SparseSegmentationRDA"]
