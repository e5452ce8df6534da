"""Weights that are no whole numbers have no unit, beside a prior either."""

import numpy as np
import pandas as pd
import pytest

from sklvm import CategoricalMixtureEM, GaussianMixtureEM, MixtureEM
from sklvm.sources import ChunkSource

rng = np.random.default_rng(0)
N = 300
z = rng.integers(2, size=N)
X = pd.DataFrame(
    {
        "size": rng.normal(3 * z),
        "count": rng.negative_binomial(1, 1 / (2 + 8 * z)),
        "word": np.array(["a", "b", "c"])[z + rng.integers(2, size=N)],
        "flag": rng.random(N) < 0.2 + 0.6 * z,
    }
)
# So large that every float is a whole number: 1e50 counts nothing.
UNITS = [1 / N, 0.5, 1e-200, 1e-50, 1e50, 1e200, 1e305]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_of_weights_does_not_matter(unit):
    model = MixtureEM(2, random_state=0)
    expected = model.fit(X).score(X)
    weight = np.full(N, unit)
    assert model.fit(X, sample_weight=weight).score(X) == pytest.approx(expected)
    assert model.bic(X, weight) == pytest.approx(model.bic(X))
    assert model.lower_bound_ == pytest.approx(expected)


@pytest.mark.parametrize("unit", UNITS)
def test_the_unit_of_unequal_weights_does_not_matter(unit):
    weight = rng.uniform(0.1, 2, N)
    model = MixtureEM(2, random_state=0)
    expected = model.fit(X, sample_weight=weight).score(X)
    assert model.fit(X, sample_weight=weight * unit).score(X) == pytest.approx(expected)


def test_whole_weights_count_rows_beside_a_prior():
    weight = rng.integers(0, 4, N)
    repeated = X.loc[np.repeat(np.arange(N), weight)]
    model = MixtureEM(2, random_state=0)
    one = model.fit(X, sample_weight=weight).score(repeated)
    assert one == pytest.approx(model.fit(repeated).score(repeated))


@pytest.mark.parametrize("unit", [1, *UNITS])
def test_a_source_takes_weights_as_a_table_does(unit):
    weight = rng.uniform(0.1, 2, N) * unit if unit != 1 else rng.integers(1, 4, N)
    table = X.assign(weight=weight)
    model = MixtureEM(2, random_state=0)
    expected = model.fit(X, sample_weight=weight).score(X)
    source = ChunkSource(lambda: (table[i : i + 100] for i in range(0, N, 100)))
    one = model.fit(source, sample_weight="weight").score(X)
    assert one == pytest.approx(expected, abs=1e-3)  # the sample of the starts differs


def test_a_tensor_takes_weights_as_an_array_does():
    torch = pytest.importorskip("torch")
    codes = np.stack([X["count"].clip(0, 3), X["flag"]], axis=1).astype(float)
    model = CategoricalMixtureEM(2, theta_prior=2, random_state=0)
    expected = model.fit(codes).score(codes)
    weight = torch.full((N,), 1 / N)
    model = CategoricalMixtureEM(2, theta_prior=2, random_state=0, device="cpu")
    one = model.fit(torch.tensor(codes), sample_weight=weight).score(codes)
    assert one == pytest.approx(expected, abs=1e-5)


def test_huge_whole_weights_of_float32_rows_keep_their_ratios():
    rows = X[["size"]].to_numpy(np.float32)
    weight = np.where(z, 3e40, 1e40)
    model = GaussianMixtureEM(2, random_state=0)
    expected = model.fit(rows, sample_weight=np.where(z, 3.0, 1.0)).means_
    np.testing.assert_allclose(
        model.fit(rows, sample_weight=weight).means_, expected, rtol=1e-4
    )


@pytest.mark.parametrize("ask", ["fit", "bic"])
def test_an_array_of_weights_of_a_source_is_an_error(ask):
    source = ChunkSource(lambda: iter([X]))
    model = MixtureEM().fit(X)
    with pytest.raises(TypeError, match="the name of a column of weights"):
        getattr(model, ask)(source, sample_weight=np.ones(N))
