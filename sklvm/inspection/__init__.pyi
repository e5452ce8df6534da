"""Type hints; written by .ci/write-stubs from the docstrings."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from numpy.typing import ArrayLike, NDArray

# Arrays, DataFrames, sparse matrices and sources of rows, of any library.
Rows: TypeAlias = Any

class ComponentsDisplay:
    ax_: Any
    axes_: NDArray[Any]
    figure_: Any
    im_: Any
    def __init__(
        self,
        *,
        components: NDArray[Any],
        weights: NDArray[Any],
        image_shape: tuple[int, ...] | None = None,
        feature_names: NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
        panels: list[Any] | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        max_panels: int = 9,
        ax: Any = None,
    ) -> ComponentsDisplay: ...
    def plot(self, ax: Any = None, **style: Any) -> ComponentsDisplay: ...

class LatentSpaceDisplay:
    ax_: Any
    figure_: Any
    def __init__(
        self,
        *,
        Z: NDArray[Any],
        Z_prior: NDArray[Any],
        y: ArrayLike | None = None,
        dimensions: tuple[int, ...] = ...,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        dimensions: Sequence[Any] | None = None,
        n_prior: int = 1000,
        ax: Any = None,
    ) -> LatentSpaceDisplay: ...
    def plot(self, ax: Any = None, *, cmap: Any = None) -> LatentSpaceDisplay: ...

class LatentTraversalDisplay:
    ax_: Any
    figure_: Any
    im_: Any
    def __init__(
        self,
        *,
        X: NDArray[Any],
        values: NDArray[Any],
        dimensions: tuple[int, ...],
        image_shape: tuple[int, ...] | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        x: ArrayLike | None = None,
        dimensions: Sequence[Any] | None = None,
        n_steps: int = 9,
        span: float = 2.5,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> LatentTraversalDisplay: ...
    def plot(self, ax: Any = None, **imshow: Any) -> LatentTraversalDisplay: ...

class LowerBoundDisplay:
    ax_: Any
    figure_: Any
    lines_: list[Any]
    def __init__(
        self,
        *,
        lower_bounds: NDArray[Any],
        half_steps: NDArray[Any] | None = None,
        parts: list[Any] | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Rows = None, *, max_iter: int = 20, ax: Any = None
    ) -> LowerBoundDisplay: ...
    def plot(self, ax: Any = None) -> LowerBoundDisplay: ...

class ModelSelectionDisplay:
    best_: dict[Any, Any]
    ax_: Any
    figure_: Any
    lines_: list[Any]
    def __init__(
        self,
        *,
        param_name: str,
        param_range: NDArray[Any],
        test_scores: NDArray[Any] | None = None,
        bic: NDArray[Any] | None = None,
        icl: NDArray[Any] | None = None,
        n_samples: int | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        y: ArrayLike | None = None,
        *,
        param_name: str = "n_components",
        param_range: ArrayLike,
        cv: Any = None,
        n_jobs: int | None = None,
        ax: Any = None,
    ) -> ModelSelectionDisplay: ...
    @classmethod
    def from_search(
        cls, search: Any, X: Rows = None, *, ax: Any = None
    ) -> ModelSelectionDisplay: ...
    def plot(self, ax: Any = None) -> ModelSelectionDisplay: ...

class RateDistortionDisplay:
    ax_: Any
    figure_: Any
    lines_: list[Any]
    baselines_: dict[Any, Any]
    def __init__(
        self,
        *,
        bits_per_pixel: NDArray[Any],
        error: NDArray[Any],
        distortion_weights: NDArray[Any],
        baselines: dict[Any, Any] | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        distortion_weights: ArrayLike | None = None,
        images: Rows = None,
        baselines: bool = True,
        ax: Any = None,
    ) -> RateDistortionDisplay: ...
    def plot(self, ax: Any = None) -> RateDistortionDisplay: ...

class ReconstructionDisplay:
    ax_: Any
    figure_: Any
    im_: Any
    def __init__(
        self,
        *,
        X: NDArray[Any],
        X_reconstructed: NDArray[Any],
        S: NDArray[Any] | None = None,
        image_shape: tuple[int, ...] | None = None,
        n_classes: int | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Rows,
        *,
        n_rows: int = 8,
        image_shape: tuple[int, ...] | None = None,
        images: ArrayLike | None = None,
        ax: Any = None,
    ) -> ReconstructionDisplay: ...
    def plot(self, ax: Any = None, **imshow: Any) -> ReconstructionDisplay: ...

class SampleDisplay:
    ax_: Any
    figure_: Any
    im_: Any
    def __init__(
        self,
        *,
        samples: NDArray[Any],
        n_columns: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        n_classes: int | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_samples: int = 16,
        n_columns: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> SampleDisplay: ...
    def plot(self, ax: Any = None, **imshow: Any) -> SampleDisplay: ...

def latent_diagnostics(
    estimator: Any,
    X: Rows,
    y: Any = None,
    *,
    images: ArrayLike | None = None,
    n_draws: int = 16,
    max_samples: int | None = None,
) -> Rows: ...
