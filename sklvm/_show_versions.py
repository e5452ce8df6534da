"""What a report of a fault should say of the machine."""

import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

# What sklvm needs, and what it adapts where it is installed.
PACKAGES = [
    *("sklvm", "scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"),
    *("safetensors", "torch", "skorch", "pandas", "polars", "pyarrow", "dask"),
    *("matplotlib", "onnx", "onnxruntime", "skops"),
]


def show_versions() -> None:
    """Print the versions that a report of a fault should have.

    Those of Python, of the system, of what sklvm needs and of what it can use, with the
    devices of torch and the threads of the libraries of linear algebra. Packages are
    optional that have None for a version.

    See Also
    --------
    sklearn.show_versions : The same of scikit-learn.

    Examples
    --------
    >>> import sklvm
    >>> sklvm.show_versions()  # doctest: +ELLIPSIS
    System:
        python: ...
    """
    system = {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "machine": platform.platform(),
    }
    _show("System", system)
    _show("Packages", {name: _version(name) for name in PACKAGES})
    _show("Devices of torch", {"devices": _devices()})
    for library in threadpool_info():
        name = f"{library['user_api']}, {library['internal_api']}"
        _show(name, {key: library[key] for key in ("version", "num_threads")})


def _show(title: str, values: Mapping[str, object]) -> None:
    print(f"{title}:")
    width = max(map(len, values))
    for name, value in values.items():
        print(f"{name:>{width + 4}}: {value}")
    print()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> str:
    """The devices that torch sees, or why it cannot be asked."""
    try:
        import torch
    except Exception as error:  # one that is broken raises whatever it likes
        return f"none, as torch cannot be imported ({error})"
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return ", ".join(devices)
