"""Mixture of products of Bernoulli distributions: latent class analysis."""

from functools import cached_property
from numbers import Real
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import xlog1py, xlogy
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from sklvm.mixture._binary import BinaryRows, compact
from sklvm.mixture._em import Expectation, Family, WeightedRows
from sklvm.mixture._estimator import BaseMixtureEM, check_init
from sklvm.mixture._fitted import float_dtype

# Stands for -log 0. A power of two, so that its multiples add up without rounding.
IMPOSSIBLE = 2.0**100
EMPTY = 10 * np.finfo(np.float64).eps


class BernoulliParams(NamedTuple):
    weights: np.ndarray  # (K,)
    theta: np.ndarray  # (K, D)


class BernoulliMoments(NamedTuple):
    counts: np.ndarray  # (K,) sum of r_k
    observed: np.ndarray  # (K, D) sum of r_k over the rows where x_d is observed
    ones: np.ndarray  # (K, D) sum of r_k x_d


def split_missing(X, missing):
    """(X with 0 for NaN, mask of the observed entries), or (X, None) without gaps."""
    if not missing:
        return X, None
    gaps = np.isnan(X)
    return np.where(gaps, 0, X), (~gaps).astype(X.dtype)


def bernoulli_sums(features, resp):
    """The moments of one chunk, as a tuple."""
    X, observed = features
    counts = resp.sum(axis=1, dtype=np.float64)
    ones = (resp @ X).astype(np.float64, copy=False)
    if observed is None:
        return counts, np.broadcast_to(counts[:, np.newaxis], ones.shape), ones
    return counts, (resp @ observed).astype(np.float64, copy=False), ones


class BernoulliExpectation(Expectation):
    """log p(x, z = k) = log w_k + sum_d x_d log theta_kd + (1 - x_d) log(1 - theta_kd).

    As a matrix product: X @ (log theta - log(1 - theta)).T + sum_d log(1 - theta).
    At the boundary 0 * log 0 = 0: where theta = 0 or 1 the infinite logarithm is left
    out of the product, and rows that meet it are counted apart.
    """

    def __init__(self, params, dtype, missing):
        self.weights, self.theta = weights, theta = params
        self.missing = missing
        zero, one = theta == 0, theta == 1
        log_theta = np.log(theta, where=~zero, out=np.full_like(theta, -IMPOSSIBLE))
        log_rest = np.log1p(-theta, where=~one, out=np.zeros_like(theta))
        with np.errstate(divide="ignore"):
            self.log_weights = np.log(weights).astype(dtype)
        self.slope = (log_theta - log_rest).astype(dtype)
        self.log_rest = log_rest.astype(dtype)
        self.constant = (log_rest.sum(axis=1) + self.log_weights).astype(dtype)
        self.boundary = zero.any() or one.any()
        self.always = np.flatnonzero(one.any(axis=0))  # some theta_kd = 1
        self.cost_of_zero = (IMPOSSIBLE * one[:, self.always]).astype(dtype)

    def log_joint(self, X, workspace):
        X, observed = split_missing(X, self.missing)
        log_joint = np.ascontiguousarray(self.slope @ X.T)
        if observed is None:
            log_joint += self.constant[:, np.newaxis]
        else:
            log_joint += self.log_rest @ observed.T
            log_joint += self.log_weights[:, np.newaxis]
        if len(self.always):
            cost = self.cost_of_zero.T
            most = cost.sum(axis=0)
            if observed is not None:
                most = observed[:, self.always] @ cost
            log_joint -= np.transpose(most - X[:, self.always] @ cost)
        if self.boundary:
            log_joint[log_joint < -IMPOSSIBLE / 2] = -np.inf
        return log_joint, (X, observed)

    def statistics(self, features, resp, workspace):
        return bernoulli_sums(features, resp)

    def moments(self, sums):
        return BernoulliMoments(*sums)

    def conditional_mean(self, features, resp):
        return resp.T @ self.theta


