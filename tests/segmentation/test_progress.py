"""What a fit says of its progress."""

import pytest

from .models import TINY, TINY_X, fit


@pytest.mark.slow
@pytest.mark.parametrize("refine", ["greedy", None])
def test_each_part_of_a_fit_has_a_line_that_names_it(capfd, refine):
    fit(TINY_X, **TINY | {"max_epochs": 1}, refine=refine, verbose=1)
    out, err = capfd.readouterr()
    assert not out
    encoder = ("encoder",) if refine is None else ()
    parts = ("decoder", *encoder, "search of codes", "lossless code")
    places = [err.index(f"SparseSegmentationRDA: {part}") for part in parts]
    assert places == sorted(places)
    fit(TINY_X, **TINY | {"max_epochs": 1})
    assert capfd.readouterr() == ("", "")
