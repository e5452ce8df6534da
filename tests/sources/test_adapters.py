"""Sources give the rows that lie in them, as often as they are asked."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklvm import GaussianMixtureEM, MixtureEM, PoissonMixtureEM
from sklvm.sources import ChunkSource, SliceSource, write
from sklvm.sources._source import as_source
from tests.sources.forms import KINDS, OF_FRAMES, names_of, source_of

N = 3000


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(N, 3))


def sorted_rows(tables):
    rows = np.concatenate([np.asarray(table) for table in tables])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_all_rows_come_in_each_pass(kind, X, tmp_path):
    source = as_source(source_of(X, kind, tmp_path))
    for _ in range(2):
        np.testing.assert_array_equal(sorted_rows(source.chunks()), sorted_rows([X]))
    assert source.n_rows in (None, N)
    if kind in OF_FRAMES:
        assert source.columns == names_of(X)
    first = source.first()
    assert 0 < len(first) <= N


def test_datasets_of_parts_of_files(X, tmp_path):
    """Folders that name a column, another dtype, some row groups, a query."""
    ds = pytest.importorskip("pyarrow.dataset")
    pa = pytest.importorskip("pyarrow")
    frame = pd.DataFrame(X, columns=names_of(X))
    frame["part"] = np.arange(N) % 2
    frame.to_parquet(tmp_path / "named", partition_cols=["part"], row_group_size=400)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=400)
    whole = ds.dataset(tmp_path / "rows.parquet")
    few = next(whole.get_fragments()).subset(row_group_ids=[1, 3])
    narrow = pa.schema([(name, pa.float32()) for name in frame.columns])
    at = np.r_[400:800, 1200:1600]
    for dataset, expected in (
        (ds.dataset(tmp_path / "named", partitioning="hive"), frame),
        (ds.dataset(tmp_path / "rows.parquet", schema=narrow), frame.astype("f4")),
        (
            ds.FileSystemDataset([few], whole.schema, whole.format, few.filesystem),
            frame.iloc[at],
        ),
        (whole.filter(ds.field("part") == 1), frame[frame["part"] == 1]),
    ):
        source = as_source(dataset)
        for _ in range(2):
            tables = [table[list(frame.columns)] for table in source.chunks()]
            np.testing.assert_array_equal(sorted_rows(tables), sorted_rows([expected]))
            assert tables[0].dtypes["x0"] == expected.dtypes["x0"]


def test_a_group_of_arrays_is_no_array(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "x.zarr", mode="w")
    group.create_array("rows", shape=(3, 2), dtype="f8")
    with pytest.raises(TypeError, match=r"give one of its arrays, as X\['rows'\]"):
        GaussianMixtureEM().fit(group)


def test_text_that_a_dataset_reads_as_categories_stays_categories(tmp_path):
    ds = pytest.importorskip("pyarrow.dataset")
    frame = pd.DataFrame({"city": ["Rome", "Oslo", "Rome"]})
    frame.to_parquet(tmp_path / "rows.parquet")
    kind = ds.ParquetFileFormat(dictionary_columns=["city"])
    (table,) = as_source(ds.dataset(tmp_path / "rows.parquet", format=kind)).chunks()
    assert isinstance(table["city"].dtype, pd.CategoricalDtype)
    assert table["city"].tolist() == frame["city"].tolist()


@pytest.mark.parametrize("table", [[[1.0, 2.0]], pd.DataFrame({"a": [1]}), np.eye(2)])
def test_tables_in_memory_are_no_sources(table):
    assert as_source(table) is None


def test_chunks_without_rows_are_passed_over(X):
    source = ChunkSource(lambda: iter([X[:0], X[:5], X[:0]]))
    assert len(source.first()) == 5
    assert source.sum(len, int.__add__) == 5
    assert ChunkSource(lambda: iter([X[:0]])).sum(len, int.__add__) is None


def test_sums_of_dask_have_a_tree(X):
    """Adding texts, which no order leaves the same."""
    da = pytest.importorskip("dask.array")
    source = as_source(da.from_array(X[:7], chunks=(1, 3)))

    def told(table):
        return f"{table[0, 0]:.3f}"

    def added(one, other):
        return f"({one} {other})"

    a, b, c, d, e, f, g = map(told, X[:7, np.newaxis])
    assert source.sum(told, added) == f"((({a} {b}) ({c} {d})) (({e} {f}) {g}))"


def test_whole_chunks_of_a_file_are_read(tmp_path):
    """A stored chunk is unpacked once in a pass, not for each slice."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        X = file.create_dataset("x", shape=(500_000, 16), dtype="f4", chunks=(1000, 16))
        sizes = [len(chunk) for chunk in SliceSource(X).chunks()]
    assert sum(sizes) == 500_000
    assert all(size % 1000 == 0 for size in sizes)
    assert max(sizes) * 16 * 8 <= 2**23


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (lambda X: (x for x in [X]), TypeError, "function that returns a fresh one"),
        (lambda X: lambda: X, TypeError, "iterator over tables"),
        (lambda X: lambda: None, TypeError, "iterator over tables"),
        (lambda X: lambda: [1.0], TypeError, "no table of rows"),
    ],
)
def test_what_is_no_source_is_told(given, error, words, X):
    with pytest.raises(error, match=words):
        as_source(given(X)).first()


