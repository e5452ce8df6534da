"""Codes of whole label maps that are of the right kind, not the shortest."""

import pytest


def short_gates():
    """For fixtures: a fit of an RDA takes 20 steps for each gate of these codes.

    The 200 of a user's fit are a third of the time of one to few and small maps.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("sklvm.label_maps._gate.FEWEST_STEPS", 20)
        yield
