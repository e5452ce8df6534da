"""Mixture of products of Poisson distributions."""

from numbers import Real

import numpy as np
import scipy.sparse as sp
from sklearn.utils._param_validation import Interval

from sklvm._warn import warn_user
from sklvm.columns._libraries import to_numpy
from sklvm.mixture._binary import SparseRows, with_values
from sklvm.mixture._checks import (
    any_in_row,
    check_init,
    check_not_negative,
    check_params,
    check_rows,
    largest_fraction,
)
from sklvm.mixture._on_device import TakesTensors
from sklvm.mixture._rows import chunk_size
from sklvm.mixture.families.poisson import PoissonComponents
from sklvm.state._classes import stateful


@stateful
class PoissonMixtureEM(TakesTensors):
    r"""Mixture of products of Poisson distributions, for counts, fitted by EM.

    Maximises the log-likelihood, which the exact posterior makes equal to the evidence
    lower bound:

    .. math::

        F(\theta) = \frac{1}{n} \sum_i \log \sum_k w_k
            \prod_d \frac{\lambda_{kd}^{x_{id}} e^{-\lambda_{kd}}}{x_{id}!}

    where w are the mixing weights and lambda_kd is the mean count of feature d in
    component k. With a prior, EM maximises F + log p(lambda, w) / n.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    weights : {"free", "uniform"}, default="free"
        "uniform" fixes p(z) = 1 / K.
    rates_prior : tuple of two floats, default=(1.0, 0.0)
        Shape, 1 or more, and rate, 0 or more, of the Gamma prior on each rate. The
        default is flat.
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
    rates_init : array-like of shape (n_components, n_features), default=None
        Initial rates.
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
    rates_ : ndarray of shape (n_components, n_features)
        E[x_d | z], counts per row.
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
    BernoulliMixtureEM : The same for binary features.
    CategoricalMixtureEM : The same for categories.

    Notes
    -----
    NaN is missing at random: sums over the features skip it. Sparse rows are never made
    dense. Counts that vary more than a Poisson distribution allows take several
    components to describe one group.

    References
    ----------
    .. [1] Karlis and Meligkotsidou (2007), Finite mixtures of multivariate Poisson
       distributions with application, Journal of Statistical Planning and Inference
       137, 1942-1960.
    .. [2] Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335-353.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import PoissonMixtureEM
    >>> X = np.array([[0, 7], [1, 5], [0, 6], [9, 1], [7, 0], [8, 2]])
    >>> model = PoissonMixtureEM(n_components=2, random_state=0).fit(X)
    >>> np.sort(model.rates_, axis=0).round(1).tolist()
    [[0.3, 1.0], [8.0, 6.0]]
    >>> model.impute([[0, np.nan]]).round(1).tolist()
    [[0.0, 6.0]]
    """

    _parameter_constraints = {
        **TakesTensors._parameter_constraints,
        "rates_prior": ["array-like"],
        "weights_prior": [Interval(Real, 1.0, None, closed="left")],
        "rates_init": ["array-like", None],
    }
    _shared_attributes = ("weights_", "rates_")
    _remedy = "decrease n_components or give more rows"
    _impossible_remedy = "rates_prior=(1.5, 0.1), for example,"

    def __init__(
        self,
        n_components=1,
        *,
        weights="free",
        rates_prior=(1.0, 0.0),
        weights_prior=1.0,
        tol=1e-3,
        max_iter=100,
        n_init=1,
        init_params="k-means++",
        weights_init=None,
        rates_init=None,
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
        self.rates_prior = rates_prior
        self.weights_prior = weights_prior
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.rates_init = rates_init
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
    def from_parameters(cls, weights, rates, **params):
        """A fitted mixture with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            0 or more, with sum 1.
        rates : array-like of shape (n_components, n_features)
            0 or more.
        **params : dict
            Parameters of the estimator.

        Returns
        -------
        model : PoissonMixtureEM
        """
        rates = _check_rates("rates", check_params("rates", rates, weights))
        components = PoissonComponents(rates.shape[1])
        return cls._from_params(weights, components, (rates,), params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        return tags

    def _check_rows(self, X, reset):
        X = check_rows(self, X, reset, accept_sparse=True)
        check_not_negative(self, X, "counts are 0 or more, mark missing ones by NaN")
        return X

    def _has_refused(self, X):
        return bool((X < 0).any())

    def _impossible_rows(self, X):
        return any_in_row(check_rows(self, X, False, accept_sparse=True) < 0)

    def _check_data(self, X, rows):
        def of_chunk(X, weight, workspace):
            return (largest_fraction(X),)

        (fraction,) = rows.sum(of_chunk, add=np.fmax)
        if fraction > 0:
            warn_user(
                f"X has values that are no counts, for example {fraction:g}, whose "
                "density under a Poisson distribution is no probability; round X if it "
                "holds counts, or take GaussianMixtureEM."
            )

    def _chunks(self, X):
        X = super()._chunks(X)
        if sp.issparse(X) and X.dtype.kind != "f":
            X = with_values(X, X.data.astype(np.float64))
        return X

    def _compact(self, rows, mixture):
        if not sp.issparse(rows.data):
            return super()._compact(rows, mixture)
        data = SparseRows(rows.data)
        row_size = data.row_entries + mixture.n_components
        batch_size = self.batch_size or chunk_size(row_size, data.dtype)
        return rows.stored_as(data, rows.sample_weight, batch_size)

    def _make_components(self, n_features, *, fitted, **kwargs):
        prior = np.asarray(self.rates_prior)
        numeric = prior.dtype.kind in "iuf" and prior.shape == (2,)
        if not (numeric and np.isfinite(prior).all() and (prior >= [1, 0]).all()):
            raise ValueError(
                f"rates_prior={self.rates_prior!r} must be the shape, 1 or more, and "
                "the rate, 0 or more, of a Gamma distribution; (1, 0) is flat."
            )
        return PoissonComponents(n_features, prior=self.rates_prior, **kwargs)

    def _initial_values(self, n_features):
        initial = super()._initial_values(n_features)
        if self.rates_init is not None:
            shape = (self.n_components, n_features)
            rates = check_init("rates_init", self.rates_init, shape)
            initial["rates"] = _check_rates("rates_init", rates)
        return initial

    def _component_params(self):
        return (np.asarray(to_numpy(self.rates_), dtype=np.float64),)

    def _set_component_params(self, components, params):
        self.rates_ = params[0].astype(components.dtype)


def _check_rates(name, rates):
    if rates.min() < 0:
        raise ValueError(f"{name} has the value {rates.min():g}; rates are 0 or more.")
    return rates
