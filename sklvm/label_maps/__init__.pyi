"""Type hints; written by .ci/write-stubs from the docstrings."""

from collections.abc import Iterable
from os import PathLike
from typing import Any

from numpy.typing import ArrayLike, NDArray

def from_run_lengths(run_lengths: dict[Any, Any]) -> NDArray[Any]: ...
def read_masks(paths: Iterable[Any] | PathLike[str]) -> NDArray[Any] | list[Any]: ...
def to_run_lengths(mask: ArrayLike, *, compressed: bool = False) -> dict[Any, Any]: ...
