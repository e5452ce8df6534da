"""Mixture of products of Bernoulli distributions: latent class analysis."""

from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.utils._param_validation import Interval

from sklvm._warn import warn_user
from sklvm.columns._libraries import to_numpy
from sklvm.mixture._binary import (
    BinaryRows,
    compact,
    extremes,
    is_zero_one,
    observed_codes,
    sparse_rows,
)
from sklvm.mixture._checks import (
    any_in_row,
    check_init,
    check_params,
    check_probabilities,
    check_rows,
    float_dtype,
)
from sklvm.mixture._on_device import TakesTensors
from sklvm.mixture._rows import chunk_size
from sklvm.mixture._symbols import in_groups
from sklvm.mixture.families.bernoulli import BernoulliComponents
from sklvm.state._classes import stateful


@stateful
class BernoulliMixtureEM(TakesTensors):
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
    device : str, default="cpu"
        Where passes over rows are computed: "cpu" is NumPy, "cuda" and "cuda:1" are
        GPUs, "auto" is a GPU if there is one. Tensors are computed on where they lie,
        sparse rows on the CPU.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts and of `sample`.
    n_jobs : int or None, default=None
        Threads, over which restarts or chunks of rows are spread. None is as many as
        BLAS may use. The result does not depend on it.
    batch_size : int or None, default=None
        Rows in a chunk. None keeps a chunk in the processor's cache.
    checkpoint : str, path-like or None, default=None
        File in which `fit` keeps what its restarts have reached, every few seconds. The
        same fit, begun again after its process was killed, goes on from there and ends
        at the same model; when it is done, it removes the file.
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
    start_lower_bounds_ : ndarray
        F on a sample of the rows after each iteration of the short runs that led to the
        start; they count in neither `n_iter_` nor `max_iter`.
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
        **TakesTensors._parameter_constraints,
        "binarize": [Interval(Real, None, None, closed="neither"), None],
        "theta_prior": ["array-like"],
        "weights_prior": [Interval(Real, 1.0, None, closed="left")],
        "theta_init": ["array-like", None],
    }
    _shared_attributes = ("weights_", "theta_")
    _remedy = "decrease n_components or give more rows"
    _impossible_remedy = "theta_prior=(1.5, 1.5), for example,"

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
        device="cpu",
        random_state=None,
        n_jobs=None,
        batch_size=None,
        checkpoint=None,
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
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.batch_size = batch_size
        self.checkpoint = checkpoint
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    @classmethod
    def from_parameters(cls, weights, theta, **params):
        """A fitted mixture with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            0 or more, with sum 1.
        theta : array-like of shape (n_components, n_features)
            Probabilities of ones.
        **params : dict
            Parameters of the estimator.

        Returns
        -------
        model : BernoulliMixtureEM
        """
        theta = check_probabilities("theta", check_params("theta", theta, weights))
        components = BernoulliComponents(theta.shape[1])
        return cls._from_params(weights, components, (theta,), params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_rows(self, X, reset):
        X = check_rows(self, X, reset, accept_sparse=True)
        values = X.data if sp.issparse(X) else X
        if sp.issparse(X) and self.binarize is not None and self.binarize < 0:
            raise ValueError(
                f"binarize={self.binarize} would turn the zeros of a sparse X into "
                "ones; give a threshold of 0 or more, or a dense X."
            )
        if self.binarize is None:
            for start in range(0, len(values), 8192):
                self._check_zero_one(values[start : start + 8192])
        return X

    @property
    def _threshold(self):
        return self.binarize

    def _has_refused(self, X):
        is_code = (X == 0) | (X == 1) | (X != X)
        return self.binarize is None and not is_code.all()

    def _impossible_rows(self, X):
        X = check_rows(self, X, False, accept_sparse=True)
        if self.binarize is not None:
            return super()._impossible_rows(X)
        values = X.toarray() if sp.issparse(X) else X
        return any_in_row((values != 0) & (values != 1) & ~np.isnan(values))

    def _check_zero_one(self, values):
        if is_zero_one(values):
            return
        strange = values[~((values == 0) | (values == 1) | np.isnan(values))]
        if strange.size:
            raise ValueError(
                "binarize=None takes only 0, 1 and NaN, but X has the value "
                f"{strange[0]}; give a threshold, for example binarize=0.5."
            )

    def _check_data(self, X, rows):
        if self.binarize is None:
            return
        if is_zero_one(X.data if sp.issparse(X) else X):
            return
        low, high = extremes(X)
        if low < high and (low > self.binarize or high <= self.binarize):
            side = "1" if low > self.binarize else "0"
            warn_user(
                f"binarize={self.binarize} takes all values of X, from {low:g} to "
                f"{high:g}, for {side}; set binarize between them, for example "
                f"binarize={(low + high) / 2:g}, mark missing answers by NaN, or take "
                "CategoricalMixtureEM for more than two answers."
            )
        elif self.binarize == 0:
            codes = observed_codes(X)
            if codes is not None and len(codes) > 2:
                shown = ", ".join(f"{c:g}" for c in codes[:6])
                shown += ", ..." if len(codes) > 6 else ""
                warn_user(
                    "binarize=0.0 takes the values of X above 0 for 1, but X holds "
                    f"codes of more than two values ({shown}); set binarize to the "
                    "threshold that is meant, mark missing answers by NaN, or take "
                    "CategoricalMixtureEM for more than two answers."
                )

    def _chunks(self, X):
        return BinaryRows(X, self.binarize, float_dtype(X))

    def _compact(self, rows, mixture):
        if not isinstance(rows.data, BinaryRows):
            return super()._compact(rows, mixture)
        return self._stored_as(
            rows, *compact(rows, mixture.components.missing), mixture
        )

    def _stored_as(self, rows, data, sample_weight, mixture):
        row_size = getattr(data, "row_entries", data.shape[1]) + mixture.n_components
        batch_size = self.batch_size or chunk_size(row_size, data.dtype)
        return rows.stored_as(data, sample_weight, batch_size)

    def _encoded(self, mixture, rows):
        n_levels = np.full(rows.shape[1], 2)
        grouped = in_groups(mixture, rows, n_levels, self.batch_size)
        if grouped[1] is not rows or mixture.components.missing:
            return grouped
        data = sparse_rows(rows.data)
        return mixture, self._stored_as(rows, data, rows.sample_weight, mixture)

    def _make_components(self, n_features, *, fitted, **kwargs):
        theta_prior = np.asarray(self.theta_prior)
        numeric = theta_prior.dtype.kind in "iuf"
        valid = numeric and theta_prior.shape == (2,) and theta_prior.min() >= 1
        if not valid or not np.isfinite(theta_prior).all():
            raise ValueError(
                f"theta_prior={self.theta_prior!r} must be two shape parameters (a, b) "
                "of 1 or more; (1, 1) is flat."
            )
        return BernoulliComponents(n_features, prior=self.theta_prior, **kwargs)

    def _initial_values(self, n_features):
        initial = super()._initial_values(n_features)
        if self.theta_init is not None:
            shape = (self.n_components, n_features)
            theta = check_init("theta_init", self.theta_init, shape)
            initial["theta"] = check_probabilities("theta_init", theta)
        return initial

    def _component_params(self):
        return (np.asarray(to_numpy(self.theta_), dtype=np.float64),)

    def _set_component_params(self, components, params):
        self.theta_ = params[0].astype(components.dtype)
