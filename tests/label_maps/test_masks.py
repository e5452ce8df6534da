"""Masks from files, and as run lengths."""

import struct
import sys

import numpy as np
import pandas as pd
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


@pytest.mark.parametrize(
    "given",
    [
        {"segmentation": {"size": [2, 3], "counts": [2, 4]}},
        [[0, 0, 3, 0, 3, 2]],  # a polygon
        '{"size": [2, 3], "counts": [2, 4]}',
        {"size": [2, 3]},
        {"size": [2, 3, 1], "counts": [2, 4]},
        {"size": [2, 3], "counts": ["2", "4"]},
        {"size": [2, 3], "counts": [2.5, 3.5]},
    ],
)
def test_what_has_no_run_lengths(given):
    with pytest.raises(ValueError, match=r"size|counts"):
        from_run_lengths(given)


def test_numbers_of_any_type():
    counts = np.array([200, 200, 200], dtype=np.uint8)  # whose sum is 600
    mask = from_run_lengths({"size": np.array([20.0, 30.0]), "counts": counts})
    assert mask.shape == (20, 30)
    assert mask.sum() == 200
    assert to_run_lengths(pd.DataFrame(mask)) == to_run_lengths(mask)


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


def test_pages_are_not_left_out(image, tmp_path):
    path = tmp_path / "stack.tif"
    first, *rest = [image.fromarray(y) for y in Y]
    first.save(path, save_all=True, append_images=rest)
    with pytest.raises(ValueError, match=r"stack\.tif.*3 pages.*array"):
        read_masks([path])


def tiff(pixels, bits, photometric, sample_format):
    """A file by hand, as Pillow writes few of the types that TIFF has."""
    tags = [
        (256, pixels.shape[1]), (257, len(pixels)), (258, bits), (259, 1),
        (262, photometric), (273, 8), (277, 1), (278, len(pixels)),
        (279, pixels.nbytes), (339, sample_format),
    ]  # fmt: skip
    data = pixels.tobytes()
    data += b"\0" * (len(data) % 2)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


@pytest.mark.parametrize(
    "dtype, sample_format, photometric",
    [
        ("u1", 1, 1), ("i1", 2, 1), ("<u2", 1, 1), ("<i2", 2, 1), ("<u4", 1, 1),
        ("<i4", 2, 1), ("u1", 1, 0), ("<u2", 1, 0),
    ],
)  # fmt: skip
def test_tiffs_have_the_numbers_that_were_written(
    dtype, sample_format, photometric, image, tmp_path
):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    labels = np.array([[0, 1, high], [low, 2, high - 1]], dtype=dtype)
    file = tmp_path / "mask.tif"
    file.write_bytes(tiff(labels, 8 * labels.itemsize, photometric, sample_format))
    assert_array_equal(read_masks([file])[0].astype(int), labels.astype(int))


@pytest.mark.parametrize("photometric", [0, 1])
def test_bits_of_tiffs_are_not_turned_over(photometric, image, tmp_path):
    labels = Y[0, :, :1].repeat(8, axis=1) > 1  # whole bytes; tifffile writes 0
    file = tmp_path / "mask.tif"
    one, eight = (struct.pack("<HHII", 256, 4, 1, width) for width in (1, 8))
    data = tiff(np.packbits(labels, axis=1), 1, photometric, 1)
    file.write_bytes(data.replace(one, eight))
    assert_array_equal(read_masks([file])[0], labels)


def test_a_jpeg_blurs_labels(image, tmp_path):
    labels = np.kron(np.eye(5, dtype=np.uint8) * 3, np.ones((5, 5), dtype=np.uint8))
    image.fromarray(labels).save(tmp_path / "mask.jpg")
    with pytest.warns(UserWarning, match=r"mask\.jpg.*JPEG.*PNG"):
        assert len(np.unique(read_masks([tmp_path / "mask.jpg"]))) > 2


def test_what_is_no_picture(image, tmp_path):
    np.save(tmp_path / "mask.npy", Y[0])
    with pytest.raises(ValueError, match=r"mask\.npy.*no picture.*array"):
        read_masks([tmp_path / "mask.npy"])
    with pytest.raises(ValueError, match=r"None.*no path"):
        read_masks([None])


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
