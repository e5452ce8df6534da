"""Type hints; written by .ci/write-stubs from the docstrings."""

from os import PathLike
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

# Arrays, DataFrames, sparse matrices and sources of rows, of any library.
Rows: TypeAlias = Any

class SparseSegmentationRDA(BaseEstimator):
    net_: Any
    rate_model_: Any
    classes_: NDArray[Any]
    n_classes_: int
    void_class_: Any
    class_weight_: NDArray[Any] | None
    image_shape_: tuple[Any, ...]
    n_image_channels_: int
    lower_bound_: float
    lower_bounds_: NDArray[Any]
    n_iter_: int
    converged_: bool
    best_epoch_: int
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        *,
        image_shape: tuple[Any, ...] | None = None,
        n_classes: int | None = None,
        distortion_weight: float = 1.0,
        rate_model: Literal["learned", "list", "subset"] = "learned",
        gradient: Literal[
            "straight_through", "concrete", "reinforce"
        ] = "straight_through",
        refine: Literal["greedy"] | None = "greedy",
        void_class: Any = None,
        class_weight: dict[Any, Any] | Literal["balanced"] | None = None,
        channels: tuple[int, ...] = ...,
        activation: Literal["relu", "tanh", "logistic", "silu", "gelu", "elu"] = "relu",
        warmup: float = 0.5,
        max_epochs: int = 30,
        lr: float = 0.002,
        batch_size: int = 16,
        optimizer: Any = "adam",
        lr_schedule: Literal["constant", "cosine"] = "cosine",
        max_grad_norm: float | None = 1.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1.0,
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        device: str = "cpu",
        compile: bool = False,
        net_params: dict[Any, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        checkpoint: str | PathLike[str] | None = None,
        verbose: int = 0,
    ) -> None: ...
    def decode(
        self, streams: list[bytes], images: Rows = None, *, checksum: bool = False
    ) -> Any: ...
    def distortion(self, X: Rows, S: Rows, images: Rows = None) -> Any: ...
    def encode(
        self,
        X: Rows,
        images: Rows = None,
        *,
        max_distortion: int | None = None,
        lossless: bool = False,
        checksum: bool | None = None,
    ) -> list[bytes]: ...
    def fit(self, X: Any, y: Any = None, images: Any = None) -> Self: ...
    def fit_transform(self, X: Any, y: Any = None, images: Any = None) -> Any: ...
    def inverse_transform(self, S: Rows, images: Rows = None) -> Any: ...
    def rate(self, S: Rows) -> NDArray[Any]: ...
    def rate_distortion_curve(
        self, X: Rows, distortion_weights: ArrayLike, images: Rows = None
    ) -> Any: ...
    def sample(self, n_samples: int = 1, images: Rows = None) -> tuple[Any, Any]: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self,
        X: Rows,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        images: Rows = None,
    ) -> float: ...
    def score_samples(self, X: Rows, images: Rows = None) -> NDArray[Any]: ...
    def transform(
        self, X: Rows, images: Rows = None, max_distortion: int | None = None
    ) -> Any: ...
