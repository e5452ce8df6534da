"""A fit that is killed at any moment, begun again, ends at the model that it would."""

import copy
import os
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping

from sklvm import GMVAE, VAE, GaussianMixtureEM
from sklvm.state import _checkpoint
from sklvm.state._checkpoint import Checkpoint
from tests.registry import three_blobs
from tests.state.cases import CASES, assert_same_answers, fitted
from tests.state.workers import in_a_process

# One of each estimator, and what has a state of its own in a training.
FITS = [
    name
    for name, case in CASES.items()
    if "checkpoint" in case.estimator.get_params(deep=False) and "_" not in name
] + [
    *("VAE_prior-vamp_n_pseudo_inputs-own", "VAE_likelihood-own_warmup-0.5"),
    *("VAE_decoder-own", "ConditionalVAE_table", "MixtureEM_table_full"),
    "SparseSegmentationRDA_rate_model-learned",
]


class Killed(BaseException):
    """As a process that is no more: nothing catches it."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.checkpoint"


@pytest.fixture
def every_epoch(monkeypatch):
    """A file after each epoch and iteration, however short they are."""
    monkeypatch.setattr(_checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(_checkpoint, "MOST_TIME", np.inf)


def kill_after(n_writings, monkeypatch):
    """Let no more than so many writings be done, and end the fit at the next."""
    write, left = Checkpoint._write, [n_writings]

    def limited(self):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        write(self)

    monkeypatch.setattr(Checkpoint, "_write", limited)


def kill(estimator, X, n_writings):
    """Begin a fit that does not end."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        kill_after(n_writings, monkeypatch)
        with pytest.raises(Killed):
            estimator.fit(X)


