"""Detectors of tables, and tables with odd dtypes, in files and pickles."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from sklvm import DensityOutlierDetector, MixtureEM, load, save

rng = np.random.default_rng(0)
N = 200
PLAIN = pd.DataFrame(
    {
        "size": rng.normal(size=N).round(2),
        "count": rng.poisson(3, N),
        "word": rng.choice(["a", "b", "c"], N),
        "flag": rng.random(N) < 0.3,
    }
)
MISSING = PLAIN.astype(object).mask(rng.random(PLAIN.shape) < 0.1).infer_objects()
BINS = pd.DataFrame({"bin": pd.cut(PLAIN["size"], 4), "count": PLAIN["count"]})
ORDERED = BINS.assign(bin=pd.Categorical(PLAIN["word"], list("cba"), ordered=True))
TABLES = {
    "pandas": PLAIN,
    "missing": MISSING,
    "nullable": MISSING.convert_dtypes(),
    "arrow": MISSING.convert_dtypes(dtype_backend="pyarrow"),
    "bins": BINS,
    "ordered": ORDERED,
    "polars": pl.from_pandas(PLAIN),
    "array": PLAIN[["size", "count"]].to_numpy(),
}


@pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)
def test_a_detector_of_a_table_is_kept(X, tmp_path):
    detector = DensityOutlierDetector(MixtureEM(2, random_state=0)).fit(X)
    expected = detector.score_samples(X)
    save(detector, tmp_path / "detector")
    assert_array_equal(load(tmp_path / "detector").score_samples(X), expected)
    assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(X), expected)


@pytest.mark.parametrize("X", TABLES.values(), ids=TABLES)
def test_a_mixture_of_a_table_answers_in_its_dtypes_again(X, tmp_path):
    model = MixtureEM(2, random_state=0).fit(X)
    save(model, tmp_path / "model")
    again, expected = load(tmp_path / "model").sample(50)[0], model.sample(50)[0]
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(again, expected)
    else:
        assert_array_equal(np.asarray(again), np.asarray(expected))
