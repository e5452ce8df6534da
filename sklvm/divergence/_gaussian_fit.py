r"""The Gaussian nearest to a distribution, in either direction of the KL divergence."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.cluster import kmeans_plusplus

from sklvm._base import check_count, private_random_state
from sklvm._compat import sobol
from sklvm.divergence._closed_forms import LOG_2PI
from sklvm.divergence._densities import Density, as_density
from sklvm.divergence._estimates import choose_method
from sklvm.divergence._quadrature import Line
from sklvm.divergence._tails import diverges

DIRECTIONS = ("inclusive", "exclusive")
# A trapezoidal rule for the standard normal: exact to rounding where log p is smooth,
# and to six digits where it has a kink.
NODES, REACH = 10_001, 9.0
# Least deviation at a start of the exclusive search, as a share of the target's own.
FIRST_SCALE = 0.02
# Where a search has ended it begins once more this far away, in deviations.
NUDGE = 0.05
# Optima that differ by less, in deviations and logarithms of scales, are one.
SAME = 0.05

NO_DENSITY = (
    "target has no density in part of the space, so that KL(q || p) is infinite for a "
    "Gaussian q; choose direction='inclusive'."
)


@dataclass(frozen=True)
class GaussianFit:
    """What `fit_gaussian` returns.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    covariance : ndarray of shape (d, d)
    divergence : float
        KL(p || q) or KL(q || p) in nats, for q the Gaussian and p the target.
    standard_error : float
        Of the divergence; of a quadrature an estimate of its absolute error.
    direction : {"inclusive", "exclusive"}
    optima : tuple of GaussianFit
        All local optima that were found, the best first.
    """

    mean: np.ndarray
    covariance: np.ndarray
    divergence: float
    standard_error: float
    direction: str
    optima: tuple = field(default=(), repr=False)


def fit_gaussian(
    target, direction="inclusive", *, n_samples=10_000, n_init=10, random_state=None
):
    r"""The Gaussian q that is nearest to a target p.

    .. math::

        \text{inclusive:} \quad \min_q KL(p \| q) = E_p[\log p(x) - \log q(x)]
        \qquad
        \text{exclusive:} \quad \min_q KL(q \| p) = -H(q) - E_q[\log p(x)]

    The inclusive one has the moments of p and covers all of it. The exclusive one must
    not lie where p is small: it seeks a mode, and has an optimum for each that stands
    apart.

    Parameters
    ----------
    target : object
        p, as `kl` takes it; for "exclusive" with a density on the whole space.
    direction : {"inclusive", "exclusive"}, default="inclusive"
    n_samples : int, default=10_000
        In more than one dimension: draws of p for its moments, and quasi-random draws
        of q for its expectations. In one dimension both are by quadrature.
    n_init : int, default=10
        Starts of the exclusive search: at the moments of p, then at draws of p that are
        far from one another.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    fit : GaussianFit
        With `mean`, `covariance`, `divergence` in nats, and `optima`.

    Raises
    ------
    TypeError
        If the target has not the methods.
    ValueError
        If it is discrete, if its moments are not finite, or if KL(q || p) is infinite
        for every Gaussian that was tried.

    References
    ----------
    C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, section 10.1.2 and
    eq. 10.16, 10.17.

    Examples
    --------
    >>> from scipy.stats import gamma
    >>> from sklvm.divergence import fit_gaussian
    >>> fit = fit_gaussian(gamma(4))
    >>> fit.mean.round(6).tolist(), fit.covariance.round(6).tolist()
    ([4.0], [[4.0]])
    """
    if direction not in DIRECTIONS:
        raise ValueError(
            f"direction={direction!r} must be 'inclusive', KL(p || q), or 'exclusive', "
            "KL(q || p)."
        )
    check_count("n_samples", n_samples)
    check_count("n_init", n_init)
    p = as_density("target", target)
    if p.discrete:
        raise ValueError(
            f"target={target!r} is discrete and a Gaussian is not; give a density."
        )
    rng = private_random_state(random_state)
    inclusive = _inclusive(p, n_samples, rng)
    if direction == "inclusive":
        return replace(inclusive, optima=(inclusive,))
    optima = _exclusive(p, inclusive, n_samples, n_init, rng)
    return replace(optima[0], optima=optima)


# Inclusive ----------------------------------------------------------------------------


def _inclusive(p, n_samples, rng):
    line = Line(p) if choose_method("auto", p) == "quadrature" else None
    by_quadrature = line is not None and line.is_complete()
    if by_quadrature:
        mean, covariance = _moments_on_the_line(line)
    else:
        if n_samples <= p.dimension:
            raise ValueError(
                f"n_samples={n_samples} draws give no covariance in {p.dimension} "
                "dimensions; increase n_samples."
            )
        X = p.draw(n_samples, rng.randint(np.iinfo(np.int32).max))
        mean, covariance = X.mean(axis=0), np.atleast_2d(np.cov(X.T))
    if not _is_proper(covariance):
        raise ValueError(
            f"target has the covariance {covariance.tolist()}; give one whose moments "
            "are finite and whose covariance is positive definite."
        )
    log_q = _log_gaussian(mean, covariance)
    if by_quadrature:
        divergence, error = line.expectation(lambda x, log_p: log_p - log_q(x)[0])
    else:
        _refuse_heavy_tails(p, log_q, covariance)
        log_ratio = p.log_prob(X) - log_q(X)
        divergence, error = log_ratio.mean(), log_ratio.std() / np.sqrt(n_samples)
    return GaussianFit(mean, covariance, float(divergence), float(error), "inclusive")


def _is_proper(covariance):
    """Whether it is finite, and positive definite beyond rounding, in any units."""
    scale = np.sqrt(np.diagonal(covariance))
    if not (np.isfinite(covariance).all() and (scale > 0).all()):
        return False
    eigenvalues = np.linalg.eigvalsh(covariance / np.outer(scale, scale))
    return eigenvalues[0] > len(eigenvalues) * 1e-15 * eigenvalues[-1]


def _log_gaussian(mean, covariance):
    """Log density of rows, whose columns may have units far from one another."""
    factor = np.linalg.cholesky(covariance)
    log_scale = np.log(np.diagonal(factor)).sum() + len(mean) * LOG_2PI / 2

    def log_q(X):
        whitened = solve_triangular(factor, (X - mean).T, lower=True)
        return -(whitened**2).sum(axis=0) / 2 - log_scale

    return log_q


def _refuse_heavy_tails(p, log_q, covariance):
    """Raise where a covariance is infinite, which that of draws never is."""
    if diverges(p, Density("q", log_q, p.draw, discrete=False)):
        raise ValueError(
            f"target has tails of which the covariance is infinite, although its draws "
            f"have the variances {np.diagonal(covariance).tolist()}; give one whose "
            "moments are finite."
        )


def _moments_on_the_line(line):
    def moment(function):
        value, error = line.expectation(lambda x, log_p: function(x[0, 0]))
        return value if np.isfinite(error) else np.inf

    # What the quadrature misses of the mass counts in units of p, not of its offset.
    centre = np.median(line.p.scouts)
    shift = moment(lambda x: x - centre)
    mean = centre + shift
    variance = np.inf
    if np.isfinite(shift):
        variance = moment(lambda x: (x - centre - shift) ** 2)
    return np.array([mean]), np.array([[variance]])


# Exclusive ----------------------------------------------------------------------------


class _Rule(NamedTuple):
    """Nodes (n, d) and weights (n,) of E[f(eps)], eps standard normal."""

    nodes: np.ndarray
    weights: np.ndarray


def _trapezoidal(n_nodes):
    nodes = np.linspace(-REACH, REACH, n_nodes)
    weights = norm.pdf(nodes)
    return _Rule(nodes[:, np.newaxis], weights / weights.sum())


def _quasi_random(d, n, rng):
    generator = np.random.default_rng(rng.randint(np.iinfo(np.int32).max))
    half = sobol(d, generator).random_base2(max(1, int(np.log2(n / 2))))
    half = norm.ppf(half.clip(1e-12, 1 - 1e-12))
    nodes = np.concatenate([half, -half])
    # The rule is exact for the mean and the covariance.
    factor = np.linalg.cholesky(nodes.T @ nodes / len(nodes))
    nodes = np.linalg.solve(factor, nodes.T).T
    return _Rule(nodes, np.full(len(nodes), 1 / len(nodes)))


class _Exclusive:
    """KL(q || p) over the Gaussians, in the units of the target's moments.

    A vector holds the mean and the Cholesky factor of q, its diagonal as logarithms.
    """

    def __init__(self, p, moments, rule):
        self.p, self.rule = p, rule
        self.centre = moments.mean
        self.unit = np.linalg.cholesky(moments.covariance)
        self.d = len(self.centre)
        self.lower = np.tril_indices(self.d)
        self.on_diagonal = self.lower[0] == self.lower[1]
        # The best step of a central difference, by the digits of log p.
        self.step = p.precision() ** (1 / 3)

    def vector(self, mean, scale):
        factor = np.where(self.on_diagonal, np.log(scale), 0.0)
        return np.concatenate([mean, factor])

    def parts(self, vector):
        mean, entries = vector[: self.d], vector[self.d :].copy()
        log_diagonal = entries[self.on_diagonal]
        entries[self.on_diagonal] = np.exp(log_diagonal)
        factor = np.zeros((self.d, self.d))
        factor[self.lower] = entries
        return self.centre + self.unit @ mean, self.unit @ factor

    def log_ratio(self, vector, rule):
        """log q - log p at the nodes."""
        mean, factor = self.parts(vector)
        x = mean + rule.nodes @ factor.T
        log_det = np.log(np.abs(np.diagonal(factor))).sum()
        log_q = -((rule.nodes**2).sum(axis=1) + self.d * LOG_2PI) / 2 - log_det
        return log_q - self.p.log_prob(x)

    def value(self, vector):
        if np.abs(vector).max() > 50:
            return np.inf  # beyond what exp and the density take
        return float(self.rule.weights @ self.log_ratio(vector, self.rule))

    def gradient(self, vector):
        shifts = self.step * np.eye(len(vector))
        ups = [self.value(vector + shift) for shift in shifts]
        downs = [self.value(vector - shift) for shift in shifts]
        return (np.array(ups) - np.array(downs)) / (2 * self.step)

    def descend(self, start):
        """A local minimum near a vector."""
        options = {"gtol": max(1e-9, self.step**2)}
        return minimize(
            self.value, start, jac=self.gradient, method="BFGS", options=options
        ).x

    def descend_again(self, vector, rng):
        """From a little away, in deviations of q: not to stay on a saddle."""
        d, noise = self.d, NUDGE * rng.normal(size=len(vector))
        _, factor = self.parts(vector)
        start = vector + noise
        start[:d] = vector[:d] + np.linalg.solve(self.unit, factor @ noise[:d])
        found = self.descend(start)
        return found if self.value(found) < self.value(vector) else vector

    def error(self, vector):
        """Of the value: from half the nodes of the rule, or the spread of the draws."""
        log_ratio = self.log_ratio(vector, self.rule)
        if self.d == 1:
            half = _trapezoidal(NODES // 2 + 1)
            difference = half.weights @ self.log_ratio(vector, half)
            return abs(float(difference) - self.value(vector))
        return float(log_ratio.std() / np.sqrt(len(log_ratio)))

    def fit(self, vector):
        mean, factor = self.parts(vector)
        value, error = self.value(vector), self.error(vector)
        return GaussianFit(mean, factor @ factor.T, value, error, "exclusive")

    def apart(self, vector, other):
        """Whether means, in deviations of the second, or scales differ."""
        (mean, scale), (centre, factor) = self.parts(vector), self.parts(other)
        shift = np.linalg.solve(factor, mean - centre)
        ratio = np.log(np.diagonal(scale) / np.diagonal(factor))
        return np.linalg.norm([*shift, *ratio]) > SAME


def _exclusive(p, moments, n_samples, n_init, rng):
    d = p.dimension
    if d == 1 and np.isfinite(p.bounds).any():
        raise ValueError(NO_DENSITY)
    rule = _trapezoidal(NODES) if d == 1 else _quasi_random(d, n_samples, rng)
    problem = _Exclusive(p, moments, rule)
    starts = [problem.vector(np.zeros(d), 1.0)]
    if n_init > 1:
        scouts = np.linalg.solve(problem.unit, (p.scouts - problem.centre).T).T
        starts += [problem.vector(*start) for start in _groups(scouts, n_init - 1, rng)]
    starts = [start for start in starts if np.isfinite(problem.value(start))]
    if not starts:
        raise ValueError(NO_DENSITY)
    found = _distinct(problem, [problem.descend(start) for start in starts])
    found = _distinct(problem, [problem.descend_again(v, rng) for v in found])
    return tuple(problem.fit(vector) for vector in found)


def _groups(scouts, n_groups, rng):
    """Draws that are far from one another, and the deviation of those around each."""
    centres, _ = kmeans_plusplus(scouts, n_groups, random_state=rng)
    squares = ((scouts[:, np.newaxis] - centres) ** 2).mean(axis=2)
    nearest = squares.argmin(axis=1)
    for k, centre in enumerate(centres):
        scale = np.sqrt(squares[nearest == k, k].mean())
        yield centre, max(scale, FIRST_SCALE)


def _distinct(problem, found):
    """One of those that are the same, the best first."""
    kept = []
    for vector in sorted(found, key=problem.value):
        if all(problem.apart(vector, other) for other in kept):
            kept.append(vector)
    return kept
