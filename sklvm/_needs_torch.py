"""Imported first by the half with networks: one sentence where torch is missing."""

from sklvm._optional import missing_torch

if missing := missing_torch():
    raise ImportError(
        "VAE, GMVAE, ConditionalVAE, SparseSegmentationRDA and their parts need "
        f"{' and '.join(missing)}, which cannot be found; install with "
        'pip install "sklvm[neural]".',
        name=missing[0],
    )
