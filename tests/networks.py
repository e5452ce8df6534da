"""The estimators with networks, for tests that run without torch, too.

There each of them is `Missing`, of which nothing is an instance.
"""

import pytest

from sklvm._optional import missing_torch

HAS_TORCH = not missing_torch()
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")


class Missing:
    """What stands for a class that cannot be imported."""

    def __init__(self, *args, **params):
        pass


if HAS_TORCH:
    import torch

    from sklvm import GMVAE, VAE, ConditionalVAE, SparseSegmentationRDA
else:
    torch = None
    GMVAE = VAE = ConditionalVAE = SparseSegmentationRDA = Missing

__all__ = [
    "GMVAE",
    "HAS_TORCH",
    "VAE",
    "ConditionalVAE",
    "Missing",
    "SparseSegmentationRDA",
    "needs_torch",
    "torch",
]
