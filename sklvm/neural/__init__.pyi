"""Type hints; written by .ci/write-stubs from the docstrings."""

from typing import Any

from sklearn.base import BaseEstimator

class ConvDecoder(BaseEstimator):
    def __init__(
        self, image_shape: tuple[Any, ...], channels: tuple[int, ...] = ...
    ) -> None: ...
    def build(
        self, n_inputs: Any, n_outputs: Any, activation: Any, generator: Any
    ) -> Any: ...

class ConvEncoder(BaseEstimator):
    def __init__(
        self, image_shape: tuple[Any, ...], channels: tuple[int, ...] = ...
    ) -> None: ...
    def build(
        self, n_inputs: Any, n_outputs: Any, activation: Any, generator: Any
    ) -> Any: ...
