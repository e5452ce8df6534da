"""The EM loop, over every family: the bound, the starts, the sums, the restarts."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from .families import (
    FAMILIES,
    STARTS,
    assert_same,
    blobs,
    centres,
    encode,
    make,
    parameters,
    run,
)
from .reference import entropy, full_covariances

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


# F never falls.


@st.composite
def tables(draw, missing, weighted):
    """Rows on a coarse grid with ties, blurred so that no covariance is singular."""
    levels = draw(st.lists(st.integers(-9, 9), min_size=1, max_size=4, unique=True))
    shape = draw(st.integers(60, 120)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.choice(levels, size=shape) + rng.normal(scale=0.5, size=shape)
    if missing:
        hidden = rng.random(shape) < 0.3
        hidden[:8] = False
        X[hidden] = np.nan
    weight = rng.choice([0.0, 0.3, 1.0, 2.0], size=len(X)) if weighted else None
    return X, weight


@pytest.mark.slow
@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("missing", [False, True], ids=["complete", "missing"])
def test_the_bound_never_falls(family, missing, weighted, acceleration):
    @settings(max_examples=5, deadline=None, derandomize=True)
    @given(tables(missing, weighted), st.integers(1, 3), st.sampled_from(STARTS))
    def check(table, n_components, init_params):
        X, weight = encode(family, table[0]), table[1]
        est = make(
            family,
            n_components=n_components,
            init_params=init_params,
            acceleration=acceleration,
        )
        with warnings.catch_warnings():
            # A component may collapse; the trace then counts from its re-seeding.
            warnings.simplefilter("ignore", UserWarning)
            run(est, X, n_iter=30, sample_weight=weight)
        assert np.isfinite(est.lower_bounds_).all()
        assert np.diff(est.lower_bounds_).min(initial=0.0) >= -1e-9
        score = est.score(X, sample_weight=weight)
        assert_allclose(est.lower_bound_, score, rtol=1e-9, atol=1e-9)

    check()


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_trace_is_the_score_after_each_iteration(family, missing):
    """The trace is not only monotone: it is the bound of the model of that moment."""
    X = blobs(80, missing=missing, family=family)
    weight = np.random.default_rng(1).exponential(size=80)
    # A random start is far from the optimum, so that every iteration counts.
    params = {"n_components": 3, "init_params": "random"}
    whole = run(make(family, **params), X, 8, sample_weight=weight)
    assert np.ptp(whole.lower_bounds_) > 1e-5
    for t in range(1, 9):
        est = run(make(family, **params), X, t, sample_weight=weight)
        assert est.n_iter_ == t
        bound = whole.lower_bounds_[t - 1]
        assert_allclose(est.lower_bounds_, whole.lower_bounds_[:t], rtol=1e-12)
        assert_allclose(est.score(X, sample_weight=weight), bound, rtol=1e-10)
        assert est.lower_bound_ == est.lower_bounds_[-1]


@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_lower_bound_is_the_score_of_the_training_data(family, missing, acceleration):
    X = blobs(100, missing=missing, family=family)
    est = make(family, n_components=3, acceleration=acceleration).fit(X)
    assert_allclose(est.lower_bound_, est.score(X), rtol=1e-10)
    assert_allclose(est.lower_bounds_[-1], est.lower_bound_, rtol=1e-10)


def test_squarem_reaches_the_same_optimum_in_fewer_iterations(family):
    """Overlapping components make plain EM slow: its rate is the missing information.

    Two components 1.6 standard deviations apart take a hundred iterations or so;
    extrapolation takes a few dozen, less than half is asked.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4)) + np.where(rng.random((400, 1)) < 0.5, 0.4, -0.4)
    X = encode(family, X)
    start = {
        "bernoulli": {"theta_init": [[0.3] * 4, [0.6] * 4]},
        "categorical": {"theta_init": [[[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]] * 4},
        "poisson": {"rates_init": [[2.0] * 4, [3.0] * 4]},
    }.get(family, {"means_init": [[-0.3] * 4, [0.3] * 4]})
    if family == "poisson":  # the encoded rows vary less than counts
        X = rng.poisson(np.where(rng.random((400, 1)) < 0.5, 2.0, 3.0), size=(400, 4))
    common = {"n_components": 2, "tol": 1e-9, "max_iter": 10_000, **start}
    plain = make(family, **common).fit(X)
    fast = make(family, acceleration="squarem", **common).fit(X)
    assert plain.converged_
    assert fast.converged_
    assert fast.n_iter_ < plain.n_iter_ / 2
    assert fast.lower_bound_ > plain.lower_bound_ - 1e-7


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seed", [18, 119])
def test_squarem_falls_back_where_a_jump_leads_nowhere(family, seed):
    """Few rows with gaps and no ridge: some jumps end at a singular covariance."""
    X = blobs(40, seed, n_features=1, missing=0.3, spread=0.5, family=family)
    est = make(
        family,
        n_components=3,
        init_params="random_from_data",
        acceleration="squarem",
    )
    run(est, X, 40)
    assert np.diff(est.lower_bounds_).min(initial=0.0) >= -1e-9
    assert_allclose(est.lower_bound_, est.score(X), rtol=1e-9)


# The fit depends on the weighted set of rows, not on how it is stored or summed up.


def equivalence_cases():
    for family in FAMILIES:
        for n_components in (1, 2, 3, 4, 5):
            if family not in ("bernoulli", "full") and n_components != 3:
                continue
            for init_params in STARTS:
                yield family, n_components, init_params


@pytest.fixture(scope="module")
def weighted_rows():
    # Rows enough that none of five components collapses: where one does depends on
    # the last digits of a singular covariance, and they on the order of summation.
    rng = np.random.default_rng(5)
    X = blobs(300, spread=1.5)
    return X, rng.choice([0, 0, 1, 1, 2, 3], size=len(X)), rng.permutation(len(X))


def variants(X, weight, order):
    """(name, parameters, rows, weights) that all describe the same problem."""
    seen = weight > 0
    yield "repeated", {}, np.repeat(X, weight, axis=0), None
    yield "absent", {}, X[seen], weight[seen]
    yield "permuted", {}, X[order], weight[order]
    yield "chunked", {"batch_size": 7}, X, weight
    yield "threads", {"batch_size": 16, "n_jobs": 2}, X, weight
    yield "one thread", {"batch_size": 16, "n_jobs": 1}, X, weight
    yield "column-major", {}, np.asfortranarray(X), weight.astype(float)


@pytest.mark.slow
@pytest.mark.parametrize("family, n_components, init_params", list(equivalence_cases()))
def test_equal_problems_have_equal_fits(
    family, n_components, init_params, weighted_rows
):
    X, weight, order = weighted_rows
    X = encode(family, X)
    common = {"n_components": n_components, "init_params": init_params}
    base = run(make(family, **common), X, sample_weight=weight)
    assert base.n_iter_ == 20
    for name, params, rows, row_weight in variants(X, weight, order):
        est = run(make(family, **common, **params), rows, sample_weight=row_weight)
        assert_same(est, base)
        assert_allclose(est.lower_bounds_, base.lower_bounds_, rtol=1e-8, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_equal_problems_have_equal_fits_with_missing_values(family, acceleration):
    X = blobs(150, n_features=5, missing=0.25, family=family)
    rng = np.random.default_rng(6)
    weight, order = rng.choice([0, 1, 2], size=150), rng.permutation(150)
    common = {"n_components": 3, "acceleration": acceleration}
    base = run(make(family, **common), X, sample_weight=weight)
    for _, params, rows, row_weight in variants(X, weight, order):
        est = run(make(family, **common, **params), rows, sample_weight=row_weight)
        assert_same(est, base)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bernoulli", "categorical", "poisson", "full"])
def test_equal_problems_have_equal_fits_on_many_rows(family):
    """Enough rows that a start may look at a sample of them only."""
    X = blobs(20_000, n_features=2, family=family)
    rng = np.random.default_rng(7)
    weight, order = rng.choice([0, 1, 2], size=len(X)), rng.permutation(len(X))
    base = run(make(family, n_components=3), X, sample_weight=weight)
    for _, params, rows, row_weight in variants(X, weight, order):
        if "batch_size" in params:
            params = params | {"batch_size": 3001}
        est = run(
            make(family, n_components=3, **params), rows, sample_weight=row_weight
        )
        assert_same(est, base)


def test_rescaled_weights_leave_the_score_alone(family):
    """F is a weighted mean: the unit of the weights drops out."""
    X = blobs(100, family=family)
    weight = np.random.default_rng(8).exponential(size=100)
    est = make(family, n_components=2).fit(X, sample_weight=weight)
    one = est.score(X, sample_weight=weight)
    assert_allclose(est.score(X, sample_weight=1e3 * weight), one, rtol=1e-12)


def test_a_weight_of_zero_silences_even_an_unlikely_row(family):
    X = blobs(60, family=family)
    est = make(family, n_components=2).fit(X)
    far = np.vstack([X, np.full((1, 3), 2 if family == "categorical" else 1e150)])
    weight = np.append(np.ones(60), 0.0)
    assert_allclose(est.score(far, sample_weight=weight), est.score(X), rtol=1e-10)


def test_rows_without_a_value_change_nothing(family):
    """They are certain, log p = 0: the same optimum, only reached more slowly."""
    X = blobs(100, missing=0.2, family=family)
    more = np.vstack([X, np.full((30, 3), np.nan)])
    one = make(family, tol=1e-14, max_iter=5000).fit(X)
    two = make(family, tol=1e-14, max_iter=5000).fit(more)
    assert_same(two, one, tol=1e-5)
    assert_allclose(two.lower_bound_ * 130, one.lower_bound_ * 100, rtol=1e-9)


# Starts and restarts.


def test_every_start_is_a_different_one(family):
    """No option is silently ignored: each leads elsewhere after one iteration."""
    # Overlapping blobs and more components than blobs: several optima to end in.
    X = blobs(300, n_features=8, spread=2.0, family=family)
    fits = [run(make(family, n_components=6, init_params=s), X, 1) for s in STARTS]
    for i, one in enumerate(fits):
        for other in fits[:i]:
            assert abs(one.lower_bound_ - other.lower_bound_) > 1e-9


@pytest.mark.slow
def test_the_start_depends_on_random_state(family):
    X = blobs(300, n_features=8, spread=2.0, family=family)
    bounds = [
        run(make(family, n_components=6, random_state=seed), X, 1).lower_bound_
        for seed in range(5)
    ]
    assert len(np.unique(np.round(bounds, 9))) > 1


def test_given_starts_are_used_and_not_changed(family):
    X = blobs(60, family=family)
    table = np.array([[0.9, 0.8, 0.2], [0.2, 0.9, 0.7], [0.8, 0.1, 0.6]])
    name, value = {
        "bernoulli": ("theta_init", table),
        "categorical": ("theta_init", [table / table.sum(axis=1, keepdims=True)] * 3),
        "poisson": ("rates_init", 9 * table),
    }.get(family, ("means_init", X[:3].copy()))
    weights = np.array([0.2, 0.3, 0.5])
    for array in (X, weights, *value):
        array.flags.writeable = False
    start = {"weights_init": weights, name: value}
    one = run(make(family, n_components=3, random_state=0, **start), X, 5)
    backwards = [t[::-1] for t in value] if family == "categorical" else value[::-1]
    permuted = {"weights_init": weights[::-1], name: backwards}
    two = run(make(family, n_components=3, random_state=1, **permuted), X, 5)
    # Components come out in the order of the start, whatever the seed.
    assert_allclose(one.weights_, two.weights_[::-1], rtol=1e-8)
    assert_allclose(one.lower_bounds_, two.lower_bounds_, rtol=1e-8)


@pytest.mark.slow
def test_attempts_hold_the_final_bound_of_each_restart(family):
    X = blobs(300, spread=0.7, family=family)
    common = {
        "n_components": 4,
        "n_init": 6,
        "init_params": "random_from_data",
        "tol": 1e-7,
        "max_iter": 1000,
    }
    est = make(family, **common).fit(X)
    assert np.shape(est.attempts_) == (6,)
    assert est.lower_bound_ == np.max(est.attempts_)
    # Even where all end in one optimum, they stop at different distances from it.
    assert len(np.unique(est.attempts_)) > 1
    parallel = make(family, n_jobs=2, **common).fit(X)
    assert_allclose(parallel.attempts_, est.attempts_, rtol=1e-8)
    assert_same(parallel, est)


def test_more_restarts_never_end_lower(family):
    X = blobs(300, spread=0.7, family=family)
    common = {"n_components": 4, "init_params": "random_from_data"}
    one = make(family, **common).fit(X)
    best = make(family, n_init=8, **common).fit(X)
    assert best.lower_bound_ >= np.median(best.attempts_)
    assert best.lower_bound_ >= one.lower_bound_ - 1e-3


def test_converged_speaks_of_the_returned_restart():
    """Restarts from random responsibilities differ much in length.

    So for many a max_iter some of the six have finished and the best has not.
    """
    X = blobs(120, spread=0.5)
    common = {"n_components": 4, "n_init": 6, "init_params": "random", "tol": 1e-3}
    verdicts = set()
    for max_iter in range(3, 60, 3):
        est = make("spherical", max_iter=max_iter, **common).fit(X)
        finished = abs(np.diff(est.lower_bounds_)[-1]) < 1e-3
        assert est.converged_ == finished
        verdicts.add(bool(finished))
    assert verdicts == {False, True}


def test_warm_start_continues_where_the_last_fit_stopped(family):
    X = blobs(100, spread=0.7, family=family)
    whole = run(make(family, n_components=3), X, 10)
    warm = run(make(family, n_components=3, warm_start=True), X, 4)
    assert_same(run(warm, X, 6), whole)
    cold = run(make(family, n_components=3), X, 4)
    assert_same(run(cold, X, 4), run(make(family, n_components=3), X, 4))


# Components that die.


def test_an_empty_component_is_reseeded_with_a_warning(family):
    """One component starts where there is no row at all: exp underflows to zero."""
    X = blobs(100, family=family)
    if family == "bernoulli":
        X = np.column_stack([X, np.ones(100)])
        start = {"theta_init": [[0.6] * 4, [0.4] * 4, [0.5, 0.5, 0.5, 0.0]]}
    elif family == "categorical":
        X = np.column_stack([X, np.ones(100)])
        uneven = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.3, 0.3, 0.4]])
        start = {"theta_init": [uneven] * 3 + [np.array([[0, 1, 0]] * 2 + [[1, 0, 0]])]}
    elif family == "poisson":
        start = {"rates_init": [X[0] + 1, X[1] + 1, np.full(3, 1e6)]}
    else:
        start = {"means_init": [X[0], X[1], np.full(3, 1e6)]}
    est = make(family, n_components=3, max_iter=500, **start)
    with pytest.warns(UserWarning, match="component"):
        est.fit(X)
    assert np.isfinite(est.lower_bound_)
    assert est.weights_.min() > 1e-6
    assert len(est.lower_bounds_) == est.n_iter_
    assert np.diff(est.lower_bounds_).min() >= -1e-9
    assert_allclose(est.score(X), est.lower_bound_, rtol=1e-10)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_collapsed_component_is_reseeded_with_a_warning(kind):
    """One component starts on one row alone: its variance and 1 / F go to zero."""
    X = blobs(100)
    wide, narrow = np.eye(3), 1e10 * np.eye(3)
    precisions = {
        "full": [wide, narrow],
        "diag": [np.diag(wide), np.diag(narrow)],
        "spherical": [1.0, 1e10],
    }[kind]
    est = make(
        kind, n_components=2, means_init=[X[0], X[1]], precisions_init=precisions
    )
    with pytest.warns(UserWarning, match="component"):
        est.fit(X)
    assert np.isfinite(est.lower_bound_)
    assert est.covariances_.shape[0] == 2
    assert np.linalg.eigvalsh(full_covariances(est)).min() > 1e-3


