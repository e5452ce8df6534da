"""p(x | z = k): the interface of a family of components, and of its E-step.

A family knows no mixing weights, no loop and no source of rows. Where X has one row for
each of n samples and resp is (K, n), its *statistics* are sums over rows, a tuple of
arrays whose first axis is K, and its *params* a tuple of arrays, too.
"""

from abc import ABC, abstractmethod

import numpy as np

# So few rows are answered before what is fast for many is prepared.
FEW_ROWS = 8


class Components(ABC):
    """The components of one family.

    The abstract methods have to be written: four, and the two of a `Kernel`. Most
    families derive from `FeatureComponents` instead, which has a kernel and asks for
    five; `families/poisson.py` is the one to start from. The rest has a default here.
    """

    names: tuple  # of the params, as the fitted attributes without the underscore
    # Statistics of a weak row that shows every value: no start is at a boundary.
    pseudo_row: tuple = ()
    # Whether the M-step of each component knows nothing of the others.
    is_separable = True
    # A column of the rows whose codes are classes that a start may follow, if any.
    classes: int | None = None

    def __init__(self, n_features, *, dtype=np.float64, missing=False):
        self.n_features = n_features
        self.dtype = np.dtype(dtype)  # of X and of the fitted attributes
        self.missing = missing  # whether X may hold NaN

    @abstractmethod
    def kernels(self, params):
        """Ways to do the E-step at `params`, the fastest first, the safest last."""

    @abstractmethod
    def statistics(self, features, resp):
        """Expected sufficient statistics of the rows under resp."""

    @abstractmethod
    def m_step(self, statistics, params):
        """The params that maximise F; the old ones where nothing was observed.

        `params` is None at a start, where something always is.
        """

    @abstractmethod
    def sample(self, params, labels, rng):
        """One row from each of the components `labels`."""

    # What has a default ----------------------------------------------------------

    def kernel_for(self, params, n_rows):
        """The kernel for the posterior of `n_rows` rows, its preparation counted."""
        return next(self.kernels(params))

    def features(self, X):
        """What `statistics` needs of the rows X; NaN is missing."""
        return X

    @property
    def initial_names(self):
        """Names of the initial values that leave nothing to be found by a start."""
        return set(self.names)

    def mean(self, params):
        """E[x | z = k], of shape (K, D)."""
        return params[0]

    def fill(self, params, features, resp):
        """What stands for each entry given the observed ones: E[x | x observed]."""
        return self.expected(params, resp.T)

    def expected(self, params, weights):
        """What stands for a row of a mixture with these weights (n, K): its mean."""
        return weights @ self.mean(params)

    def draw(self, params, labels, X, rng):
        """Rows X with each NaN drawn from p(x_missing | x_observed, z = label)."""
        # Features are independent within a component, unless a family says otherwise.
        return np.where(np.isnan(X), self.sample(params, labels, rng), X)

    def n_parameters(self, n_components):
        """Number of free parameters."""
        return n_components * self.n_features

    def log_prior(self, params):
        """log p(params) up to a constant; zero for maximum likelihood."""
        return 0.0

    def degenerate(self, params):
        """Mask (K,) of the components on their way to an infinite likelihood."""
        return np.zeros(len(params[0]), dtype=bool)

    def row_size(self, n_components):
        """Numbers that the E-step holds for one row."""
        return self.n_features + n_components

    def mix(self, one, other, a, b):
        """Statistics a * one + b * other."""
        return tuple(a * x + b * y for x, y in zip(one, other, strict=True))

    def average(self, statistics, n):
        """Statistics of one average row, from those of n rows as one component."""
        if not self.pseudo_row:
            return self.mix(statistics, statistics, 1 / n, 0)
        pairs = zip(statistics, self.pseudo_row, strict=True)
        return tuple((x + pseudo) / (n + 1) for x, pseudo in pairs)

    def smooth(self, statistics, average):
        """Statistics for a start: each component borrows one average row."""
        return self.mix(statistics, average, 1, 1)

    def points(self, rows, params):
        """Rows as complete points, once for each scale in which to look for starts.

        `params` are those of one component for all rows. Starts are distributed over
        the scales.
        """
        return [np.where(np.isnan(rows), self.mean(params), rows.astype(np.float64))]

    def centres(self, initial, params):
        """The user's initial means as points of the first of these scales."""
        return self.points(initial, params)[0]

    def replaced(self, params, initial):
        """Params with the user's initial values, by name, in place of some of them."""
        return tuple(
            initial.get(name, value)
            for name, value in zip(self.names, params, strict=True)
        )

    def moved(self, params, collapsed, fresh):
        """Params with those of the components `collapsed` (K,) from `fresh`."""
        new = tuple(p.copy() for p in params)
        for p, q in zip(new, fresh, strict=True):
            p[collapsed] = q
        return new

    def for_starts(self, rows, least_share=0.5):
        """The components whose short runs find the starts, and a mask of their rows.

        Cheaper components where the rows with which these would be quick are less than
        a share of all; without a mask (None) they take all rows.
        """
        return self, None

    def to_unconstrained(self, params, reference):
        """The params in coordinates that may take any value.

        `reference` are params whose scale the coordinates may use.
        """
        return params

    def from_unconstrained(self, values, reference):
        """Inverse of `to_unconstrained`; None where numbers overflow or degenerate."""
        return values


