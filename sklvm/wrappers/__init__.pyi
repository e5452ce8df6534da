"""Type hints; written by .ci/write-stubs from the docstrings."""

from collections.abc import Iterable
from os import PathLike
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from sklvm.inspection import ModelSelectionDisplay

# Arrays, DataFrames, sparse matrices and sources of rows, of any library.
Rows: TypeAlias = Any

class ComponentSelection:
    best_n_components: int
    best_estimator: Any
    criterion: Literal["bic", "icl", "score"]
    results: dict[Any, Any]
    display: Any
    def __init__(
        self,
        best_n_components: int,
        best_estimator: Any,
        criterion: Literal["bic", "icl", "score"],
        results: dict[Any, Any],
        display: Any,
    ) -> None: ...
    def plot(self, ax: Any = None) -> ModelSelectionDisplay: ...

class DensityOutlierDetector(BaseEstimator):
    estimator_: Any
    offset_: float
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self, estimator: Any = None, *, contamination: Literal["auto"] | float = "auto"
    ) -> None: ...
    def decision_function(self, X: Rows) -> NDArray[Any]: ...
    def fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> NDArray[Any]: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score_samples(self, X: Rows) -> NDArray[Any]: ...

class JointDensityClassifier(BaseEstimator):
    estimator_: Any
    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, estimator: Any) -> None: ...
    def fit(
        self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> NDArray[Any]: ...
    def predict_proba(self, X: Rows) -> NDArray[Any]: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float: ...

class ModelImputer(BaseEstimator):
    estimator_: Any
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(self, estimator: Any = None, *, sample: bool = False) -> None: ...
    def fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def transform(self, X: Rows) -> Rows: ...

def score_in_units(pipeline: Any, X: Rows) -> float: ...
def select_n_components(
    estimator: Any,
    X: Rows,
    param_range: Iterable[Any],
    criterion: Literal["bic", "icl", "score"] = "bic",
    *,
    cv: Any = 5,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> ComponentSelection: ...
