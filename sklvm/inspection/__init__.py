"""Displays: `from_estimator` computes, `plot` draws."""

from sklvm.inspection._rate_distortion import RateDistortionDisplay

__all__ = ["RateDistortionDisplay"]
