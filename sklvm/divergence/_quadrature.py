"""Integrals over the line, against a density whose mass is where its draws are."""

import warnings
from itertools import pairwise

import numpy as np
from scipy.integrate import IntegrationWarning, quad

from sklvm.divergence._landmarks import N_FINE, landmarks

# Quantiles of draws at which the line is cut, and as many of the outermost draws
# themselves, beside the modes that are found.
CUTS = np.linspace(0, 1, 17)
N_OUTERMOST = 4
# Beyond the outermost draws, in units of their range, or up to a bound: where a support
# ends is not known in general, and no mass before its end must be missed.
BEYOND = 10.0 ** np.arange(-4, 2)
TOWARDS = 10.0 ** np.arange(-15, 0, 3)
# How far the integral of a density may be from one, what of it may be missed where it
# would be of a mode and not of rounding, and at the least in roundings of log p. From
# what on a mode is looked for.
MASS_TOLERANCE, MOST_MISSED, ROUNDINGS, NOTICED = 1e-6, 1e-8, 10, 1e-10
# Of the range of floats, in logarithms: a density that fell so far before it was 0 has
# underflowed, and another one is 0 indeed.
UNDERFLOWN = 0.8
# Relative error of an integral up to an infinite end that has a value after all.
CONVERGED = 1e-8
# Halvings of an interval until it is as short as floats can be.
N_HALVINGS = 100


class Line:
    """The line, cut where densities have their modes and ends.

    Parameters
    ----------
    p : Density
        The one that integrals are taken against.
    *others : Density
        Those that stand in the integrals besides.
    """

    def __init__(self, p, *others):
        self.p = p
        # Beyond the digits of log p there is only noise to subdivide for.
        self.tolerance = max(1e-11, 100 * p.precision())
        self.edges = p.bounds
        self._cut(_cuts(p))
        self._cut(landmarks(p))
        for q in others:
            self._cut(landmarks(q))
            self._cut(q.bounds)
        self.missing = self._missing_mass()
        if self.missing > NOTICED and not p.is_fitted:
            self._cut(landmarks(p, N_FINE))
            self.missing = self._missing_mass()

    def _cut(self, cuts):
        lower, upper = self.p.bounds
        cuts = np.array([c for c in cuts if lower < c < upper])
        self.edges = np.unique([*self.edges, *cuts])

    def _missing_mass(self):
        """One minus the integral of p."""
        return 1 - self.expectation(lambda x, log_p: 1.0)[0]

    def is_complete(self):
        """Whether p integrates to one, as far as the quadrature can tell."""
        if self.missing < 0 or self.p.is_fitted or self.has_infinite_end():
            return abs(self.missing) <= MASS_TOLERANCE
        return self.missing <= max(MOST_MISSED, ROUNDINGS * self.p.precision())

    def has_infinite_end(self):
        """Whether p rises to an end of its support up to the last floats before it.

        What lies beyond those has mass, and no floats.
        """
        middle = np.median(self.p.scouts)
        for end in self.p.bounds:
            if np.isfinite(end):
                last = np.nextafter(end, middle)
                further = end + 1e6 * (last - end)
                near, far = self.p.log_prob(np.array([[last], [further]]))
                if near > far:
                    return True
        return False

    def expectation(self, function):
        """E_p[function(x)] by adaptive quadrature, and the estimate of its error.

        `function` takes x of shape (1, 1) and log p(x), and is not called where p is 0.
        The error is absolute, and infinite where the integral seems to be.
        """

        def integrand(x):
            x = np.array([[x]])
            (log_p,) = self.p.log_prob(x)
            density = np.exp(log_p)
            # A point at which p is infinite, as at the end of a support, has no mass.
            if not 0 < density < np.inf:
                return 0.0
            return float(density * function(x, log_p))

        ends = pairwise(self.edges)
        parts = [_integral(integrand, *pair, self.tolerance) for pair in ends]
        value, error = np.sum(parts, axis=0)
        return float(value), float(error)


class LogDensity:
    """log q(x) in an integral over x, 0 where q is 0; `empty` keeps those x."""

    def __init__(self, q):
        self.q = q
        self.empty, self.full = [], []

    def __call__(self, x):
        (log_q,) = self.q.log_prob(x)
        if log_q == np.inf:
            return 0.0
        kept = self.empty if log_q == -np.inf else self.full
        kept.append(float(x[0, 0]))
        return 0.0 if log_q == -np.inf else log_q

    def underflows(self):
        """Whether q is 0 only where it has fallen below the smallest float."""
        least = UNDERFLOWN * np.log(np.finfo(self.q.dtype()).tiny)
        x = np.array(self.full + self.empty)
        is_empty = np.arange(len(x)) >= len(self.full)
        order = np.argsort(x, kind="stable")
        x, is_empty = x[order], is_empty[order]
        borders = np.flatnonzero(is_empty[1:] != is_empty[:-1])
        return len(borders) > 0 and all(
            self._height_at_border(*(x[[i, i + 1]][:: -1 if is_empty[i] else 1]))
            < least
            for i in borders
        )

    def _height_at_border(self, full, empty):
        """log q at the last point before it is -inf."""
        height = np.inf
        for _ in range(N_HALVINGS):
            x = (full + empty) / 2
            if x in (full, empty):
                break
            (log_q,) = self.q.log_prob(np.array([[x]]))
            if log_q == -np.inf:
                empty = x
            else:
                full, height = x, log_q
        return height


def _cuts(p):
    lower, upper = p.bounds
    draws = np.sort(p.scouts[:, 0])
    first, last = draws[0], draws[-1]
    beyond = (last - first) * BEYOND
    cuts = [*draws[:N_OUTERMOST], *np.quantile(draws, CUTS), *draws[-N_OUTERMOST:]]
    cuts += [*first - beyond, *last + beyond]
    if np.isfinite(lower):
        cuts += [*lower + (first - lower) * TOWARDS]
    if np.isfinite(upper):
        cuts += [*upper - (upper - last) * TOWARDS]
    return cuts


def _integral(integrand, a, b, tolerance):
    """One piece. At an infinite end a warning other than of rounding means infinity.

    Unless the error is small: an extrapolation may end in rounding on some processors.
    """
    with (
        warnings.catch_warnings(record=True) as caught,
        np.errstate(under="ignore"),  # of a density far out, where it is 0
    ):
        warnings.simplefilter("always", IntegrationWarning)
        value, error = quad(
            integrand, a, b, epsabs=tolerance / 100, epsrel=tolerance, limit=100
        )
    # Overflows of a density, far out where it is 0, are warnings of other kinds.
    diverges = any(
        issubclass(warning.category, IntegrationWarning)
        and "roundoff" not in str(warning.message)
        for warning in caught
    )
    diverges &= error > CONVERGED * abs(value)
    return value, np.inf if diverges and np.isinf([a, b]).any() else error
