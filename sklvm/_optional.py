"""Which optional packages are there, without importing them."""

from importlib.util import find_spec


def missing_torch():
    """What the half with networks needs and is not installed: an extra, `neural`."""
    return [name for name in ("torch", "skorch") if find_spec(name) is None]


def need_arrow(what):
    """Raise where files of rows cannot be read or written."""
    if find_spec("pyarrow") is None:
        raise ImportError(
            f'{what} needs pyarrow; install it by pip install "sklvm[arrow]".',
            name="pyarrow",
        )
