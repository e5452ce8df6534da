"""KL divergence of any two distributions: by Monte Carlo, or by quadrature."""

from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from sklvm._base import check_count, private_random_state
from sklvm._warn import warn_user
from sklvm.divergence._densities import as_density
from sklvm.divergence._quadrature import Line, LogDensity
from sklvm.divergence._tails import HEAVY, diverges, tail_shape

METHODS = ("auto", "quadrature", "monte_carlo")
# Draws that a part of the mass of p needs before an average over it says something.
ENOUGH = 30
# Mass above 1 that is no rounding, and standard errors below 0 that are no chance.
TOO_MUCH, MOST_ERRORS = 1e-3, 6
# Nats, at least, by which p is larger than a q that has underflowed; and what of them
# may be left out, as a share of the divergence.
FALLEN, LEFT_OUT = 1e3, 1e-9


@dataclass(frozen=True)
class KLEstimate:
    """What `kl` returns.

    Attributes
    ----------
    divergence : float
        KL(p || q) in nats. By Monte Carlo it may fall below 0 by chance.
    standard_error : float
        Of the mean over the draws, in nats; of a quadrature its own estimate of the
        absolute error, infinite where it does not converge. NaN where the divergence is
        infinite, and of one draw.
    method : {"quadrature", "monte_carlo"}
    """

    divergence: float
    standard_error: float
    method: str


def kl(p, q, *, method="auto", n_samples=10_000, random_state=None):
    r"""KL divergence of any two distributions.

    .. math:: KL(p \| q) = E_p[\log p(x) - \log q(x)]

    Parameters
    ----------
    p, q : object
        A fitted estimator with `score_samples` and `sample`, of this package or of
        scikit-learn; a distribution of torch; one of scipy.stats with parameters,
        frozen or of the newer kind as ``Normal(mu=0, sigma=1)``; or any object with
        `log_prob` or `score_samples`, of NumPy rows (n, d), normalised, and
        `sample(n)`. Where `score_samples` is a lower bound, as with `VAE`, so is log p
        or log q.
    method : {"auto", "quadrature", "monte_carlo"}, default="auto"
        "auto" is the quadrature for continuous distributions in one dimension, unless
        it finds that p does not integrate to one. The line is cut at the modes of p and
        q, which are looked for at draws and at points ever further away.
    n_samples : int, default=10_000
        Draws of p for "monte_carlo".
    random_state : int, RandomState instance or None, default=None
        Of the draws. No global generator is advanced, unless an object of your own
        draws from one.

    Returns
    -------
    estimate : KLEstimate
        With `divergence` and `standard_error` in nats. Infinite where p has mass and q
        has none, and where the tail of p is too heavy for that of q: of a Cauchy
        against a normal distribution E_p[log q] is minus infinity.

    Warns
    -----
    UserWarning
        If a quadrature has not converged, or few draws decide a Monte Carlo mean, as
        where the divergence is infinite in a way that the tails along some rays do not
        show.

    Raises
    ------
    TypeError
        If p or q has not these methods.
    ValueError
        If a log density is not normalised, as far as that shows; if the dimensions
        differ, or a column is known to be discrete in one and continuous in the other,
        or one to lie in a plane and the other not; if "quadrature" is asked for
        where it does not apply; if a mode of p has been missed that `n_samples` draws
        would miss as well; or if the density of q falls below the smallest float where
        p has mass that counts.

    References
    ----------
    S. Kullback and R. Leibler, "On Information and Sufficiency", Annals of Mathematical
    Statistics 22, 1951, eq. 2.4.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from sklvm.divergence import kl
    >>> round(kl(norm(0, 1), norm(1, 1)).divergence, 6)
    0.5
    """
    check_count("n_samples", n_samples)
    p, q = as_density("p", p), as_density("q", q)
    if p.dimension != q.dimension:
        raise ValueError(
            f"q has {q.dimension} dimensions and p has {p.dimension}; give "
            "distributions of the same."
        )
    _refuse_other_columns(p, q)
    _refuse_other_kinds(p, q)
    _refuse_other_measures(p, q)
    chosen = choose_method(method, p, q)
    if diverges(p, q):
        return KLEstimate(np.inf, np.nan, chosen)
    if chosen == "quadrature":
        line = Line(p, q)
        if line.is_complete():
            return _by_quadrature(line, q)
        if method == "quadrature":
            raise ValueError(
                "p does not integrate to 1 by quadrature, as its log density is not "
                "normalised, or has a spike or tail that is missed; choose "
                "method='monte_carlo'."
            )
        _refuse_too_much_mass(line)
        _refuse_unseen_mode(line, n_samples)
    return _by_monte_carlo(p, q, n_samples, random_state)


def choose_method(method, *densities):
    """ "quadrature" or "monte_carlo", as `method` says or the densities allow."""
    if method not in METHODS:
        raise ValueError(
            f"method={method!r} must be one of {', '.join(map(repr, METHODS))}."
        )
    applies = all(d.dimension == 1 and not d.discrete for d in densities)
    if method == "quadrature" and not applies:
        raise ValueError(
            "method='quadrature' is for continuous distributions in one dimension; "
            "choose 'monte_carlo'."
        )
    return "quadrature" if applies and method != "monte_carlo" else "monte_carlo"


def _refuse_other_columns(p, q):
    """Raise where both were fitted to tables, with the columns in other orders."""
    if p.columns is None or q.columns is None or p.columns == q.columns:
        return
    if sorted(map(str, p.columns)) == sorted(map(str, q.columns)):
        raise ValueError(
            f"q was fitted to the columns {q.columns!r:.60}, in another order than p, "
            f"{p.columns!r:.60}; fit both to X[list(p.feature_names_in_)]."
        )


