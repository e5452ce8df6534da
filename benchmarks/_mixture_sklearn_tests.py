"""scikit-learn's own tests of GaussianMixture, run on GaussianMixtureEM.

The installed test module is run by pytest with its `GaussianMixture` swapped for ours;
its fixtures come with it. Tests in single precision, which scikit-learn leaves out
unless told otherwise, are run too. Every failed test stands on a line, with the first
and the last line of its error.
"""

import os

import pytest
from _report import print_header, print_machine, print_row

from sklvm import GaussianMixtureEM

MODULE = "sklearn.mixture.tests.test_gaussian_mixture"
WIDTH = 100


class Swap:
    """A plugin of pytest: swaps the class and keeps what becomes of each test."""

    def __init__(self):
        self.outcomes = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = {}

    def pytest_collection_modifyitems(self, items):
        for item in items:
            item.module.GaussianMixture = GaussianMixtureEM

    def pytest_runtest_logreport(self, report):
        # A test that is skipped or fails in its set-up is never called.
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.outcome] += 1
        if report.failed:
            name = report.nodeid.rpartition("::")[-1]
            self.failures[name] = report.longrepr.reprcrash.message


def short(message):
    """The first and the last line, fit for a cell of a table."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    ends = lines[:1] + lines[-1:] if len(lines) > 1 else lines
    ends = [line if len(line) <= WIDTH else line[:WIDTH] + " ..." for line in ends]
    return " ... ".join(ends).replace("|", "\\|")


def add_arguments(parser):
    parser.add_argument("--only", default="", help="tests that match (pytest's -k)")


def run(arguments):
    # Read by scikit-learn's fixtures, once they are imported.
    os.environ["SKLEARN_RUN_FLOAT32_TESTS"] = "1"
    print_machine(os.cpu_count(), ["pytest"])
    swap = Swap()
    options = ["-c", os.devnull, "-p", "no:terminal", "-p", "no:cacheprovider"]
    status = pytest.main(
        [*options, "-k", arguments.only, "--pyargs", MODULE], plugins=[swap]
    )
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest could not run {MODULE}: {status!r}.")
    counts = ", ".join(f"{n} {outcome}" for outcome, n in swap.outcomes.items())
    print(f"{MODULE}: {counts}.\n")
    print_header("failed test", "error")
    for name, message in swap.failures.items():
        print_row(name, short(message))
