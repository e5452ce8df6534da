"""Integrals over the line, against a density whose mass is where its draws are."""

import warnings
from itertools import pairwise

import numpy as np
from scipy.integrate import IntegrationWarning, quad

# Quantiles of draws at which the line is cut, so that no narrow mode is missed.
CUTS = np.linspace(0, 1, 17)
# Beyond the outermost draws, in units of their range: where a support ends is not known
# in general, and no mass before its end must be missed.
BEYOND = 10.0 ** np.arange(-4, 2)


def expectation(p, function):
    """E_p[function(x)] by adaptive quadrature, and the estimate of its absolute error.

    `function` takes x of shape (1, 1) and log p(x), and is not called where p is 0.
    """

    def integrand(x):
        x = np.array([[x]])
        (log_p,) = p.log_prob(x)
        density = np.exp(log_p)
        return float(density * function(x, log_p)) if density > 0 else 0.0

    lower, upper = p.bounds
    cuts = np.quantile(p.scouts, CUTS)
    beyond = (cuts[-1] - cuts[0]) * BEYOND
    cuts = np.unique([*cuts[0] - beyond, *cuts, *cuts[-1] + beyond])
    edges = [lower, *cuts[(lower < cuts) & (cuts < upper)], upper]
    with warnings.catch_warnings():
        # Its estimate of the error is returned, whatever it is.
        warnings.simplefilter("ignore", IntegrationWarning)
        parts = [
            quad(integrand, a, b, epsabs=1e-13, epsrel=1e-11, limit=100)
            for a, b in pairwise(edges)
        ]
    value, error = np.sum(parts, axis=0)
    return float(value), float(error)
