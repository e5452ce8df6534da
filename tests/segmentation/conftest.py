"""Fits of these tests have short gates, which are tested in tests/label_maps."""

import pytest

from ..gates import short_gates

_short_gates = pytest.fixture(short_gates, scope="package", autouse=True)
