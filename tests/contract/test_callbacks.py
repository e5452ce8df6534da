"""scikit-learn's callbacks are told of restarts, iterations, trainings and epochs."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytest.importorskip("torch")
pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 brings callbacks")

from sklearn.callback import ProgressBar, ScoringMonitor

from sklvm import (
    GMVAE,
    VAE,
    DensityOutlierDetector,
    GaussianMixtureEM,
    JointDensityClassifier,
    MixtureEM,
    ModelImputer,
    load,
    save,
)
from sklvm._tasks import watched
from sklvm._warn import silent, warn_user

from ..registry import REGISTRY, three_blobs

STEPS = {"iteration", "epoch"}


class Recorder:
    """Notes what it is told, and may stop after so many steps of a part."""

    max_propagation_depth = None

    def __init__(self, stop_after=None, error=None, looks=True):
        self.stop_after = stop_after
        self.error = error
        self.looks = looks
        self.told = []
        self.models = []
        self.scores = []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.told.append(("end", context.task_name))
        if context.task_name not in STEPS:
            return False
        if self.error is not None:
            raise self.error
        if fitted_estimator is not None and self.looks:
            self.models.append(fitted_estimator)
            score = fitted_estimator.score(X, y, **(metadata or {}))
            self.scores.append(score)
        return context.task_id + 1 == self.stop_after

    def count(self, name):
        return self.told.count(("end", name))


def score(estimator, X, y, **metadata):
    return {"score": estimator.score(X, y, **metadata)}


@pytest.fixture(params=REGISTRY, ids=lambda entry: entry.estimator.__name__)
def entry(request):
    return request.param


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_look_at_a_fit_does_not_change_it(entry):
    few = {"max_epochs": 6} if "max_epochs" in entry.quick else {}
    plain, data = entry.fit_anew(random_state=np.random.RandomState(0), **few)
    recorder = Recorder()
    est = entry.make(random_state=np.random.RandomState(0), **few)
    est.set_callbacks(recorder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        est.fit(*data)
    assert len(caught) <= 1  # nor does it warn once more at each step
    assert est.score(*data) == plain.score(*data)
    np.testing.assert_array_equal(est.lower_bounds_, plain.lower_bounds_)
    assert recorder.told[0] == "setup"
    assert recorder.told[-1] == "teardown"
    names = {pair[1] for pair in recorder.told[1:-1]}
    for name in names:
        assert recorder.told.count(("begin", name)) == recorder.count(name)
    assert len(names & STEPS) == 1
    assert np.isfinite(recorder.scores).all()
    # It is fitted as the estimator is, and has its own fit behind it.
    assert set(vars(est)) - {"_skl_callbacks"} <= set(vars(recorder.models[-1]))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_iteration_of_every_restart_is_told(n_jobs):
    (X,) = three_blobs(0, 150)
    weight = np.arange(150.0)
    monitor = ScoringMonitor(scoring=score)
    est = GaussianMixtureEM(3, n_init=3, n_jobs=n_jobs, random_state=0)
    est.set_callbacks(monitor).fit(X, sample_weight=weight)
    rows = monitor.get_logs().data
    *_, best = np.flatnonzero(est.attempts_ == est.attempts_.max())
    scores = [r["score"] for r in rows if r["task_id_path"][:2] == (0, best)]
    np.testing.assert_allclose(scores, est.lower_bounds_, rtol=1e-10)
    assert len({r["task_id_path"] for r in rows}) == len(rows)
    assert scores[-1] == pytest.approx(est.score(X, sample_weight=weight), rel=1e-10)


def test_a_part_may_have_more_steps_than_it_was_to():
    """So may EM's iterations, where components are re-seeded."""
    recorder = Recorder(looks=False)
    est = GaussianMixtureEM(3).set_callbacks(recorder)
    with (
        watched(est, 1, X=None, side_by_side=True) as task,
        task.part("restart", 2, number=0) as restart,
    ):
        for _ in range(4):
            assert not restart.step("iteration", dict)
    assert recorder.count("iteration") == 4


@pytest.mark.slow
def test_folds_and_trainings_are_told():
    (X,) = three_blobs(0, 300)
    recorder = Recorder(looks=False)
    est = VAE(2, max_epochs=70, random_state=0, tol=np.inf, batch_size=64)
    est.set_callbacks(recorder).fit(X)
    assert recorder.count("fold") == 5
    assert recorder.count("training") == 1
    recorder = Recorder()
    est = GMVAE(3, n_init=2, max_epochs=10, pretraining=0.3, random_state=0, tol=np.inf)
    est.set_callbacks(recorder).fit(X)
    assert recorder.count("pretraining") == recorder.count("training") == 2
    # Of a pretraining there is no model to look at.
    assert recorder.count("epoch") == 20
    assert len(recorder.models) == 14


