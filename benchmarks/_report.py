"""What every benchmark prints: the machine, and tables in Markdown."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy
import scipy
import sklearn
from threadpoolctl import threadpool_info

import sklvm


def print_machine(threads, packages=()):
    """One paragraph that says where the numbers were measured.

    `packages` are further ones whose versions matter.
    """
    blas = {
        f"{pool['internal_api']} {pool['version']}"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    print(
        f"{_processor()}, {os.cpu_count()} cores, {threads} threads; "
        f"Python {platform.python_version()}, "
        f"sklvm {sklvm.__version__}, scikit-learn {sklearn.__version__}, "
        f"numpy {numpy.__version__}, scipy {scipy.__version__}, "
        f"BLAS {', '.join(sorted(blas))}"
        f"{''.join(f', {name} {_version(name)}' for name in packages)}.\n"
    )


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _processor():
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":")[1] for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def print_header(*columns):
    print(f"| {' | '.join(columns)} |")
    print("|" + "---|" * len(columns), flush=True)


def print_row(*cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
