"""Imputation by a density model, as a transformer."""

from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods

from sklvm._base import unchanged_on_error
from sklvm.columns._tables import array_of_numbers
from sklvm.state._classes import stateful
from sklvm.wrappers._base import DensityWrapper


@stateful
class ModelImputer(OneToOneFeatureMixin, TransformerMixin, DensityWrapper):
    r"""Fill missing values by a model of the rows.

    The model is fitted to the rows as they are, missing values summed out. `transform`
    gives each missing cell its mean given the observed cells of the row,

    .. math::

        E[x_\text{mis} | x_\text{obs}]
            = \sum_k p(z = k | x_\text{obs}) E[x_\text{mis} | x_\text{obs}, z = k]

    for a mixture (its mode for a column of categories), or one draw of
    :math:`p(x_\text{mis} | x_\text{obs})`. Means are the best guesses of single cells;
    only draws have the spread and the correlations of the data.

    Parameters
    ----------
    estimator : mixture, VAE or GMVAE, default=None
        A clone of it is fitted. None is ``GaussianMixtureEM(random_state=0)``, one
        Gaussian: each missing cell by a linear regression on the observed ones.
    sample : bool, default=False
        Draw the missing cells of a row jointly instead, by `sample_missing` of the
        estimator and with its `random_state`: transformers with different ones make
        multiple imputations.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    DensityOutlierDetector : Rows that the model finds improbable.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import GaussianMixtureEM, ModelImputer
    >>> X = load_iris().data.copy()
    >>> X[::5, 2] = np.nan
    >>> imputer = ModelImputer(GaussianMixtureEM(n_components=3, random_state=0))
    >>> errors = imputer.fit_transform(X)[:, 2] - load_iris().data[:, 2]
    >>> bool(np.abs(errors).max() < 1.5)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), None],
        "sample": ["boolean"],
    }

    def __init__(self, estimator=None, *, sample=False):
        self.estimator = estimator
        self.sample = sample

    def fit(self, X, y=None, sample_weight=None):
        """Fit a clone of the estimator.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Given to the estimator as it is.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            For estimators whose `fit` takes it.

        Returns
        -------
        self : object
        """
        self._validate_params()
        estimator = self._estimator()
        if self.sample and not hasattr(estimator, "sample_missing"):
            raise ValueError(
                f"sample=True needs the method sample_missing, which estimator="
                f"{type(estimator).__name__} does not have; set sample=False or give a "
                "mixture."
            )
        with unchanged_on_error(self):
            self._fit_estimator(X, sample_weight)
        return self

    def transform(self, X):
        """X with its missing cells filled.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            What the estimator makes of it; observed cells are as they were. As from any
            transformer, numbers are an array, also those of a DataFrame, unless
            `set_output` asks for one; a table with text stays a DataFrame.
        """
        estimator = self._fitted_estimator()
        if self.sample:
            return array_of_numbers(estimator.sample_missing(X, n_draws=1)[0])
        return array_of_numbers(estimator.impute(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._estimator()).transformer_tags
        if inner is not None:
            tags.transformer_tags.preserves_dtype = inner.preserves_dtype
        return tags
