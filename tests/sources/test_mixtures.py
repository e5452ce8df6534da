"""A mixture is the same wherever its rows lie."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from sklvm import (
    BernoulliMixtureEM,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
)
from sklvm.sources import ChunkSource
from tests.mixture.families import FAMILIES, assert_same, make
from tests.sources.forms import KINDS, OF_FRAMES, source_of

N, K = 6000, 3  # more rows than the canonical sample has


def rows(family, seed=0, n=N):
    rng = np.random.default_rng(seed)
    z = rng.integers(K, size=(n, 1))
    if family == "poisson":
        return rng.poisson(1 + 6 * z, size=(n, 4))
    if family == "bernoulli":
        return (rng.random((n, 6)) < 0.1 + 0.35 * z).astype(int)
    if family == "categorical":
        ones = rng.random((n, 6)) < 0.1 + 0.35 * z
        return ones + (rng.random((n, 6)) < 0.3)
    return rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) + 4 * z


@pytest.fixture(scope="module")
def fitted():
    """The mixtures of rows in memory, by family."""
    return {f: make(f, n_components=K).fit(rows(f)) for f in FAMILIES}


class TestFit:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("family", FAMILIES)
    def test_parameters_are_those_of_rows_in_memory(
        self, family, kind, fitted, tmp_path
    ):
        X = rows(family)
        est = make(family, n_components=K).fit(source_of(X, kind, tmp_path))
        assert_same(est, fitted[family], tol=1e-10)
        assert est.n_iter_ == fitted[family].n_iter_
        assert est.score(X) == pytest.approx(fitted[family].score(X), abs=1e-12)

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [1, 7, 999, N])
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_neither_chunks_nor_threads_nor_order_matter(self, size, n_jobs, fitted):
        n = N if size > 1 else 300
        X = rows("full", n=n)
        one = fitted["full"] if size > 1 else make("full", n_components=K).fit(X)
        X = np.random.default_rng(1).permutation(X)
        est = make("full", n_components=K, n_jobs=n_jobs)
        est.fit(lambda: (X[i : i + size] for i in range(0, n, size)))
        assert_same(est, one, tol=1e-9)

    def test_missing_entries_and_float32(self, tmp_path):
        X = rows("full")
        X[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
        for dtype, tol in ((np.float64, 1e-10), (np.float32, 1e-4)):
            one = make("full", n_components=K).fit(X.astype(dtype))
            source = source_of(X.astype(dtype), "Parquet file", tmp_path)
            two = make("full", n_components=K).fit(source)
            assert two.means_.dtype == dtype
            assert_same(two, one, tol=tol)

    def test_one_chunk_alone_has_missing_entries(self):
        X = rows("full")
        X[-5:, 0] = np.nan
        one = make("full", n_components=K).fit(X)
        two = make("full", n_components=K).fit(lambda: iter([X[:4000], X[4000:]]))
        assert_same(two, one, tol=1e-10)

    def test_sparse_chunks(self):
        X = sp.csr_array(rows("poisson").clip(0, 3))
        one = PoissonMixtureEM(K, random_state=0).fit(X)
        chunks = [X[:1000], X[1000:]]
        two = PoissonMixtureEM(K, random_state=0).fit(lambda: iter(chunks))
        assert_same(two, one, tol=1e-10)

    def test_restarts_acceleration_and_warm_start(self, fitted):
        X = rows("full")
        source = ChunkSource(lambda: iter(np.array_split(X, 5)))
        options = {"n_components": K, "n_init": 2, "acceleration": "squarem"}
        one = make("full", **options).fit(X)
        two = make("full", **options).fit(source)
        assert_same(two, one, tol=1e-9)
        two.set_params(warm_start=True).fit(source)
        assert two.n_iter_ <= 1

    @pytest.mark.parametrize("scale", [1.0, 1e-40, 1e40])
    @pytest.mark.parametrize("kind", OF_FRAMES)
    def test_weights_are_a_column(self, kind, scale, tmp_path):
        frame = pd.DataFrame(rows("diag"), columns=list("abcd"))
        weight = np.random.default_rng(1).integers(4, size=N)
        source = source_of(frame.assign(w=scale * weight), kind, tmp_path)
        one = make("diag", n_components=K).fit(frame, sample_weight=weight)
        two = make("diag", n_components=K).fit(source, sample_weight="w")
        assert_same(two, one, tol=1e-8)
        assert two.feature_names_in_.tolist() == list("abcd")
        if scale == 1:
            for method in ("score", "bic", "aic", "icl"):
                expected = getattr(one, method)(frame, sample_weight=weight)
                found = getattr(one, method)(source, sample_weight="w")
                assert found == pytest.approx(expected, rel=1e-12)

    @pytest.mark.slow
    def test_a_fit_goes_on_from_its_checkpoint(self, tmp_path):
        X = rows("full")
        passes = []

        def chunks():
            passes.append(None)
            if len(passes) == 12:
                raise RuntimeError("the power fails")
            return iter(np.array_split(X, 3))

        def new():
            return make("full", n_components=K, tol=0, max_iter=15, n_init=2)

        path = tmp_path / "fit.checkpoint"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one = new().fit(X)
            with pytest.raises(RuntimeError, match="the power fails"):
                new().set_params(checkpoint=path).fit(chunks)
            two = new().set_params(checkpoint=path).fit(chunks)
        assert_same(two, one, tol=1e-9)

    def test_partial_fit_takes_a_step_for_each_chunk(self):
        X = rows("full")
        one, two = (make("full", n_components=K) for _ in range(2))
        for chunk in np.array_split(X, 4):
            one.partial_fit(chunk)
        two.partial_fit(lambda: iter(np.array_split(X, 4)))
        assert two.n_iter_ == 4
        assert_same(two, one, tol=1e-12)


class TestAnswers:
    @pytest.mark.parametrize("kind", KINDS[1:])
    def test_they_come_in_chunks(self, kind, fitted, tmp_path):
        X = rows("full")
        est = fitted["full"]
        source = source_of(X, kind, tmp_path)
        for method in ("score_samples", "predict", "predict_proba", "transform"):
            found = np.concatenate(list(getattr(est, method)(source)))
            np.testing.assert_allclose(found, getattr(est, method)(X), atol=1e-10)
        assert est.score(source) == pytest.approx(est.score(X), rel=1e-13)
        assert est.bic(source) == pytest.approx(est.bic(X), rel=1e-13)

    def test_missing_entries_are_filled(self, fitted):
        X = rows("full")
        X[::3, 1] = np.nan
        found = fitted["full"].impute(lambda: iter(np.array_split(X, 4)))
        expected = fitted["full"].impute(X)
        np.testing.assert_allclose(np.concatenate(list(found)), expected, atol=1e-12)

    def test_each_chunk_is_a_frame_where_one_is_wanted(self, fitted):
        X = rows("full")
        est = make("full", n_components=K).fit(X).set_output(transform="pandas")
        chunks = list(est.transform(lambda: iter(np.array_split(X, 2))))
        assert [type(chunk) for chunk in chunks] == [pd.DataFrame] * 2
        assert list(chunks[0]) == list(est.get_feature_names_out())

    def test_they_are_made_when_they_are_asked_for(self, fitted):
        read = []

        def chunks():
            for chunk in np.array_split(rows("full"), 6):
                read.append(None)
                yield chunk

        answers = fitted["full"].predict(chunks)
        next(answers)
        assert len(read) <= 2


def first_then(*chunks):
    """A source with other chunks in its later passes."""
    left = list(chunks)
    return lambda: iter(left.pop(0) if len(left) > 1 else left[0])


class Once:
    """An iterator for which nothing begins anew."""

    def __init__(self, *chunks):
        self.chunks = list(chunks)

    def __iter__(self):
        while self.chunks:
            yield self.chunks.pop()


A = rows("full", n=200)
EXHAUSTED = Once(A)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda: iter([A, A[:, :2]]), "X has 2 features"),
        (lambda: iter([A, A.astype("f4")]), "of float64 and of float32"),
        (lambda: iter([A, np.full((3, 4), np.inf)]), "infinity"),
        (lambda: iter([A, np.full((3, 4), "a")]), "text"),
        (lambda: iter([]), "no rows"),
        (lambda: iter([A[:0]]), "no rows"),
        (lambda: iter([A[:2]]), "n_components=3"),
        (lambda: iter([np.c_[A, np.full(len(A), np.nan)]]), "only NaN"),
        (ChunkSource(lambda: iter([A]), n_rows=201), "200 rows in one pass and 201"),
        (first_then([A], [A, A], [A]), "400 rows in one pass|200 rows in one pass"),
        (lambda: EXHAUSTED, "0 rows in one pass"),
        (lambda: iter([pd.DataFrame(A), pd.DataFrame(A[:, :3])]), "3 features"),
    ],
)  # fmt: skip
def test_bad_input_leaves_the_mixture_as_it_was(source, words):
    est = GaussianMixtureEM(K, random_state=0).fit(A)
    before = est.means_.copy()
    with pytest.raises(ValueError, match=words):
        est.fit(source)
    np.testing.assert_array_equal(est.means_, before)


def other_rows(X, seeds):
    """A source with as many rows, which are others in each pass."""

    def chunks():
        rng = np.random.default_rng(next(seeds))
        return iter([X[rng.integers(X.shape[0], size=90)]])

    return chunks


@pytest.mark.parametrize(
    ("est", "X"),
    [
        (GaussianMixtureEM(2), A),
        (GaussianMixtureEM(2), A.astype(np.float32)),
        (GaussianMixtureEM(2), np.where(A.max() - 0.1 < A, np.nan, A)),
        (PoissonMixtureEM(2), np.arange(200.0)[:, np.newaxis]),
        (PoissonMixtureEM(2), sp.csr_array(np.arange(200)[:, np.newaxis])),
        (BernoulliMixtureEM(2), A > 0),
        (MixtureEM(2), pd.DataFrame(A)),
    ],
)  # fmt: skip
def test_other_rows_in_each_pass_are_an_error(est, X):
    """As many rows, drawn anew by a sample without a seed, made a model of no rows."""
    X = X.to_numpy() if isinstance(X, pd.DataFrame) else X
    with pytest.raises(ValueError, match=r"values with the sum .* in one pass and"):
        est.set_params(random_state=0).fit(other_rows(X, itertools.count()))


def test_the_same_rows_in_another_order_in_each_pass():
    """As a query gives them, whose cells may be rounded otherwise; weights of 0."""
    frame = pd.DataFrame(1e6 + A).assign(w=np.arange(len(A)) % 3)
    seeds = itertools.count()

    def chunks():
        rng = np.random.default_rng(next(seeds))
        order = rng.permutation(len(frame))
        mixed = frame.iloc[order] * (1 + 1e-16 * rng.normal(size=frame.shape))
        mixed["w"] = frame["w"].iloc[order]
        return iter([mixed[:70], mixed[70:]])

    est = GaussianMixtureEM(2, random_state=0).fit(chunks, sample_weight="w")
    in_memory = GaussianMixtureEM(2, random_state=0)
    in_memory.fit(1e6 + A, sample_weight=frame["w"])
    np.testing.assert_allclose(est.lower_bound_, in_memory.lower_bound_, rtol=1e-6)


def test_weights_of_a_source_are_a_column():
    with pytest.raises(TypeError, match="name of a column"):
        GaussianMixtureEM().fit(lambda: iter([A]), sample_weight=np.ones(len(A)))
    with pytest.raises(ValueError, match="'w' is no column"):
        GaussianMixtureEM().fit(lambda: iter([A]), sample_weight="w")
    frame = pd.DataFrame(A).assign(w=0.0)
    with pytest.raises(ValueError, match="0 for every row"):
        GaussianMixtureEM().fit(lambda: iter([frame]), sample_weight="w")
    with pytest.raises(ValueError, match="negative"):
        frame = frame.assign(w=-1.0)
        GaussianMixtureEM().fit(lambda: iter([frame]), sample_weight="w")


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e150])
def test_criteria_of_weights_of_any_unit(scale):
    """Kish's size does not depend on the unit, and squares of it may be no floats."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60)})
    weight = rng.random(60) * (np.arange(60) % 3 > 0)
    weight[40:50] = 0
    est = GaussianMixtureEM(random_state=0).fit(frame)
    table = frame.assign(w=weight * scale)

    def chunks():
        return iter([table[:7], table[7:40], table[40:50], table[50:]])

    n = weight.sum() ** 2 / (weight @ weight)
    deviance = -2 * n * (weight @ est.score_samples(frame) / weight.sum())
    expected = deviance + 2 * np.log(n)
    if scale < 1e100:  # larger floats are whole numbers, which count rows
        assert est.bic(chunks, "w") == pytest.approx(expected, rel=1e-12)
    found = est.bic(frame, sample_weight=weight * scale)
    assert est.bic(chunks, "w") == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("first", [True, False])