class BernoulliFamily(Family):
    """Products of Bernoulli distributions with independent Beta priors."""

    def __init__(self, *args, theta_prior, **kwargs):
        super().__init__(*args, **kwargs)
        self.theta_prior = theta_prior

    def expectations(self, params):
        yield BernoulliExpectation(params, self.dtype, self.missing)

    def m_step(self, moments, params):
        a, b = self.theta_prior
        total = moments.observed + (a + b - 2)
        # A feature that no row of the component shows says nothing of its theta.
        theta = np.divide(
            moments.ones + (a - 1), total, out=params.theta.copy(), where=total > 0
        )
        # Rounding alone must not keep theta from the boundary, nor lead beyond it.
        theta[theta > 1 - 1e-14] = 1
        weights = self.mixing_weights(moments.counts)
        rounded = self.rounded(theta)
        below_one = float(np.nextafter(self.dtype.type(1), self.dtype.type(0)))
        rounded[(theta < 1) & (rounded == 1)] = below_one
        return BernoulliParams(self.rounded(weights), rounded)

    def mix(self, old, new, step):
        old_total, new_total = old.counts.sum(), new.counts.sum()
        total = old_total + new_total
        return BernoulliMoments(
            *(
                total * ((1 - step) * a / old_total + step * b / new_total)
                for a, b in zip(old, new, strict=True)
            )
        )

    def log_prior(self, params):
        a, b = self.theta_prior
        return (
            xlogy(a - 1, params.theta).sum()
            + xlog1py(b - 1, -params.theta).sum()
            + xlogy(self.weights_prior - 1, params.weights).sum()
        )

    @cached_property
    def mean(self):
        """Mean of the sample, with half a row more of either value."""
        features = split_missing(self.sample.data, self.missing)
        weight = self.sample.sample_weight / self.sample.sample_weight.max()
        _, observed, ones = bernoulli_sums(features, weight[np.newaxis])
        return ((ones + 0.5) / (observed + 1)).ravel()

    def given(self):
        if not {"weights", "theta"} <= self.initial.keys():
            return None
        return BernoulliParams(self.initial["weights"], self.initial["theta"])

    def start(self, rows, sample_weight, resp):
        # The weights count distinct rows, and each component borrows one more row
        # from the sample as a whole, so that no theta starts at the boundary.
        resp = resp * (sample_weight * (len(sample_weight) / sample_weight.sum()))
        features = split_missing(rows, self.missing)
        counts, observed, ones = bernoulli_sums(features, resp)
        theta = (ones + self.mean) / (observed + 1)
        weights = self.initial.get("weights", self.mixing_weights(counts))
        return BernoulliParams(weights, self.initial.get("theta", theta))

    def embed(self, rows):
        X, observed = split_missing(rows.astype(np.float64), self.missing)
        if sp.issparse(X):  # k-means takes no wider indices
            X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
        return [X if observed is None else np.where(observed, X, self.mean)]

    def initial_centres(self):
        return self.initial.get("theta")

    def n_parameters(self):
        return self.n_components * self.n_features

    def collapsed(self, params, moments):
        return moments.counts <= EMPTY * moments.counts.sum()

    def reseed(self, params, collapsed, rows):
        rows = rows.toarray() if sp.issparse(rows) else rows
        theta = params.theta.copy()
        theta[collapsed] = (np.where(np.isnan(rows), self.mean, rows) + self.mean) / 2
        return BernoulliParams(self.reseeded_weights(params.weights, collapsed), theta)

    def to_vector(self, params):
        # theta = sin(phi)^2 and w = s^2 / sum(s^2): any vector is feasible, and the
        # boundary is an ordinary point.
        return np.concatenate(
            [np.sqrt(params.weights), np.arcsin(np.sqrt(params.theta)).ravel()]
        )

    def from_vector(self, vector):
        roots, phi = np.split(vector, [self.n_components])
        theta = np.sin(phi.reshape(self.n_components, -1)) ** 2
        return BernoulliParams(roots**2 / (roots**2).sum(), theta)


