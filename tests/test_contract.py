"""The contract of every estimator, clause by clause, over the registry."""

import copy
import pickle
import random
import re
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import (
    estimator_checks_generator,
    parametrize_with_checks,
)
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_info, threadpool_limits

from sklvm import JointDensityClassifier, LabelMapCodec

from .gates import short_gates
from .registry import REGISTRY, WRAPPERS

pytestmark = pytest.mark.usefixtures("few_starts")
_short_gates = pytest.fixture(short_gates, scope="module", autouse=True)


@pytest.fixture(params=REGISTRY, ids=lambda entry: entry.estimator.__name__)
def entry(request):
    return request.param


def take(data, rows):
    return tuple(array[rows] for array in data)


def entries_and_states():
    """Every estimator with each kind of random_state, and each of n_jobs."""
    for entry in REGISTRY:
        cases = [{"random_state": 0}, {"random_state": None}]
        if "n_jobs" in entry.make().get_params():
            cases += [{"n_jobs": 1}, {"n_jobs": 2}]
        for params in cases:
            yield pytest.param(entry, params, id=f"{entry.estimator.__name__}-{params}")


def draw(entry, est, data, n_samples):
    if entry.samples_given_rows:
        return est.sample(data[0][:n_samples])
    return est.sample(n_samples)


def checks_expected_to_fail(estimator):
    if isinstance(estimator, JointDensityClassifier):
        reason = "has the classes -1 and 1, but -1 marks unlabelled rows here"
        return {"check_classifiers_classes": reason}
    if isinstance(estimator, LabelMapCodec) and sklearn.__version__.startswith("1.6."):
        reason = "takes a mean off whole numbers, which NumPy does not do in place"
        return {"check_positive_only_tag_during_fit": reason}
    return {}


@parametrize_with_checks(
    [entry.estimator(**entry.short) for entry in REGISTRY] + WRAPPERS,
    expected_failed_checks=checks_expected_to_fail,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# What a fit of other parameters may change: how rows are answered, and how few of them
# there may be. Names, tags, refusals and what a constructor does are the same code, and
# with default parameters the test above runs all checks.
CHECKS_OF_FITS = {
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_estimators_dtypes",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_readonly_memmap_input",
    "check_sample_weight_equivalence_on_dense_data",
    "check_transformer_general",
    "check_transformer_preserve_dtypes",
}


def checks_of_variants():
    for entry in REGISTRY:
        for params in entry.variants:
            estimator = entry.estimator(**(entry.short | params))
            # Each once, where scikit-learn has it again for another container.
            checks = {
                check.func.__name__: (est, check)
                for est, check in estimator_checks_generator(estimator)
            }
            for name in sorted(CHECKS_OF_FITS & checks.keys()):
                yield pytest.param(*checks[name], id=f"{estimator}-{name}")


def test_checks_of_fits_are_known_to_scikit_learn():
    checks = estimator_checks_generator(REGISTRY[0].estimator())
    names = {check.func.__name__ for _, check in checks}
    assert names >= CHECKS_OF_FITS


@pytest.mark.slow
@pytest.mark.parametrize("estimator, check", list(checks_of_variants()))
def test_scikit_learn_checks_of_variants(estimator, check):
    check(estimator)


# Units: the score is a mean of nats per row.


@pytest.mark.slow
def test_score_is_the_mean_of_score_samples(entry):
    est, _ = entry.fitted()
    held_out = entry.make_data(1, 60)
    rows = est.score_samples(*held_out)
    assert rows.shape == (60,)
    assert np.ptp(rows) > 0.1
    score = est.score(*held_out)
    assert isinstance(score, float)
    np.testing.assert_allclose(score, np.mean(rows), **entry.rounding)


@pytest.mark.slow
def test_score_is_weighted_by_sample_weight(entry):
    est, _ = entry.fitted()
    held_out = entry.make_data(1, 60)
    weight = np.random.default_rng(2).exponential(size=60)
    weight[:10] = 0
    expected = np.average(est.score_samples(*held_out), weights=weight)
    score = est.score(*held_out, sample_weight=weight)
    np.testing.assert_allclose(score, expected, **entry.rounding)
    assert abs(score - est.score(*held_out)) > 1e-3


# Determinism: a row's value belongs to the row, a fit's to its random_state.


@pytest.mark.slow
@pytest.mark.parametrize("method", ["score_samples", "transform"])
def test_a_row_does_not_see_its_neighbours(entry, method):
    est, _ = entry.fitted()
    data = entry.make_data(1, 40)
    value = getattr(est, method)(*data)
    order = np.random.default_rng(3).permutation(40)
    permuted = getattr(est, method)(*take(data, order))
    np.testing.assert_allclose(permuted, value[order], **entry.rounding)
    alone = [getattr(est, method)(*take(data, [i]))[0] for i in range(0, 40, 4)]
    np.testing.assert_allclose(alone, value[::4], **entry.rounding)
    again = getattr(est, method)(*data)
    np.testing.assert_array_equal(again, value)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["score_samples", "transform"])
