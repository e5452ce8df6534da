"""kill -9 at random moments of a fit that keeps a checkpoint, and the fit begun again.

Each fit is killed once, at a moment drawn from the time that the whole fit takes, and
begun again in another process. Files are written at every epoch and iteration. Counted
are fits whose answers are those of the whole fit to the last bit, and the most steps
that were done again. A step is told to callbacks before its file is written.
"""

import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from _report import print_header, print_row
from sklearn.base import clone

from sklvm.state import _checkpoint

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.state.cases import CASES

LONGER = {"max_epochs": 6, "n_init": 2, "tol": 0.0, "max_iter": 15}
NAMES = [
    name
    for name, case in CASES.items()
    if "checkpoint" in case.estimator.get_params(deep=False) and "_" not in name
] + ["MixtureEM_table_full", "ConditionalVAE_table", "VAE_folds"]


def add_arguments(parser):
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--names", nargs="+", default=NAMES)


class Steps:
    """A callback of scikit-learn that writes a byte for each iteration and epoch."""

    def __init__(self, path):
        self.path = path

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name in ("iteration", "epoch"):
            with open(self.path, "ab") as file:
                file.write(b".")


def estimator_and_case(name):
    """One of the cases, with a fit that has some steps."""
    case = CASES["VAE" if name == "VAE_folds" else name]
    known = case.estimator.get_params(deep=False)
    longer = {key: value for key, value in LONGER.items() if key in known}
    if name == "VAE_folds":
        longer["max_epochs"] = 100
    elif "max_epochs" in known and "early_stopping" in known:
        longer["early_stopping"] = False
    return clone(case.estimator).set_params(**longer), case


def in_a_process(function):
    """The process's number; it ends when the function does."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return pid


class Trial:
    """Fits of one case in a folder of its own."""

    def __init__(self, name):
        self.estimator, self.case = estimator_and_case(name)
        self.folder = Path(
            tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        )
        self.checkpoint = self.folder / "fit.checkpoint"
        self.steps, self.answers = self.folder / "steps", self.folder / "answers.npy"
        self.done = self.folder / "done"

    def fit(self):
        warnings.simplefilter("ignore")
        estimator = clone(self.estimator).set_params(checkpoint=self.checkpoint)
        estimator.set_callbacks(Steps(self.steps)).fit(*self.case.data)
        self.done.touch()
        np.save(self.answers, estimator.score_samples(*self.case.rows))

    def whole(self):
        """(answers, steps, seconds) of a fit that nobody disturbs."""
        start = time.perf_counter()
        os.waitpid(in_a_process(self.fit), 0)
        return self._result(), time.perf_counter() - start

    def killed(self, after):
        """(answers, steps) of both fits, and whether the first was killed in time."""
        pid = in_a_process(self.fit)
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        was_killed = not self.done.exists()
        if os.WIFSIGNALED(status):
            os.waitpid(in_a_process(self.fit), 0)
        return self._result(), was_killed

    def _result(self):
        answers, steps = np.load(self.answers), self.steps.stat().st_size
        for path in (self.answers, self.steps, self.done):
            path.unlink()
        if self.checkpoint.exists():
            raise AssertionError("a checkpoint is left")
        return answers, steps


def run(arguments):
    torch.set_num_threads(1)
    _checkpoint.EVERY, _checkpoint.MOST_TIME = 0.0, np.inf
    rng = np.random.default_rng(arguments.seed)
    print_header("fit", "steps", "s", "kills", "equal", "most steps done again")
    for name in arguments.names:
        trial = Trial(name)
        trial.case.fit()  # what torch imports at its first fit, once for all processes
        (expected, n_steps), seconds = trial.whole()
        n_kills = n_equal = most = 0
        while n_kills < arguments.kills:
            (answers, n), was_killed = trial.killed(rng.uniform(0, seconds))
            n_kills += was_killed
            n_equal += was_killed and np.array_equal(answers, expected)
            most = max(most, (n - n_steps) * was_killed)
        print_row(name, n_steps, f"{seconds:.1f}", n_kills, n_equal, most)