class BernoulliMixtureEM(BaseMixtureEM):
    r"""Mixture of products of Bernoulli distributions, fitted by EM.

    Maximises the log-likelihood, which the exact posterior makes equal to the evidence
    lower bound:

    .. math::

        F(\theta) = \frac{1}{n} \sum_i \log \sum_k w_k
            \prod_d \theta_{kd}^{x_{id}} (1 - \theta_{kd})^{1 - x_{id}}

    where w are the mixing weights and theta_kd is the probability that feature d is 1
    in component k. With a prior, EM maximises F + log p(theta, w) / n.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    weights : {"free", "uniform"}, default="free"
        "uniform" fixes p(z) = 1 / K.
    binarize : float or None, default=0.0
        Values above the threshold are 1, others 0. None takes X as it is, which must
        then hold only 0, 1 and NaN.
    theta_prior : tuple of two floats, default=(1.0, 1.0)
        Shape parameters (a, b), 1 or more, of the Beta prior on each theta. The default
        is flat.
    weights_prior : float, default=1.0
        Concentration, 1 or more, of the symmetric Dirichlet prior on the weights. The
        default is flat.
    tol : float, default=1e-3
        EM stops when F changes by less than this, in nats per row.
    max_iter : int, default=100
        Most EM iterations of one restart.
    n_init : int, default=1
        Number of restarts; the one with the highest F is kept.
    init_params : {"k-means++", "kmeans", "random", "random_from_data"}, \
default="k-means++"
        The start: responsibilities of the nearest centres from k-means++, from k-means
        or from random rows, or random responsibilities. For "k-means++" several starts
        make a short run on a sample of the rows and the best of them goes on.
    weights_init : array-like of shape (n_components,), default=None
        Initial weights.
    theta_init : array-like of shape (n_components, n_features), default=None
        Initial theta.
    acceleration : {None, "squarem"}, default=None
        "squarem" extrapolates pairs of EM steps [2]_ and falls back where F would fall.
    warm_start : bool, default=False
        Continue from the fitted parameters, in one run, on the next call of `fit`.
    learning_decay : float, default=0.7
        Exponent, in (0.5, 1], of the step size of `partial_fit`.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts and of `sample`.
    n_jobs : int or None, default=None
        Threads, over which restarts or chunks of rows are spread. None is as many as
        BLAS may use. The result does not depend on it.
    batch_size : int or None, default=None
        Rows in a chunk. None keeps a chunk in the processor's cache.
    verbose : int, default=0
        1 shows a progress bar.
    verbose_interval : int, default=10
        Iterations between updates of the bar.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights p(z).
    theta_ : ndarray of shape (n_components, n_features)
        p(x_d = 1 | z).
    lower_bound_ : float
        F at the fitted parameters, in nats per row: `score` of the training data.
    lower_bounds_ : ndarray of shape (n_iter_,)
        F after each iteration, with log p(theta, w) / n added if there is a prior.
    attempts_ : ndarray of shape (n_init,)
        Final F of each restart; -inf where components collapsed again and again.
    n_iter_ : int
        Iterations of the kept restart since a component was last re-seeded.
    converged_ : bool
        Whether the kept restart met `tol`.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X has string names.

    See Also
    --------
    GaussianMixtureEM : The same for continuous features.

    Notes
    -----
    NaN is missing at random: sums over the features skip it. Rows that repeat are
    collapsed to patterns with weights. Sparse rows are never made dense; for them
    `binarize` must not be negative.

    References
    ----------
    .. [1] Bishop (2006), Pattern Recognition and Machine Learning, section 9.3.3.
    .. [2] Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335-353.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import BernoulliMixtureEM
    >>> X = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]])
    >>> model = BernoulliMixtureEM(n_components=2, random_state=0).fit(X)
    >>> model.predict([[1, 1, 0], [0, 0, 1]]).tolist() in ([0, 1], [1, 0])
    True
    >>> round(model.score(X), 3)
    -1.04
    """

    _parameter_constraints = {
        **BaseMixtureEM._parameter_constraints,
        "binarize": [Interval(Real, None, None, closed="neither"), None],
        "theta_prior": ["array-like"],
        "weights_prior": [Interval(Real, 1.0, None, closed="left")],
        "theta_init": ["array-like", None],
    }
    _remedy = "decrease n_components or give more rows"

    def __init__(
        self,
        n_components=1,
        *,
        weights="free",
        binarize=0.0,
        theta_prior=(1.0, 1.0),
        weights_prior=1.0,
        tol=1e-3,
        max_iter=100,
        n_init=1,
        init_params="k-means++",
        weights_init=None,
        theta_init=None,
        acceleration=None,
        warm_start=False,
        learning_decay=0.7,
        random_state=None,
        n_jobs=None,
        batch_size=None,
        verbose=0,
        verbose_interval=10,
    ):
        self.n_components = n_components
        self.weights = weights
        self.binarize = binarize
        self.theta_prior = theta_prior
        self.weights_prior = weights_prior
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.theta_init = theta_init
        self.acceleration = acceleration
        self.warm_start = warm_start
        self.learning_decay = learning_decay
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.batch_size = batch_size
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def predict_proba(self, X):
        """Responsibilities p(z | x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Sparse rows need two components or more; `transform` takes them always.

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
        """
        # scikit-learn's check of sparse input takes every default estimator that
        # answers here for a classifier, and wants two columns or more.
        check_is_fitted(self)
        if sp.issparse(X) and len(self.weights_) == 1:
            raise ValueError(
                "predict_proba of a sparse X with one component is 1 for every row; "
                "use transform(X), or more components."
            )
        return super().predict_proba(X)

    def _validate_rows(self, X, reset):
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype="numeric",
            ensure_all_finite="allow-nan",
        )
        if sp.issparse(X) and not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        values = X.data if sp.issparse(X) else X
        if sp.issparse(X):
            if self.binarize is not None and self.binarize < 0:
                raise ValueError(
                    f"binarize={self.binarize} would turn the zeros of a sparse X into "
                    "ones; give a threshold of 0 or more, or a dense X."
                )
            if np.isnan(values).any():
                raise ValueError("A sparse X has NaN; give a dense X to mark gaps.")
        if self.binarize is None:
            binary = (values == 0) | (values == 1)
            if np.count_nonzero(binary) < values.size:
                self._check_strange(values[~binary])
        return X

    def _check_strange(self, values):
        strange = values[~np.isnan(values)]
        if strange.size:
            raise ValueError(
                "binarize=None takes only 0, 1 and NaN, but X has the value "
                f"{strange[0]}; give a threshold, for example binarize=0.5."
            )

    def _as_sample(self, X, sample_weight=None):
        return WeightedRows(BinaryRows(X, self.binarize, float_dtype(X)), sample_weight)

    def _compact(self, sample, missing):
        return compact(sample, missing)

    def _make_family(self, fitted, **kwargs):
        theta_prior = np.asarray(self.theta_prior)
        numeric = theta_prior.dtype.kind in "iuf"
        valid = numeric and theta_prior.shape == (2,) and theta_prior.min() >= 1
        if not valid or not np.isfinite(theta_prior).all():
            raise ValueError(
                f"theta_prior={self.theta_prior!r} must be two shape parameters (a, b) "
                "of 1 or more; (1, 1) is flat."
            )
        return BernoulliFamily(
            theta_prior=self.theta_prior, weights_prior=self.weights_prior, **kwargs
        )

    def _initial_values(self, n_features):
        initial = super()._initial_values(n_features)
        if self.theta_init is not None:
            shape = (self.n_components, n_features)
            theta = check_init("theta_init", self.theta_init, shape)
            if theta.min() < 0 or theta.max() > 1:
                wrong = theta[(theta < 0) | (theta > 1)][0]
                raise ValueError(
                    f"theta_init has the value {wrong:g}; probabilities lie in [0, 1]."
                )
            initial["theta"] = theta
        return initial

    def _parameters(self):
        return BernoulliParams(
            self.weights_.astype(np.float64), self.theta_.astype(np.float64)
        )

    def _publish(self, params, dtype):
        self.weights_ = params.weights.astype(dtype)
        self.theta_ = params.theta.astype(dtype)

    @property
    def _means(self):
        return self.theta_

    def _draw(self, labels, rng):
        theta = self.theta_[labels]
        return (rng.uniform(size=theta.shape) < theta).astype(theta.dtype)

    def _n_parameters(self):
        return self._n_weights() + self.theta_.size
