"""Integrals over the line, against a density whose mass is where its draws are."""

import warnings
from itertools import pairwise

import numpy as np
from scipy.integrate import IntegrationWarning, quad

# Quantiles of draws at which the line is cut, and as many of the outermost draws
# themselves, so that no narrow mode is missed.
CUTS = np.linspace(0, 1, 17)
N_OUTERMOST = 4
# Beyond the outermost draws, in units of their range, or up to a bound: where a support
# ends is not known in general, and no mass before its end must be missed.
BEYOND = 10.0 ** np.arange(-4, 2)
TOWARDS = 10.0 ** np.arange(-15, 0, 3)
# How far the integral of a density may be from one.
MASS_TOLERANCE = 1e-6


def has_unit_mass(p):
    """Whether the density integrates to one, as far as the quadrature sees."""
    mass, _ = expectation(p, lambda x, log_p: 1.0)
    return abs(mass - 1) <= MASS_TOLERANCE


def expectation(p, function):
    """E_p[function(x)] by adaptive quadrature, and the estimate of its absolute error.

    `function` takes x of shape (1, 1) and log p(x), and is not called where p is 0. The
    error is infinite where the integral seems to be.
    """

    def integrand(x):
        x = np.array([[x]])
        (log_p,) = p.log_prob(x)
        density = np.exp(log_p)
        return float(density * function(x, log_p)) if density > 0 else 0.0

    # Beyond the digits of log p there is only noise to subdivide for.
    tolerance = max(1e-11, 100 * p.precision())
    parts = [_integral(integrand, *ends, tolerance) for ends in pairwise(_edges(p))]
    value, error = np.sum(parts, axis=0)
    return float(value), float(error)


def _edges(p):
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
    cuts = np.unique(cuts)
    return [lower, *cuts[(lower < cuts) & (cuts < upper)], upper]


def _integral(integrand, a, b, tolerance):
    """One piece. At an infinite end a warning other than of rounding means infinity."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", IntegrationWarning)
        value, error = quad(
            integrand, a, b, epsabs=tolerance / 100, epsrel=tolerance, limit=100
        )
    diverges = any("roundoff" not in str(warning.message) for warning in caught)
    return value, np.inf if diverges and np.isinf([a, b]).any() else error
