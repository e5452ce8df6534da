"""Tail probabilities of -log p(x), from draws of the model."""

import numpy as np

from sklvm.state._classes import stateful

# Share of the draws that lie in the extrapolated tail.
TAIL = 0.05
# Energies of equal rows differ by rounding only; float32 models round most.
TIE = 1e-6
# Energy of a row of probability 0: finite, so that thresholds can be computed.
IMPOSSIBLE = 1e300


@stateful
class TailProbability:
    r"""log P(E >= e) for the energy E = -log p(x) of a random row.

    Up to the threshold u, which 5 % of the draws exceed, it is their empirical
    distribution. Beyond

    .. math::

        \log P(E \ge u + y) = \log P(E \ge u) - y + a \log(1 + y / s)

    because P(E in de) is exp(-e) times the volume of rows at that energy, and volumes
    grow as a power of e: exactly so for a Gaussian with an even number of features. s
    is the distance of u from the lowest energy, and a makes the rate at u the inverse
    of the mean excess over u. It is strictly decreasing, without a limit.

    Parameters
    ----------
    energies : ndarray of shape (n_draws,)
    """

    def __init__(self, energies):
        energies = np.sort(energies)
        n = len(energies)
        starts = np.diff(energies) > TIE * (1 + np.abs(energies[1:]))
        first = np.flatnonzero(np.r_[True, starts])
        survival = (n - first) / (n + 1)
        last = np.flatnonzero(survival >= TAIL)[-1]
        self.knots = energies[first[: last + 1]]
        self.survival = survival[: last + 1]
        beyond = energies[first[last + 1] :] if last + 1 < len(first) else []
        mean_excess = np.mean(beyond) - self.knots[-1] if len(beyond) else 1.0
        distance = self.knots[-1] - self.knots[0]
        self.power = distance * (1 - 1 / mean_excess)
        self.scale = distance or 1.0
        self.n_draws = n

    def log_probability(self, energies):
        """log P(E >= e) for each e, from close to 0 down to about -1e300."""
        energies = np.minimum(energies, IMPOSSIBLE)
        low, u = self.knots[0], self.knots[-1]
        y = np.maximum(energies - u, 0)
        above = np.log(np.interp(energies, self.knots, self.survival))
        above += self.power * np.log1p(y / self.scale) - y
        below = np.log1p(-np.exp(np.minimum(energies - low, 0)) / (self.n_draws + 1))
        return np.where(energies < low, below, above)


def weighted_quantile(values, q, weight=None):
    """`np.quantile` of values that stand for `weight` rows each."""
    if weight is None:
        return float(np.quantile(values, q))
    order = np.argsort(values)
    values, ends = values[order], np.cumsum(weight[order])
    place = q * max(ends[-1] - 1, 0)
    below = np.floor(place)
    places = np.searchsorted(ends, [below, below + 1], "right")
    low, high = values[np.minimum(places, len(values) - 1)]
    return float(low + (place - below) * (high - low))
