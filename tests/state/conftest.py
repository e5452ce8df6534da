"""Fits of these tests need to be of the right kind, not good ones."""

import pytest


@pytest.fixture(autouse=True)
def _few_starts(few_starts):
    """Of every test, so that a model that tests share is one and the same."""
