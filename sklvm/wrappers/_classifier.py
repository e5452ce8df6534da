"""Semi-supervised classification by a density of rows and labels."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _num_samples,
    check_consistent_length,
    check_is_fitted,
)

from sklvm._alone import validate_data
from sklvm._base import (
    check_in_memory,
    check_sample_weight,
    in_chunks,
    unchanged_on_error,
    warn_of_order,
)
from sklvm._compat import CallbackSupportMixin, with_callbacks
from sklvm._tasks import watched
from sklvm._warn import warn_user
from sklvm.columns._blocks import find_columns
from sklvm.columns._tables import read_table
from sklvm.inspection._kinds import is_density, is_mixture
from sklvm.state._classes import stateful
from sklvm.state._estimators import FittedStateMixin
from sklvm.wrappers._base import weight_params
from sklvm.wrappers._copies import copied_columns
from sklvm.wrappers._labels import read_labels, warn_of_words

# The parameters by which estimators say what their columns are.
KINDS_OF_COLUMNS = ("components", "likelihood")


@stateful
class JointDensityClassifier(
    ClassifierMixin, FittedStateMixin, CallbackSupportMixin, BaseEstimator
):
    r"""Classifier by a joint density of features and label, some labels unknown.

    The label y becomes one more column of the table X, categorical and missing where
    it is unknown, and a density model of all columns is fitted to all rows. It
    maximises the log-likelihood of what is observed, or its own bound of that,

    .. math::

        \sum_{i \in \text{labelled}} \log p(x_i, y_i)
            + \sum_{i \in \text{unlabelled}} \log p(x_i)

    and a row is classified by Bayes' rule,

    .. math::

        p(y | x) = p(x, y) / \sum_c p(x, c),

    which for a mixture is :math:`\sum_k p(z = k | x) p(y | z = k)`: unlabelled rows
    say where the components are, and labelled rows which class each of them has.

    Parameters
    ----------
    estimator : MixtureEM, VAE or GMVAE
        A density of tables, of which a clone is fitted. Its `components` or
        `likelihood`, "auto" or a list of (kind, columns), speaks of the columns of X;
        the column of labels is added to it.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone. The label is the last of its columns, its categories are
        the positions in `classes_`.
    classes_ : ndarray of shape (n_classes,)
        The labels, in order.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    sklearn.semi_supervised.SelfTrainingClassifier :
        Labels those rows that a classifier is sure of, and fits it again.
    ModelImputer : Missing cells of any column filled by a model.

    Notes
    -----
    Unlabelled rows help where the density is right: components that follow the classes.
    With one component the label is independent of X and the most frequent class is
    predicted. Choose the model by the accuracy on held-out labelled rows. Where a
    mixture has as many components as there are classes, or more, and each class two
    rows for each of its components, one of its starts gives each component rows of one
    class.

    Columns that are independent in a component, as categories and counts of MixtureEM,
    count twice where one is a copy of another: probabilities come too close to 0 and 1.
    A warning names such pairs.

    `score` leaves unlabelled rows out. scikit-learn's metrics, also
    ``scoring="accuracy"``, do not, and its stratified splits take -1 for a class; the
    user guide has splits that test on labelled rows only.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import JointDensityClassifier, MixtureEM
    >>> X, y = load_iris(return_X_y=True)
    >>> some = np.where(np.arange(150) % 10 == 0, y, -1)  # 5 labels of each class
    >>> model = MixtureEM(n_components=3, random_state=0)
    >>> classifier = JointDensityClassifier(model).fit(X, some)
    >>> classifier.predict(X[[0, 50, 100]])
    array([0, 1, 2])
    >>> classifier.score(X, y) > 0.9
    True
    """

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y, sample_weight=None):
        """Fit a clone of the estimator to X and the column of labels.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            All rows, labelled and unlabelled; NaN is missing.
        y : array-like of shape (n_samples,)
            Labels: numbers, booleans or text. Unlabelled rows have -1, as everywhere
            in scikit-learn, or NaN, None or pd.NA. So -1 cannot be a class, and a y
            with both kinds of mark is an error.
        sample_weight : array-like of shape (n_samples,), default=None
            For estimators whose `fit` takes it. A row of weight 0 is absent.

        Returns
        -------
        self : object
        """
        check_in_memory(X, "give X and y as tables")
        warn_of_order("y", y, X)
        warn_of_order("sample_weight", sample_weight, X)
        X, y, sample_weight = _rows_of_weight(X, y, sample_weight)
        params = weight_params(self.estimator, sample_weight)
        with unchanged_on_error(self):
            table = read_table(X)
            validate_data(self, X, y, skip_check_array=True)
            codes = self._encode(y)
            if len(codes) != table.n_rows:
                raise ValueError(
                    "X and y have inconsistent numbers of samples, "
                    f"{table.n_rows} and {len(codes)}; give a label for each row, -1 "
                    "where it is unknown."
                )
            estimator = model_of_labels(self.estimator, table)
            _check_masks(estimator, codes)
            if is_mixture(estimator):
                estimator._classes = len(table.names)
            self.estimator_ = estimator
            joint = table.append(codes)
            self._fit_joint(X, y, joint, params)
            if is_mixture(estimator):
                del estimator._classes  # of this table alone
                self._warn_of_copies(joint)
        return self

    def _warn_of_copies(self, joint):
        pairs = copied_columns(self.estimator_, joint)
        pairs = [pair for pair in pairs if self._label_name() not in pair]
        if pairs:
            (one, other), more = pairs[0], len(pairs) - 1
            others = f", and {more} more pair{'s' * (more > 1)}," if more else ""
            warn_user(
                f"X has the columns {one!r} and {other!r}{others} that are (nearly) "
                "copies of each other and count twice in p(y | x), as columns of these "
                "kinds are independent in a component; drop one of each pair."
            )

    def _label_name(self):
        return self.estimator_._schema.names[-1]

    @with_callbacks
    def _fit_joint(self, X, y, joint, params):
        with watched(self, 1, X, y, **params) as task, task.lent(self.estimator_):
            self.estimator_.fit(joint, **params)

    @in_chunks
    def predict_proba(self, X):
        """p(y | x), from the observed cells of each row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        table = read_table(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        joint = table.append(np.full(table.n_rows, np.nan))
        return self.estimator_.predict_missing_proba(joint, self.n_features_in_)

    @in_chunks
    def predict(self, X):
        """The most probable class of each row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def score(self, X, y, sample_weight=None):
        """Accuracy on the labelled rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Unlabelled rows, marked as in `fit`, are left out.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        check_in_memory(X, "give X and y as tables")
        check_consistent_length(X, y, sample_weight)
        warn_of_order("y", y, X)
        labels, is_labelled = read_labels(y)
        self._check_same_type(labels)
        rows = np.flatnonzero(is_labelled)
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)[rows]
        predicted = self.predict(_safe_indexing(X, rows))
        return accuracy_score(labels, predicted, sample_weight=sample_weight)

    def _encode(self, y):
        """Set `classes_`, and give the position of each label in it, NaN for none."""
        labels, is_labelled = read_labels(y)
        # Of all rows: one label of each class does not look like a regression.
        unlabelled = np.repeat(labels[:1], (~is_labelled).sum())
        check_classification_targets(np.concatenate([labels, unlabelled]))
        self.classes_, positions = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has only one class, {self.classes_.tolist()[0]!r}; give labels of "
                "two or more, none of them -1, which marks unlabelled rows."
            )
        warn_of_words(self.classes_.tolist())
        codes = np.full(len(is_labelled), np.nan)
        codes[is_labelled] = positions
        return codes

    def _check_same_type(self, labels):
        now, then = labels.tolist()[0], self.classes_.tolist()[0]
        if isinstance(now, str) != isinstance(then, str):
            raise ValueError(
                f"y has the label {now!r}, where fit had labels such as {then!r}; give "
                "labels of the type that they had in fit."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if is_density(self.estimator):
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags


def _rows_of_weight(X, y, sample_weight):
    """Rows, labels and weights without those of weight 0, and the classes of these."""
    weight = check_sample_weight(sample_weight, X)
    if weight is None or weight.all() or _num_samples(y) != len(weight):
        return X, y, weight
    kept = np.flatnonzero(weight)
    return _safe_indexing(X, kept), _safe_indexing(y, kept), weight[kept]


def model_of_labels(estimator, table):
    """A clone of the estimator for the table with one more column, of categories."""
    name, param = type(estimator).__name__, _kinds_param(estimator)
    if param is None:
        raise TypeError(
            f"estimator={name} is no density of tables with a column of labels; give "
            "MixtureEM, VAE or GMVAE, and place other steps of a Pipeline before this "
            "classifier."
        )
    kinds = getattr(estimator, param)
    if kinds is None:  # an autoencoder's default
        sorts = {table.cells(j).sort for j in range(len(table.names))}
        kinds = "gaussian" if sorts == {"number"} else "auto"
    if kinds in ("auto", "gaussian"):
        kinds = [(kinds, slice(None))]
    if not isinstance(kinds, list | tuple):
        raise ValueError(
            f"{param}={kinds!r} of estimator={name} has no place for a column of "
            f'labels; set {param}="auto", or a list of (kind, columns).'
        )
    # Names, masks and selectors would be read anew, of a table with one more column.
    entries = [_by_position(entry, table, param) for entry in kinds]
    label = ("categorical", [len(table.names)])
    return clone(estimator).set_params(**{param: [*entries, label]})


def _check_masks(estimator, codes):
    """The model sees rows without a label: those of y, or by its own masks."""
    if getattr(estimator, "mask_rate", None) == 0 and not np.isnan(codes).any():
        raise ValueError(
            f"y has a label for every row, so that {type(estimator).__name__} does not "
            "learn to read rows without one; set mask_rate of the estimator, as "
            "mask_rate=0.2."
        )


def _kinds_param(estimator):
    """Which of `KINDS_OF_COLUMNS` an estimator has, None if it fits no such tables."""
    if not (is_density(estimator) and hasattr(estimator, "predict_missing_proba")):
        return None
    params = estimator.get_params(deep=False)
    return next((param for param in KINDS_OF_COLUMNS if param in params), None)


def _by_position(entry, table, param):
    if not isinstance(entry, list | tuple) or len(entry) < 2:
        return entry  # the estimator says what is wrong with it
    kind, columns, *options = entry
    if callable(columns):
        columns = columns(table.source)
    positions = find_columns(table.names, columns, f"{param} has the columns")
    return (kind, positions.tolist(), *options)
