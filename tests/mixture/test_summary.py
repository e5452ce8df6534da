"""`component_summary`, and the distribution of one column that it tells of."""

import re
import sys
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp, rel_entr
from scipy.stats import lognorm, nbinom, norm, poisson
from sklearn.exceptions import NotFittedError

from sklvm import MixtureEM
from sklvm.columns import Column
from sklvm.divergence import kl
from sklvm.mixture._marginals import (
    Categories,
    Counts,
    Gaussian,
    Lognormal,
    marginals,
    percent,
    rounded,
    shortened,
)

pd = pytest.importorskip("pandas")
COMPONENTS = [
    ("gaussian", ["age", "size"]),
    ("lognormal", ["spend"]),
    ("bernoulli", ["member"]),
    ("poisson", ["visits"]),
    ("negative_binomial", ["orders"]),
    ("categorical", ["plan", "town"]),
]


def table(n=900, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame(
        {
            "plan": np.array(["basic", "free", "gold"])[
                (z + (rng.random(n) < 0.3)) % 3
            ],
            "age": rng.normal(25 + 15 * z, 4 + z),
            "spend": np.exp(rng.normal(3 + z, 0.6)),
            "member": rng.random(n) < 0.2 + 0.3 * z,
            "visits": rng.poisson(2 + 3 * z),
            "orders": rng.negative_binomial(2, 0.4 / (1 + z)),
            "town": [f"town {c}" for c in rng.integers(0, 4 + 2 * z)],
            "size": rng.normal(size=n),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.05)


@cache
def fitted(**params):
    model = MixtureEM(3, components=COMPONENTS, random_state=0, **params)
    return model.fit(table())


def column(kind, categories=None):
    return Column("x", kind, categories, None, False, "")


class Mixed:
    """A mixture of frozen distributions in one dimension."""

    def __init__(self, weights, parts):
        self.weights, self.parts = weights, parts

    def log_prob(self, x):
        each = [p.logpdf(x[:, 0]) for p in self.parts]
        return logsumexp(each, axis=0, b=np.array(self.weights)[:, np.newaxis])

    def sample(self, n):
        rng = np.random.default_rng(0)
        labels = rng.choice(len(self.weights), n, p=self.weights)
        draws = [p.rvs(n, random_state=rng) for p in self.parts]
        return np.choose(labels, draws)[:, np.newaxis]


# The table.


def test_rows_and_columns():
    model = fitted()
    summary = model.component_summary()
    assert summary.index.names == ["component", "column"]
    assert list(summary.columns) == ["share", "kl", "description", "overall"]
    order = list(dict.fromkeys(summary.index.get_level_values("component")))
    assert order == np.argsort(-model.weights_).tolist()
    for k in order:
        own = summary.loc[k]
        assert sorted(own.index) == sorted(table().columns)
        assert_allclose(own["share"], model.weights_[k])
        assert (np.diff(own["kl"]) <= 0).all()
        assert own["kl"].between(0, -np.log(model.weights_[k])).all()
    assert summary["kl"].dtype == summary["share"].dtype == np.float64
    assert summary.xs("size", level="column")["kl"].max() < 0.05
    assert summary.loc[order[0]].index[-1] == "size"


def test_descriptions_by_hand():
    """Of each kind, from the fitted params."""
    model = fitted()
    summary, w = model.component_summary(), model.weights_
    gauss, logs, flag, visits, orders, plans = model.components_
    k = int(np.argmax(w))
    own = summary.loc[k]

    def pair(m, v):
        mean = w @ m
        whole = np.sqrt(w @ (v + (m - mean) ** 2))
        deviation = np.sqrt(v)
        return (
            f"{rounded(m[k], deviation[k])} ± {rounded(deviation[k], deviation[k])}",
            f"{rounded(mean, whole)} ± {rounded(whole, whole)}",
        )

    def told(name):
        return tuple(own.loc[name, ["description", "overall"]])

    assert told("age") == pair(gauss.means[:, 0], gauss.covariances[:, 0, 0])
    assert told("visits") == pair(visits.rates[:, 0], visits.rates[:, 0])
    m, a = orders.means[:, 0], orders.dispersions[:, 0]
    assert told("orders") == pair(m, m + a * m**2)
    theta = flag.theta[:, 0]
    assert told("member") == (
        f"True: {percent(theta[k])}",
        f"True: {percent(w @ theta)}",
    )
    mean, deviation = logs.means[k, 0], np.sqrt(logs.covariances[k, 0, 0])
    quantiles = np.exp(mean + deviation * np.array([0, -1, 1]))
    assert told("spend")[0] == "{} ({} to {})".format(
        *(rounded(q, q) for q in quantiles)
    )
    names, theta = model.categories_["plan"], plans.theta[0]
    for text, p in zip(told("plan"), (theta[k], w @ theta), strict=True):
        found = dict(part.split(": ") for part in text.split(", "))
        assert found == {n: percent(q) for n, q in zip(names, p, strict=True)}


def test_the_most_over_represented_category_is_first():
    model = fitted()
    theta, names = model.components_[-1].theta[0], model.categories_["plan"]
    for k, own in model.component_summary().groupby(level="component"):
        gain = rel_entr(theta[k], model.weights_ @ theta)
        text = own.loc[(k, "plan")]
        for cell in (text["description"], text["overall"]):
            assert cell.startswith(names[gain.argmax()])


def test_many_categories():
    cell = fitted().component_summary().loc[(0, "town"), "description"]
    assert re.fullmatch(r"(town \d: <?\d+ %, ){3}\d others: <?\d+ %", cell)
    shares = [int(s) for s in re.findall(r": (\d+)", cell)]
    assert abs(sum(shares) - 100) <= 2


def test_quantiles_of_the_mixture_of_lognormals():
    model = fitted()
    text = model.component_summary().loc[(0, "spend"), "overall"]
    quantiles = [float(q.replace(",", "")) for q in re.findall(r"[\d.,]+", text)]
    means, covariances = (model.components_[1][n] for n in ("means", "covariances"))
    z = (np.log(quantiles) - means) / np.sqrt(covariances[:, 0])
    below = model.weights_ @ norm.cdf(z)
    assert_allclose(below, norm.cdf([0, -1, 1]), atol=0.03)  # two digits are printed


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_covariance_types(kind):
    blocks = [("gaussian", [0, 1], {"covariance_type": kind}), ("auto", slice(None))]
    X = table()[["age", "size", "plan"]].dropna().to_numpy()
    model = MixtureEM(2, components=blocks, random_state=0).fit(X)
    summary = model.component_summary()
    assert sorted(summary.loc[0].index) == [0, 1, 2]
    age = marginals(model)[0]
    assert age.deviations.shape == (2,)
    draws, labels = model.sample(20_000)
    for k in range(2):
        x = draws[labels == k, 0].astype(float)
        sd = age.deviations[k]
        assert abs(x.std() - sd) < 5 * sd / np.sqrt(2 * len(x))


def test_one_component():
    model = MixtureEM(1, random_state=0).fit(table())
    summary = model.component_summary()
    assert_allclose(summary["kl"], 0, atol=1e-12)
    assert (summary["description"] == summary["overall"]).all()


def test_not_fitted():
    with pytest.raises(NotFittedError):
        MixtureEM().component_summary()


def test_without_pandas(monkeypatch):
    model = fitted()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas; install it"):
        model.component_summary()


# The divergences.


def test_divergences_against_draws():
    """Rows of one component, by the densities that the mixture itself gives a cell."""
    model = fitted()
    n = 20_000
    X, labels = model.sample(n)
    log_w = np.log(model.weights_)
    for d, marginal in enumerate(marginals(model)):
        alone = X.copy()
        others = [name for name in X.columns if name != marginal.name]
        alone[others] = None
        ratio = model._log_joint(alone) - log_w
        ratio -= model.score_samples(alone)[:, np.newaxis]
        for k, divergence in enumerate(marginal.divergences()):
            drawn = ratio[labels == k, k]
            error = drawn.std() / np.sqrt(len(drawn))
            assert abs(drawn.mean() - divergence) < 5 * error + 1e-9, (d, k)


def test_divergences_of_categories():
    theta = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])
    w = np.array([0.25, 0.75])
    found = Categories(column("categorical", np.arange(3)), w, theta).divergences()
    assert_allclose(found, rel_entr(theta, w @ theta).sum(axis=1), rtol=1e-12)


