"""One of the trainings that a fit consists of: what it is given, and what it leaves."""

import copy
import math
from abc import ABCMeta, abstractmethod
from functools import partial

import numpy as np
import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.dataset import Dataset
from skorch.exceptions import SkorchException
from skorch.helper import predefined_split
from torch.utils.data import Subset

from sklvm._compat import CallbackSupportMixin
from sklvm._tasks import NOBODY, present_task
from sklvm._warn import silent
from sklvm.neural._callbacks import (
    EpochTasks,
    ProgressBar,
    StopAfterWarmup,
    copied,
    unnamed,
)
from sklvm.neural._device import place
from sklvm.neural._interrupt import Interrupted
from sklvm.neural._ranks import present_ranks
from sklvm.neural._trace import DivergedError, still_rises
from sklvm.state._estimators import FittedStateMixin

# Callbacks of skorch that change a training by what they have seen of it.
STEERING = LRScheduler, EarlyStopping


class TrainsItsNet(
    FittedStateMixin, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta
):
    """Estimator that trains `net_`, by the parameters of `BaseNeuralEstimator`."""

    _hold_out_remedy = "early_stopping=False"

    @abstractmethod
    def _finalize_early(self, X, y):
        """Publish what is known only after training, of one that was broken off."""

    def _n_epochs(self, n_rows):
        """Passes over the rows to train on."""
        return self.max_epochs

    def _train(
        self, X, y, single_epoch=False, *, n_epochs=None, n_run=None, lr=None,
        warms_up=True, may_stop=True, is_usable=True, task="training",
    ):  # fmt: skip
        """Train the net for `n_epochs`, None for `max_epochs`, or for one pass.

        `n_run` says that it ends after so many of them, None that it may go on.
        `is_usable` is whether Ctrl-C after an epoch of it leaves a model; `task` is
        its name for callbacks.
        """
        net = self.net_
        device = torch.device(net.device)
        train, valid = Dataset(place(X, device), place(y, device)), None
        if not single_epoch and self._holds_out(len(train)):
            rows, valid_rows = self._split(len(train), net.split_seed_)
            if self.early_stopping:
                valid = Subset(train, valid_rows)
            train = Subset(train, rows)
        self._set_up(net, len(train), valid, single_epoch, n_epochs, warms_up, lr)
        if n_run is not None:
            net.max_epochs = n_run
        net.callbacks = self._make_callbacks(
            valid if may_stop else None, len(train), net.max_epochs
        )
        net._initialize_callbacks()
        n_before = len(net.history_)
        now = partial(self._attributes_now, X, y, n_before) if is_usable else None
        try:
            self._run(train, task, now)
            net.check_finite()
        except (KeyError, ValueError, SkorchException) as error:
            sentence = self._why_refused(str(error), valid)
            if sentence is None:
                raise
            raise ValueError(sentence) from error
        except KeyboardInterrupt as interrupt:
            net.drop_unfinished_epoch()
            if single_epoch or not is_usable or not net.history_:
                raise
            self._keep_best_weights()
            self._set_trace_attributes(n_before, single_epoch)
            raise Interrupted(interrupt) from None
        finally:
            for epoch in net.history_[n_before:]:
                epoch["task"] = task
            net.train_split = None  # it holds the data
            for callback in net.callbacks:
                if isinstance(callback, ProgressBar):
                    callback.close()
        self._set_trace_attributes(n_before, single_epoch)

    def _why_refused(self, error, valid):
        """The remedy of an error of skorch's or torch's own words, or None."""
        if valid is None and "valid_" in error:
            return (
                f"One of the callbacks looks for held-out rows ({error!r:.60}), and "
                f"early_stopping={self.early_stopping} has none here; set "
                "early_stopping=True, or let it monitor 'train_loss'."
            )
        if "more than 1 value per channel" in error:
            return (
                "A batch has one row, and a BatchNorm needs two or more; increase "
                f"batch_size={self.batch_size}, or give more rows."
            )
        return None

    def _run(self, rows, task, attributes=None):
        """Train the net on the rows, as a task of this name.

        `attributes()` are those of the estimator if the fit ended here.
        """
        net = self.net_
        with present_task().part(task, net.max_epochs) as task:
            tasks = ("tasks", EpochTasks(task, attributes))
            if task is not NOBODY:
                net.callbacks_.append(tasks)
            try:
                net.partial_fit(rows)
            finally:
                net.callbacks_ = [pair for pair in net.callbacks_ if pair is not tasks]

    def _attributes_now(self, X, y, n_before):
        """The attributes of the estimator if the fit ended here; None of no model."""
        other = copy.copy(self)
        # Copies, so that a look at a training does not change it.
        other.random_state = copy.deepcopy(self.random_state)
        other.net_ = copy.deepcopy(self.net_)
        other.net_.callbacks = self.net_.callbacks
        other._keep_best_weights()
        other._set_trace_attributes(n_before, single_epoch=False)
        try:
            with silent():
                other._finalize_early(X, y)
        except DivergedError:
            return None
        return vars(other)

    def _holds_out(self, n):
        """Whether `validation_fraction` of n rows is not trained on."""
        return self.early_stopping

    def _starts_well(self, module):
        """Whether a module starts at a model that is good already."""
        return False

    def _rise(self, module, watched):
        """Steps over which the learning rate rises, not to leave a good start.

        `watched` is whether rows are held out beside it.
        """
        return 0

    def _patience(self, n_rows):
        """Epochs without improvement after which early stopping ends the training."""
        return self.n_iter_no_change

    def _set_up(self, net, n_rows, valid, single_epoch, n_epochs, warms_up, lr=None):
        """Tell the net what this training is to be."""
        n_epochs = n_epochs or self._n_epochs(n_rows)
        net.set_params(
            max_epochs=1 if single_epoch else n_epochs,
            batch_size=self.batch_size,
            lr_schedule=self.lr_schedule,
            max_grad_norm=self.max_grad_norm,
            train_split=None if valid is None else predefined_split(valid),
        )
        n_steps = math.ceil(n_rows / self.batch_size) * n_epochs
        if warms_up:
            net.warmup_ = net.step_, net.step_ + round(self.warmup * n_steps)
        # How many calls of partial_fit will follow is not known: no schedule there.
        rise = self._rise(net.module, valid is not None) if net.step_ == 0 else 0
        n_ramp = min(rise, n_steps // 10)
        net.begin(lr or self.lr, None if single_epoch else n_steps, n_ramp)

    def _split(self, n, seed):
        """The n rows' numbers: those to train on, and those held out."""
        n_valid = round(self.validation_fraction * n)
        if not 0 < n_valid < n:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {n} rows leaves no "
                "row for training or none for validation; change it, give more rows, or"
                f" set {self._hold_out_remedy}."
            )
        # The same rows again where a training goes on.
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(n, generator=generator).numpy()
        return order[n_valid:], order[:n_valid]

    def _make_callbacks(self, valid, n_rows, max_epochs):
        """The user's callbacks and ours; `valid` are rows that stop the training."""
        callbacks = [copied(callback) for callback in self.callbacks or []]
        kinds = [c if isinstance(c, type) else type(c) for c in map(unnamed, callbacks)]
        if not all(issubclass(kind, Callback) for kind in kinds):
            raise ValueError(
                f"callbacks={self.callbacks!r} must hold skorch callbacks, or pairs of "
                "a name and a callback."
            )
        unkept = [k.__name__ for k in kinds if issubclass(k, STEERING)]
        if unkept and self.checkpoint is not None:
            raise ValueError(
                f"checkpoint={self.checkpoint!r} does not keep what {unkept[0]} has "
                "gathered to steer the training by; leave one of them out, or use "
                "early_stopping or lr_schedule."
            )
        if self.lr_schedule != "constant" and any(
            issubclass(kind, LRScheduler) for kind in kinds
        ):
            raise ValueError(
                f"lr_schedule={self.lr_schedule!r} and a callback both set the learning"
                " rate; set lr_schedule='constant' or leave the LRScheduler out."
            )
        if valid is not None:
            callbacks.append(
                StopAfterWarmup(
                    valid,
                    patience=self._patience(n_rows),
                    # Infinity is about warnings, not about what improves.
                    threshold=self.tol if self.tol < np.inf else 0.0,
                    # The relative mode never stops where the loss is negative.
                    threshold_mode="abs",
                    load_best=True,
                )
            )
        if self.verbose and present_ranks().rank == 0:
            callbacks.append(ProgressBar(type(self).__name__, max_epochs))
        return callbacks

    def _set_trace_attributes(self, n_before, single_epoch):
        history = self.net_.history_
        self.lower_bounds_ = -np.array([epoch["train_loss"] for epoch in history])
        self.n_iter_ = len(history)
        self.__dict__.pop("best_epoch_", None)
        stopper = self._stopper()
        if stopper is not None:
            self.best_epoch_ = stopper.best_epoch_
        stopped = self.n_iter_ - n_before < self.net_.max_epochs
        self.converged_ = not single_epoch and (
            stopped or not self._still_rises(n_before)
        )

    def _stopper(self):
        """What has stopped the training early and kept the best weights, or None."""
        for callback in self.net_.callbacks:
            is_stopper = isinstance(callback, StopAfterWarmup)
            if is_stopper and getattr(callback, "best_loss_", np.inf) < np.inf:
                return callback
        return None

    def _keep_best_weights(self):
        """Those for held-out rows so far, if a stopper watches them."""
        if (stopper := self._stopper()) is not None:
            stopper.on_train_end(self.net_)

    def _still_rises(self, n_before):
        """Whether the objective still rose while the learning rate had not fallen.

        At the end of a schedule every trace is flat, so that there the middle of the
        training is looked at.
        """
        warmup = self.net_.warmup_[1] / max(self.net_.step_, 1) * self.n_iter_
        trace = self.lower_bounds_[max(n_before, math.ceil(warmup)) :]
        window = self.n_iter_no_change
        if self.lr_schedule == "cosine":
            window = max(window, len(trace) // 10)
            trace = trace[: len(trace) // 2 + window]
        return still_rises(trace, window, self.tol)
