"""How long to train: by held-out rows, or by folds where the rows are few."""

import math
from abc import abstractmethod
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.dataset import Dataset

from sklvm._warn import warn_user
from sklvm.neural._callbacks import HeldOutCurve
from sklvm.neural._device import place
from sklvm.neural._estimator import BaseNeuralEstimator
from sklvm.neural._trace import DivergedError

# max_epochs="auto": steps of the optimiser, and passes where the rows are many.
N_STEPS, N_EPOCHS = 5000, 30
# Fewer rows are too few to hold some out: every row is, in one of the folds.
N_ROWS, N_FOLDS = 1000, 5
# Shorter trainings have no time to memorise the rows.
LEAST_STEPS = 200
# Steps between two looks at a fold's held-out rows.
EVERY = 20
# Epochs that follow on those that were best, as a share of them, with a learning rate
# that falls to 0; where less than so much of a schedule was done.
COOLING, MOST_DONE = 0.3, 0.9
# Held-out rows that were best in the first steps say that these were too large: so many
# more follow from there, of a smaller size. They do no harm, as the best weights stay.
EARLY_STEPS, SMALLER = 500, 1 / 3
# Nats that held-out rows may be below the training rows before a warning: so many, and
# so many a column.
GAP, GAP_BY_COLUMN = 5.0, 0.05

LENGTH_CONSTRAINTS = {
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "early_stopping": ["boolean", StrOptions({"auto"})],
}