def test_the_score_of_an_epoch_is_that_of_a_fit_that_ended_there():
    (X,) = three_blobs(0, 150)
    params = {"early_stopping": False, "lr_schedule": "constant", "random_state": 0}
    recorder = Recorder()
    VAE(2, max_epochs=5, tol=np.inf, **params).set_callbacks(recorder).fit(X)
    short = VAE(2, max_epochs=3, tol=np.inf, **params).fit(X)
    assert recorder.scores[2] == short.score(X)


@pytest.mark.parametrize(
    "est",
    [
        GaussianMixtureEM(3, tol=0.0, max_iter=10**6, random_state=0),
        VAE(2, max_epochs=10**6, early_stopping=False, random_state=0),
    ],
    ids=lambda est: type(est).__name__,
)
def test_a_callback_may_stop_a_fit(est):
    (X,) = three_blobs(0, 150)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        est = clone(est).set_callbacks(Recorder(stop_after=3)).fit(X)
    assert est.n_iter_ == 3
    est.score(X)


def test_an_error_leaves_the_estimator_as_it_was(entry):
    est, data = entry.fitted()
    recorder = Recorder(error=OSError("no place"))
    est.set_callbacks(recorder)
    before = dict(vars(est))
    with pytest.raises(OSError, match="no place"):
        est.fit(*data)
    assert recorder.told[-1] == "teardown"
    assert vars(est) == before


def test_bad_data_are_told_to_nobody():
    recorder = Recorder()
    est = GaussianMixtureEM(3).set_callbacks(recorder)
    with pytest.raises(ValueError, match="n_components=3"):
        est.fit([[1.0], [2.0]])
    assert recorder.told == []


@pytest.mark.parametrize(
    "est",
    [
        ModelImputer(GaussianMixtureEM(2, random_state=0)),
        DensityOutlierDetector(VAE(2, max_epochs=3, random_state=0, tol=np.inf)),
        JointDensityClassifier(MixtureEM(2, random_state=0)),
        make_pipeline(StandardScaler(), GaussianMixtureEM(2, random_state=0)),
    ],
    ids=lambda est: type(est).__name__,
)
def test_callbacks_reach_the_estimator_inside(est):
    (X,) = three_blobs(0, 150)
    recorder = Recorder(looks=False)
    est = clone(est).set_callbacks(recorder)
    est.fit(X, (X[:, 0] > 0).astype(int))
    assert max(recorder.count(name) for name in STEPS) > 1
    assert recorder.told.count("setup") == recorder.told.count("teardown") == 1
    inside = getattr(est, "estimator_", None) or est[-1]
    assert "_skl_callbacks" not in vars(inside)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_bar_of_a_search_goes_down_to_epochs(n_jobs, capfd):
    (X,) = three_blobs(0, 100)
    params = {"hidden_layer_sizes": (4,), "early_stopping": False, "tol": np.inf}
    vae = VAE(1, max_epochs=2, random_state=0, **params)
    search = GridSearchCV(vae, {"latent_dim": [1, 2]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar()).fit(X)
    out, _ = capfd.readouterr()
    assert len(re.findall(r"VAE - training #0", out)) >= 5
    assert "100%" in out


def test_files_leave_callbacks_out_and_pickles_keep_them(tmp_path):
    (X,) = three_blobs(0, 150)
    est = GaussianMixtureEM(2, random_state=0).set_callbacks(Recorder()).fit(X)
    save(est, tmp_path / "model")
    other = load(tmp_path / "model")
    assert "_skl_callbacks" not in vars(other)
    assert other.score(X) == est.score(X)
    for other in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        assert isinstance(other._skl_callbacks[0], Recorder)
    assert clone(est)._skl_callbacks == est._skl_callbacks


def test_the_net_of_a_fit_keeps_no_data():
    (X,) = three_blobs(0, 150)
    est = VAE(2, max_epochs=2, random_state=0, tol=np.inf)
    est.set_callbacks(Recorder(looks=False)).fit(X)
    assert [name for name, _ in est.net_.callbacks_ if name == "tasks"] == []


def test_a_silent_block_warns_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with silent():
            warn_user("nobody is told")
    with pytest.warns(UserWarning, match="told again"):
        warn_user("told again")
