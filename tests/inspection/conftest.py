"""Pictures are drawn without a screen and closed again."""

import pytest

from ..gates import short_gates

_short_gates = pytest.fixture(short_gates, scope="package", autouse=True)

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def plt():
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")