@pytest.mark.parametrize("n_read", [1, 3])
def test_a_file_that_is_read_in_chunks_is_closed(tmp_path, n_read):
    path = tmp_path / "x.csv"
    pd.DataFrame({"a": range(6)}).to_csv(path, index=False)
    readers = []

    def opened():
        readers.append(pd.read_csv(path, chunksize=2))
        return readers[-1]

    chunks = ChunkSource(opened).chunks()
    for _ in range(n_read):
        next(chunks)
    del chunks
    assert readers[0].handles.handle.closed


def test_an_array_of_three_axes_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    da = pytest.importorskip("dask.array")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        X = file.create_dataset("x", shape=(4, 4, 4), dtype="f4")
        with pytest.raises(ValueError, match="two axes"):
            as_source(X)
    with pytest.raises(ValueError, match="axes"):
        as_source(da.zeros((4, 4, 4)))


class TestWrite:
    def test_arrays(self, X, tmp_path):
        path = tmp_path / "out.parquet"
        assert write((X[i : i + 7] for i in range(0, N, 7)), path, list("abc")) == N
        found = pd.read_parquet(path)
        assert list(found) == ["a", "b", "c"]
        np.testing.assert_array_equal(found, X)

    def test_frames_of_pandas_and_polars(self, X, tmp_path):
        pl = pytest.importorskip("polars")
        frame = pd.DataFrame(X, columns=list("abc"))
        for table in (frame, pl.from_pandas(frame)):
            assert write([table[:9], table[9:]], tmp_path / "out.parquet") == N
            found = pd.read_parquet(tmp_path / "out.parquet")
            pd.testing.assert_frame_equal(found, frame)

    def test_row_groups_are_small_and_numbers_have_no_dictionary(self, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        rng = np.random.default_rng(0)
        table = pd.DataFrame(rng.normal(size=(60_000, 24))).rename(columns=str)
        table["city"] = rng.choice(["Lyon", "Bonn"], size=len(table))
        assert write([table], tmp_path / "out.parquet") == 60_000
        metadata = pq.ParquetFile(tmp_path / "out.parquet").metadata
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        assert sum(group.num_rows for group in groups) == 60_000
        assert max(group.num_rows for group in groups) * 25 * 8 <= 2**23
        for j, has_dictionary in ((0, False), (24, True)):
            column = groups[0].column(j)
            assert column.has_dictionary_page == has_dictionary
        # Of floats that are all different nothing can be spared.
        assert groups[0].column(0).total_compressed_size < 1.01 * 8 * groups[0].num_rows

    def test_a_failure_leaves_what_was_there(self, X, tmp_path):
        path = tmp_path / "out.parquet"
        write([X], path)
        before = path.read_bytes()

        def broken():
            yield X
            raise OSError("no more")

        with pytest.raises(OSError, match="no more"):
            write(broken(), path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("chunks", "columns", "words"),
        [([], None, "no chunks"), ([np.eye(3)], ["a"], "columns has 1 names")],
    )
    def test_bad_input(self, chunks, columns, words, tmp_path):
        with pytest.raises(ValueError, match=words):
            write(chunks, tmp_path / "out.parquet", columns)
        assert not list(tmp_path.iterdir())


def test_files_without_pyarrow_say_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    write([np.eye(2)], path)
    monkeypatch.setattr("sklvm._optional.find_spec", lambda name: None)
    for call in (lambda: as_source(path), lambda: write([np.eye(2)], path)):
        with pytest.raises(ImportError, match=r"needs pyarrow; .*sklvm\[arrow\]"):
            call()


def test_cells_of_csv_are_missing_as_in_pandas(tmp_path):
    path = tmp_path / "x.csv"
    nothing = ["", "NA", "None", "n/a", "<NA>", "nan", "unknown"]
    lines = [
        f"{i},{word},{i if i % 2 else word}" for i, word in enumerate(nothing[:-1])
    ]
    path.write_text("\n".join(["size,word,count", *lines, "6,unknown,6", "7,a,7"]))
    expected = pd.read_csv(path)
    (chunk,) = as_source(str(path)).chunks()
    assert chunk["word"].tolist()[-2:] == ["unknown", "a"]
    assert_array_equal(chunk.isna(), expected.isna())
    assert_array_equal(chunk["count"], expected["count"])


def test_values_of_another_type_late_in_a_csv(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a\n" + "123456789\n" * 200_000 + "1.5\n")
    with pytest.raises(ValueError, match=r"invalid value '1.5'.*chunksize"):
        list(as_source(path).chunks())


@pytest.mark.parametrize("form", ["array", "pandas", "polars", "arrow"])
def test_a_table_in_memory_is_written_as_one_chunk(tmp_path, form):
    """Its rows, or the names of its columns, were taken for chunks."""
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": [4.0, 5, 6]})
    X = {"array": frame.to_numpy(), "pandas": frame}.get(form)
    if X is None:
        library = pytest.importorskip("polars" if form == "polars" else "pyarrow")
        X = library.from_pandas(frame) if form == "polars" else library.table(frame)
    path = tmp_path / "x.parquet"
    assert write(X, path, ["a", "b"]) == 3
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.csv, and Parquet is written"):
        write([np.eye(2)], tmp_path / "x.csv")
    with pytest.raises(FileNotFoundError, match=r"none/x.parquet' is in no folder"):
        write([np.eye(2)], tmp_path / "none" / "x.parquet")
    with pytest.raises(ValueError, match="chunks has one of 0 axes; give arrays"):
        write([1, 2], tmp_path / "x.parquet")
    assert not list(tmp_path.iterdir())


A, B = pd.DataFrame({"a": [1], "b": [2]}), pd.DataFrame({"b": [3], "a": [4]})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1.5]}), [1, 2, 1.5]),
        (pd.DataFrame({"a": [None]}), pd.DataFrame({"a": ["x"]}), [None, "x"]),
        (np.array([1, 2]), np.array([0.5]), [1, 2, 0.5]),
        (
            pd.DataFrame({"a": ["y"]}),
            pd.DataFrame({"a": pd.Categorical(["x"])}),
            ["y", "x"],
        ),
        (A, B, [1, 4]),
        (
            pd.DataFrame({"a": pd.Categorical(["x"])}),
            pd.DataFrame({"a": ["y"]}),
            ["x", "y"],
        ),
    ],
)
def test_chunks_of_several_types_are_written(tmp_path, one, other, expected):
    """Imputed integers have fractions where some are missing: in a late chunk."""
    path = tmp_path / "x.parquet"
    assert write(iter([one, other, one]), path) == 2 * len(one) + len(other)
    found = pd.read_parquet(path)
    values = found.iloc[:, 0].astype(object).where(found.iloc[:, 0].notna(), None)
    assert values.tolist()[: len(expected)] == expected
    assert list(tmp_path.iterdir()) == [path]


