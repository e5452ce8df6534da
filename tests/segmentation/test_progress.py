"""What a fit says of its progress."""

from .models import TINY, TINY_X, fit


def test_each_part_of_a_fit_has_a_line_that_names_it(capfd):
    fit(TINY_X, **TINY | {"max_epochs": 1}, verbose=1)
    out, err = capfd.readouterr()
    assert not out
    parts = ("decoder", "encoder", "search of codes", "lossless code")
    places = [err.index(f"SparseSegmentationRDA: {part}") for part in parts]
    assert places == sorted(places)
    fit(TINY_X, **TINY | {"max_epochs": 1})
    assert capfd.readouterr() == ("", "")
