"""Mixtures of mixed columns: densities, EM, and what they say of some cells."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate
from scipy.special import softmax
from sklearn.compose import make_column_selector

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    GaussianMixtureEM,
    MixtureEM,
    PoissonMixtureEM,
    elbo,
)

from .mixed import KINDS, PLANS, components, log_density, log_joint, make, people, run

SHAPES = ["full", "tied", "diag", "spherical"]
X = people(missing=0.15)
WHOLE = people()


@pytest.fixture(scope="module")
def fitted():
    return run(make(), X, 10)


def column(name, n_components=2):
    """A mixture for one column alone."""
    kind = KINDS[name]
    return run(make(n_components, components=[(kind, [name])]), WHOLE[[name]], 5)


# Densities ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["height", "spend"])
def test_a_real_density_integrates_to_one(name):
    est = column(name)
    low, high = (0.0, 400.0) if name == "height" else (1e-9, 2000.0)

    def density(x):
        return np.exp(est.score_samples(pd.DataFrame({name: [x]})))[0]

    total, _ = integrate.quad(density, low, high, limit=300, points=[10, 100, 170])
    assert_allclose(total, 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["member", "calls", "visits", "plan", "region"])
def test_discrete_probabilities_sum_to_one(name):
    est = column(name)
    levels = est.categories_.get(name, np.arange(2000))
    values = pd.DataFrame({name: levels})
    assert_allclose(np.exp(est.score_samples(values)).sum(), 1, rtol=1e-9)


def test_a_unit_moves_a_density_by_its_jacobian():
    """A score is a density in the column's own unit, as those of all models are."""
    options = [("gaussian", ["height"], {"reg_covar": 0}), ("lognormal", ["spend"])]
    columns = WHOLE[["height", "spend"]]
    est = run(make(2, components=options), columns, 5)
    other = run(make(2, components=options), columns * [100, 1e-3], 5)
    shift = np.log(100) + np.log(1e-3)
    scores = est.score_samples(columns) - other.score_samples(columns * [100, 1e-3])
    assert_allclose(scores, shift, atol=1e-6)


@pytest.mark.parametrize("table", [X, WHOLE], ids=["missing", "whole"])
def test_the_density_is_the_product_by_hand(table, fitted):
    assert_allclose(fitted.score_samples(table), log_density(fitted, table), rtol=1e-10)
    resp = softmax(log_joint(fitted, table), axis=1)
    assert_allclose(fitted.predict_proba(table), resp, atol=1e-9)


def test_f_is_the_score_and_the_elbo_at_the_posterior(fitted):
    assert_allclose(fitted.lower_bound_, fitted.score(X), rtol=1e-12)
    assert_allclose(elbo(fitted, X, fitted.predict_proba(X)), fitted.score(X))


def test_nothing_observed_says_nothing(fitted):
    nothing = X.head(2).mask(np.ones((2, len(KINDS)), dtype=bool))
    assert_array_equal(fitted.score_samples(nothing), [0, 0])
    assert_allclose(fitted.predict_proba(nothing)[0], fitted.weights_)


def test_whatever_marks_a_missing_cell():
    rows = [[np.nan, "a", 1.5], [None, None, np.nan], [pd.NA, "b", None]] * 10
    rows += [[True, "a", 2.5], [False, "b", 0.5]] * 10
    array = np.array(rows, dtype=object)
    plain = pd.DataFrame(rows)
    nullable = plain.convert_dtypes()
    scores = [MixtureEM(2, random_state=0).fit(t).score(t) for t in (array, plain)]
    assert_allclose(scores[0], scores[1])
    est = MixtureEM(2, random_state=0).fit(nullable)
    assert_allclose(est.score(nullable), scores[0])


# Parts are the mixtures of one kind ------------------------------------------------


def from_block(est):
    """The estimator of one kind with the params of a mixture of one block."""
    (block,) = est.components_
    w = est.weights_
    if block.kind == "gaussian":
        shape = est.components[0][2]["covariance_type"]
        return GaussianMixtureEM.from_parameters(
            w, block.means, block.covariances, covariance_type=shape
        )
    if block.kind == "categorical":
        return CategoricalMixtureEM.from_parameters(w, block.theta)
    if block.kind == "bernoulli":
        return BernoulliMixtureEM.from_parameters(w, block.theta, binarize=None)
    return PoissonMixtureEM.from_parameters(w, block.rates)


def numbers(table, kind):
    """Columns as the estimators of one kind take them."""
    if kind != "categorical":
        return table.to_numpy(dtype=float, na_value=np.nan)
    codes = [table["plan"].map({p: i for i, p in enumerate(PLANS)})]
    codes += [table["region"].astype(object).map({"n": 0, "s": 1})]
    return np.column_stack(codes).astype(float)


ONE_KIND = [("gaussian", shape) for shape in SHAPES]
ONE_KIND += [(kind, None) for kind in ("bernoulli", "poisson", "categorical")]


