"""Damaged and foreign files, full disks, and what a load may not do."""

import errno
import json
import os
import subprocess
import sys
import textwrap
import warnings

import joblib
import numpy as np
import pytest
from safetensors.numpy import save_file

import sklvm
from sklvm import VAE, GaussianMixtureEM
from sklvm.state._file import MOST_VALUES, pack_bytes, with_checksum
from tests.state.cases import fitted
from tests.state.damage import arrays_of, damaged, text_of

SOME = [
    *("GaussianMixtureEM", "MixtureEM_table_full", "VAE", "GMVAE_table"),
    *("ConditionalVAE_labels", "DensityOutlierDetector"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.sklvm"


def of_document(path, **changes):
    """The file with entries of its document changed, and a checksum that is right."""
    data = path.read_bytes()
    document = json.loads(text_of(data)) | changes
    arrays = arrays_of(data)
    text = json.dumps(document, separators=(",", ":"))
    path.write_bytes(pack_bytes(with_checksum(text, arrays), arrays))


def load_or_refuse(path):
    """Load a file with whatever damage; only a ValueError may come of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return sklvm.load(path)
        except ValueError as error:
            assert str(error).startswith("path=")
            return None


@pytest.mark.slow
@pytest.mark.parametrize("name", SOME)
def test_damaged_files_are_refused_or_hold_an_estimator(name, path):
    sklvm.save(fitted(name), path)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    n_refused = 0
    for _ in range(500):
        bad = damaged(data, rng)
        if bad is None:
            continue
        path.write_bytes(bad)
        n_refused += load_or_refuse(path) is None
    assert n_refused > 100


@pytest.mark.parametrize("name", SOME)
def test_one_changed_bit_is_noticed(name, path):
    sklvm.save(fitted(name), path)
    data, rng = path.read_bytes(), np.random.default_rng(1)
    for i in rng.integers(8, len(data), size=100):
        bad = bytearray(data)
        bad[i] ^= 1 << rng.integers(8)
        path.write_bytes(bad)
        loaded = load_or_refuse(path)
        # Blanks that fill up the header are the one exception.
        assert loaded is None or data[i] == ord(" ")


def test_other_files_are_refused_in_one_sentence(path):
    for content in (b"", b"\x80\x04.", b"a,b\n1,2\n", b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"^path='.*cannot be read .*; save the"):
            sklvm.load(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="something else"):
        sklvm.load(path)
    with pytest.raises(FileNotFoundError):
        sklvm.load(path.with_name("nowhere"))


@pytest.mark.parametrize("compress", [0, 3, "gzip", "bz2", "xz"])
def test_a_pickle_is_told(compress, path):
    joblib.dump(GaussianMixtureEM(), path, compress=compress)
    with pytest.raises(ValueError, match=r"one of pickle, which joblib\.load reads"):
        sklvm.load(path)


def test_a_later_format_names_the_version_that_reads_it(path):
    sklvm.save(GaussianMixtureEM(), path)
    of_document(path, format=2, version="7.1")
    with pytest.raises(ValueError, match=r"format 2, .*sklvm 7\.1, .*install sklvm 7"):
        sklvm.load(path)


def test_an_earlier_version_with_this_format_loads_quietly(path):
    sklvm.save(fitted("GaussianMixtureEM"), path)
    of_document(path, version="0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sklvm.load(path)


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "sklvm.state.save"])
def test_nothing_is_imported_by_name(name, path):
    sklvm.save(GaussianMixtureEM(), path)
    of_document(path, classes=[name])
    with pytest.raises(ValueError, match=rf"needs {name}"):
        sklvm.load(path)


@pytest.mark.parametrize(
    "tree",
    [
        {"class": 0},
        {"object": [0, {"a": {"dtype": "O"}}]},
        {"object": [0, {"a": {"torch_dtype": "load"}}]},
        {"object": [0, {"a": {"parameter": [1, [[10**12, 1], None]]}}]},
    ],
)
def test_forged_trees_are_refused(tree, path):
    sklvm.save(GaussianMixtureEM(), path)
    if "class" in tree:
        of_document(path, tree=tree)
        with pytest.raises(ValueError, match="holds no estimator"):
            sklvm.load(path)
        return
    of_document(path, tree=tree)
    loaded = load_or_refuse(path)
    assert loaded is None or isinstance(loaded.a, np.dtype)


def test_an_object_that_cannot_be_printed_is_refused(path):
    """As the key of a dict that has not got it, and so in the message of the error."""
    sklvm.save(fitted("GaussianMixtureEM"), path)
    document = json.loads(text_of(path.read_bytes()))
    number, state = document["tree"]["object"]
    state["_covariance_type"] = {"object": [number, {}]}
    of_document(path, tree=document["tree"])
    with pytest.raises(ValueError, match=r"cannot be read .*KeyError"):
        sklvm.load(path)


def test_headers_are_bounded_before_they_are_read(path):
    for header in (b"[" * 2**21, b"{" * 2**25, b'{"a":' + b"0," * MOST_VALUES):
        size = len(header).to_bytes(8, "little")
        path.write_bytes(size + header)
        with pytest.raises(ValueError, match=r"header|safetensors"):
            sklvm.load(path)


def test_too_many_values_are_refused_when_they_are_written(path):
    est = GaussianMixtureEM()
    est.labels_ = list(range(MOST_VALUES))
    with pytest.raises(ValueError, match="estimator has more than"):
        sklvm.save(est, path)
    assert not path.exists()


# Writing: at any moment the old file or the new one.


def failing(*args):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    sklvm.save(fitted("GaussianMixtureEM"), path)
    before = path.read_bytes()
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            with pytest.raises(OSError, match="No space"):
                sklvm.save(GaussianMixtureEM(), path)
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits sizes as Linux does")
def test_a_file_that_cannot_grow_is_an_error(path):
    sklvm.save(GaussianMixtureEM(), path)
    before = path.read_bytes()
    script = f"""
        import resource, signal, numpy as np, sklvm
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        est = sklvm.GaussianMixtureEM()
        est.means_ = np.zeros(100_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            sklvm.save(est, {str(path)!r})
        except OSError:
            print("refused")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "refused"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_link_is_followed_and_permissions_are_usual(path):
    link = path.with_name("link")
    link.symlink_to(path)
    sklvm.save(GaussianMixtureEM(2), link)
    assert link.is_symlink()
    assert sklvm.load(path).n_components == 2
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_gpu_that_is_not_there_is_told(path):
    est = sklvm.load(_saved(fitted("VAE"), path))
    est.set_params(device="cuda:7").net_.device = "cuda:7"
    with pytest.warns(UserWarning, match="computes on the CPU"):
        loaded = sklvm.load(_saved(est, path))
    X = np.zeros((3, 5))
    assert loaded.score(X) == fitted("VAE").score(X)
    assert isinstance(loaded, VAE)


def _saved(est, path):
    sklvm.save(est, path)
    return path


def test_a_place_where_no_file_can_lie(tmp_path):
    """The error names the path, and not a temporary file beside it."""
    with pytest.raises(IsADirectoryError, match=r"path='.*' is a folder; give the"):
        sklvm.GaussianMixtureEM().save(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none/x' is in no folder that exists"):
        sklvm.GaussianMixtureEM().save(tmp_path / "none" / "x")
    assert not list(tmp_path.iterdir())