class FindsLength(BaseNeuralEstimator):
    """Estimator that finds by itself how long to train.

    Of many rows it holds some out, and keeps the best weights. Of few it trains on
    folds first, and then on all rows for as many steps as were best for the folds'
    held-out rows on average; the learning rate falls as it did there. Then the noise is
    no less than that of the held-out rows: networks err less on rows they know.
    """

    _n_steps_of_many = N_STEPS  # where there are N_ROWS or more
    _n_steps_no_change = 500  # without improvement, after which a training ends

    @abstractmethod
    def _errors_as_scored(self, X):
        """Sums over the rows of what sets the noise; none where nothing does."""

    def _steps_per_epoch(self, n_rows):
        return math.ceil(n_rows / self.batch_size)

    def _n_epochs(self, n_rows):
        if self.max_epochs != "auto":
            return self.max_epochs
        n_steps = N_STEPS if n_rows < N_ROWS else self._n_steps_of_many
        return max(math.ceil(n_steps / self._steps_per_epoch(n_rows)), N_EPOCHS)

    def _may_overfit(self, n_rows):
        n_steps = self._n_epochs(n_rows) * self._steps_per_epoch(n_rows)
        return self.early_stopping == "auto" and n_steps >= LEAST_STEPS

    def _holds_out(self, n):
        if self.early_stopping == "auto":
            return n >= N_ROWS and self._may_overfit(n)
        return self.early_stopping

    def _needs_folds(self, n):
        return 1 < n < N_ROWS and self._may_overfit(n)

    def _n_trainings(self, n_rows):
        n_folds = min(N_FOLDS, n_rows) if self._needs_folds(n_rows) else 0
        cools_down = n_folds > 0 or self._holds_out(n_rows)
        return n_folds + 1 + cools_down

    def _patience(self, n_rows):
        if self.early_stopping != "auto":
            return self.n_iter_no_change
        n_epochs = math.ceil(self._n_steps_no_change / self._steps_per_epoch(n_rows))
        return max(self.n_iter_no_change, n_epochs)

    def _train_anew(self, X, y, device, single_epoch):
        n, seed = X.shape[0], self._draw_seed()
        found = {}
        if not single_epoch and self._needs_folds(n):
            found = self._best_length_in_folds(X, device, seed)
        self.net_ = self._make_net(X, y, device, seed)
        self._configure(self.net_.module)
        self._warn_of_data(X)
        self._train(X, y, single_epoch, n_run=found.get("best_epoch_"))
        self.__dict__.update(found)
        if self.early_stopping == "auto" and hasattr(self, "held_out_bound_"):
            self._cool_down(X, y)

    def _cool_down(self, X, y):
        """Go on from the best weights, while the learning rate falls to 0.

        Early stopping breaks a schedule off where steps are large, and a training that
        ends in small ones is better. Where rows are held out, they decide whether it
        is.
        """
        n_before, stopper = len(self.net_.history_), self._stopper()
        done = self.best_epoch_ / self._n_epochs(X.shape[0])
        by_user = self.net_.was_stopped_ and (
            stopper is None or stopper.misses_ < stopper.patience
        )
        if self.lr_schedule != "cosine" or by_user or done >= MOST_DONE:
            return
        before = {
            name: getattr(self, name)
            for name in ("best_epoch_", "held_out_bound_", "converged_")
        }
        lr = self.lr * (1 + math.cos(math.pi * done)) / 2
        n_epochs = math.ceil(COOLING * self.best_epoch_)
        if stopper is not None:
            again = math.ceil(EARLY_STEPS * n_before / self.net_.step_)
            if self.best_epoch_ < again:
                lr *= SMALLER
                n_epochs = max(n_epochs, min(again, self.net_.max_epochs - n_before))
        if n_epochs == 0:
            return
        self._train(X, y, n_epochs=n_epochs, lr=lr, warms_up=False, task="cool-down")
        self.converged_ = before["converged_"]
        if getattr(self, "best_epoch_", n_before) == n_before:
            self.__dict__.update(before)

    def _best_length_in_folds(self, X, device, seed):
        """The epochs over all rows that were best for the rows held out of the folds.

        As the fitted attributes that say so.
        """
        n = X.shape[0]
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(n, generator=generator).numpy()
        folds = np.array_split(order, min(N_FOLDS, n))
        curves = []
        for fold in folds:
            rows = np.setdiff1d(order, fold)
            curves.append(self._held_out_curve(X[rows], X[fold], device, seed))
        steps = np.unique(np.concatenate([steps for steps, *_ in curves]))
        # A training that has ended stays where it was.
        losses = [np.interp(steps, *curve) for *curve, _ in curves]
        mean = np.average(losses, axis=0, weights=[len(fold) for fold in folds])
        best = int(np.argmin(mean))
        gains = np.array([loss[0] - loss[best] for loss in losses])
        error = gains.std(ddof=1) / math.sqrt(len(gains))
        if gains.mean() < error and self._starts_well(self.net_.module):
            best = 0  # what few rows say against a good start may be chance
        errors = [_between(steps[best], *curve) for curve in curves]
        n_steps = self._n_epochs(n) * self._steps_per_epoch(n)
        # A schedule makes every curve flat at its end.
        end = n_steps // 2 if self.lr_schedule == "cosine" else n_steps
        late = np.interp([0.8 * end, end], steps, mean)
        return {
            "best_epoch_": math.ceil(steps[best] / self._steps_per_epoch(n)),
            "held_out_bound_": -float(mean[best]),
            "_held_out_errors": np.sum(errors, axis=0),
            "converged_": bool(steps[-1] < n_steps or late[0] - late[1] <= self.tol),
        }

    def _held_out_curve(self, X, held_out, device, seed):
        """(steps, losses, errors) of the rows held out of a training on X."""
        net = self.net_ = self._make_net(X, None, device, seed)
        self._configure(net.module)
        n = X.shape[0]
        n_steps = self._n_epochs(n) * self._steps_per_epoch(n)
        n_epochs = math.ceil(n_steps / self._steps_per_epoch(n))
        self._set_up(net, n, None, False, n_epochs, warms_up=True)
        valid = Dataset(place(held_out, device))
        errors = partial(self._errors_as_scored, held_out)
        curve = HeldOutCurve(valid, errors, EVERY, self._n_steps_no_change)
        net.callbacks = [("held_out", curve)]
        net._initialize_callbacks()
        try:
            self._run(Dataset(place(X, device)), "fold")
        except DivergedError:
            curve.steps_.append(net.step_)
            curve.losses_.append(max(curve.losses_))
            curve.errors_.append(curve.errors_[-1])
        return curve.steps_, curve.losses_, curve.errors_

    def _set_trace_attributes(self, n_before, single_epoch):
        super()._set_trace_attributes(n_before, single_epoch)
        self.__dict__.pop("held_out_bound_", None)
        stopper = self._stopper()
        if stopper is not None:
            self.held_out_bound_ = -float(stopper.best_loss_)

    def _warn_unless_converged(self):
        super()._warn_unless_converged()
        gap = self.lower_bound_ - getattr(self, "held_out_bound_", np.inf)
        if gap > GAP + GAP_BY_COLUMN * self.n_features_in_:
            warn_user(
                f"Held-out rows have {gap:.3g} nats less than the training rows "
                f"({self.held_out_bound_:.4g} and {self.lower_bound_:.4g}), so the "
                "model is far too sure of rows that it has not seen; decrease "
                "latent_dim or hidden_layer_sizes, increase min_noise, or give more "
                "rows.",
                ConvergenceWarning,
            )


def _between(step, steps, losses, errors):
    """The errors at a step, between those at which they are known."""
    return np.array([np.interp(step, steps, sums) for sums in np.transpose(errors)])
