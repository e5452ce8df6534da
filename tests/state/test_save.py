"""Saved and loaded: the same numbers to the last bit, and the same training."""

import datetime
import io
import os
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import skorch.callbacks
import torch
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline

import sklvm
from sklvm import GMVAE, VAE, GaussianMixtureEM, MixtureEM
from tests.autoencoder.models import quietly
from tests.state.cases import CASES, OwnEncoder, assert_same_answers, fitted

NEURAL = [name for name, case in CASES.items() if hasattr(case.estimator, "max_epochs")]
MIXTURES = [name for name, case in CASES.items() if hasattr(case.estimator, "max_iter")]
OWN = {"tests.state.cases.OwnEncoder": OwnEncoder}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.sklvm"


def through_file(est, path, **kwargs):
    sklvm.save(est, path, **kwargs)
    return sklvm.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("resumable", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_answers_are_equal_to_the_last_bit(name, resumable, path):
    est = fitted(name)
    loaded = through_file(est, path, resumable=resumable)
    assert type(loaded) is type(est)
    assert vars(loaded).keys() == vars(est).keys()
    assert_same_answers(est, loaded, CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_two_files_of_one_estimator_are_equal(name, tmp_path):
    sklvm.save(fitted(name), tmp_path / "one")
    assert fitted(name).save(tmp_path / "two") is None
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_estimator_that_is_not_fitted_keeps_its_parameters(path):
    est = GaussianMixtureEM(3, tol=float("inf"), random_state=np.random.RandomState(7))
    loaded = through_file(est, path)
    assert loaded.n_components == 3
    assert loaded.tol == float("inf")
    assert_array_equal(
        loaded.random_state.normal(size=5), est.random_state.normal(size=5)
    )


# Going on: a training in two halves with a file between them.


def assert_goes_on_alike(est, loaded, case, method):
    for _ in range(2):
        quietly(getattr(est, method), *case.data)
        quietly(getattr(loaded, method), *case.data)
    assert_same_answers(est, loaded, case)
    assert_array_equal(loaded.lower_bounds_, est.lower_bounds_)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
@pytest.mark.parametrize("name", NEURAL)
def test_a_training_goes_on_exactly(name, method, path):
    case = CASES[name]
    if not hasattr(case.estimator, method):
        pytest.skip("it has no such method")
    est = case.fit().set_params(warm_start=True, random_state=0)
    loaded = through_file(est, path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*moments")
        assert_goes_on_alike(est, loaded, case, method)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", torch.optim.LBFGS])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_every_optimiser_and_schedule_goes_on(optimizer, schedule, path):
    params = {"optimizer__momentum": 0.9} if optimizer == "sgd" else None
    case = CASES["VAE"]
    est = VAE(
        1, hidden_layer_sizes=(3,), max_epochs=3, warm_start=True, random_state=0,
        optimizer=optimizer, lr_schedule=schedule, net_params=params, batch_size=20,
        lr=1e-3,
    )  # fmt: skip
    quietly(est.fit, *case.data)
    assert_goes_on_alike(est, through_file(est, path), case, "fit")


@pytest.mark.parametrize("name", MIXTURES)
def test_em_goes_on_exactly(name, path):
    case = CASES[name]
    est = case.fit().set_params(warm_start=True, max_iter=2)
    for method in ("fit", "partial_fit"):
        loaded = through_file(est, path)
        assert_goes_on_alike(est, loaded, case, method)


def test_without_moments_a_training_that_goes_on_says_so(path):
    case = CASES["VAE"]
    loaded = through_file(case.fit(), path, resumable=False)
    with pytest.warns(UserWarning, match=r"moments .*resumable=True"):
        loaded.partial_fit(*case.data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded.partial_fit(*case.data)  # it has gathered new ones


def test_without_statistics_partial_fit_says_so(path):
    case = CASES["GaussianMixtureEM"]
    loaded = through_file(case.fit(), path, resumable=False)
    with pytest.warns(UserWarning, match=r"forgets .*resumable=True"):
        loaded.partial_fit(*case.data)


@pytest.mark.slow
def test_a_file_without_what_a_training_needs_is_small(path):
    """At most 1.1 times the parameters, moments and all else left out."""
    X = np.random.default_rng(0).normal(size=(300, 64))
    est = quietly(VAE(max_epochs=100, random_state=0).fit, X)
    n_bytes = sum(4 * p.numel() for p in est.net_.module.parameters())
    est.save(path, resumable=False)
    assert n_bytes < path.stat().st_size < 1.1 * n_bytes
    sklvm.save(est, path)
    assert path.stat().st_size < 3.1 * n_bytes


# What is not ours.


def own_vae(**params):
    return VAE(
        1, encoder=OwnEncoder(5, 2), hidden_layer_sizes=(3,), max_epochs=2,
        random_state=0, **params,
    )  # fmt: skip


def test_own_modules_are_named_and_handed_in(path):
    case = CASES["VAE"]
    est = case.fit(own_vae())
    sklvm.save(est, path)
    with pytest.raises(ValueError, match=r"needs tests.state.cases.OwnEncoder, .*hand"):
        sklvm.load(path)
    loaded = sklvm.load(path, modules=OWN)
    assert type(loaded.encoder) is OwnEncoder
    assert_same_answers(est, loaded, case)
    for one in (est, loaded):
        one.set_params(warm_start=True)
    assert_goes_on_alike(est, loaded, case, "fit")


def test_callbacks_are_named_and_handed_in(path):
    case = CASES["VAE"]
    est = case.fit(own_vae(callbacks=[skorch.callbacks.EarlyStopping("train_loss")]))
    sklvm.save(est, path)
    name = "skorch.callbacks.training.EarlyStopping"
    with pytest.raises(ValueError, match=name):
        sklvm.load(path, modules=OWN)
    modules = OWN | {name: skorch.callbacks.EarlyStopping}
    loaded = sklvm.load(path, modules=modules)
    assert loaded.callbacks[0].patience == 5
    assert_same_answers(est, loaded, case)


@pytest.mark.parametrize(
    "optimizer, what",
    [(lambda p, lr: torch.optim.SGD(p, lr), "optimizer"), (open, "optimizer")],
)
def test_what_cannot_be_named_is_refused(optimizer, what, path):
    est = VAE(optimizer=optimizer)
    if optimizer is open:  # a function of a module can be named
        sklvm.save(est, path)
        with pytest.raises(ValueError, match="open"):
            sklvm.load(path)
        return
    with pytest.raises(TypeError, match=rf"^VAE\.{what}=.* cannot be saved"):
        sklvm.save(est, path)
    assert not path.exists()


def test_an_open_file_is_refused(path):
    with open(path.with_suffix(".log"), "w") as file:
        callback = skorch.callbacks.PrintLog(sink=file.write)
        with pytest.raises(TypeError, match=r"VAE.callbacks\[?.?0"):
            sklvm.save(VAE(callbacks=[callback]), path)


def test_a_path_stays_a_path(path):
    est = VAE(checkpoint=path.with_suffix(".kept"))
    sklvm.save(est, path)
    assert sklvm.load(path).checkpoint == est.checkpoint


def test_pipelines_are_for_skops(path):
    with pytest.raises(TypeError, match="skops"):
        sklvm.save(make_pipeline(VAE()), path)


def test_a_subclass_is_named(path):
    class Local(GMVAE):
        pass

    with pytest.raises(TypeError, match="Local"):
        sklvm.save(Local(), path)


def test_what_was_shared_is_shared_again(path):
    est = fitted("VAE_prior-vamp_n_pseudo_inputs-own")
    loaded = through_file(est, path)
    assert loaded.net_.module is loaded.net_.module_
    (group,) = loaded.net_.optimizer_.param_groups
    assert group["params"][0] is next(loaded.net_.module.parameters())


def test_requests_of_metadata_come_back(path):
    with sklearn.config_context(enable_metadata_routing=True):
        est = GaussianMixtureEM(2).set_fit_request(sample_weight=True)
        for loaded in (through_file(est, path), pickle.loads(pickle.dumps(est))):
            request = loaded.get_metadata_routing()
            assert request.fit.requests["sample_weight"] is True


def test_memory_order_and_text_come_back(path):
    est = GaussianMixtureEM()
    est.feature_names_in_ = np.array(["a", "ü"], dtype=object)
    est.means_ = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    est.other_ = {
        "text": np.array(["ab", "c"]), "none": np.empty((0, 3)), 3: -0.0,
        "wide": np.array(7, ">i4"), "complex": np.array([1 + 2j]),
        "day": np.array(["2020-01-01"], "M8[D]"), "set": {1, "a", (2, None)},
        "slice": slice(1, None), "bytes": b"\x00\xff", "float": np.float32(0.1),
        "bits": np.random.default_rng(3), "big": 2**70, "nan": float("nan"),
    }  # fmt: skip
    loaded = through_file(est, path)
    assert loaded.means_.flags.f_contiguous
    assert loaded.means_.flags.writeable
    assert loaded.feature_names_in_.dtype == object
    for name, value in est.other_.items():
        found = loaded.other_[name]
        assert type(found) is type(value)
        if name == "bits":
            assert found.normal() == value.normal()
        else:
            assert_array_equal(found, value)
            assert getattr(found, "dtype", None) == getattr(value, "dtype", None)


def test_folders_that_are_not_there(tmp_path):
    est = GaussianMixtureEM()
    with pytest.raises(FileNotFoundError, match="is in no folder that exists"):
        sklvm.save(est, tmp_path / "no" / "model.sklvm")
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"):
        sklvm.save(est, tmp_path)
    with pytest.raises(TypeError, match="path=None is no path"):
        est.save(None)
    assert not list(tmp_path.iterdir())


def test_the_remedy_for_a_lambda_is_one():
    est = VAE(callbacks=[lambda net: None])
    with pytest.raises(
        TypeError, match=r"lambda.*define it by def or class at the top"
    ):
        sklvm.save(est, "never_written")


@pytest.mark.skipif(os.name != "posix", reason="pipes have no names")
def test_a_device_is_not_replaced_by_a_file(tmp_path):
    """As /dev/null was for whoever may write to its folder."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is a device or pipe and no file"):
        sklvm.save(GaussianMixtureEM(), path)
    assert path.is_fifo()


def test_paths_of_bytes_and_what_is_no_path(tmp_path):
    path = os.fsencode(tmp_path / "x.sklvm")
    sklvm.save(GaussianMixtureEM(3), path)
    assert sklvm.load(os.fsdecode(path)).n_components == 3
    content = (tmp_path / "x.sklvm").read_bytes()
    for given in (content, io.BytesIO(content), None):
        with pytest.raises(TypeError, match=r"^path is a \w+ and no path; give the"):
            sklvm.load(given)


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2020-03-28", "2020-03-29", "2020-03-30"]),
        pd.to_datetime(["2020-03-28", "2020-03-29"]).tz_localize("Europe/Paris"),
        pd.to_timedelta([1, 2, 30], "h"),
        pd.period_range("2020-01", periods=3, freq="M"),
        pd.interval_range(0, 3),
        [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
    ],
    ids=["times", "zone", "durations", "periods", "intervals", "dates"],
)
def test_categories_of_times_come_back(values, path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"when": pd.Categorical(rng.choice(values, 40), list(values))})
    table["x"] = rng.normal(size=40)
    model = quietly(MixtureEM(2, random_state=0).fit, table)
    sklvm.save(model, path)
    loaded = sklvm.load(path)
    assert_array_equal(loaded.score_samples(table), model.score_samples(table))
    sample = loaded.sample(5)[0]
    pd.testing.assert_frame_equal(sample, model.sample(5)[0])
    assert sample["when"].dtype == table["when"].dtype