def test_a_row_does_not_see_the_batch_size(entry, method):
    est, _ = entry.fitted()
    data = entry.make_data(1, 40)
    value = getattr(est, method)(*data)
    other = copy.deepcopy(est).set_params(batch_size=7)
    np.testing.assert_allclose(getattr(other, method)(*data), value, **entry.rounding)


@pytest.mark.slow
def test_the_same_random_state_gives_identical_numbers(entry):
    first, data = entry.fit_anew()
    second, _ = entry.fit_anew()
    held_out = entry.make_data(1, 60)
    assert first.lower_bound_ == second.lower_bound_
    for method in ("score_samples", "transform"):
        np.testing.assert_array_equal(
            getattr(first, method)(*held_out), getattr(second, method)(*held_out)
        )
    for one, two in zip(
        draw(entry, first, data, 20), draw(entry, second, data, 20), strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_sample_returns_observations_and_latents(entry):
    est, data = entry.fitted()
    observed, latent = draw(entry, est, data, 20)
    assert observed.shape == data[-1][:20].shape
    assert len(latent) == 20
    # Twenty draws of a continuous or a many-valued observation are not all equal.
    assert len(np.unique(observed, axis=0)) > 1


def global_state():
    """Whatever a careless library leaves changed, in a form that compares by ==."""
    numpy_state = np.random.get_state()  # noqa: NPY002 (the global one is the point)
    state = {
        "random": random.getstate(),
        "numpy": (numpy_state[1].tobytes(), numpy_state[2:]),
        "floating-point errors": np.geterr(),
        "warnings": list(warnings.filters),
        "sklearn": sklearn.get_config(),
        "threads": {lib["filepath"]: lib["num_threads"] for lib in threadpool_info()},
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = (
            torch.get_rng_state().numpy().tobytes(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.distributions.Distribution._validate_args,
        )
    return state


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("entry, params", entries_and_states())
def test_no_global_state_is_touched(entry, params):
    data = entry.rows(100)
    # Threads that outnumber the cores are slow.
    few = {"max_epochs": 2} if "max_epochs" in entry.quick else {}
    est = entry.make(**params, **few)
    broken = (np.full(data[0].shape, np.inf), *data[1:])
    # At its first use torch sets the threads of OpenMP to those of MKL, which are no
    # more than there are cores, and imports sympy, which filters warnings.
    entry.fitted()
    global_state()
    # Three threads: a number that no library chooses by itself on most machines.
    with threadpool_limits(limits=3):
        before = global_state()
        est.fit(*data)
        est.score(*data)
        est.transform(*data)
        draw(entry, est, data, 5)
        with pytest.raises(ValueError):
            est.fit(*broken)
        after = global_state()
    # Libraries loaded on the way are new keys, not changes.
    after["threads"] = {lib: after["threads"].get(lib) for lib in before["threads"]}
    for key in before:
        assert after[key] == before[key], f"{key} was changed"


@pytest.mark.parametrize("method", ["fit", "fit_predict", "partial_fit"])
def test_a_weight_that_is_not_taken_is_refused_by_name(entry, method):
    est = entry.make()
    if not hasattr(est, method) or has_fit_parameter(est, "sample_weight"):
        pytest.skip("there is no such method, or it takes weights")
    data = entry.rows(100)
    name = rf"{entry.estimator.__name__}\.{method}\(\)"
    with pytest.raises(TypeError, match=f"^{name} got .*'sample_weight'"):
        getattr(est, method)(*data, sample_weight=np.ones(len(data[0])))


def test_constructor_parameters_stay_untouched(entry):
    est = entry.make()
    before = est.get_params(deep=False)
    est.fit(*entry.rows(100))
    after = est.get_params(deep=False)
    assert before.keys() == after.keys()
    assert all(after[name] is before[name] for name in before)


# Floating point, names, containers.


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_keep_their_width(entry, dtype):
    data = tuple(array.astype(dtype) for array in entry.rows())
    est = entry.make().fit(*data)
    width = dtype if entry.keeps_float64 else np.float32
    width = np.int32 if entry.integers else width
    latent = est.transform(*data)
    assert latent.dtype == (np.float64 if entry.codes_in_float64 else width)
    if hasattr(est, "inverse_transform"):
        # Labels are given back as they came.
        expected = dtype if entry.integers else width
        assert est.inverse_transform(latent).dtype == expected
    assert isinstance(est.score(*data), float)


@pytest.mark.slow
def test_float32_and_float64_agree(entry):
    est64, data = entry.fitted()
    data32 = tuple(array.astype(np.float32) for array in data)
    est32 = entry.make().fit(*data32)
    # Well-separated clusters: both precisions climb to the same optimum, and the
    # stop rule may end one of them an iteration (< tol = 1e-3 nats) earlier.
    assert abs(est32.score(*data32) - est64.score(*data)) < 5e-3


def test_feature_names_out_and_pandas_output(entry):
    data = entry.rows(100)
    frame = pd.DataFrame(
        data[0],
        columns=[f"x{d}" for d in range(data[0].shape[1])],
        index=np.arange(len(data[0]))[::-1],
    )
    est = entry.make().set_output(transform="pandas").fit(frame, *data[1:])
    assert list(est.feature_names_in_) == list(frame.columns)
    out = est.transform(frame, *data[1:])
    assert isinstance(out, pd.DataFrame)
    assert list(out.columns) == list(est.get_feature_names_out())
    assert len(set(out.columns)) == out.shape[1]
    assert out.index.equals(frame.index)
    plain = est.set_output(transform="default").transform(frame, *data[1:])
    np.testing.assert_array_equal(plain, out.to_numpy())


def test_clone_forgets_the_fit(entry):
    est, data = entry.fitted()
    other = clone(est)
    assert other.get_params() == est.get_params()
    with pytest.raises(NotFittedError):
        other.score(*data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda est: pickle.loads(pickle.dumps(est))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_carry_the_fit(entry, duplicate):
    est, data = entry.fitted()
    other = duplicate(est)
    for method in ("score_samples", "transform"):
        np.testing.assert_array_equal(
            getattr(other, method)(*data), getattr(est, method)(*data)
        )


@pytest.mark.slow
def test_verbose_zero_prints_nothing(entry, capfd):
    est, data = entry.fit_anew(verbose=0)
    est.score(*data)
    est.transform(*data)
    draw(entry, est, data, 5)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""


def test_verbose_one_shows_a_bar(entry, capfd):
    entry.fit_anew(verbose=1)
    out, err = capfd.readouterr()
    assert out == ""
    # tqdm writes " 42%|####" where the total is known, "42it [00:01" where not.
    assert re.search(r"\d%\||\dit \[", err)


# Convergence.


def test_an_unfinished_fit_warns(entry):
    data = entry.rows()
    est = entry.make(**entry.unfinished)
    with pytest.warns(ConvergenceWarning):
        est.fit(*data)
    assert not est.converged_
    check_trace(est)


@pytest.mark.slow
def test_a_finished_fit_does_not_warn(entry):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        est, _ = entry.fit_anew()
    assert est.converged_
    check_trace(est)


def check_trace(est):
    assert isinstance(est.n_iter_, int)
    assert est.n_iter_ >= 1
    trace = np.asarray(est.lower_bounds_)
    assert trace.shape == (est.n_iter_,)
    assert np.isfinite(trace).all()
    assert isinstance(est.lower_bound_, float)
    assert np.isfinite(est.lower_bound_)


# Composition.


@pytest.mark.slow
def test_its_picture_links_to_its_page(entry):
    est = entry.make()
    name = type(est).__name__
    assert f"/generated/sklvm.{name}.html" in est._repr_html_()
    api = Path(__file__).parents[1] / "docs" / "api.md"
    if api.exists():  # the page is made of a line there; not in a source distribution
        assert f"\n   {name}\n" in api.read_text(encoding="utf-8")


def test_lives_in_a_pipeline(entry):
    est, data = entry.fitted()
    pipe = make_pipeline(FunctionTransformer(), entry.make()).fit(*data)
    # scikit-learn's pipelines pass y to fit and score, and to nothing else.
    np.testing.assert_array_equal(pipe.transform(data[0]), est.transform(data[0]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*\by\b", category=UserWarning)
        np.testing.assert_array_equal(
            pipe.score_samples(data[0]), est.score_samples(data[0])
        )
    assert pipe.score(*data) == est.score(*data)


@pytest.mark.slow
def test_is_tuned_by_grid_search_on_its_held_out_score(entry):
    data = entry.rows()
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(entry.make(), entry.grid, cv=folds).fit(*data)
    (name, values), *_ = entry.grid.items()

    def held_out(value):
        return np.mean(
            [
                entry.make(**{name: value})
                .fit(*take(data, train))
                .score(*take(data, test))
                for train, test in folds.split(data[0])
            ]
        )

    scores = [held_out(value) for value in values]
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], scores, **entry.rounding
    )
    assert search.best_params_[name] == values[int(np.argmax(scores))]
    assert np.ptp(scores) > 0.01


# A fit that fails leaves no trace.


def one_dimensional(X):
    return X[:, 0]


def empty(X):
    return X[:0]


def with_infinity(X):
    X = X.astype(float)
    X[3, 1] = np.inf
    return X


def of_strings(X):
    return np.full(X.shape, "ink")


def complex_numbers(X):
    return X + 1j


def content(value):
    """The value, or what a skorch net holds: its pickles have addresses in them."""
    if not hasattr(value, "module_"):
        return value
    weights = value.module_.state_dict()
    return {name: w.numpy() for name, w in weights.items()}, list(value.history)


def snapshot(est):
    """Which objects the estimator holds, and what is in them."""
    ids = {name: id(value) for name, value in vars(est).items()}
    return ids, joblib.hash({name: content(v) for name, v in vars(est).items()})


@pytest.mark.slow
@pytest.mark.parametrize("was_fitted", [False, True], ids=["new", "fitted"])
@pytest.mark.parametrize(
    "spoil", [one_dimensional, empty, with_infinity, of_strings, complex_numbers]
)
def test_a_failing_fit_leaves_the_estimator_unchanged(entry, spoil, was_fitted):
    est, data = entry.fitted() if was_fitted else (entry.make(), entry.rows(50))
    before = snapshot(est)
    with pytest.raises((ValueError, TypeError)):
        est.fit(spoil(data[0]), *data[1:])
    assert snapshot(est) == before