class FeatureComponents(Components):
    """A family whose E-step is a function of features that know no params."""

    @abstractmethod
    def features(self, X):
        """What `log_prob` and `statistics` need of the rows X; NaN is missing."""

    @abstractmethod
    def log_prob(self, coefficients, features):
        """log p(x | z = k), every constant kept, of shape (K, n)."""

    def coefficients(self, params):
        """What `log_prob` needs of the params, computed once for all chunks."""
        return params

    def kernels(self, params):
        yield FeatureKernel(self, params)


class Kernel(ABC):
    """The E-step of one family at fixed params, for a chunk of rows at a time."""

    # Responsibilities below e^flushed may be taken for 0 in the sums of the M-step.
    flushed = -np.inf

    def __init__(self, components, params):
        self.components, self.params = components, params

    @abstractmethod
    def log_prob(self, X, workspace):
        """log p(x | z = k), (K, n), to be overwritten, and features of the rows."""

    @abstractmethod
    def statistics(self, features, resp, workspace):
        """An additive tuple, from which `finalize` makes the family's statistics."""

    def finalize(self, sums):
        """The family's statistics from sums of `statistics` over all chunks."""
        return sums

    def is_accurate(self, following):
        """Whether the statistics had the digits that the params after them need."""
        return True

    def fill(self, features, resp):
        """What stands for each entry given the observed ones, of shape (n, D)."""
        return self.components.fill(self.params, features, resp)

    def chunk_sums(self, X, weight, log_weights, workspace):
        """Sum of log p(x), counts (K,) and statistics of a chunk under its posterior.

        What an accelerator would override: all arithmetic on rows is in here.
        """
        resp, features = self.log_prob(X, workspace)
        evidence = weigh_posterior(resp, log_weights, weight, self.flushed)
        counts = resp.sum(axis=1, dtype=np.float64)
        return evidence, counts, *self.statistics(features, resp, workspace)


class FeatureKernel(Kernel):
    """The E-step as the family's own methods state it."""

    def __init__(self, components, params):
        super().__init__(components, params)
        self.coefficients = components.coefficients(params)

    def log_prob(self, X, workspace):
        features = self.components.features(X)
        return self.components.log_prob(self.coefficients, features), features

    def statistics(self, features, resp, workspace):
        return self.components.statistics(features, resp)


def weigh_posterior(log_prob, log_weights, weight, flushed):
    """Turn log p(x | z) into weight * p(z | x) in place; return the sum of log p(x)."""
    log_prob += log_weights[:, np.newaxis]
    log_px = normalise(log_prob, log_weights, flushed)
    if weight is None:
        return log_px.sum()
    log_prob *= weight.astype(log_prob.dtype, copy=False)
    # A row without weight is absent, even where its log p(x) is -inf.
    return weight @ np.where(weight > 0, log_px, 0)


def normalise(log_joint, log_weights, flushed=-np.inf):
    """Turn log p(x, z) into p(z | x) in place; return log p(x) in float64.

    A row that no component can produce has log p(x) = -inf and keeps the prior.
    Responsibilities below e^flushed become 0.
    """
    largest = log_joint.max(axis=0)
    is_ordinary = np.isfinite(largest.sum())
    if not is_ordinary:
        log_joint[:, np.isnan(largest)] = -np.inf  # squares of so remote a row overflow
        np.fmax(largest, np.finfo(log_joint.dtype).min, out=largest)
    log_joint -= largest
    resp = _exp(log_joint, flushed)
    total = resp.sum(axis=0)
    if not is_ordinary:
        impossible = total == 0
        resp[:, impossible] = np.exp(log_weights)[:, np.newaxis]
        with np.errstate(divide="ignore"):
            log_px = np.log(total, dtype=np.float64) + largest
        total[impossible] = 1
    else:
        log_px = np.log(total, dtype=np.float64) + largest
    resp /= total
    return log_px


def _exp(x, flushed):
    """exp(x) in place, and 0 below `flushed`; cheap where most of it is below."""
    if x.dtype == np.float64 and flushed > -np.inf and x.flags.c_contiguous:
        few = x[:, :: 1 + x.shape[1] // 64]
        if np.count_nonzero(few > flushed) < 0.4 * few.size:
            positions = np.flatnonzero(x > flushed)
            flat = x.reshape(-1)
            values = flat.take(positions)
            np.exp(values, out=values)
            flat.fill(0)
            flat[positions] = values
            return x
    return np.exp(x, out=x)


def of_frequent_patterns(rows, most):
    """Mask of the rows with one of the most frequent patterns of missing cells."""
    bits = np.packbits(np.isnan(rows), axis=1)
    _, at, counts = np.unique(bits, axis=0, return_inverse=True, return_counts=True)
    # NumPy 2.0 gives `at` a second axis.
    return np.isin(at.ravel(), np.argsort(-counts, kind="stable")[:most])


def in_all(masks):
    """The rows of all masks; None is one of all rows."""
    masks = [mask for mask in masks if mask is not None]
    return np.logical_and.reduce(masks) if masks else None
