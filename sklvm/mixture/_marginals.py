"""The distribution of one column: p(x | z = k) of each component, and their mixture."""

from abc import ABC, abstractmethod

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp, ndtr, rel_entr

from sklvm.mixture.families.discrete import finite_log
from sklvm.mixture.families.dispersion import log_negative_binomial

# Quadrature: the line is cut at each deviation of each component, up to the last one.
DEVIATIONS = np.arange(-10, 11)
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)
# How far from its mean a component is seen in a picture, in deviations.
SEEN = 3.5
# Most counts that are summed over, of one component and of all.
MOST_COUNTS, MOST_COUNTS_OF_ALL = 2**13, 2**17
# Categories that a description names; the others are added up.
MOST_NAMED = 4
LONGEST_LABEL = 20


class Marginal(ABC):
    """One column of a mixture: p(x) = sum_k w_k p(x | z = k).

    `labels` are those of its categories, if it has any.

    Parameters
    ----------
    column : Column
    weights : ndarray of shape (K,)
    """

    def __init__(self, column, weights):
        self.name, self.kind = column.name, column.kind
        self.weights = weights
        self.labels = None

    @abstractmethod
    def log_prob(self, x):
        """log p(x | z = k), (K, m), of points x (m,)."""

    @abstractmethod
    def nodes(self):
        """Points (m,) and their measure (m,): sums over them are sums or integrals."""

    @abstractmethod
    def grid(self):
        """Points (m,) at which a picture shows p(x | z = k)."""

    @abstractmethod
    def describe(self, k):
        """The column in the component k, and in the mixture, each in a few words."""

    def divergences(self):
        """KL(p(x | z = k) || p(x)) in nats, (K,); at most -log w_k."""
        x, measure = self.nodes()
        log_p = self.log_prob(x)
        log_mixture = logsumexp(log_p, axis=0, b=self.weights[:, np.newaxis])
        p = np.exp(log_p)
        ratio = np.subtract(log_p, log_mixture, out=np.zeros_like(p), where=p > 0)
        return np.maximum((measure * p * ratio).sum(axis=1), 0)


class Categories(Marginal):
    """theta_kl = p(x = l | z = k), of the categories with these labels."""

    def __init__(self, column, weights, theta):
        super().__init__(column, weights)
        self.labels = list(map(shortened, column.categories.tolist()))
        self.theta = theta

    def log_prob(self, x):
        return finite_log(self.theta[:, x])

    def nodes(self):
        return self.grid(), np.ones(len(self.labels))

    def grid(self):
        return np.arange(len(self.labels))

    def describe(self, k):
        own, overall = self.theta[k], self.weights @ self.theta
        if self.kind == "bernoulli":
            named, n_others = [1], 0
        else:
            # What is more frequent than overall, by how much it distinguishes; then the
            # rest, by its share.
            named = np.lexsort(
                [-own, -np.where(own > overall, rel_entr(own, overall), 0)]
            )
            n_others = len(named) - MOST_NAMED + 1 if len(named) > MOST_NAMED else 0
            named = named[: len(named) - n_others]
        return tuple(self._shares(p, named, n_others) for p in (own, overall))

    def _shares(self, p, named, n_others):
        shares = [f"{self.labels[i]}: {percent(p[i])}" for i in named]
        if n_others:
            shares.append(f"{n_others} others: {percent(max(1 - p[named].sum(), 0))}")
        return ", ".join(shares)