def test_a_row_of_weight_0_shows_no_category(first):
    rng = np.random.default_rng(0)
    z = rng.integers(2, size=300)
    frame = pd.DataFrame({"a": rng.normal(5 * z), "t": np.array(["x", "y"])[z]})
    frame["w"] = rng.integers(1, 4, size=300).astype(float)
    at = 0 if first else 250
    frame.loc[at, ["t", "w"]] = ["ghost", 0.0]
    frame.loc[100:199, "w"] = 0.0  # a chunk without any weight
    frame.loc[150, "t"] = "phantom"

    def chunks():
        return (frame[i : i + 100] for i in range(0, 300, 100))

    params = {"n_components": 2, "random_state": 0, "tol": 1e-10, "max_iter": 500}
    est = MixtureEM(**params).fit(chunks, sample_weight="w")
    assert est.categories_["t"].tolist() == ["x", "y"]
    own = MixtureEM(**params).fit(frame[["a", "t"]], sample_weight=frame["w"])
    assert est.lower_bound_ == pytest.approx(own.lower_bound_, abs=1e-7)


class TestMixedColumns:
    @staticmethod
    def table(n=N, seed=0):
        rng = np.random.default_rng(seed)
        z = rng.integers(K, size=n)
        city = np.array(["Rome", "Oslo", "Lima", "Bern"])[z + rng.integers(2, size=n)]
        frame = pd.DataFrame(
            {
                "age": rng.normal(30 + 10 * z, 5).round(),
                "income": np.exp(rng.normal(8 + z, 0.5)).round(2),
                "city": city,
                "kids": rng.poisson(1 + z),
                "owner": rng.random(n) < 0.2 + 0.2 * z,
                "grade": rng.integers(1, 6, n),
            }
        )
        frame.loc[rng.random(n) < 0.1, "income"] = np.nan
        frame.loc[rng.random(n) < 0.1, "city"] = None
        return frame

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", [*OF_FRAMES, "function"])
    def test_parameters_are_those_of_a_table_in_memory(self, kind, tmp_path):
        frame = self.table()
        one = MixtureEM(K, random_state=0).fit(frame)
        source = source_of(frame, kind, tmp_path)
        two = MixtureEM(K, random_state=0).fit(source)
        assert two.columns_ == one.columns_
        for name, categories in one.categories_.items():
            assert two.categories_[name].tolist() == categories.tolist()
        for own, other in zip(
            two._component_params(), one._component_params(), strict=True
        ):
            np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-10)
        assert two.score(source) == pytest.approx(one.score(frame), abs=1e-11)
        filled = list(two.impute(source))
        assert sum(map(len, filled)) == N
        assert list(filled[0].columns) == list(frame)

    def test_a_sample_tells_kinds_and_all_rows_the_categories(self, monkeypatch):
        monkeypatch.setattr("sklvm.mixture._source_schema.SCHEMA_ROWS", 500)
        frame = self.table()
        frame.loc[17, "city"] = "Graz"
        one = MixtureEM(K, random_state=0).fit(frame)
        two = MixtureEM(K, random_state=0).fit(
            lambda: (frame[i : i + 999] for i in range(0, N, 999))
        )
        assert two.columns_ == one.columns_
        assert "Graz" in two.categories_["city"].tolist()
        assert two.categories_["city"].tolist() == one.categories_["city"].tolist()

    @pytest.mark.parametrize(
        ("column", "value", "words"),
        [
            ("grade", 99, "99 in the column 'grade'.*name the kind"),
            ("income", -1.0, "-1 in the column 'income'"),
            ("income", np.inf, "infinite value inf in the column 'income'"),
            ("kids", 0.5, "0.5 in the column 'kids'"),
            ("city", 3, "several types"),
            ("age", [[1]], "lists, dicts"),
        ],
    )
    def test_a_row_that_contradicts_the_sample(self, column, value, words, monkeypatch):
        monkeypatch.setattr("sklvm.mixture._source_schema.SCHEMA_ROWS", 500)
        frame = self.table().astype({column: object})
        chunks = [frame[:3000].infer_objects(), frame[3000:].infer_objects()]
        strange = frame[5:6].copy()
        strange[column] = pd.Series(
            value if isinstance(value, list) else [value], index=strange.index
        )
        with pytest.raises(ValueError, match=words):
            MixtureEM(K, random_state=0).fit(
                lambda: iter([*chunks, strange.infer_objects()])
            )

    def test_chunks_have_the_same_columns(self):
        frame = self.table()
        for other in (frame[frame.columns[::-1]], frame.drop(columns="city")):
            with pytest.raises(ValueError, match="chunks with the columns"):
                MixtureEM(K).fit(lambda other=other: iter([frame, other]))

    def test_kinds_by_hand_take_all_values(self, monkeypatch):
        monkeypatch.setattr("sklvm.mixture._source_schema.SCHEMA_ROWS", 500)
        frame = self.table()
        frame.loc[17, "grade"] = 99
        kinds = [("categorical", "grade"), ("auto", slice(None))]
        est = MixtureEM(K, components=kinds, random_state=0)
        est.fit(lambda: iter([frame[:3000], frame[3000:]]))
        assert est.categories_["grade"].tolist() == [1, 2, 3, 4, 5, 99]

    def test_a_category_of_weight(self):
        frame = self.table()
        weight = np.random.default_rng(1).integers(1, 4, size=N)
        one = MixtureEM(K, random_state=0).fit(frame, sample_weight=weight)
        frame["w"] = weight
        source = ChunkSource(lambda: iter([frame[:1000], frame[1000:]]))
        two = MixtureEM(K, random_state=0).fit(source, sample_weight="w")
        assert two.columns_ == one.columns_
        assert two.lower_bound_ == pytest.approx(one.lower_bound_, abs=1e-9)

    def test_a_fit_goes_on(self):
        frame = self.table()
        source = ChunkSource(lambda: iter([frame[:1000], frame[1000:]]))
        est = MixtureEM(K, random_state=0, warm_start=True).fit(source)
        assert est.fit(source).n_iter_ <= 2
        steps = MixtureEM(K, random_state=0).partial_fit(source)
        assert steps.n_iter_ == 2