def test_a_collapse_does_not_abort_the_other_restarts():
    """Ten copies of one row attract components; some restarts end there, not all."""
    X = np.vstack([blobs(60), np.zeros((10, 3))])
    est = make("full", n_components=3, n_init=10, init_params="random_from_data")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        est.fit(X)
    assert np.shape(est.attempts_) == (10,)
    assert np.isfinite(est.lower_bound_)
    assert est.lower_bound_ == np.max(est.attempts_)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_data_without_spread_and_without_ridge_are_an_error(kind):
    est = make(kind, n_components=2)
    before = dict(vars(est))
    with pytest.raises(ValueError, match="reg_covar"):
        est.fit(np.ones((20, 2)))
    assert vars(est) == before


# What hangs on the posterior.


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_posterior_and_what_is_read_off_it(family, missing):
    X = blobs(80, missing=missing, spread=1.0, family=family)
    est = make(family, n_components=3).fit(X)
    resp = est.predict_proba(X)
    assert resp.shape == (80, 3)
    assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-12)
    assert_array_equal(est.transform(X), resp)
    assert_array_equal(est.predict(X), resp.argmax(axis=1))
    if family != "categorical":  # codes have no mean
        expected = resp @ centres(est)
        assert_allclose(est.inverse_transform(resp), expected, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_fit_predict_is_fit_then_predict(family, weighted):
    X = blobs(80, family=family)
    weight = np.arange(80) % 3 if weighted else None
    labels = make(family, n_components=3).fit_predict(X, sample_weight=weight)
    est = make(family, n_components=3).fit(X, sample_weight=weight)
    assert_array_equal(labels, est.predict(X))
    assert len(np.unique(labels)) == 3


@pytest.mark.parametrize("weights", ["free", "uniform"])
def test_information_criteria(family, weights):
    """-2 log L + penalty, with n the sum of whole-number weights."""
    X = blobs(80, spread=1.0, family=family)
    est = make(family, n_components=3, weights=weights).fit(X)
    K, D = 3, 3
    n_parameters = {
        "bernoulli": K * D,
        "categorical": K * D * (3 - 1),
        "poisson": K * D,
        "full": K * D + K * D * (D + 1) // 2,
        "tied": K * D + D * (D + 1) // 2,
        "diag": K * D + K * D,
        "spherical": K * D + K,
    }[family] + (K - 1 if weights == "free" else 0)
    for weight in (np.ones(80), np.arange(80.0) % 4):
        n = weight.sum()
        deviance = -2 * weight @ est.score_samples(X)
        bic = deviance + n_parameters * np.log(n)
        icl = bic + 2 * weight @ entropy(est.predict_proba(X))
        assert_allclose(est.bic(X, sample_weight=weight), bic, rtol=1e-10)
        assert_allclose(
            est.aic(X, sample_weight=weight), deviance + 2 * n_parameters, rtol=1e-10
        )
        assert_allclose(est.icl(X, sample_weight=weight), icl, rtol=1e-10)
    assert_allclose(est.bic(X), est.bic(X, sample_weight=np.ones(80)), rtol=1e-12)


@pytest.mark.parametrize("kind", ["importance", "sum to one", "below one"])
def test_criteria_under_weights_that_count_no_rows(family, kind):
    """n is Kish's effective sample size, (sum w)^2 / sum w^2, whatever their unit."""
    X = blobs(80, spread=1.0, family=family)
    weight = np.random.default_rng(3).exponential(size=80)
    weight = {
        "importance": 10 * weight,
        "sum to one": weight / weight.sum(),
        "below one": np.where(weight > 1, 0.5, 0.25),
    }[kind]
    est = make(family, n_components=2).fit(X, sample_weight=weight)
    n = weight.sum() ** 2 / (weight**2).sum()
    deviance = -2 * n * est.score(X, sample_weight=weight)
    n_parameters = (est.bic(X) - est.aic(X)) / (np.log(80) - 2)
    mean_entropy = np.average(entropy(est.predict_proba(X)), weights=weight)
    aic = deviance + 2 * n_parameters
    bic = deviance + n_parameters * np.log(n)
    assert_allclose(est.aic(X, sample_weight=weight), aic, rtol=1e-9)
    assert_allclose(est.bic(X, sample_weight=weight), bic, rtol=1e-9)
    icl = bic + 2 * n * mean_entropy
    assert_allclose(est.icl(X, sample_weight=weight), icl, rtol=1e-9)


def test_criteria_do_not_mind_the_unit_of_equal_weights(family):
    """Weights of 1/n sum to one, and log(1) would take the whole penalty away."""
    X = blobs(80, spread=1.0, family=family)
    est = make(family, n_components=2).fit(X)
    equal = np.full(80, 1 / 80)
    for criterion in (est.aic, est.bic, est.icl):
        assert_allclose(criterion(X, sample_weight=equal), criterion(X), rtol=1e-9)


def test_held_out_score_finds_the_number_of_components(family):
    train, test = blobs(400, family=family), blobs(2000, seed=1, family=family)
    scores = [
        make(family, n_components=k, n_init=3).fit(train).score(test) for k in (1, 2, 3)
    ]
    # Three clusters four standard deviations apart: each one found is worth tenths
    # of a nat, against a standard error of about 1 / sqrt(2000).
    assert np.diff(scores).min() > 0.02


def test_uniform_weights(family):
    X = blobs(100, spread=1.0, family=family)
    est = make(family, n_components=3, weights="uniform").fit(X)
    assert_array_equal(est.weights_, np.full(3, 1 / 3))
    free = make(family, n_components=3).fit(X)
    assert np.ptp(free.weights_) > 1e-3
    # One constraint less (the fits may differ by a last step below tol = 1e-3).
    assert free.lower_bound_ > est.lower_bound_ - 1e-3


# Data that do not fit in memory, data that arrive in pieces.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_memory_map_gives_the_result_of_the_array(family, dtype, tmp_path):
    X = blobs(500, family=family).astype(dtype)
    path = tmp_path / "rows.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    one = make(family, n_components=3, batch_size=64).fit(mapped)
    two = make(family, n_components=3, batch_size=64).fit(X)
    assert one.lower_bound_ == two.lower_bound_
    assert_same(one, two, tol=0)


@pytest.mark.slow
def test_a_memory_map_is_not_copied(family, tmp_path):
    """Peak allocation stays under three quarters of the data.

    A copy, or float64 responsibilities for all rows, would be all of it.
    """
    n_samples, n_features = 200_000, 32
    path = tmp_path / "rows.npy"
    mapped = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(n_samples, n_features)
    )
    rng = np.random.default_rng(0)
    for rows in np.array_split(np.arange(n_samples), 20):
        values = rng.standard_normal((len(rows), n_features), dtype=np.float32)
        mapped[rows] = encode(family, values)
    mapped.flush()
    mapped = np.load(path, mmap_mode="r")
    small_steps = {"batch_size": 512, "n_jobs": 1, "init_params": "random_from_data"}
    est = make(family, n_components=16, **small_steps)
    tracemalloc.start()
    try:
        run(est, mapped, 2)
        est.score(mapped)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.75 * mapped.nbytes


