"""Type hints; written by .ci/write-stubs from the docstrings."""

from os import PathLike
from typing import Any

def load(
    path: str | PathLike[str], *, modules: dict[Any, Any] | None = None
) -> Any: ...
def save(
    estimator: Any, path: str | PathLike[str], *, resumable: bool = True
) -> None: ...
