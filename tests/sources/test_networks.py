"""Networks trained on sources against the same in memory."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("torch")

from sklvm import GMVAE, VAE
from sklvm.sources import ChunkSource

from .forms import source_of

QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "tol": np.inf, "random_state": 0}


def numbers(n=900):
    rng = np.random.default_rng(0)
    z = rng.integers(3, size=(n, 1))
    return (4 * z + rng.normal(size=(n, 4))).astype(np.float32)


def mixed(n=900):
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=n)
    frame = pd.DataFrame(
        {
            "amount": np.exp(rng.normal(2 + kind, 0.4)).round(2),
            "items": rng.poisson(1 + 2 * kind),
            "city": np.array(["Rome", "Oslo", "Lima"])[kind],
            "age": rng.normal(40 + 10 * kind, 5),
        }
    )
    frame.loc[rng.random(n) < 0.1, "age"] = np.nan
    return frame


def same(one, other):
    assert_array_equal(one.lower_bounds_, other.lower_bounds_)
    assert one.lower_bound_ == other.lower_bound_
    weights = (est.net_.module.state_dict() for est in (one, other))
    for own, theirs in zip(*map(dict.values, weights), strict=True):
        assert_array_equal(own.numpy(), theirs.numpy())


@pytest.mark.parametrize("kind", ["path", "HDF5", "function", "Dask array"])
def test_the_fit_is_that_of_memory(kind, tmp_path):
    X = numbers()
    source = source_of(X, kind, tmp_path, size=130)
    fitted = VAE(2, **QUICK).fit(source)
    expected = VAE(2, **QUICK).fit(X)
    same(expected, fitted)
    assert fitted.score(source) == pytest.approx(expected.score(X), abs=1e-6)


@pytest.mark.parametrize(
    "model",
    [GMVAE(2, 3, **QUICK), VAE(2, early_stopping=True, **QUICK)],
    ids=["GMVAE", "held out"],
)
def test_other_trainings(model):
    X = numbers()
    X[::7, 1] = np.nan
    source = ChunkSource(lambda: np.array_split(X, 5))
    first = model.fit(X)
    bound = first.lower_bound_
    assert model.fit(source).lower_bound_ == bound


@pytest.mark.parametrize("likelihood", ["auto", None, [("auto", slice(None))]])
def test_columns_of_kinds(likelihood, tmp_path):
    X = mixed()
    X.to_parquet(tmp_path / "rows.parquet", row_group_size=200)
    fitted = VAE(2, likelihood=likelihood, **QUICK).fit(tmp_path / "rows.parquet")
    expected = VAE(2, likelihood=likelihood, **QUICK).fit(X)
    assert fitted.columns_ == expected.columns_
    np.testing.assert_allclose(
        fitted.lower_bounds_, expected.lower_bounds_, rtol=1e-5, atol=1e-5
    )
    assert list(fitted.sample(3)[0].columns) == list(X.columns)


def test_a_training_that_goes_on():
    X = numbers()
    source = ChunkSource(lambda: np.array_split(X, 3))
    one, other = (VAE(2, warm_start=True, **QUICK) for _ in range(2))
    same(one.fit(X).fit(X), other.fit(source).fit(source))


@pytest.mark.parametrize(
    ("chunks", "n_rows", "said"),
    [
        (lambda X: [X[:50, :3], X[50:]], None, "4 features, but VAE is expecting 3"),
        (lambda X: [], None, "X has no rows"),
        (lambda X: [X[:9]], 10, "X gave 9 rows and has n_rows=10"),
        (lambda X: [X, np.full((2, 4), np.inf)], None, "infinity"),
        (lambda X: [X, np.array([["a"] * 4])], None, "X has text in the column 0"),
    ],
)
def test_bad_sources(chunks, n_rows, said):
    X = numbers()
    model = VAE(2, **QUICK).fit(X)
    before = model.score(X)
    with pytest.raises(ValueError, match=said):
        model.fit(ChunkSource(lambda: chunks(X), n_rows))
    assert model.score(X) == before


def test_what_takes_no_source():
    X = numbers()
    source = ChunkSource(lambda: [X])
    with pytest.raises(TypeError, match="give its chunks one after the other"):
        VAE(2, **QUICK).fit(X).sample_missing(source)


def test_a_disk_that_is_full(monkeypatch):
    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr("sklvm.autoencoder._spool.TemporaryFile", lambda **kw: Full())
    with pytest.raises(OSError, match="set the environment variable TMPDIR"):
        VAE(2, **QUICK).fit(ChunkSource(lambda: [numbers()]))
