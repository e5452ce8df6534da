"""Monte Carlo noise that belongs to a row: a function of its content alone.

A row's points are one low-discrepancy set, shifted modulo 1 by a hash of the row
(a Cranley-Patterson rotation). So a row's estimate repeats exactly and does not depend
on the rows beside it, each estimate is unbiased over the shifts, and the errors of
different rows are independent and average out.
"""

from functools import lru_cache

import numpy as np
import torch

from sklvm._compat import sobol

# splitmix64 (Steele, Lea and Flood, 2014).
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)


def _mix(bits):
    for shift, factor in MIX:
        bits = (bits ^ (bits >> shift)) * factor
    return bits ^ (bits >> np.uint64(31))


def row_keys(X):
    """A 64-bit key of each float32 row; equal rows have equal keys."""
    # Adding 0 makes -0 and 0 the same; NaN has many forms, infinity only one.
    X = np.where(np.isnan(X), np.float32(np.inf), X) + np.float32(0)
    bits = np.ascontiguousarray(X, dtype=np.float32).view(np.uint32).astype(np.uint64)
    column = np.arange(1, X.shape[1] + 1, dtype=np.uint64)
    return _mix((_mix(bits + column * GOLDEN)).sum(axis=1, dtype=np.uint64))


def uniforms(keys, n, stream):
    """`n` numbers in [0, 1) for each key; `stream` tells independent uses apart."""
    counter = np.arange(1, n + 1, dtype=np.uint64) + np.uint64(stream << 40)
    return (_mix(keys[:, None] + counter * GOLDEN) >> np.uint64(11)) * 2.0**-53


@lru_cache(maxsize=8)
def _points(n_draws, n_dims):
    """Sobol points; a fixed scrambling, as the bare ones repeat between dimensions."""
    sampler = sobol(n_dims, np.random.default_rng(0))
    return sampler.random_base2(max(0, int(np.ceil(np.log2(n_draws)))))[:n_draws]


def row_normals(keys, n_draws, n_dims):
    """Standard normal noise of shape (n_draws, n_rows, n_dims), float32."""
    points = _points(n_draws, n_dims)[:, None, :]
    u = points + uniforms(keys, n_dims, stream=0)
    u -= u >= 1  # modulo 1, exactly
    # The same from all processors: computed on the CPU, in float64.
    u = torch.from_numpy(np.clip(u, 2.0**-53, 1 - 2.0**-53, out=u))
    return torch.special.ndtri(u).float()


def row_bits(keys, grey):
    """Bits whose probabilities are the values in (0, 1), a function of the row."""
    bits = uniforms(keys, grey.shape[1], stream=1) < grey
    return np.where(np.isnan(grey), grey, bits).astype(np.float32)