REALS = [
    ([0.5, 0.5], [0.0, 1.0], [1.0, 1.0]),
    ([0.3, 0.7], [5.0, 5.0], [10.0, 0.01]),
    ([0.2, 0.3, 0.5], [-3.0, 0.0, 4.0], [0.5, 2.0, 1.0]),
]


@pytest.mark.slow
@pytest.mark.parametrize("w, means, deviations", REALS)
def test_divergences_of_reals(w, means, deviations):
    """Against adaptive quadrature; that of the logarithms is the same."""
    args = np.array(w), np.array(means), np.array(deviations)
    found = Gaussian(column("gaussian"), *args).divergences()
    parts = [norm(m, s) for m, s in zip(means, deviations, strict=True)]
    expected = [kl(p, Mixed(w, parts), method="quadrature").divergence for p in parts]
    assert_allclose(found, expected, atol=1e-8)
    of_logs = Lognormal(column("lognormal"), *args)
    assert_allclose(of_logs.divergences(), found, atol=1e-8)
    x = np.array([0.3, 1.0, 7.0])
    densities = [
        lognorm(s, scale=np.exp(m)).logpdf(x)
        for m, s in zip(means, deviations, strict=True)
    ]
    assert_allclose(of_logs.log_prob(x), densities, rtol=1e-10)


