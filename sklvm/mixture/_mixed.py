"""Mixture of products over columns of several kinds."""

import sys
from copy import deepcopy
from numbers import Real

import numpy as np
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions
from tqdm import tqdm

from sklvm._alone import validate_data
from sklvm._base import check_sample_weight, in_rows, warn_of_order
from sklvm._warn import warn_user
from sklvm.columns import Schema
from sklvm.columns._forms import frame_of_arrow
from sklvm.mixture._blocks import (
    check_counts,
    check_same_blocks,
    flat_priors,
    make_part,
    resolved_options,
)
from sklvm.mixture._gaussian_warnings import of_blocks
from sklvm.mixture._given import FromParametersMixin
from sklvm.mixture._sample import canonical_sample, ranges
from sklvm.mixture._source_schema import source_schema
from sklvm.mixture._summary import ComponentSummaryMixin
from sklvm.mixture._symbols import blocks_in_groups
from sklvm.mixture._table_answers import TableAnswers
from sklvm.mixture.families.product import ProductComponents
from sklvm.sources._source import as_source, split_weight
from sklvm.state._classes import stateful

# Most rows that tell options which the user leaves open.
OPTION_ROWS = 2**16


@stateful
class MixtureEM(FromParametersMixin, ComponentSummaryMixin, TableAnswers):
    r"""Mixture for tables of mixed columns, fitted by EM.

    Within a component the blocks of columns are independent of each other. Maximises
    the log-likelihood, which the exact posterior makes equal to the evidence lower
    bound:

    .. math::

        F(\theta) = \frac{1}{n} \sum_i \log \sum_k w_k \prod_b p_b(x_{ib} | \theta_{kb})

    where w are the mixing weights and p_b is the distribution of the columns of block
    b. Its density is one of counting measure for discrete columns, and of length in the
    column's own unit for real ones, so that scores of all models of the same table
    compare. With a prior, EM maximises F + log p(theta, w) / n.

    Parameters
    ----------
    n_components : int, default=1
        Number of components K.
    components : "auto" or list of (kind, columns) or (kind, columns, options), \
            default="auto"
        The blocks. Kinds are "gaussian", "lognormal" (positive, with a long tail),
        "real" (a joint normal distribution of both, logarithms of columns with a long
        tail), "bernoulli", "poisson", "negative_binomial", "categorical", and "auto"
        for the columns that no other block names. Columns are named as in
        ColumnTransformer. "auto" reads the kind of each column from its dtype and
        values, and says so in `columns_`. See Notes for the options.
    handle_unknown : {"error", "missing"}, default="error"
        What becomes of a category that was not there in `fit`.
    weights : {"free", "uniform"}, default="free"
        "uniform" fixes p(z) = 1 / K.
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
    acceleration : {None, "squarem"}, default=None
        "squarem" extrapolates pairs of EM steps [2]_ and falls back where F would fall.
    warm_start : bool, default=False
        Continue from the fitted parameters, in one run, on the next call of `fit`. The
        columns are what they were taken for then.
    learning_decay : float, default=0.7
        Exponent, in (0.5, 1], of the step size of `partial_fit`.
    device : str, default="cpu"
        Where passes over rows are computed: "cpu" is NumPy, "cuda" and "cuda:1" are
        GPUs, "auto" is a GPU if there is one.
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
        1 shows what each column was taken for, and a progress bar.
    verbose_interval : int, default=10
        Iterations between updates of the bar.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights p(z).
    components_ : list of Bunch
        One for each block: `kind`, `columns` (their names) and the params of the
        family, arrays whose first axis is K. Those of lognormal columns are of log x.
        "auto" joins gaussian and lognormal columns to one block of the kind "real".
    columns_ : dict
        The kind of each column, by its name.
    categories_ : dict
        The categories of each bernoulli and categorical column, by its name.
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
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X has string names.

    See Also
    --------
    GaussianMixtureEM, BernoulliMixtureEM, CategoricalMixtureEM, PoissonMixtureEM :
        Mixtures for tables of one kind, also sparse and in single precision.

    Notes
    -----
    A missing cell, whatever marks it, is missing at random and summed out.

    Options of a block, with their defaults: `covariance_type` ("full") and `reg_covar`
    of "gaussian", "lognormal" and "real"; `theta_prior` of "categorical" (1.1) and
    "bernoulli" ((1.1, 1.1)), `rates_prior` of "poisson" ((1.1, 0)) and `means_prior` of
    "negative_binomial" ((1.1, 0)), which keep probabilities off 0; `n_levels` of
    "negative_binomial", below which counts can be fitted. They mean what they mean in
    the mixtures of one kind, but for `reg_covar`: no component is narrower than this
    variance in any direction, and nothing is added to those that are wider, so that F
    never falls. One number, or one for each column. The default is the square of the
    step to which the column's values are rounded, over 3, at least a millionth of its
    variance: components on neighbouring rounded values have the density of their
    probabilities spread over the step, and are no spikes. For "lognormal" the step is
    that of log x at the median, and the least variance 1e-4, one percent of x.

    References
    ----------
    .. [1] Hunt and Jorgensen (2011), Clustering mixed data, WIREs Data Mining and
       Knowledge Discovery 1, 352-361.
    .. [2] Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335-353.

    Examples
    --------
    >>> import numpy as np
    >>> from sklvm import MixtureEM
    >>> rng = np.random.default_rng(0)
    >>> z = rng.integers(2, size=200)
    >>> X = np.array(
    ...     [[rng.normal(6 * k), ["a", "b"][k], rng.poisson(1 + 9 * k)] for k in z],
    ...     dtype=object,
    ... )
    >>> model = MixtureEM(n_components=2, random_state=0).fit(X)
    >>> model.columns_
    {0: 'gaussian', 1: 'categorical', 2: 'negative_binomial'}
    >>> model.impute([[np.nan, "b", 9]])[0, 0] > 5
    True
    """

    _parameter_constraints = {
        **TableAnswers._parameter_constraints,
        "components": [StrOptions({"auto"}), list, tuple],
        "handle_unknown": [StrOptions({"error", "missing"})],
        "weights_prior": [Interval(Real, 1.0, None, closed="left")],
    }
    _classes = None  # the column of classes that starts may follow
    _remedy = (
        "decrease n_components, give more rows, or increase reg_covar in components"
    )

    def __init__(
        self,
        n_components=1,
        *,
        components="auto",
        handle_unknown="error",
        weights="free",
        weights_prior=1.0,
        tol=1e-3,
        max_iter=100,
        n_init=1,
        init_params="k-means++",
        weights_init=None,
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
        self.components = components
        self.handle_unknown = handle_unknown
        self.weights = weights
        self.weights_prior = weights_prior
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags

    def _prepare(self, X, sample_weight, first, n_threads):
        source = as_source(X)
        if source is None:
            X, sample_weight = self._with_weight(X, sample_weight)
        if first:
            self._set_schema(self._read_schema(X, source, sample_weight))
        mixture, rows, data = super()._prepare(X, sample_weight, first, n_threads)
        if not first:
            if source is not None:
                X, _ = split_weight(source.first(), sample_weight)
            check_same_blocks(self.components, self._fitted_components, X)
            check_counts(self._schema, self._options, ranges(rows)[1])
        return mixture, rows, data

    def _read_schema(self, X, source, sample_weight):
        name = type(self).__name__
        if source is None:
            return Schema.read(X, self.components, name, in_rows(sample_weight))
        return source_schema(source, self.components, name, sample_weight)

    def _with_weight(self, X, sample_weight):
        """The rows of X that have a weight, and their weights."""
        warn_of_order("sample_weight", sample_weight, X)
        sample_weight = check_sample_weight(sample_weight, X)
        if sample_weight is not None and not sample_weight.all():
            # A row of weight 0 is absent, and with it what categories it has.
            kept = np.flatnonzero(sample_weight)
            X, sample_weight = _safe_indexing(X, kept), sample_weight[kept]
        return X, sample_weight

    def _set_schema(self, schema):
        if self.verbose:
            tqdm.write(schema.describe(), file=sys.stderr)
        self._schema = schema
        self._fitted_components = deepcopy(self.components)
        self.columns_ = {c.name: c.kind for c in schema.columns}
        discrete = [c for c in schema.columns if c.categories is not None]
        self.categories_ = {c.name: c.categories for c in discrete}

    def _check_rows(self, X, reset):
        if reset:
            validate_data(self, frame_of_arrow(X), reset=True, skip_check_array=True)
        return self._schema.encode(X, self.handle_unknown)

    def _impossible_rows(self, X):
        return self._schema.impossible(X, self.handle_unknown).any(axis=1)

    def _check_data(self, X, rows):
        _, largest = ranges(rows)
        sample = canonical_sample(rows, OPTION_ROWS, np.random.RandomState(0))
        self._options = resolved_options(self._schema, sample, largest)
        check_counts(self._schema, self._options, largest)

    def _check_fit(self, mixture, starts):
        parts = mixture.components.parts
        params = mixture.components.split(self._component_params())
        blocks = zip(self._schema.blocks, parts, params, strict=True)
        if sentence := of_blocks(blocks, self._schema.names, starts.sample[0]):
            warn_user(sentence)

    @property
    def _impossible_remedy(self):
        names = " and ".join(flat_priors(self._options))
        return f"{names} in components above 1" if names else None

    def _make_components(self, n_features, *, fitted, **kwargs):
        blocks = [
            (make_part(block, options, **kwargs), block.columns)
            for block, options in zip(self._schema.blocks, self._options, strict=True)
        ]
        product = ProductComponents(n_features, blocks=blocks, **kwargs)
        product.classes = self._classes
        return product

    def _encoded(self, mixture, rows):
        return blocks_in_groups(mixture, rows, self.batch_size)

    def _component_params(self):
        params = []
        for block, fitted in zip(self._schema.blocks, self.components_, strict=True):
            params += [
                np.hstack(value) if block.kind == "categorical" else value
                for name, value in fitted.items()
                if name not in ("kind", "columns")
            ]
        return tuple(np.asarray(p, dtype=np.float64) for p in params)

    def _set_component_params(self, components, params):
        self.components_ = []
        for block, part, own in zip(
            self._schema.blocks, components.parts, components.split(params), strict=True
        ):
            arrays = dict(zip(part.names, own, strict=True))
            if block.kind == "categorical":
                arrays["theta"] = np.split(own[0], part.starts[1:], axis=1)
            columns = [self._schema.names[j] for j in block.columns]
            self.components_.append(Bunch(kind=block.kind, columns=columns, **arrays))
