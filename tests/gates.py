"""Fits to label maps that are of the right kind, not the best."""

from importlib.util import find_spec

import pytest


def short_gates():
    """For fixtures: a fit of an RDA takes 20 steps for each gate of its lossless code.

    The 200 of a user's fit are a third of the time of one to few and small maps, and
    the search of the fifty maps whose mean is `lower_bound_` another third: eight.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("sklvm.label_maps._gate.FEWEST_STEPS", 20)
        if find_spec("torch") and find_spec("skorch"):
            monkeypatch.setattr("sklvm.segmentation._training.N_MEASURED", 8)
        yield