def _refuse_other_kinds(p, q):
    """Raise where a column has probabilities in one and densities in the other."""
    if p.real is None or q.real is None or (p.real == q.real).all():
        return
    j = int((p.real != q.real).argmax())
    discrete, continuous = ("q", "p") if p.real[j] else ("p", "q")
    where = f" in the column {j}" if p.dimension > 1 else ""
    raise ValueError(
        f"{discrete} is discrete{where} and {continuous} is continuous, and "
        "probabilities do not compare with densities; give two distributions of one "
        "kind."
    )


def _refuse_other_measures(p, q):
    """Raise where one density is that of a plane, as with a singular covariance."""
    if p.dimension == 1 or p.discrete or q.discrete:
        return
    ranks = [(density.rank(), density) for density in (p, q)]
    (least, low), (most, high) = sorted(ranks, key=itemgetter(0))
    # Of draws of an estimator, perhaps of bits, a column may only look constant.
    if low.is_kind_known and least < most:
        raise ValueError(
            f"{low.name} lies in {least} of {low.dimension} dimensions, as with a "
            f"singular covariance, and {high.name} in {most}, so that one has no "
            "density where the other has; give two of as many dimensions."
        )


def _refuse_too_much_mass(line):
    """Raise where p integrates to more than 1, as no density does.

    Estimates of one, as the scores of a fitted model, may, and so may the quadrature of
    one that is infinite at an end.
    """
    if line.p.is_fitted or line.has_infinite_end():
        return
    if line.missing < -TOO_MUCH:
        raise ValueError(
            f"p integrates to {1 - line.missing:.4g}, so that its log density is not "
            f"normalised; subtract log({1 - line.missing:.4g}) from it."
        )


def _refuse_negative(p, divergence, error):
    """Raise where a divergence is below 0, which that of two densities never is.

    Where log p is a bound, as that of a fitted model may be, it may be.
    """
    if not p.is_fitted and divergence < -(TOO_MUCH + MOST_ERRORS * error):
        raise ValueError(
            f"The divergence is {divergence:.4g}, below 0, so that the log density of "
            "q is not normalised; subtract the logarithm of what q integrates to."
        )


def _refuse_unseen_mode(line, n_samples):
    """Raise where what the quadrature misses is missed by draws as well."""
    missing = line.missing
    if line.p.is_fitted or line.has_infinite_end():
        return
    if 0 < missing * n_samples < ENOUGH:
        raise ValueError(
            f"p integrates to 1 - {missing:.1g} by quadrature, and n_samples="
            f"{n_samples} draws say nothing of the mode that is missed; give n_samples="
            f"{int(ENOUGH / missing) + 1}, or method='monte_carlo' if log p is no more "
            "exact than that."
        )


def _by_quadrature(line, q):
    log_q = LogDensity(q)
    divergence, error = line.expectation(lambda x, log_p: log_p - log_q(x))
    if not np.isfinite(divergence) or (log_q.empty and not log_q.underflows()):
        return KLEstimate(np.inf, np.nan, "quadrature")
    lower, upper = q.bounds
    if any(not lower <= x <= upper for x in log_q.empty):
        return KLEstimate(np.inf, np.nan, "quadrature")  # 0 by its support
    if log_q.empty:
        mass, _ = line.expectation(lambda x, log_p: float(q.log_prob(x)[0] == -np.inf))
        if FALLEN * mass > LEFT_OUT * max(1.0, abs(divergence)):
            raise ValueError(
                f"q underflows, so that its log density is -inf where p has {mass:.1g} "
                "of its mass; give q with a log_prob that is computed without the "
                "density itself."
            )
        error += FALLEN * mass
    if np.isinf(error):
        warn_user(
            f"The quadrature has not converged, as p log(p / q) falls slowly, so that "
            f"the divergence may be far from {divergence:.4g}; give the distributions "
            "of the logarithm of x, or of arcsinh(x), whose divergence is the same."
        )
    _refuse_negative(line.p, divergence, error)
    return KLEstimate(divergence, error, "quadrature")


def _by_monte_carlo(p, q, n_samples, random_state):
    seed = private_random_state(random_state).randint(np.iinfo(np.int32).max)
    X = p.draw(n_samples, seed)
    log_p = p.log_prob(X)
    if (log_p == np.inf).any():
        raise ValueError(
            f"p is infinite at {np.isposinf(log_p).mean():.0%} of its draws, which are "
            "rounded to the end of its support; give p and q of the logarithm of x, or "
            "of its distance from there."
        )
    log_ratio = log_p - q.log_prob(X)
    if not np.isfinite(log_ratio).all():
        return KLEstimate(float(log_ratio.mean()), np.nan, "monte_carlo")
    if (shape := tail_shape(log_ratio)) > HEAVY:
        warn_user(
            f"log p - log q has a tail of the shape {shape:.2g} at the draws of p, so "
            "that few of them decide its mean and the standard error says little; from "
            "1 on the divergence is infinite, below give more n_samples."
        )
    divergence = float(log_ratio.mean())
    error = log_ratio.std(ddof=1) / np.sqrt(n_samples) if n_samples > 1 else np.nan
    if n_samples >= ENOUGH:
        _refuse_negative(p, divergence, error)
    return KLEstimate(divergence, float(error), "monte_carlo")
