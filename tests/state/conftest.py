"""Fits of these tests need to be of the right kind, not good ones."""

import pytest

from ..gates import short_gates

_short_gates = pytest.fixture(short_gates, scope="package", autouse=True)


@pytest.fixture(autouse=True)
def _few_starts(few_starts):
    """Of every test, so that a model that tests share is one and the same."""