def test_imputed_chunks_are_written(tmp_path):
    X = np.random.default_rng(0).poisson(3, size=(400, 2))
    late = pd.DataFrame(X, columns=["a", "b"]).astype(float)
    late.iloc[::9, 1] = np.nan
    source = ChunkSource(lambda: iter([late.fillna(3).astype(int), late]))
    est = PoissonMixtureEM(random_state=0).fit(source)
    write(est.impute(source), tmp_path / "x.parquet")
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert_array_equal(found, pd.concat(est.impute(source)))


@pytest.mark.parametrize(
    ("chunks", "columns", "error", "words"),
    [
        ([A, A[["a"]]], None, ValueError, r"\['a', 'b'\] and one with \['a'\]"),
        ([A, A.assign(b="x")], None, ValueError, "other types than the others"),
        (
            [pd.DataFrame({"a": [x]}) for x in (2**60, 0.5)],
            None,
            ValueError,
            "one type",
        ),
        ((A, np.array([1])), None, TypeError, "a tuple, as `sample` gives"),
        (1.5, None, TypeError, "chunks is a float; give a table"),
        ([np.eye(2)], ["a", "a"], ValueError, "has a name twice"),
        ([np.ones(2)], "label", TypeError, r"give a list, \['label'\]"),
    ],
)
def test_chunks_that_make_no_table(tmp_path, chunks, columns, error, words):
    with pytest.raises(error, match=words):
        write(chunks, tmp_path / "x.parquet", columns)
    assert not list(tmp_path.iterdir())


