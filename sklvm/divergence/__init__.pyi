"""Type hints; written by .ci/write-stubs from the docstrings."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

class GaussianFit:
    mean: NDArray[Any]
    covariance: NDArray[Any]
    divergence: float
    standard_error: float
    direction: Literal["inclusive", "exclusive"]
    optima: tuple[Any, ...]
    def __init__(
        self,
        mean: NDArray[Any],
        covariance: NDArray[Any],
        divergence: float,
        standard_error: float,
        direction: Literal["inclusive", "exclusive"],
        optima: tuple[Any, ...] = (),
    ) -> None: ...

class KLEstimate:
    divergence: float
    standard_error: float
    method: Literal["quadrature", "monte_carlo"]
    def __init__(
        self,
        divergence: float,
        standard_error: float,
        method: Literal["quadrature", "monte_carlo"],
    ) -> None: ...

def entropy_bernoulli(
    p: ArrayLike, *, from_logits: bool = False
) -> float | NDArray[Any]: ...
def entropy_categorical(
    p: ArrayLike, *, from_logits: bool = False
) -> float | NDArray[Any]: ...
def entropy_gaussian(
    cov: ArrayLike,
    *,
    covariance_type: Literal["full", "diag", "spherical"] = "full",
    n_features: int | None = None,
) -> float | NDArray[Any]: ...
def fit_gaussian(
    target: Any,
    direction: Literal["inclusive", "exclusive"] = "inclusive",
    *,
    n_samples: int = 10000,
    n_init: int = 10,
    random_state: int | np.random.RandomState | None = None,
) -> GaussianFit: ...
def kl(
    p: Any,
    q: Any,
    *,
    method: Literal["auto", "quadrature", "monte_carlo"] = "auto",
    n_samples: int = 10000,
    random_state: int | np.random.RandomState | None = None,
) -> KLEstimate: ...
def kl_bernoulli(
    p: ArrayLike, q: ArrayLike, *, from_logits: bool = False
) -> float | NDArray[Any]: ...
def kl_categorical(
    p: ArrayLike, q: ArrayLike, *, from_logits: bool = False
) -> float | NDArray[Any]: ...
def kl_gaussian(
    mean0: ArrayLike,
    cov0: ArrayLike,
    mean1: ArrayLike,
    cov1: ArrayLike,
    *,
    covariance_type: Literal["full", "diag", "spherical"] = "full",
) -> float | NDArray[Any]: ...
