"""Codes of the right kind, not the shortest, but where lengths are compared."""

import pytest

from ..gates import short_gates

_short_gates = pytest.fixture(short_gates, scope="package", autouse=True)
