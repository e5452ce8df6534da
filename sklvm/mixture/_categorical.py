"""Mixture of products of categorical distributions: latent class analysis."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from sklvm._warn import warn_user
from sklvm.columns._libraries import to_numpy
from sklvm.mixture._checks import (
    any_in_row,
    check_not_negative,
    check_rows,
    check_weights,
    holds_no_codes,
)
from sklvm.mixture._codes import (
    check_codes,
    check_theta,
    check_whole,
    count_categories,
    largest_codes,
    largest_of,
    warn_of_gaps,
)
from sklvm.mixture._on_device import TakesTensors
from sklvm.mixture._symbols import in_groups
from sklvm.mixture.families.categorical import CategoricalComponents
from sklvm.state._classes import stateful


@stateful
class CategoricalMixtureEM(TakesTensors):
    r"""Mixture of products of categorical distributions, fitted by EM.

    Latent class analysis with any number of answers per item. Maximises the
    log-likelihood, which the exact posterior makes equal to the evidence lower bound:

    .. math::

        F(\theta) = \frac{1}{n} \sum_i \log \sum_k w_k \prod_d \theta_{kd x_{id}}

    where w are the mixing weights and theta_kdl is the probability that feature d has
    the category l in component k. With a prior, EM maximises F + log p(theta, w) / n.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K, or latent classes.
    weights : {"free", "uniform"}, default="free"
        "uniform" fixes p(z) = 1 / K.
    n_categories : int, array-like of shape (n_features,) or None, default=None
        Number L_d of categories of the features, for all or for each. None takes the
        largest code of each feature plus one, and a warning names codes in between that
        no row has, as where a stray 99 marks a missing answer.
    theta_prior : float, default=1.0
        Concentration, 1 or more, of the symmetric Dirichlet prior on the probabilities
        of each feature. The default is flat.
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
    theta_init : list of array-like of shape (n_components, L_d), default=None
        Initial theta, an array for each feature.
    acceleration : {None, "squarem"}, default=None
        "squarem" extrapolates pairs of EM steps [2]_ and falls back where F would fall.
    warm_start : bool, default=False
        Continue from the fitted parameters, in one run, on the next call of `fit`.
    learning_decay : float, default=0.7
        Exponent, in (0.5, 1], of the step size of `partial_fit`.
    device : str, default="cpu"
        Where passes over rows are computed: "cpu" is NumPy, "cuda" and "cuda:1" are
        GPUs, "auto" is a GPU if there is one. Tensors are computed on where they lie.
    random_state : int, RandomState instance or None, default=None
        Seed of the starts and of `sample`.
    n_jobs : int or None, default=None
        Threads, over which restarts or chunks of rows are spread. None is as many as
        BLAS may use. The result does not depend on it.
    batch_size : int or None, default=None
        Rows in a chunk. None keeps a chunk in the processor's cache.
    checkpoint : str, path-like or None, default=None
        File from which the same fit goes on after its process was killed; removed when
        the fit is done.
    verbose : int, default=0
        1 shows a progress bar.
    verbose_interval : int, default=10
        Iterations between updates of the bar.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights p(z).
    theta_ : list of ndarray of shape (n_components, L_d)
        p(x_d = l | z), an array for each feature.
    n_categories_ : ndarray of shape (n_features,)
        Number L_d of categories of each feature.
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
    sklearn.preprocessing.OrdinalEncoder : Makes codes of categories, NaN kept.

    Notes
    -----
    X holds the codes 0, ..., L_d - 1; NaN is missing at random and skipped. What stands
    for a missing code, in `impute` and `inverse_transform`, is the most probable
    category, as codes have no mean. A category with probability 0 in all components,
    such as one that no row has, is no free parameter of `aic`, `bic` and `icl`; with
    `theta_prior` above 1 each of the L_d has a probability, and counts.

    References
    ----------
    .. [1] Agresti (2002), Categorical Data Analysis, section 13.1.
    .. [2] Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335-353.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import CategoricalMixtureEM
    >>> X = np.array([[0, 2, 1], [0, 2, 0], [0, 2, 1], [1, 0, 0], [1, 1, 1], [1, 0, 0]])
    >>> model = CategoricalMixtureEM(n_components=2, random_state=0).fit(X)
    >>> labels = model.predict(X)
    >>> bool(labels[0] == labels[1] == labels[2] != labels[3])
    True
    >>> model.impute([[0, np.nan, 1]]).tolist()
    [[0.0, 2.0, 1.0]]
    """

    _parameter_constraints = {
        **TakesTensors._parameter_constraints,
        "n_categories": [
            Interval(Integral, 1, None, closed="left"),
            "array-like",
            None,
        ],
        "theta_prior": [Interval(Real, 1.0, None, closed="left")],
        "weights_prior": [Interval(Real, 1.0, None, closed="left")],
        "theta_init": [list, tuple, "array-like", None],
    }
    _shared_attributes = ("weights_", "theta_")
    _remedy = "decrease n_components or give more rows"
    _impossible_remedy = "theta_prior=1.5, for example,"

    def __init__(
        self,
        n_components=1,
        *,
        weights="free",
        n_categories=None,
        theta_prior=1.0,
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
        self.n_categories = n_categories
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
        theta : list of array-like of shape (n_components, L_d)
            p(x_d = l | z), an array for each feature.
        **params : dict
            Parameters of the estimator.

        Returns
        -------
        model : CategoricalMixtureEM
        """
        weights = check_weights("weights", weights, np.size(weights))
        n_categories = [np.shape(p)[-1] for p in theta]
        theta = check_theta("theta", theta, len(weights), n_categories)
        components = CategoricalComponents(len(n_categories), n_categories=n_categories)
        return cls._from_params(weights, components, (theta,), params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.positive_only = True
        return tags

    def _check_rows(self, X, reset):
        X = check_rows(self, X, reset)
        check_not_negative(self, X, "codes are 0, 1, ..., mark missing ones by NaN")
        if X.dtype.kind == "f" and holds_no_codes(X):
            warn_user(
                "X holds no whole number, so its values are no codes and truncated; "
                "make codes by OrdinalEncoder or KBinsDiscretizer."
            )
            X = np.floor(X)
        if X.dtype.kind == "f":
            check_whole(self, X)
        return X

    def _has_refused(self, X):
        return bool(((X < 0) | (X % 1 > 0)).any())

    def _impossible_rows(self, X):
        X = check_rows(self, X, False)
        return any_in_row((X < 0) | (self.n_categories_ <= X) | (X % 1 > 0))

    def _checked(self, X):
        X = super()._checked(X)
        check_codes(self, largest_codes(X), self.n_categories_)
        return X

    def _prepare(self, X, sample_weight, first, n_threads):
        mixture, rows, data = super()._prepare(X, sample_weight, first, n_threads)
        if not first:
            check_codes(self, largest_of(rows), self.n_categories_)
        return mixture, rows, data

    def _check_data(self, X, rows):
        largest = largest_of(rows)
        self._n_categories = count_categories(self, largest)
        check_codes(self, largest, self._n_categories)

    def _check_fit(self, mixture, starts):
        if self.n_categories is None and self.theta_init is None:
            counts = self._statistics.components[0].sum(axis=0)
            counts = np.split(counts, mixture.components.starts[1:])
            warn_of_gaps(self, counts, self.theta_prior)

    def _n_parameters(self):
        theta = [np.asarray(to_numpy(p)) for p in self.theta_]
        n_possible = [np.any(p > 0, axis=0).sum() for p in theta]
        n_missing = self.n_categories_ - np.maximum(n_possible, 1)
        return super()._n_parameters() - len(self._weights()) * int(n_missing.sum())

    def _encoded(self, mixture, rows):
        n_levels = mixture.components.n_categories
        return in_groups(mixture, rows, n_levels, self.batch_size)

    def _make_components(self, n_features, *, fitted, **kwargs):
        return CategoricalComponents(
            n_features,
            n_categories=self.n_categories_ if fitted else self._n_categories,
            prior=self.theta_prior,
            **kwargs,
        )

    def _initial_values(self, n_features):
        initial = super()._initial_values(n_features)
        if self.theta_init is not None:
            initial["theta"] = check_theta(
                "theta_init", self.theta_init, self.n_components, self._n_categories
            )
        return initial

    def _n_features(self):
        return len(self.theta_)

    @property
    def n_categories_(self):
        return np.array([np.shape(p)[1] for p in self.theta_])

    def _component_params(self):
        theta = [np.asarray(to_numpy(p), dtype=np.float64) for p in self.theta_]
        return (np.hstack(theta),)

    def _set_component_params(self, components, params):
        theta = params[0].astype(components.dtype)
        self.theta_ = np.split(theta, components.starts[1:], axis=1)
