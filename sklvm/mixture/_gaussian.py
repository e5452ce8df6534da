"""Mixture of Gaussian distributions."""

import copy
from numbers import Real

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklvm.columns._libraries import to_numpy
from sklvm.mixture._checks import check_init, check_params, check_rows
from sklvm.mixture._gaussian_attributes import (
    NAMES,
    CovarianceAttributes,
    check_shape,
    cholesky,
)
from sklvm.mixture._gaussian_warnings import warn_of_covariances
from sklvm.mixture._on_device import TakesTensors
from sklvm.mixture._sample import ranges
from sklvm.mixture.families.covariance import SHAPES
from sklvm.mixture.families.gaussian import GaussianComponents
from sklvm.state._classes import stateful


@stateful
class GaussianMixtureEM(CovarianceAttributes, TakesTensors):
    r"""Mixture of Gaussian distributions, fitted by EM.

    Maximises the log-likelihood, which the exact posterior makes equal to the evidence
    lower bound:

    .. math::

        F(\theta) = \frac{1}{n} \sum_i \log \sum_k w_k N(x_i | \mu_k, \Sigma_k)

    where w are the mixing weights. Parameters and attributes are those of
    `sklearn.mixture.GaussianMixture`, whose name in a script this one may replace.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        A matrix for each component, one matrix for all, a variance for each component
        and feature, or a variance for each component.
    weights : {"free", "uniform"}, default="free"
        "uniform" fixes p(z) = 1 / K: the responsibilities are then normalised
        likelihoods.
    tol : float, default=1e-3
        EM stops when F changes by less than this, in nats per row.
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariances. With 0, EM is exact.
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
    means_init : array-like of shape (n_components, n_features), default=None
        Initial means. Without the other initial values, rows go to the nearest mean.
    precisions_init : array-like, default=None
        Initial precisions, in the shape of `covariances_`.
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
    means_ : ndarray of shape (n_components, n_features)
        Mean of each component.
    covariances_ : ndarray
        Of shape (n_components, n_features, n_features) if "full",
        (n_features, n_features) if "tied", (n_components, n_features) if "diag",
        (n_components,) if "spherical".
    precisions_ : ndarray
        Inverses of the covariances, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with precision = U U^T, in the same shape.
    lower_bound_ : float
        F at the fitted parameters, in nats per row: `score` of the training data.
    lower_bounds_ : ndarray of shape (n_iter_,)
        F after each iteration. With `reg_covar=0` it never falls.
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

    Notes
    -----
    NaN is missing at random: diagonal covariances skip it, for full and tied ones the
    M-step takes the conditional moments of what is missing. A component that becomes
    empty or singular is re-seeded with a warning.

    References
    ----------
    .. [1] Bishop (2006), Pattern Recognition and Machine Learning, section 9.2.
    .. [2] Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335-353.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import GaussianMixtureEM
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixtureEM(n_components=2, random_state=0).fit(X)
    >>> np.sort(model.means_, axis=0).round(3).tolist()
    [[1.0, 2.0], [10.0, 2.0]]
    """

    _parameter_constraints = {
        **TakesTensors._parameter_constraints,
        "covariance_type": [StrOptions(set(SHAPES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
    }
    _shared_attributes = ("weights_", "means_", *NAMES)
    _remedy = "decrease n_components or increase reg_covar"

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        weights="free",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="k-means++",
        weights_init=None,
        means_init=None,
        precisions_init=None,
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
        self.covariance_type = covariance_type
        self.weights = weights
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
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
    def from_parameters(
        cls, weights, means, covariances, *, covariance_type="full", **params
    ):
        """A fitted mixture with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            0 or more, with sum 1.
        means : array-like of shape (n_components, n_features)
        covariances : array-like
            In the shape that `covariance_type` gives to `covariances_`.
        covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        **params : dict
            Other parameters of the estimator.

        Returns
        -------
        model : GaussianMixtureEM

        Examples
        --------
        >>> from sklvm import GaussianMixtureEM
        >>> model = GaussianMixtureEM.from_parameters(
        ...     [0.5, 0.5], [[-1.0], [1.0]], [1.0, 1.0], covariance_type="spherical"
        ... )
        >>> model.predict_proba([[0.0]]).tolist()
        [[0.5, 0.5]]
        """
        if covariance_type not in SHAPES:
            raise ValueError(
                f"covariance_type={covariance_type!r} must be one of {list(SHAPES)}."
            )
        means = check_params("means", means, weights)
        covariance = SHAPES[covariance_type](means.shape[1])
        shape = covariance.shape(len(means))
        covariances = check_init("covariances", covariances, shape)
        u = cholesky("covariances", covariances, covariance)
        components = GaussianComponents(
            means.shape[1], covariance_type=covariance_type, reg_covar=0
        )
        params = params | {"covariance_type": covariance_type}
        return cls._from_params(weights, components, (means, covariances, u), params)

    def to_sklearn(self):
        """The same mixture as scikit-learn's, fitted.

        Returns
        -------
        model : sklearn.mixture.GaussianMixture
            With the parameters that both have in common, and equal answers.
        """
        check_is_fitted(self)
        theirs = GaussianMixture().get_params()
        params = {k: v for k, v in self.get_params().items() if k in theirs}
        params["n_components"] = len(self._weights())
        params["covariance_type"] = self._fitted_type()
        model = GaussianMixture(**params)
        fitted = {k: v for k, v in vars(self).items() if k.endswith("_")}
        for name in fitted.keys() - {"attempts_", "start_lower_bounds_"}:
            setattr(model, name, copy.copy(fitted[name]))
        return model

    def _check_rows(self, X, reset):
        return check_rows(self, X, reset, dtype=[np.float64, np.float32])

    def _check_data(self, X, rows):
        if self.reg_covar > 0 and rows.dtype == np.float64:
            return
        low, high = (a.astype(np.float64) for a in ranges(rows))
        names = getattr(self, "feature_names_in_", range(len(low)))
        constant = np.flatnonzero(low == high)
        is_bare = self.reg_covar == 0 and self.covariance_type != "spherical"
        if len(constant) and is_bare:
            d = constant[0]
            raise ValueError(
                f"reg_covar=0 leaves the feature {names[d]} without variance, as it is "
                f"{low[d]:g} in every row; drop it, or increase reg_covar."
            )
        if rows.dtype == np.float32:
            largest = np.sqrt(np.finfo(np.float32).max) / 100
            wide = np.flatnonzero(high - low > largest)
            if len(wide):
                d = wide[0]
                raise ValueError(
                    f"X is float32, which cannot hold the variance of the feature "
                    f"{names[d]} with values from {low[d]:g} to {high[d]:g}; give X in "
                    "float64, or in smaller units."
                )

    def _check_fit(self, mixture, starts):
        warn_of_covariances(self, mixture, starts)

    def _make_components(self, n_features, *, fitted, **kwargs):
        covariance_type = self._fitted_type() if fitted else self.covariance_type
        return GaussianComponents(
            n_features,
            covariance_type=covariance_type,
            reg_covar=self.reg_covar,
            **kwargs,
        )

    def _check_continues(self):
        super()._check_continues()
        if self.covariance_type != self._fitted_type():
            raise ValueError(
                f"covariance_type={self.covariance_type!r} differs from that of the "
                f"fitted mixture to continue from; set covariance_type="
                f"{self._fitted_type()!r}, or fit with warm_start=False."
            )

    def _initial_values(self, n_features):
        initial = super()._initial_values(n_features)
        covariance = SHAPES[self.covariance_type](n_features)
        if self.means_init is not None:
            shape = (self.n_components, n_features)
            initial["means"] = check_init("means_init", self.means_init, shape)
        if self.precisions_init is not None:
            shape = covariance.shape(self.n_components)
            precisions = check_init("precisions_init", self.precisions_init, shape)
            initial["covariances"] = covariance.inverse(precisions)
        return initial

    def _component_params(self):
        arrays = (self.means_, self.covariances_, self.precisions_cholesky_)
        arrays = tuple(np.asarray(to_numpy(a), dtype=np.float64) for a in arrays)
        check_shape(arrays[0], arrays[1], self._fitted_type())
        return arrays

    def _set_component_params(self, components, params):
        self.means_, covariances, u = (a.astype(components.dtype) for a in params)
        self._covariance_type = components.covariance_type
        self._set_covariances(covariances, u, components.covariance)