def batches(X, size, seed):
    order = np.random.default_rng(seed).permutation(len(X))
    return [X[rows] for rows in np.array_split(order, len(X) // size)]


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_partial_fit_approaches_the_fit(family, missing):
    """Stepwise EM after T batches has averaged over about T^0.7 of them.

    With p parameters the loss against the best model is p / (2 * effective rows):
    T = 120 batches of 100 rows are worth about 2,800, p < 30, so about 0.005 nats;
    four times that is allowed.
    """
    X = blobs(4000, missing=missing, family=family)
    test = blobs(2000, seed=1, missing=missing, family=family)
    target = make(family, n_components=3, n_init=3).fit(X).score(test)
    est = make(family, n_components=3)
    passes = [batch for seed in range(3) for batch in batches(X, 100, seed)]
    est.partial_fit(passes[0])
    early = est.score(test)
    for batch in passes[1:]:
        assert est.partial_fit(batch) is est
    assert est.score(test) > target - 0.02
    assert est.score(test) > early


def test_partial_fit_counts_weights_as_repetitions(family):
    X = blobs(90, spread=1.0, family=family)
    weight = np.arange(90) % 3
    one, two = make(family, n_components=2), make(family, n_components=2)
    for rows in np.array_split(np.arange(90), 3):
        one.partial_fit(X[rows], sample_weight=weight[rows])
        two.partial_fit(np.repeat(X[rows], weight[rows], axis=0))
    assert_same(one, two)


def test_partial_fit_after_fit_remembers_the_fit(family):
    """A batch from one cluster alone does not erase the other two."""
    X = blobs(1500, family=family)
    est = make(family, n_components=3, n_init=3).fit(X)
    fitted = centres(est).copy()
    labels = est.predict(X)
    before = parameters(est)["weights_"].copy()
    est.partial_fit(X[labels == 0][:200])
    # 200 rows of noise 1 move a mean by about 0.07, one of counts by twice that; a
    # probability by about 0.03.
    atol = {"bernoulli": 0.1, "categorical": 0.1, "poisson": 0.6}.get(family, 0.3)
    assert_allclose(centres(est), fitted, atol=atol)
    assert est.weights_[0] > before[0]
    assert est.weights_[1:].min() > 0.01


def test_learning_decay_sets_how_fast_the_past_is_forgotten(family):
    """Twenty batches from one source, then twenty from another.

    With steps 1/t all forty count alike and the mean ends half way; with steps
    t^-0.51 the first twenty keep a share of exp(-sum_21..40 t^-0.51) = 0.03.
    """
    rng = np.random.default_rng(0)

    def final_mean(learning_decay):
        est = make(family, n_components=1, learning_decay=learning_decay)
        for t in range(40):
            high = rng.random((200, 2)) < (0.1 if t < 20 else 0.9)
            rows = np.where(high, 1.0, -1.0) + 0.1 * rng.normal(size=(200, 2))
            if family in ("categorical", "poisson"):
                rows = high.astype(float)
            est.partial_fit(rows)
        if family == "categorical":
            return np.mean([item[:, 1] for item in est.theta_])
        if family in ("bernoulli", "poisson"):
            return centres(est).mean()
        return (est.means_.mean() + 1) / 2

    assert 0.4 < final_mean(1.0) < 0.65
    assert final_mean(0.51) > 0.85
