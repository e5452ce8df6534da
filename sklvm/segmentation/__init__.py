"""Segmentations compressed to a few labelled pixels, by rate and distortion."""

from sklvm.segmentation._rda import SparseSegmentationRDA

__all__ = ["SparseSegmentationRDA"]
