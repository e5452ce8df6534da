"""Outliers: rows that a density model finds improbable."""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.base import OutlierMixin
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklvm._base import (
    check_in_memory,
    check_sample_weight,
    in_chunks,
    in_rows,
    unchanged_on_error,
)
from sklvm.state._classes import stateful
from sklvm.wrappers._base import DensityWrapper, observed_by
from sklvm.wrappers._patterns import PatternTails
from sklvm.wrappers._tails import IMPOSSIBLE, weighted_quantile

# "auto" calls a row an outlier where the model itself gives so low a density to fewer.
AUTO_SHARE = 0.05


@stateful
class DensityOutlierDetector(OutlierMixin, DensityWrapper):
    r"""Outliers by the tail probability of a row's density under a model.

    The score of a row x with the observed cells o is

    .. math::

        s(x) = \log P_{X \sim p}\big(p(X_o) \le p(x_o)\big),

    where p is the fitted model: how rarely the model draws a row as improbable as this
    one, seen through the same missing cells. Log densities of different cells do not
    compare, as each further cell changes them by its own entropy; these probabilities
    do, so that incomplete rows are flagged as often as complete ones. Among
    complete rows the order is that of log p(x).

    Parameters
    ----------
    estimator : mixture, VAE or GMVAE, default=None
        A clone of it is fitted. None is ``GaussianMixtureEM(random_state=0)``, one
        Gaussian: outliers by their Mahalanobis distance. Draws of the model are made
        with its `random_state`.
    contamination : "auto" or float, default="auto"
        Share of the training rows, by their weights, to call outliers, in (0, 0.5].
        "auto" takes those whose tail probability is below 5 %.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone.
    offset_ : float
        The threshold: `decision_function` is `score_samples` minus it.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)

    See Also
    --------
    ModelImputer : Missing cells filled by a model.

    Notes
    -----
    The probabilities come from 2,000 draws of the model, and beyond their lowest 5 %
    from a tail that decreases like :math:`e^{-E} E^a` in :math:`E = -\log p`, so that
    far outliers are ranked, too. Complete rows and the 100 most frequent patterns of
    missing cells in training have all draws for their distribution; each other pattern
    has 200. Where each row has a pattern of its own, the scores cost up to 200 times
    those of the model. Rows with nothing observed have the score 0: they are inliers.

    New rows with an impossible value, such as a negative count or a category that was
    not there in `fit`, have the lowest score, -1e300, and are outliers. To a
    ``MixtureEM(handle_unknown="missing")`` unknown categories are missing cells. A
    value of another type, as text among numbers, is an error.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import DensityOutlierDetector, GaussianMixtureEM
    >>> odd = [[5.0, 1.0, 5.0, 0.2], [5.0, 1.0, 5.0, np.nan]]
    >>> model = GaussianMixtureEM(n_components=2, random_state=0)
    >>> detector = DensityOutlierDetector(model).fit(load_iris().data)
    >>> detector.predict(odd).tolist()
    [-1, -1]
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"]), None],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
    }

    def __init__(self, estimator=None, *, contamination="auto"):
        self.estimator = estimator
        self.contamination = contamination

    def fit(self, X, y=None, sample_weight=None):
        """Fit a clone of the estimator, and find the threshold.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Given to the estimator as it is; NaN is missing.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            For estimators whose `fit` takes it.

        Returns
        -------
        self : object
        """
        self._validate_params()
        check_in_memory(X, "fit the detector to a sample of them")
        with unchanged_on_error(self):
            self._fit_estimator(X, sample_weight)
            observed = observed_by(self.estimator_, X)
            self._tails = PatternTails(self.estimator_, observed)
            self.offset_ = float(np.log(AUTO_SHARE))
            if self.contamination != "auto":
                weight = in_rows(check_sample_weight(sample_weight, X))
                scores = self.score_samples(X)
                self.offset_ = weighted_quantile(scores, self.contamination, weight)
        return self

    @in_chunks
    def score_samples(self, X):
        """Logarithm of the tail probability of each row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The lower, the more abnormal; in nats, at most 0, and -1e300 for a row that
            the model excludes.
        """
        impossible = self._fitted_estimator()._impossible_rows(X)
        if not impossible.any():
            return self._scores_of_possible(X)
        scores = np.full(len(impossible), -IMPOSSIBLE)
        rows = np.flatnonzero(~impossible)
        if len(rows):
            X = X.tocsr() if issparse(X) else X
            scores[rows] = self._scores_of_possible(_safe_indexing(X, rows))
        return scores

    def _scores_of_possible(self, X):
        log_density = np.asarray(self.estimator_.score_samples(X), dtype=np.float64)
        observed = observed_by(self.estimator_, X)
        return self._tails.log_probability(observed, log_density)

    @in_chunks
    def decision_function(self, X):
        """`score_samples` minus `offset_`: negative for outliers.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    @in_chunks
    def predict(self, X):
        """-1 for outliers, 1 for inliers.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)
