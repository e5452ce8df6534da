r"""Whether the tail of p makes KL(p || q) infinite, which no finite sum shows.

Along a ray x = m + s e^u v in d dimensions, u the logarithm of the distance, the
divergence is an integral over u of

.. math:: h(u) = e^{du} p(x) \log(p(x) / q(x))

up to a constant. Tails of powers and logarithms are :math:`h(u) \sim e^{-au} u^{-k}`,
of which the integral is finite if a > 0, or a = 0 and k > 1. Where p falls faster than
any power, a rises with u. Where p < q there is nothing to diverge: the part of a KL
divergence below 0 is bounded.
"""

import numpy as np

# Logarithms of distances, of which the first is taken where both densities are floats:
# squares of them are, too. From a quarter of it on h is looked at, and at the least
# from LEAST on, where tails have come to their power.
TOPS, LEAST = (320.0, 160.0, 80.0, 40.0, 24.0), 5.0
# A fitted model, and networks at the least, say nothing of values beyond this.
MOST_OF_FITTED = 24.0
# Below which a is 0, as logarithms leave corrections of 1 / u^2; and 1 for k.
FLAT, NEARLY_ONE = 1e-5, 1.05
N_DIRECTIONS = 8


def diverges(p, q):
    """Whether KL(p || q) is infinite by a tail of p, or by counts that q excludes.

    Parameters
    ----------
    p, q : Density

    Returns
    -------
    diverges : bool
        False also where tails cannot be determined, as q underflows before.
    """
    if p.is_fitted or (p.discrete and p.dimension > 1):
        return False  # models here have tails of normal distributions or shorter
    if p.discrete and _counts_beyond(p, q):
        return True
    middle = np.median(p.scouts, axis=0)
    distances = np.linalg.norm(p.scouts - middle, axis=1)
    scale = np.median(distances) or np.max(distances)  # of counts, half may be equal
    if not (np.isfinite(scale) and scale > 0):
        return False
    return any(_diverges_along(p, q, middle, scale * v) for v in _directions(p, middle))


def _counts_beyond(p, q):
    """Whether p has mass next to an end of q, which draws may well not show."""
    return any(
        np.isfinite(end) and p.log_prob(np.array([[end + step]]))[0] > -np.inf
        for end, step in zip(q.bounds, (-1.0, 1.0), strict=True)
    )


def _directions(p, middle):
    """Unit vectors: to the infinite ends of the line, else to some of the draws."""
    if p.dimension == 1:
        ends = zip((-1.0, 1.0), p.bounds, strict=True)
        return [np.array([side]) for side, end in ends if np.isinf(end)]
    steps = p.scouts[:: len(p.scouts) // N_DIRECTIONS] - middle
    lengths = np.linalg.norm(steps, axis=1)
    return list(steps[lengths > 0] / lengths[lengths > 0, np.newaxis])


def _diverges_along(p, q, middle, step):
    for top in TOPS:
        if q.is_fitted and top > MOST_OF_FITTED:
            continue
        u = top / np.array([4.0, 2.0, 1.0])
        if u[0] < LEAST:
            return False
        x = middle + np.exp(u)[:, np.newaxis] * step
        if p.discrete:
            x = np.rint(x)
        with np.errstate(all="ignore"):
            log_p, log_q = p.log_prob(x), q.log_prob(x)
        if np.isfinite(log_p).all() and np.isfinite(log_q).all():
            return _is_infinite(u, log_p, log_p - log_q, p.dimension)
    return False


def _is_infinite(u, log_p, log_ratio, dimension):
    """Whether the integral of h is, by c - a u - k log u at three points."""
    if (log_ratio <= 0).any():
        return False
    log_h = dimension * u + log_p + np.log(log_ratio)
    terms = np.column_stack([np.ones(3), -u, -np.log(u)])
    _, a, k = np.linalg.solve(terms, log_h)
    return bool(a < -FLAT or (a <= FLAT and k < NEARLY_ONE))


# Means over draws --------------------------------------------------------------------

# Fewest draws of which the largest show a tail, and from which shape on a mean of so
# many says little (Vehtari et al., "Pareto smoothed importance sampling", 2024).
LEAST_DRAWS, HEAVY = 500, 0.7


def tail_shape(values):
    """Shape of the upper tail by Hill's estimator: a mean exists where it is below 1.

    NaN where the values are too few to tell.
    """
    n = len(values)
    if n < LEAST_DRAWS:
        return np.nan
    n_largest = int(3 * np.sqrt(n))
    excess = np.sort(values - np.median(values))[-n_largest - 1 :]
    if excess[0] <= 0:
        return np.nan
    return float(np.log(excess[1:] / excess[0]).mean())