def test_a_path_where_rows_have_to_be_in_memory(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"a": [1.0, 2, 4]}).to_parquet(path)
    est = GaussianMixtureEM().fit(path)
    with pytest.raises(TypeError, match="is the path of a file, and here rows have to"):
        est.sample_missing(str(path))


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("mark", ";\t|")
def test_csv_with_other_separators_is_no_column_of_text(tmp_path, mark, in_memory):
    path = tmp_path / "x.csv"
    table = pd.DataFrame({"a": [0, 1] * 30, "b": ["u", "v", "v"] * 20})
    table.to_csv(path, sep=mark, index=False)
    X = pd.read_csv(path) if in_memory else str(path)
    with pytest.raises(ValueError, match=r"X has one column, 'a.*b', .* with sep="):
        MixtureEM().fit(X)
    with_mark = pd.DataFrame({"a;b": ["u;v", "w", "w"] * 20})
    assert MixtureEM(random_state=0).fit(with_mark).columns_ == {"a;b": "categorical"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a;b\n1,5;2,5\n", "cannot be read as csv .*Expected 1 columns.*sep="),
        (b"a,b\n1,2\n3,4,5\n", "cannot be read as csv .*Expected 2 columns.*sep="),
        (b"a,a\n1,2\n", "cannot be read as csv .*multiple columns named a"),
        (b"1.5,2.5\n3.5,4.5\n", "has a row of values for a header.*header="),
        (b"a,b\n1,\xe8\n", "has text that is not UTF-8.*encoding="),
        (b"\xe8,b\n1,2\n", "cannot be read as csv .*utf-8.*encoding="),
    ],
)
def test_csv_that_only_pandas_reads(tmp_path, content, message):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"X='.*x.csv' {message}.*write the file to"):
        as_source(path)


