"""Type hints; written by .ci/write-stubs from the docstrings."""

from collections.abc import Iterable
from os import PathLike
from typing import Any, Self

from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

class LabelMapCodec(BaseEstimator):
    classes_: NDArray[Any]
    n_classes_: int
    image_shape_: tuple[Any, ...]
    n_image_channels_: int
    model_: Any
    n_features_in_: int
    feature_names_in_: NDArray[Any]
    def __init__(
        self,
        *,
        image_shape: tuple[Any, ...] | None = None,
        n_classes: int | None = None,
    ) -> None: ...
    def decode(
        self, streams: list[bytes], images: Any = None, *, checksum: bool = True
    ) -> Any: ...
    def encode(
        self, X: Any, images: Any = None, *, checksum: bool = True
    ) -> list[bytes]: ...
    def fit(self, X: Any, y: Any = None, images: Any = None) -> Self: ...
    def save(self, path: str | PathLike[str], *, resumable: bool = True) -> None: ...
    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        images: Any = None,
    ) -> float: ...
    def score_samples(self, X: Any, images: Any = None) -> NDArray[Any]: ...

def from_run_lengths(run_lengths: dict[Any, Any]) -> NDArray[Any]: ...
def read_masks(paths: Iterable[Any] | PathLike[str]) -> NDArray[Any] | list[Any]: ...
def to_run_lengths(mask: ArrayLike, *, compressed: bool = False) -> dict[Any, Any]: ...