COUNTS = [
    ([0.5, 0.5], [2.0, 9.0], [0.0, 0.0]),
    ([0.5, 0.5], [2.0, 2.0], [0.0, 5.0]),
    ([0.9, 0.1], [10.0, 40.0], [100.0, 0.1]),
    ([0.3, 0.7], [3000.0, 3500.0], [2.0, 0.5]),
]


@pytest.mark.parametrize("w, means, alphas", COUNTS)
def test_divergences_of_counts(w, means, alphas):
    x = np.arange(400_000)
    log_p = [
        nbinom(1 / a, 1 / (1 + a * m)).logpmf(x) if a else poisson(m).logpmf(x)
        for m, a in zip(means, alphas, strict=True)
    ]
    ratio = log_p - logsumexp(log_p, axis=0, b=np.array(w)[:, np.newaxis])
    expected = (np.exp(log_p) * ratio).sum(axis=1)
    args = np.array(w), np.array(means), np.array(alphas)
    found = Counts(column("poisson"), *args).divergences()
    assert_allclose(found, expected, rtol=1e-6)


def test_large_counts():
    """As Gaussians of the same moments, and as far apart as can be."""
    w, rates = np.array([0.5, 0.5]), np.array([1e8, 1e8 + 1e4])
    found = Counts(column("poisson"), w, rates, np.zeros(2)).divergences()
    expected = Gaussian(column("gaussian"), w, rates, np.sqrt(rates)).divergences()
    assert_allclose(found, expected, rtol=1e-3)
    rates = np.array([5.0, 1e9])
    found = Counts(column("poisson"), w, rates, np.zeros(2)).divergences()
    assert_allclose(found, np.log(2), rtol=1e-3)


# Words.


def test_words():
    assert [percent(p) for p in (0, 1e-5, 0.004, 0.25, 0.996, 0.9999, 1)] == [
        "0 %", "<0.1 %", "0.4 %", "25 %", "99.6 %", ">99.9 %", "100 %"
    ]  # fmt: skip
    assert rounded(28.26, 6.5) == "28.3"
    assert rounded(-0.001, 1.0) == "0.0"
    assert rounded(35_218, 1234) == "35,200"
    assert rounded(3e15, 1e14) == "3e+15"
    assert rounded(2.0, 0.0) == "2"
    assert shortened("gold") == "gold"
    long = shortened("a long name of category 12")
    assert len(long) <= 20
    assert long.endswith("12")