@pytest.mark.parametrize("kind, shape", ONE_KIND)
@pytest.mark.parametrize("table", [X, WHOLE], ids=["missing", "whole"])
def test_one_block_is_the_mixture_of_its_kind(kind, shape, table):
    entry = next(e for e in components(shape) if e[0] == kind)
    table = table[entry[1]]
    est = run(make(2, components=[entry]), table, 5)
    other, rows = from_block(est), numbers(table, kind)
    assert_allclose(est.score_samples(table), other.score_samples(rows), rtol=1e-8)
    assert_allclose(est.predict_proba(table), other.predict_proba(rows), atol=1e-8)
    assert_allclose(est.bic(table), other.bic(rows), rtol=1e-8)
    assert_allclose(est.icl(table), other.icl(rows), rtol=1e-8)


# The ridge of the one is added, and that of the other is a bound.
SINGLE = {
    "bernoulli": BernoulliMixtureEM(binarize=None, theta_prior=(1.1, 1.1)),
    "poisson": PoissonMixtureEM(rates_prior=(1.1, 0)),
    "categorical": CategoricalMixtureEM(theta_prior=1.1),
    "gaussian": GaussianMixtureEM(reg_covar=0),
}


@pytest.mark.parametrize(
    "kind, n_components", [*((kind, 1) for kind in SINGLE), ("gaussian", 2)]
)
def test_one_block_is_fitted_as_the_mixture_of_its_kind(kind, n_components):
    names = [name for name in KINDS if KINDS[name] == kind]
    options = {"reg_covar": 0} if kind == "gaussian" else {}
    est = make(n_components, components=[(kind, names, options)])
    other = SINGLE[kind].set_params(n_components=n_components, random_state=0)
    # Both climb to the optimum; starts look at one block in units of their own.
    precise = {"tol": 1e-12, "max_iter": 5000, "acceleration": "squarem"}
    est.set_params(**precise).fit(WHOLE[names])
    other.set_params(**precise).fit(numbers(WHOLE[names], kind))
    assert_allclose(est.lower_bound_, other.lower_bound_, rtol=1e-8)


def test_the_number_of_parameters(fitted):
    """Of weights, 2 normal, 1 lognormal, 1 binary, 3 of counts, 3 - 1 and 2 - 1."""
    n = 3 * (2 + 3 + 1 + 1 + 1 + 1 + 2 + 2 + 1) + 2
    deviance = -2 * len(X) * fitted.score(X)
    assert_allclose(fitted.aic(X), deviance + 2 * n)


# EM --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("shape", SHAPES)
def test_f_never_falls(shape, acceleration):
    est = make(components=components(shape), acceleration=acceleration)
    trace = run(est, X, 60).lower_bounds_
    assert len(trace) == 60
    assert np.diff(trace).min() > -1e-10


weights = st.sampled_from([None, "whole", "any"])
KIND_LISTS = st.lists(st.sampled_from(list(KINDS)), min_size=1, unique=True)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    names=KIND_LISTS,
    missing=st.sampled_from([0.0, 0.3]),
    weighted=weights,
    seed=st.integers(0, 999),
    flat=st.booleans(),
)
def test_any_kinds_missing_cells_and_weights(names, missing, weighted, seed, flat):
    table = people(60, seed, missing)[names].round({"height": 0, "weight": -1})
    rng = np.random.default_rng(seed)
    weight = None
    if weighted is not None:
        weight = (
            rng.integers(0, 3, len(table)) if weighted == "whole" else rng.random(60)
        )
        weight = np.maximum(weight.astype(float), np.arange(60) < 8)
    flat_priors = {"bernoulli": {"theta_prior": (1, 1)}, "poisson": {}}
    flat_priors["negative_binomial"] = {"means_prior": (1.5, 0.1)}
    chosen = components(**flat_priors) if flat else components()
    chosen = [(k, [n for n in ns if n in names], o) for k, ns, o in chosen]
    est = make(2, components=chosen, init_params="random")
    run(est, table, 8, sample_weight=weight)
    assert np.diff(est.lower_bounds_).min(initial=0) > -1e-10
    assert_allclose(est.score(table, sample_weight=weight), est.lower_bound_)
    assert_allclose(est.score_samples(table), log_density(est, table), atol=1e-9)
    if weighted == "whole":
        times = table.loc[table.index.repeat(weight.astype(int))]
        twice = run(make(2, components=chosen, init_params="random"), times, 8)
        assert_allclose(twice.lower_bound_, est.lower_bound_, rtol=1e-8)


def test_a_weight_counts_rows_in_every_choice():
    """Kinds, categories and the rounding among them."""
    rng = np.random.default_rng(3)
    table = people(40)
    weight = rng.integers(0, 4, 40).astype(float)
    weight[table["plan"] == "gold"] = 0
    weighted = run(MixtureEM(2, random_state=0), table, 5, sample_weight=weight)
    repeated = table.loc[table.index.repeat(weight.astype(int))]
    twice = run(MixtureEM(2, random_state=0), repeated, 5)
    assert weighted.columns_ == twice.columns_
    assert weighted.categories_["plan"].tolist() == ["basic", "free"]
    assert_allclose(weighted.lower_bound_, twice.lower_bound_, rtol=1e-10)