def begun_and_killed(case, estimator, n_writings):
    """Whether the fit was killed before it was done."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        kill_after(n_writings, monkeypatch)
        try:
            case.fit(estimator)
        except Killed:
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_a_killed_fit_goes_on_to_the_same_model(name, path, every_epoch):
    case = CASES[name]
    estimator = clone(case.estimator).set_params(checkpoint=path)
    n_writings = 1
    while begun_and_killed(case, estimator, n_writings):
        resumed = case.fit(estimator)
        assert not path.exists()
        # A copy, as a generator goes on with every sample.
        assert_same_answers(copy.deepcopy(fitted(name)), resumed, case)
        n_writings *= 3
    assert n_writings > 1


LONGER = {
    "folds": VAE(
        1, hidden_layer_sizes=(3,), max_epochs=40, batch_size=18, random_state=0
    ),
    "early stopping": VAE(
        1,
        hidden_layer_sizes=(3,),
        max_epochs=40,
        early_stopping=True,
        n_iter_no_change=12,
        random_state=0,
    ),
    "restarts": GMVAE(
        2, latent_dim=1, hidden_layer_sizes=(3,), max_epochs=6, n_init=3, random_state=0
    ),
    "EM": GaussianMixtureEM(
        3, n_init=3, acceleration="squarem", tol=1e-6, random_state=0
    ),
    "EM in two threads": GaussianMixtureEM(
        3, n_init=4, n_jobs=2, tol=1e-6, random_state=0
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LONGER)
def test_long_fits_survive_many_kills(name, path, every_epoch):
    """Killed again and again, each time after a few more epochs."""
    X = three_blobs(0, 90)[0]
    fits = LONGER[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = clone(fits).fit(X)
        estimator = clone(fits).set_params(checkpoint=path)
        rng, n_kills = np.random.default_rng(0), 0
        while n_kills < 12:
            with pytest.MonkeyPatch.context() as monkeypatch:
                kill_after(int(rng.integers(2, 6)), monkeypatch)
                try:
                    estimator.fit(X)
                except Killed:
                    n_kills += 1
                else:
                    break
        else:
            estimator.fit(X)
    assert n_kills > 0
    assert not path.exists()
    np.testing.assert_array_equal(estimator.score_samples(X), whole.score_samples(X))
    np.testing.assert_array_equal(estimator.lower_bounds_, whole.lower_bounds_)
    assert estimator.converged_ == whole.converged_
    assert getattr(estimator, "best_epoch_", 0) == getattr(whole, "best_epoch_", 0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"max_epochs": 9}, "max_epochs"),
        ({"latent_dim": 2}, "latent_dim"),
        ({"random_state": 1}, "random_state"),
        ({}, "X"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(change, named, path, every_epoch):
    X = three_blobs(0, 60)[0]
    vae = VAE(1, max_epochs=8, random_state=0, checkpoint=path)
    kill(vae, X, 4)
    other = X if change else X + 1e-6
    with pytest.raises(ValueError, match=rf"is of a fit with another {named}; go on"):
        clone(vae).set_params(**change).fit(other)
    assert path.exists()


def test_a_file_of_something_else_is_left_alone(path):
    path.write_bytes(b"thesis")
    gmm = GaussianMixtureEM(2, checkpoint=path)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        gmm.fit(three_blobs(0, 60)[0])
    assert path.read_bytes() == b"thesis"


@pytest.mark.parametrize("estimator", [VAE(1, max_epochs=2), GaussianMixtureEM(2)])
def test_a_folder_that_is_not_there_is_told_at_once(estimator, path):
    estimator = clone(estimator).set_params(checkpoint=path / "nowhere")
    with pytest.raises(OSError, match="nowhere"):
        estimator.fit(three_blobs(0, 60)[0])
    assert not hasattr(estimator, "lower_bound_")


def test_the_parameter_is_named_where_no_file_can_lie(tmp_path):
    X = three_blobs(0, 60)[0]
    with pytest.raises(IsADirectoryError, match=r"checkpoint='.*' is a folder; give"):
        GaussianMixtureEM(2, checkpoint=tmp_path).fit(X)
    with pytest.raises(FileNotFoundError, match=r"checkpoint='.*none/x' is in no"):
        GaussianMixtureEM(2, checkpoint=tmp_path / "none" / "x").fit(X)


def test_a_full_disk_is_an_error_and_leaves_the_last_file(path, every_epoch):
    X = three_blobs(0, 60)[0]
    vae = VAE(1, max_epochs=8, random_state=0, checkpoint=path)
    kill(vae, X, 3)
    before = path.read_bytes()

    def fsync(file):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left"):
            vae.fit(X)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_without_a_seed_the_same_one_is_used_again(path, every_epoch):
    X = three_blobs(0, 60)[0]
    vae = VAE(1, max_epochs=8, checkpoint=path)
    kept = []
    kill(vae, X, 5)
    with pytest.MonkeyPatch.context() as monkeypatch:
        write = Checkpoint._write
        monkeypatch.setattr(
            Checkpoint, "_write", lambda self: (write(self), kept.append(self._seed))
        )
        vae.fit(X)
    again = VAE(1, max_epochs=8, random_state=kept[0]).fit(X)
    np.testing.assert_array_equal(vae.lower_bounds_, again.lower_bounds_)


def test_what_only_tells_may_be_another(path, every_epoch):
    """A bar, callbacks that look on, and a file that somebody has removed."""
    X = three_blobs(0, 60)[0]
    vae = VAE(1, max_epochs=8, early_stopping=True, random_state=0, checkpoint=path)
    kill(vae, X, 4)
    seen = []

    class Looks(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(len(net.history))
            path.unlink(missing_ok=True)

    more = clone(vae).set_params(verbose=1, callbacks=[Looks()]).fit(X)
    whole = clone(vae).set_params(checkpoint=None).fit(X)
    np.testing.assert_array_equal(more.score_samples(X), whole.score_samples(X))
    assert 0 < len(seen) < more.n_iter_


def test_callbacks_that_steer_are_refused(path):
    vae = VAE(1, max_epochs=2, callbacks=[EarlyStopping()], checkpoint=path)
    with pytest.raises(ValueError, match="does not keep what EarlyStopping"):
        vae.fit(three_blobs(0, 60)[0])


def test_a_warm_start_goes_on_from_its_own_start(path, every_epoch):
    X = three_blobs(0, 60)[0]
    first = VAE(
        1, max_epochs=4, warm_start=True, random_state=0, early_stopping=False
    ).fit(X)
    whole = clone(first).fit(X).fit(X)
    first.set_params(checkpoint=path)
    kill(first, X, 3)
    first.fit(X)
    np.testing.assert_array_equal(first.score_samples(X), whole.score_samples(X))
    other = clone(first).set_params(checkpoint=None).fit(X)
    path.unlink(missing_ok=True)
    assert other.n_iter_ == 4


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_kill_9(path):
    """Real processes, killed at random moments."""
    n_killed, same, is_left = in_a_process("killed_fits", str(path)).split()
    assert int(n_killed) > 0
    assert same == "True"
    assert is_left == "False"
