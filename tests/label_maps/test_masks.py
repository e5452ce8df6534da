"""Masks from files, and as run lengths."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from sklvm.label_maps import from_run_lengths, read_masks, to_run_lengths

Y = np.random.default_rng(0).integers(4, size=(3, 5, 6)).astype(np.uint8)

# Run lengths.

# A ring, a column at a time: what pycocotools.mask.encode gives of it is beside.
RING = np.array(
    [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 0, 1, 0],
        [0, 1, 1, 1, 0],
    ]
)
RING_COUNTS = [5, 3, 1, 1, 1, 1, 1, 3, 4]
RING_TEXT = "531N00023"
LONG_TEXT = "d?T3R\\1\\OjjN" + 151 * "0" + "jh4"


def test_a_ring_by_hand():
    assert to_run_lengths(RING) == {"size": [4, 5], "counts": RING_COUNTS}
    assert_array_equal(from_run_lengths({"size": [4, 5], "counts": RING_COUNTS}), RING)
    text = to_run_lengths(RING == 1, compressed=True)["counts"]
    assert text == RING_TEXT
    for counts in (text, text.encode()):
        assert_array_equal(from_run_lengths({"size": (4, 5), "counts": counts}), RING)


def test_masks_that_begin_with_one_and_of_one_value():
    assert to_run_lengths(np.ones((2, 3)))["counts"] == [0, 6]
    assert to_run_lengths(np.zeros((2, 3)))["counts"] == [6]
    assert to_run_lengths([[True, False]])["counts"] == [0, 1, 1]


def test_long_runs_as_pycocotools_writes_them():
    mask = np.zeros((100, 300), dtype=bool)
    mask[10:90, 20:250:3] = True
    mask[:, 5] = True
    assert to_run_lengths(mask, compressed=True)["counts"] == LONG_TEXT


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mask=arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 90))))
def test_any_mask_comes_back(mask):
    for compressed in (False, True):
        run_lengths = to_run_lengths(mask, compressed=compressed)
        assert_array_equal(from_run_lengths(run_lengths), mask)


@pytest.mark.parametrize("counts", [[4, 3], [], [-1, 7], [7], "0", b""])
def test_counts_of_no_mask(counts):
    with pytest.raises(ValueError, match="counts"):
        from_run_lengths({"size": [2, 3], "counts": counts})


@pytest.mark.parametrize("mask", [Y, Y[0], np.zeros((0, 3)), np.full((2, 2), np.nan)])
def test_what_is_no_mask(mask):
    with pytest.raises(ValueError, match=r"mask.*Y == label"):
        to_run_lengths(mask)


# Files.


@pytest.fixture
def image():
    return pytest.importorskip("PIL.Image")


def test_files_of_all_kinds_of_one_number(image, tmp_path):
    palette = image.fromarray(Y[0], mode="L").copy()
    palette = palette.convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    palette.putdata(Y[0].ravel().tolist())
    palette.save(tmp_path / "palette.png")
    image.fromarray(Y[1]).save(tmp_path / "grey.png")
    image.fromarray(Y[2].astype(np.uint16) * 8000).save(tmp_path / "ids.png")
    image.fromarray(Y[0, :2] > 1).save(tmp_path / "bits.png")
    maps = read_masks(tmp_path / name for name in ("palette.png", "grey.png"))
    assert maps.dtype == np.uint8
    assert_array_equal(maps, Y[:2])
    assert_array_equal(read_masks([str(tmp_path / "ids.png")])[0], Y[2] * 8000.0)
    maps = read_masks([tmp_path / "bits.png", tmp_path / "grey.png"])
    assert isinstance(maps, list)
    assert_array_equal(maps[0], Y[0, :2] > 1)


def test_colours_without_a_palette(image, tmp_path):
    image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "colours.png")
    with pytest.raises(ValueError, match=r"colours\.png.*'RGB'.*classes"):
        read_masks([tmp_path / "colours.png"])


def test_paths_are_a_list(tmp_path):
    for paths in ("mask.png", tmp_path):
        with pytest.raises(ValueError, match="give a list"):
            read_masks(paths)
    with pytest.raises(ValueError, match="empty"):
        read_masks([])


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"sklvm\[masks\]"):
        read_masks(["mask.png"])
