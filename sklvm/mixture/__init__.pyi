"""Type hints; written by .ci/write-stubs from the docstrings."""

from os import PathLike
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

# Arrays, DataFrames, sparse matrices and sources of rows, of any library.
Rows: TypeAlias = Any

class BernoulliMixtureEM(BaseEstimator):
    weights_: NDArray[Any]
    theta_: NDArray[Any]
    lower_bound_: float
    lower_bounds_: NDArray[Any]
    start_lower_bounds_: Any
    attempts_: NDArray[Any]
    n_iter_: int
    converged_: bool
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        n_components: int = 1,
        *,
        weights: Literal["free", "uniform"] = "free",
        binarize: float | None = 0.0,
        theta_prior: tuple[float, float] = ...,
        weights_prior: float = 1.0,
        tol: float = 0.001,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal[
            "k-means++", "kmeans", "random", "random_from_data"
        ] = "k-means++",
        weights_init: ArrayLike | None = None,
        theta_init: ArrayLike | None = None,
        acceleration: Literal["squarem"] | None = None,
        warm_start: bool = False,
        learning_decay: float = 0.7,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        batch_size: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None: ...
    def aic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def bic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def conditional_score_samples(self, X: Rows, given: Any) -> NDArray[Any]: ...
    def fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def fit_predict(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]: ...
    @classmethod
    def from_parameters(
        cls, weights: ArrayLike, theta: ArrayLike, **params: Any
    ) -> BernoulliMixtureEM: ...
    def icl(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def impute(self, X: Rows) -> Rows: ...
    def inverse_transform(self, Z: Rows) -> NDArray[Any]: ...
    def partial_fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> NDArray[Any]: ...
    def predict_proba(self, X: Rows) -> NDArray[Any]: ...
    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def sample_missing(self, X: Rows, n_draws: int = 1) -> NDArray[Any]: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def score_samples(self, X: Rows) -> NDArray[Any]: ...
    def transform(self, X: Rows) -> NDArray[Any]: ...

class CategoricalMixtureEM(BaseEstimator):
    weights_: NDArray[Any]
    theta_: list[Any]
    lower_bound_: float
    lower_bounds_: NDArray[Any]
    start_lower_bounds_: Any
    attempts_: NDArray[Any]
    n_iter_: int
    converged_: bool
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        n_components: int = 1,
        *,
        weights: Literal["free", "uniform"] = "free",
        n_categories: int | ArrayLike | None = None,
        theta_prior: float = 1.0,
        weights_prior: float = 1.0,
        tol: float = 0.001,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal[
            "k-means++", "kmeans", "random", "random_from_data"
        ] = "k-means++",
        weights_init: ArrayLike | None = None,
        theta_init: list[Any] | None = None,
        acceleration: Literal["squarem"] | None = None,
        warm_start: bool = False,
        learning_decay: float = 0.7,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        batch_size: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None: ...
    def aic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def bic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def conditional_score_samples(self, X: Rows, given: Any) -> NDArray[Any]: ...
    def fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def fit_predict(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]: ...
    @classmethod
    def from_parameters(
        cls, weights: ArrayLike, theta: list[Any], **params: Any
    ) -> CategoricalMixtureEM: ...
    def icl(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def impute(self, X: Rows) -> Rows: ...
    def inverse_transform(self, Z: Rows) -> NDArray[Any]: ...
    @property
    def n_categories_(self) -> Any: ...
    def partial_fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> NDArray[Any]: ...
    def predict_proba(self, X: Rows) -> NDArray[Any]: ...
    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def sample_missing(self, X: Rows, n_draws: int = 1) -> NDArray[Any]: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def score_samples(self, X: Rows) -> NDArray[Any]: ...
    def transform(self, X: Rows) -> NDArray[Any]: ...

class GaussianMixtureEM(BaseEstimator):
    weights_: NDArray[Any]
    means_: NDArray[Any]
    covariances_: Any
    precisions_: Any
    precisions_cholesky_: Any
    lower_bound_: float
    lower_bounds_: NDArray[Any]
    start_lower_bounds_: Any
    attempts_: NDArray[Any]
    n_iter_: int
    converged_: bool
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: Literal["full", "tied", "diag", "spherical"] = "full",
        weights: Literal["free", "uniform"] = "free",
        tol: float = 0.001,
        reg_covar: float = 1e-06,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal[
            "k-means++", "kmeans", "random", "random_from_data"
        ] = "k-means++",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        acceleration: Literal["squarem"] | None = None,
        warm_start: bool = False,
        learning_decay: float = 0.7,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        batch_size: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None: ...
    def aic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def bic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def conditional_score_samples(self, X: Rows, given: Any) -> NDArray[Any]: ...
    def fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def fit_predict(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]: ...
    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        *,
        covariance_type: Literal["full", "tied", "diag", "spherical"] = "full",
        **params: Any,
    ) -> GaussianMixtureEM: ...
    def icl(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def impute(self, X: Rows) -> Rows: ...
    def inverse_transform(self, Z: Rows) -> NDArray[Any]: ...
    def partial_fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> NDArray[Any]: ...
    def predict_proba(self, X: Rows) -> NDArray[Any]: ...
    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def sample_missing(self, X: Rows, n_draws: int = 1) -> NDArray[Any]: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def score_samples(self, X: Rows) -> NDArray[Any]: ...
    def to_sklearn(self) -> Any: ...
    def transform(self, X: Rows) -> NDArray[Any]: ...

class MixtureEM(BaseEstimator):
    weights_: NDArray[Any]
    components_: list[Any]
    columns_: dict[Any, Any]
    categories_: dict[Any, Any]
    lower_bound_: float
    lower_bounds_: NDArray[Any]
    start_lower_bounds_: Any
    attempts_: NDArray[Any]
    n_iter_: int
    converged_: bool
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        n_components: int = 1,
        *,
        components: Any = "auto",
        handle_unknown: Literal["error", "missing"] = "error",
        weights: Literal["free", "uniform"] = "free",
        weights_prior: float = 1.0,
        tol: float = 0.001,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal[
            "k-means++", "kmeans", "random", "random_from_data"
        ] = "k-means++",
        weights_init: ArrayLike | None = None,
        acceleration: Literal["squarem"] | None = None,
        warm_start: bool = False,
        learning_decay: float = 0.7,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        batch_size: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None: ...
    def aic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def bic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def component_summary(self) -> Rows: ...
    def conditional_score_samples(self, X: Rows, given: Any) -> NDArray[Any]: ...
    def fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def fit_predict(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]: ...
    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        blocks: list[Any],
        *,
        categories: dict[Any, Any] | None = None,
        **params: Any,
    ) -> MixtureEM: ...
    def icl(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def impute(self, X: Rows) -> Rows: ...
    def inverse_transform(self, Z: Rows) -> Rows: ...
    def partial_fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> NDArray[Any]: ...
    def predict_missing_proba(self, X: Rows, column: str | int) -> NDArray[Any]: ...
    def predict_proba(self, X: Rows) -> NDArray[Any]: ...
    def sample(self, n_samples: int = 1) -> tuple[Rows, NDArray[Any]]: ...
    def sample_missing(self, X: Rows, n_draws: int = 1) -> Rows: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def score_samples(self, X: Rows) -> NDArray[Any]: ...
    def transform(self, X: Rows) -> NDArray[Any]: ...

class PoissonMixtureEM(BaseEstimator):
    weights_: NDArray[Any]
    rates_: NDArray[Any]
    lower_bound_: float
    lower_bounds_: NDArray[Any]
    start_lower_bounds_: Any
    attempts_: NDArray[Any]
    n_iter_: int
    converged_: bool
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        n_components: int = 1,
        *,
        weights: Literal["free", "uniform"] = "free",
        rates_prior: tuple[float, float] = ...,
        weights_prior: float = 1.0,
        tol: float = 0.001,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: Literal[
            "k-means++", "kmeans", "random", "random_from_data"
        ] = "k-means++",
        weights_init: ArrayLike | None = None,
        rates_init: ArrayLike | None = None,
        acceleration: Literal["squarem"] | None = None,
        warm_start: bool = False,
        learning_decay: float = 0.7,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        batch_size: int | None = None,
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None: ...
    def aic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def bic(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def conditional_score_samples(self, X: Rows, given: Any) -> NDArray[Any]: ...
    def fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def fit_predict(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]: ...
    @classmethod
    def from_parameters(
        cls, weights: ArrayLike, rates: ArrayLike, **params: Any
    ) -> PoissonMixtureEM: ...
    def icl(self, X: Rows, sample_weight: ArrayLike | None = None) -> float: ...
    def impute(self, X: Rows) -> Rows: ...
    def inverse_transform(self, Z: Rows) -> NDArray[Any]: ...
    def partial_fit(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | str | None = None
    ) -> Self: ...
    def predict(self, X: Rows) -> NDArray[Any]: ...
    def predict_proba(self, X: Rows) -> NDArray[Any]: ...
    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[Any]]: ...
    def sample_missing(self, X: Rows, n_draws: int = 1) -> NDArray[Any]: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self, X: Rows, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def score_samples(self, X: Rows) -> NDArray[Any]: ...
    def transform(self, X: Rows) -> NDArray[Any]: ...

def elbo(
    estimator: Any, X: Rows, resp: Rows, sample_weight: ArrayLike | None = None
) -> float: ...
