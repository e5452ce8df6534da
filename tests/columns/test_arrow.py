"""Tables of pyarrow are those of pandas."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sklvm import BernoulliMixtureEM, GaussianMixtureEM, MixtureEM

pa = pytest.importorskip("pyarrow")
rng = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": rng.normal(size=60), "b": rng.integers(0, 2, 60)})
WORDS = FRAME.assign(
    c=pd.Categorical(["x", "y", None] * 20), a=FRAME.a.where(FRAME.b > 0)
)


@pytest.mark.parametrize("form", [pa.Table.from_pandas, pa.RecordBatch.from_pandas])
@pytest.mark.parametrize(
    ("estimator", "frame"),
    [
        (GaussianMixtureEM(2, random_state=0), FRAME),
        (BernoulliMixtureEM(2, random_state=0), FRAME[["b"]] == 1),
        (MixtureEM(2, random_state=0), WORDS),
    ],
)
def test_a_table_is_the_frame_that_it_is_of(form, estimator, frame):
    table = form(frame)
    expected = estimator.fit(frame).score_samples(frame)
    assert_array_equal(estimator.score_samples(table), expected)
    estimator.fit(table)
    assert estimator.feature_names_in_.tolist() == list(frame.columns)
    assert_array_equal(estimator.score_samples(table), expected)
    assert_array_equal(np.asarray(estimator.predict(table)), estimator.predict(frame))


def test_it_says_what_reads_a_table(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        TypeError, match="Table of pyarrow, which pandas reads; install"
    ):
        GaussianMixtureEM(2).fit(pa.table({"a": [1.0, 2.0, 4.0]}))