class Counts(Marginal):
    """Negative binomial, or Poisson where the dispersion is 0."""

    def __init__(self, column, weights, means, dispersions):
        super().__init__(column, weights)
        self.params = means[:, np.newaxis], dispersions[:, np.newaxis]
        self.means, self.deviations = means, np.sqrt(means + dispersions * means**2)
        self.tails = 1 + dispersions * means  # p falls off as exp(-x / tail)

    def log_prob(self, x):
        return log_negative_binomial(x, np.zeros(len(x), dtype=int), *self.params)

    def nodes(self):
        # Where there are too many integers some are left out, and the others stand for
        # them: there p varies slowly.
        most = max(min(MOST_COUNTS, MOST_COUNTS_OF_ALL // len(self.weights)), 2**8)
        reach = 10 * self.deviations
        low = np.floor(np.maximum(self.means - reach, 0))
        high = np.ceil(self.means + reach + 30 * self.tails)
        ranges = [_integers(a, b - a, most) for a, b in zip(low, high, strict=True)]
        x = np.unique(np.concatenate(ranges))
        gaps = np.diff(x)
        return x, (np.append(gaps[:1], gaps) + np.append(gaps, gaps[-1:])) / 2

    def grid(self):
        low = np.floor(np.maximum(self.means - SEEN * self.deviations, 0)).min()
        high = np.ceil(self.means + SEEN * self.deviations).max() + 1
        return _integers(low, high - low, MOST_COUNTS)

    def describe(self, k):
        return _with_deviation(self.means, self.deviations, self.weights, k)


class Gaussian(Marginal):
    """N(x | mean, deviation^2)."""

    def __init__(self, column, weights, means, deviations):
        super().__init__(column, weights)
        self.means, self.deviations = means, deviations

    def log_prob(self, x):
        z = (x - self.means[:, np.newaxis]) / self.deviations[:, np.newaxis]
        return -(z**2) / 2 - np.log(self.deviations * np.sqrt(2 * np.pi))[:, np.newaxis]

    def nodes(self):
        cuts = self.means + np.multiply.outer(DEVIATIONS, self.deviations)
        cuts = np.unique(cuts)
        half = np.diff(cuts)[:, np.newaxis] / 2
        x = cuts[:-1, np.newaxis] + half * (1 + NODES)
        return x.ravel(), (half * NODE_WEIGHTS).ravel()

    def grid(self):
        z = np.linspace(-SEEN, SEEN, 101)
        return np.unique(self.means + np.multiply.outer(z, self.deviations))

    def describe(self, k):
        return _with_deviation(self.means, self.deviations, self.weights, k)


class Lognormal(Gaussian):
    """log x is Gaussian with these means and deviations."""

    def log_prob(self, x):
        return super().log_prob(np.log(x)) - np.log(x)

    def nodes(self):
        logs, measure = super().nodes()
        x = np.exp(logs)
        return x, measure * x

    def grid(self):
        return np.exp(super().grid())

    def describe(self, k):
        alone = self.means[[k]], self.deviations[[k]], np.ones(1)
        return tuple(
            _median_and_range(*q)
            for q in (alone, (self.means, self.deviations, self.weights))
        )


def marginals(mixture):
    """One `Marginal` for each column of a fitted `MixtureEM`, in the table's order."""
    weights, params = mixture._params()
    columns = mixture._schema.columns
    components = mixture._mixture(len(columns)).components
    found = {}
    for block, part, own in zip(
        mixture._schema.blocks, components.parts, components.split(params), strict=True
    ):
        kind, params_of_columns = _of_columns(block.kind, part, own)
        for j, *args in zip(block.columns, *params_of_columns, strict=True):
            found[j] = kind(columns[j], weights, *args)
    return [found[j] for j in range(len(columns))]


def _of_columns(kind, part, params):
    """The class of the marginals of a block, and their params, column by column."""
    match kind:
        case "gaussian":
            return Gaussian, (params[0].T, _deviations(part, params))
        case "lognormal" | "real":
            return _real, (params[0].T, _deviations(part.gaussian, params))
        case "poisson":
            return Counts, (params[0].T, np.zeros_like(params[0].T))
        case "negative_binomial":
            return Counts, (params[0].T, params[1].T)
        case "bernoulli":
            (theta,) = params
            return Categories, ([np.column_stack([1 - p, p]) for p in theta.T],)
        case "categorical":
            return Categories, (np.split(params[0], part.starts[1:], axis=1),)


def _real(column, *args):
    kind = Lognormal if column.kind == "lognormal" else Gaussian
    return kind(column, *args)


def _deviations(gaussian, params):
    """Standard deviations (D, K); tied ones are the same for all components."""
    means, covariances, _ = params
    deviations = gaussian.covariance.deviations(covariances)
    return np.broadcast_to(deviations, means.shape).T


def _integers(low, width, most):
    """0 .. width above low, subsampled where they are many."""
    if width < most:
        return low + np.arange(width + 1)
    return low + np.unique(np.rint(np.geomspace(1, width + 1, most))) - 1


# Words --------------------------------------------------------------------------------


def _with_deviation(means, deviations, weights, k):
    """Mean and standard deviation, in the component k and in the mixture."""
    mean = weights @ means
    deviation = np.sqrt(weights @ (deviations**2 + (means - mean) ** 2))
    pairs = (means[k], deviations[k]), (mean, deviation)
    return tuple(f"{rounded(m, s)} ± {rounded(s, s)}" for m, s in pairs)


def _median_and_range(means, deviations, weights):
    """Median, and the range between the quantiles of one deviation, of exp(x)."""
    quantiles = (np.exp(_quantile(z, means, deviations, weights)) for z in (0, -1, 1))
    return "{} ({} to {})".format(*(rounded(x, x) for x in quantiles))


def _quantile(z, means, deviations, weights):
    """The quantile ndtr(z) of a mixture of Gaussians, between those of its parts."""
    ends = means + z * deviations
    margin = 1e-9 * deviations.max()
    return brentq(
        lambda x: weights @ ndtr((x - means) / deviations) - ndtr(z),
        ends.min() - margin,
        ends.max() + margin,
    )


def rounded(value, scale):
    """A value with two digits of the scale on which it varies, as text."""
    if not 0 < scale < np.inf or not 1e-5 < scale < 1e9 or abs(value) > 1e12:
        return f"{value:.3g}"
    digits = 1 - int(np.floor(np.log10(scale)))
    return f"{round(value, digits) + 0.0:,.{max(digits, 0)}f}"


def shortened(label, longest=LONGEST_LABEL):
    """A label that is not too long to print; names often differ at their ends."""
    text, end = str(label), longest // 2
    return text if len(text) <= longest else f"{text[: end - 1]}…{text[-end:]}"


def percent(share):
    """A share between 0 and 1 as a percentage of few digits."""
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    digits = 1 if 0 < min(share, 1 - share) < 0.01 else 0
    return f"{100 * share:.{digits}f} %"