@pytest.mark.slow
def test_results_do_not_depend_on_threads_and_chunks():
    one = run(make(n_init=2), X, 5)
    for params in ({"n_jobs": 2}, {"n_jobs": 2, "n_init": 2, "batch_size": 37}):
        other = run(make(**({"n_init": 2} | params)), X, 5)
        assert_allclose(other.lower_bound_, one.lower_bound_, rtol=1e-9)
        assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_goes_on():
    far = {"init_params": "random"}  # from where three iterations do not suffice
    est = run(make(warm_start=True, **far), X, 3)
    before = est.lower_bound_
    est.fit(X)
    whole = run(make(**far), X, 6)
    assert_allclose(whole.lower_bound_, est.lower_bound_, rtol=1e-10)
    assert est.lower_bound_ > before


OTHER_BLOCKS = {
    "auto": "auto",
    "shape": components("diag"),
    "option": components(poisson={"rates_prior": (2, 1)}),
    "split": [("gaussian", ["height"]), ("gaussian", ["weight"]), *components()[1:]],
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", OTHER_BLOCKS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_warm_start_keeps_to_its_blocks(method, name):
    est = run(make(warm_start=True), X, 2)
    before = est.score(X)
    est.set_params(components=OTHER_BLOCKS[name])
    with pytest.raises(ValueError, match=r"^components=.* differs .*warm_start=False"):
        getattr(est, method)(X)
    assert est.score(X) == before
    est.set_params(warm_start=False).fit(X)


def test_blocks_that_change_in_place_are_noticed():
    blocks = components()
    est = run(make(warm_start=True, components=blocks), X, 2)
    blocks[0][2]["covariance_type"] = "diag"
    with pytest.raises(ValueError, match="components"):
        est.fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_takes_the_same_blocks_in_other_words():
    est = run(make(warm_start=True), X, 2)
    at = {name: j for j, name in enumerate(KINDS)}
    words = [(kind, [at[c] for c in names]) for kind, names, _ in components()]
    est.set_params(components=words, random_state=1, max_iter=3, tol=1e-2).fit(X)
    selector = make_column_selector(dtype_include=float)
    words = [("gaussian", selector), ("auto", slice(None))]
    est = run(make(warm_start=True, components=words), WHOLE, 2)
    run(pickle.loads(pickle.dumps(est)), WHOLE, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_keeps_to_its_columns():
    """Other dtypes and values would be other kinds: the fitted ones stay."""
    words = [("gaussian", make_column_selector(dtype_include=float))]
    words += [("auto", slice(None))]
    for blocks in ("auto", words):
        est = run(make(warm_start=True, components=blocks), WHOLE, 3)
        kinds, one = est.columns_, run(make(components=blocks), WHOLE, 6)
        now = WHOLE.astype({"member": "int64", "visits": "float", "plan": "category"})
        est.fit(now)
        assert est.columns_ == kinds
        assert_allclose(est.lower_bound_, one.lower_bound_, rtol=1e-10)
        with pytest.raises(ValueError, match="text values in the column 'visits'"):
            est.fit(WHOLE.astype({"visits": str}))


def test_partial_fit_learns_from_batches():
    table = people(3000)
    est = make(components=components(), random_state=0)
    for start in range(0, 3000, 500):
        est.partial_fit(table[start : start + 500])
    assert est.score(table) > make().fit(table).score(table) - 0.1
    assert len(est.lower_bounds_) == 6


# Some cells given others ------------------------------------------------------------


def test_the_chain_rule(fitted):
    for names in (["plan"], ["height", "calls"], list(KINDS)[:5], []):
        rest = [name for name in KINDS if name not in names]
        marginal = X.copy()
        marginal[rest] = pd.NA
        conditional = fitted.conditional_score_samples(X, given=names)
        total = conditional + fitted.score_samples(marginal)
        assert_allclose(total, fitted.score_samples(X), atol=1e-10)
    by_position = fitted.conditional_score_samples(X, given=[0, 4])
    by_slice = fitted.conditional_score_samples(X, given=slice("height", "weight"))
    for given_columns, result in (
        (["height", "calls"], by_position),
        (["height", "weight"], by_slice),
    ):
        expected = fitted.conditional_score_samples(X, given=given_columns)
        assert_array_equal(result, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plan", "region", "member"])
def test_missing_proba_is_bayes_by_hand(name, fitted):
    proba = fitted.predict_missing_proba(X, name)
    joint = []
    for level in fitted.categories_[name]:
        table = X.copy()
        table[name] = pd.array([level] * len(X), dtype=X[name].dtype)
        joint.append(log_density(fitted, table))
    assert_allclose(proba, softmax(np.transpose(joint), axis=1), atol=1e-10)
    position = list(KINDS).index(name)
    assert_array_equal(fitted.predict_missing_proba(X, np.int64(position)), proba)