def test_years_are_names_of_columns_of_csv(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("2019,2020\n1.5,2.5\n")
    assert as_source(path).columns == ["2019", "2020"]


@pytest.mark.parametrize("late", [b"3,4,5", b"u,\xe8"])
def test_lines_late_in_a_csv_that_only_pandas_reads(tmp_path, late):
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n" + b"u,v\n" * 300_000 + late)
    with pytest.raises(ValueError, match=r"CSV.*; give a function such as lambda"):
        list(as_source(path).chunks())


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow"])
def test_a_file_that_is_not_what_its_name_says(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=rf"X='.*x.{ending}' cannot be read as"):
        as_source(path)


@pytest.mark.parametrize("path", ["nothing.parquet", "*.parquet", Path("nothing")])
def test_a_path_where_nothing_is(path):
    with pytest.raises(FileNotFoundError, match=r"X='.*' is no file; give"):
        GaussianMixtureEM().fit(path)


@pytest.mark.parametrize("paths", [["a.csv", "b.csv"], (Path("a"), Path("b"))])
def test_a_list_of_paths(paths):
    with pytest.raises(TypeError, match=r"of paths; give pyarrow\.dataset"):
        GaussianMixtureEM().fit(paths)


@pytest.mark.parametrize("address", ["https://a.org/x.csv", Path("s3://b/x.parquet")])
def test_an_address_is_no_path(address):
    with pytest.raises(ValueError, match=r"is an address and no path.*LazyFrame"):
        GaussianMixtureEM().fit(address)


@pytest.mark.parametrize("text", ["table.xlsx", "folder", "some text"])
def test_text_that_is_no_path(text):
    with pytest.raises(TypeError, match=r"is text and no table.*\.parquet.*Path"):
        MixtureEM().fit(text)


def test_a_header_of_numbers_and_words(tmp_path):
    path = tmp_path / "quantiles.csv"
    path.write_text("0.5,name\n1.5,a\n2.5,b\n")
    assert as_source(path) is not None


def test_a_folder_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "rows").mkdir()
    for i in range(2):
        frame = pd.DataFrame({"a": [i, 1.5]})
        frame.to_parquet(tmp_path / "rows" / f"{i}.parquet")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in ("rows", "rows/", "~/rows", Path("~/rows"), "~/rows/0.parquet"):
        tables = list(as_source(path).chunks())
        assert len(tables) == 2 - (str(path)[-1] == "t")
        assert tables[0]["a"].tolist() == [0, 1.5]


@pytest.mark.parametrize("text", ["", "a" * 5000, "\0", "~nobody-of-this-name/x"])
def test_text_of_which_no_folder_is_asked(text):
    assert as_source(text) is None


@pytest.mark.parametrize("kind", ["parquet", "feather", "csv"])
def test_a_column_that_the_first_file_lacks(tmp_path, kind):
    """Arrow takes the columns of the first file, and left others out in silence."""
    ds = pytest.importorskip("pyarrow.dataset")
    pa = pytest.importorskip("pyarrow")
    both = pd.DataFrame({"b": [3.0, 5.0], "a": [1.0, 2.0]})
    for name, frame in (("0", both[["a"]]), ("1", both)):
        path = tmp_path / f"{name}.{kind}"
        if kind == "csv":
            frame.to_csv(path, index=False)
        else:
            getattr(frame, f"to_{kind}")(path)
    with pytest.raises(ValueError, match=rf"X has the column 'b' in .*1.{kind}' and"):
        GaussianMixtureEM().fit(ds.dataset(tmp_path, format=kind))
    of_all = pa.schema([("a", pa.float64()), ("b", pa.float64())])
    tables = as_source(ds.dataset(tmp_path, format=kind, schema=of_all)).chunks()
    assert pd.concat(tables)["b"].isna().tolist() == [True, True, False, False]
    # What the user leaves out by a schema, the first file has, too.
    both.to_csv(tmp_path / "0.csv", index=False)
    both.to_csv(tmp_path / "1.csv", index=False)
    paths = [tmp_path / "0.csv", tmp_path / "1.csv"]
    some = ds.dataset(paths, format="csv", schema=of_all.remove(1))
    assert pd.concat(as_source(some).chunks())["a"].tolist() == [1, 2, 1, 2]


@pytest.mark.parametrize("name", [None, "id"])
def test_an_index_that_the_first_file_lacks(tmp_path, name):
    """That of rows which were selected; it is no column."""
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.0, 2, 4, 8]})
    frame.to_parquet(tmp_path / "0.parquet")
    some = frame[frame["a"] != 2].rename_axis(name)
    some.to_parquet(tmp_path / "1.parquet")
    tables = list(as_source(tmp_path).chunks())
    assert [list(table) for table in tables] == [["a"], ["a"]]
    assert pd.concat(tables)["a"].tolist() == [1, 2, 4, 8, 1, 4, 8]


@pytest.mark.parametrize("values", [[0.5, 1.5], ["u", "v"]])
def test_a_column_that_is_of_another_type_in_the_first_file(tmp_path, values):
    pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"a": values}).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(ValueError, match=r"types in '.*1.parquet' than .*schema="):
        MixtureEM().fit(tmp_path)
