"""ConditionalVAE on sources, of which y is columns, against the same in memory."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("torch")

from sklvm import ConditionalVAE
from sklvm.sources import ChunkSource

from .forms import source_of

QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "tol": np.inf, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")


def table(n=600):
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-2, 2, size=(2, n))
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "city": rng.choice(["Rome", "Oslo"], n),
            "price": np.sin(a) + 0.1 * rng.normal(size=n),
            "size": b**2 + 0.2 * rng.normal(size=n),
            # The last class is in the last chunk alone.
            "kind": np.where(np.arange(n) > n - 9, "rare", np.where(a > 0, "up", "in")),
            "items": rng.poisson(2 + abs(a)),
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("x", "y", "likelihood"),
    [
        ("ab", "price", "gaussian"),
        ("ab", ["price", "size"], "gaussian"),
        ("ab", ["kind"], "categorical"),
        (["a", "city"], "kind", "categorical"),
        (["a", "city"], "kind", "auto"),
        ("ab", ["items", "price", "kind"], "auto"),
    ],
)
def test_all_is_as_in_memory(x, y, likelihood):
    frame = table()
    X, Y = frame[list(x)], frame[y]
    params = {"likelihood": likelihood, "latent_dim": 1, **QUICK}
    expected = ConditionalVAE(**params).fit(X, Y)
    names = [y] if isinstance(y, str) else y
    source = source_of(frame[[*x, *names]], "function", None, size=130)
    fitted = ConditionalVAE(**params).fit(source, y)

    assert fitted.lower_bound_ == expected.lower_bound_
    assert_array_equal(fitted.feature_names_in_, expected.feature_names_in_)
    assert fitted.score(source, y) == pytest.approx(expected.score(X, Y), abs=1e-5)
    for name in ("transform", "score_samples"):
        answers = list(getattr(fitted, name)(source, y))
        assert len(answers) == 5
        np.testing.assert_allclose(
            np.concatenate(answers), getattr(expected, name)(X, Y), rtol=1e-4, atol=1e-4
        )
    conditions = source_of(X, "function", None, size=130)
    predicted, one = fitted.predict(conditions), expected.predict(X)
    assert type(next(predicted)) is type(one)
    assert_array_equal(getattr(fitted, "classes_", 0), getattr(expected, "classes_", 0))
    if hasattr(fitted, "classes_"):
        shares = list(fitted.predict_proba(conditions))
        assert len(shares) == 5


@pytest.mark.parametrize("kind", ["path", "LazyFrame", "Dask frame", "Parquet file"])
def test_sources_with_names(kind, tmp_path):
    frame = table()[["a", "b", "price"]]
    source = source_of(frame, kind, tmp_path, size=130)
    fitted = ConditionalVAE(1, **QUICK).fit(source, "price")
    expected = ConditionalVAE(1, **QUICK).fit(frame[["a", "b"]], frame["price"])
    assert fitted.lower_bound_ == expected.lower_bound_


def test_weights_of_a_score():
    frame = table()
    weight = np.random.default_rng(1).random(len(frame))
    X, y = frame[["a", "b"]], frame["price"]
    model = ConditionalVAE(1, **QUICK).fit(X, y)
    weighted = frame[["a", "b", "price"]].assign(w=weight)
    source = source_of(weighted, "function", None, size=130)
    assert model.score(source, "price", sample_weight="w") == pytest.approx(
        model.score(X, y, sample_weight=weight), abs=1e-5
    )


def test_a_chunk_is_a_batch_of_partial_fit():
    frame = table()[["a", "b", "price"]]
    one, two = (ConditionalVAE(1, **QUICK) for _ in range(2))
    for start in range(0, 600, 200):
        part = frame.iloc[start : start + 200]
        one.partial_fit(part[["a", "b"]], part["price"])
    two.partial_fit(source_of(frame, "function", None, size=200), "price")
    assert two.lower_bound_ == one.lower_bound_


def test_a_training_that_goes_on():
    frame = table()[["a", "b", "price"]]
    source = source_of(frame, "function", None, size=130)
    params = {**QUICK, "warm_start": True}
    one, two = (ConditionalVAE(1, **params) for _ in range(2))
    X, y = frame[["a", "b"]], frame["price"]
    one.fit(X, y).fit(X, y)
    assert (
        two.fit(source, "price").fit(source, "price").lower_bound_ == one.lower_bound_
    )


@pytest.mark.parametrize(
    ("chunks", "y", "error", "said"),
    [
        (lambda f: [f], None, TypeError, "give the name of the column of X that is y"),
        (lambda f: [f], np.zeros(600), TypeError, "y is a ndarray; for rows that"),
        (lambda f: [f], [], TypeError, "y is a list"),
        (lambda f: [f], ["price", 3], TypeError, "y is a list"),
        (lambda f: [f], "cost", ValueError, "y names the column 'cost', which X does"),
        (lambda f: [f.to_numpy()], "price", TypeError, "whose columns have no names"),
        (lambda f: [f.iloc[:0]], "price", ValueError, "X has no rows"),
        (lambda f: [f, f[["b", "a", "price"]]], "price", ValueError, "same order"),
        (lambda f: [f, f.assign(price=np.nan)], "price", ValueError, "y has missing"),
        (lambda f: [f, f.assign(a=np.nan)], "price", ValueError, "contains NaN"),
        (lambda f: [f], ["a", "b", "price"], ValueError, "names all columns of X"),
    ],
)
def test_bad_sources(chunks, y, error, said):
    frame = table()[["a", "b", "price"]]
    X = frame[["a", "b"]]
    model = ConditionalVAE(1, **QUICK).fit(X, frame["price"])
    before = model.score(X, frame["price"])
    with pytest.raises(error, match=said):
        model.fit(ChunkSource(lambda: iter(chunks(frame))), y)
    assert model.score(X, frame["price"]) == before


def test_labels_of_several_types_are_told():
    chunks = [pd.DataFrame({"a": [0.0, 1.0], "k": k}) for k in (["x", "y"], [1, 2])]
    with pytest.raises(ValueError, match="labels of the types int, str"):
        ConditionalVAE(1, likelihood="categorical", **QUICK).fit(
            lambda: iter(chunks), "k"
        )


def test_sample_takes_chunks():
    frame = table()
    model = ConditionalVAE(1, **QUICK).fit(frame[["a", "b"]], frame["price"])
    with pytest.raises(TypeError, match="give its chunks one after the other"):
        model.sample(lambda: iter([frame[["a", "b"]]]))
