"""The code blocks of the pages are doctests; each page runs in an empty folder."""

import pytest

# Configuration and generated files are no tests.
collect_ignore_glob = ["*.py", "_*", "auto_examples", "generated"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
