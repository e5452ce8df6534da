"""From explicit scikit-learn parameters to a trained skorch net."""

import copy
import math
from abc import ABCMeta, abstractmethod
from contextlib import nullcontext
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch.utils.data import Subset

from sklvm._base import private_random_state, raise_interrupt, unchanged_on_error
from sklvm._tasks import NOBODY, present_task, watched
from sklvm._warn import silent, warn_user
from sklvm.neural._callbacks import (
    EpochTasks,
    ProgressBar,
    StopAfterWarmup,
    copied,
    unnamed,
)
from sklvm.neural._device import (
    as_dense,
    as_tensor,
    full_precision,
    inference,
    memory_errors,
    place,
    resolve_device,
)
from sklvm.neural._interrupt import Interrupted, noticed_ctrl_c
from sklvm.neural._networks import ACTIVATIONS
from sklvm.neural._training import (
    OPTIMIZERS,
    DivergedError,
    TrainingNet,
    still_rises,
)
from sklvm.neural._values import frozen, unscaled
from sklvm.state._checkpoint import (
    CHECKPOINT_CONSTRAINT,
    NO_CHECKPOINT,
    checkpointing,
    present_checkpoint,
)
from sklvm.state._estimators import FittedStateMixin

# Numbers that one block of rows may hold in the widest layer: 2 MB, so in the cache.
BLOCK_SIZE = 2**19
# Steps over which the learning rate rises where the start is good.
RAMP = 200
# Rows on which an interrupted training is finished.
N_FEW = 500
# Callbacks of skorch that change a training by what they have seen of it.
STEERING = LRScheduler, EarlyStopping
# Devices whose optimisers can update all parameters in one call of a kernel.
FUSED = {"cpu", "cuda"}


class BaseNeuralEstimator(
    FittedStateMixin, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta
):
    """Estimator whose parameters are trained by stochastic gradients through skorch.

    A subclass has the parameters below in its own `__init__`, with `random_state`, and
    supplies the module; the simplest one is `sklvm.VAE`.
    """

    _parameter_constraints = {
        "activation": [StrOptions(set(ACTIVATIONS))],
        "warmup": [Interval(Real, 0.0, 1.0, closed="both")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0.0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr_schedule": [StrOptions({"constant", "cosine"})],
        "max_grad_norm": [Interval(Real, 0.0, None, closed="neither"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="both")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "checkpoint": CHECKPOINT_CONSTRAINT,
        "device": [str, torch.device],
        "compile": ["boolean"],
        "net_params": [dict, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    checkpoint = None  # a parameter of all estimators of the package
    # Parameters that shape the module: training that goes on cannot change them.
    _shaping = (*("activation", "optimizer", "compile", "net_params"),)

    _hold_out_remedy = "early_stopping=False"
    _memory_remedy = "lower batch_size or the widths of the networks"

    # What a subclass supplies -----------------------------------------------------

    @abstractmethod
    def _check_combinations(self):
        """Raise where parameters contradict each other or would have no effect."""

    @abstractmethod
    def _validate_rows(self, X, y, reset):
        """X and y checked at the public edge, as float32; y may be None."""

    @abstractmethod
    def _make_module(self, X, y, generator):
        """The module that `TrainingNet` trains, started for these data."""

    @abstractmethod
    def _configure(self, module):
        """Give the module those parameters that may change between two fits."""

    @abstractmethod
    def _finish(self, X, y, one_pass):
        """Publish what is known only after training, `lower_bound_` among it."""

    # Fitting ----------------------------------------------------------------------

    def _fit(self, X, y, one_pass=False):
        """Train for `max_epochs`, or for one pass over the rows."""
        self._validate_params()
        self._check_combinations()
        with (
            unchanged_on_error(self),
            torch.inference_mode(False),
            torch.enable_grad(),
            full_precision(),
        ):
            device = resolve_device(self.device)
            given = X, y
            goes_on = hasattr(self, "net_") and (one_pass or self.warm_start)
            X, y = self._validate_rows(X, y, reset=not goes_on)
            if goes_on:
                self._check_continues()
                self.net_.move(device)
                self._warn_unless_exact()
            else:
                self._shape = {n: frozen(getattr(self, n)) for n in self._shaping}
            with (
                self._checkpointing(X, y, goes_on, one_pass) as checkpoint,
                self.net_.restored_on_error() if goes_on else nullcontext(),
            ):
                interrupt = self._climb(X, y, given, device, goes_on, one_pass)
                if interrupt is None:
                    checkpoint.remove()
        raise_interrupt(interrupt, self)
        if not one_pass:
            self._warn_unless_converged()
        return self

    def _watched(self, X, y, n_parts):
        """The `Task` of a fit to X and y as the user gave them."""
        return watched(self, n_parts, X, y)

    def _n_trainings(self, n_rows):
        """How many trainings a fit has, at most."""
        return 1

    @with_callbacks
    def _climb(self, X, y, given, device, goes_on, one_pass):
        """Train and set the fitted attributes; None, or the Ctrl-C that ended it."""
        is_finished = False
        n_parts = 1 if goes_on else self._n_trainings(X.shape[0])
        task = nullcontext() if one_pass else self._watched(*given, n_parts)
        try:
            with task, noticed_ctrl_c(), memory_errors(self._memory_remedy):
                if goes_on:
                    self._configure(self.net_.module)
                    self._train(X, y, one_pass, warms_up=False)
                else:
                    self._train_anew(X, y, device, one_pass)
                try:
                    self._finish(X, y, one_pass)
                except KeyboardInterrupt as interrupt:
                    raise Interrupted(interrupt) from None
                is_finished = True
        except DivergedError as error:
            raise ValueError(self._why_diverged(error, X)) from None
        except Interrupted as interrupted:
            interrupt = interrupted.interrupt
        else:
            return None
        try:
            if not is_finished:
                self._finish_early(X, y)
        except DivergedError:
            raise interrupt from None
        return interrupt

    def _finish_early(self, X, y):
        """`_finish` of an interrupted training, on few rows so that nobody waits."""
        few = slice(None, None, -(-X.shape[0] // N_FEW))
        self._finish(X[few], None if y is None else y[few], one_pass=False)
        self.converged_ = False

    def _checkpointing(self, X, y, goes_on, one_pass):
        if one_pass:
            return nullcontext(NO_CHECKPOINT)
        start = None
        if goes_on and self.checkpoint is not None:
            start = self.net_.step_, self.net_.module.state_dict()
        return checkpointing(self, {"X": X, "y": y}, start)

    def _check_continues(self):
        """The fitted module is the one that the parameters describe."""
        for name, value in self._shape.items():
            if frozen(getattr(self, name)) != value:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not what the model to continue "
                    f"from was built with; set {name} back, or fit with "
                    "warm_start=False."
                )

    def _warn_unless_exact(self):
        """Say where the training goes on otherwise than it would have in memory."""
        if not self.net_.has_moments_:
            warn_user(
                f"The training of this {type(self).__name__} goes on without the "
                "moments that its optimiser had gathered, which pickle and "
                "sklvm.save(resumable=False) leave out; save it with "
                "sklvm.save(resumable=True) to go on exactly."
            )

    def _train_anew(self, X, y, device, one_pass):
        """Build the net and train it; a subclass may have stages or restarts."""
        self.net_ = self._make_net(X, y, device, self._draw_seed())
        self._configure(self.net_.module)
        self._warn_of_data(X)
        self._train(X, y, one_pass)

    def _warn_of_data(self, X):
        """Say where a training on X is possible and hardly what was meant."""

    def _n_epochs(self, n_rows):
        """Passes over the rows to train on."""
        return self.max_epochs

    def _draw_seed(self):
        settled = present_checkpoint().settled(self.random_state)
        rng = private_random_state(settled)
        return int(rng.randint(np.iinfo(np.int32).max))

    def _make_net(self, X, y, device, seed):
        generator = torch.Generator().manual_seed(seed)
        optimizer = OPTIMIZERS.get(self.optimizer, self.optimizer)
        params = {
            "lr": self.lr,
            "batch_size": self.batch_size,
            "optimizer": optimizer,
            "lr_schedule": self.lr_schedule,
            "max_grad_norm": self.max_grad_norm,
            "device": str(device),
            "compile": self.compile,
        }
        if optimizer in OPTIMIZERS.values() and device.type in FUSED:
            params["optimizer__fused"] = True
        for name in self.net_params or {}:
            if not name.startswith(("optimizer__", "compile__")) and name != "verbose":
                raise ValueError(
                    f"net_params={self.net_params!r} has {name!r}, which would have no "
                    "effect; it takes 'optimizer__...', 'compile__...' and 'verbose', "
                    f"the rest are parameters of {type(self).__name__}."
                )
        module = self._make_module(X, y, generator)
        net = TrainingNet(module, **params | (self.net_params or {}))
        net.initialize()
        net.generator_ = generator
        net.split_seed_ = seed
        return net

    def _train(
        self, X, y, one_pass=False, *, n_epochs=None, n_run=None, lr=None,
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
        if not one_pass and self._holds_out(len(train)):
            rows, valid_rows = self._split(len(train), net.split_seed_)
            if self.early_stopping:
                valid = Subset(train, valid_rows)
            train = Subset(train, rows)
        self._set_up(net, len(train), valid, one_pass, n_epochs, warms_up, lr)
        if n_run is not None:
            net.max_epochs = n_run
        net.callbacks = self._make_callbacks(
            valid if may_stop else None, len(train), net.max_epochs
        )
        net._initialize_callbacks()
        n_before = len(net.history_)
        now = None
        if is_usable:
            now = lambda: self._attributes_now(X, y, n_before)  # noqa: E731
        try:
            self._run(train, task, now)
            net.check_finite()
        except KeyboardInterrupt as interrupt:
            net.drop_unfinished_epoch()
            if one_pass or not is_usable or not net.history_:
                raise
            self._keep_best_weights()
            self._publish_trace(n_before, one_pass)
            raise Interrupted(interrupt) from None
        finally:
            net.train_split = None  # it holds the data
            for callback in net.callbacks:
                if isinstance(callback, ProgressBar):
                    callback.close()
        self._publish_trace(n_before, one_pass)

    def _run(self, rows, task, attributes=None):
        """Train the net on the rows, as a task of this name.

        `attributes()` are those of the estimator if the fit ended here.
        """
        net = self.net_
        with present_task().part(task, net.max_epochs) as task:
            told = ("tasks", EpochTasks(task, attributes))
            if task is not NOBODY:
                net.callbacks_.append(told)
            try:
                net.partial_fit(rows)
            finally:
                net.callbacks_ = [pair for pair in net.callbacks_ if pair is not told]

    def _attributes_now(self, X, y, n_before):
        """The attributes of the estimator if the fit ended here; None of no model."""
        other = copy.copy(self)
        # Copies, so that a look at a training does not change it.
        other.random_state = copy.deepcopy(self.random_state)
        other.net_ = copy.deepcopy(self.net_)
        other.net_.callbacks = self.net_.callbacks
        other._keep_best_weights()
        other._publish_trace(n_before, one_pass=False)
        try:
            with silent():
                other._finish_early(X, y)
        except DivergedError:
            return None
        return vars(other)

    def _holds_out(self, n):
        """Whether `validation_fraction` of n rows is not trained on."""
        return self.early_stopping

    def _starts_well(self, module):
        """Whether a module starts at a model that is good already."""
        return False

    def _patience(self, n_rows):
        """Epochs without improvement after which early stopping ends the training."""
        return self.n_iter_no_change

    def _set_up(self, net, n_rows, valid, one_pass, n_epochs, warms_up, lr=None):
        """Tell the net what this training is to be."""
        n_epochs = n_epochs or self._n_epochs(n_rows)
        net.set_params(
            max_epochs=1 if one_pass else n_epochs,
            batch_size=self.batch_size,
            lr_schedule=self.lr_schedule,
            max_grad_norm=self.max_grad_norm,
            train_split=None if valid is None else predefined_split(valid),
        )
        n_steps = math.ceil(n_rows / self.batch_size) * n_epochs
        if warms_up:
            net.warmup_ = net.step_, net.step_ + round(self.warmup * n_steps)
        # How many calls of partial_fit will follow is not known: no schedule there.
        starts_well = net.step_ == 0 and self._starts_well(net.module)
        n_ramp = min(RAMP, n_steps // 10) if starts_well else 0
        net.begin(lr or self.lr, None if one_pass else n_steps, n_ramp)

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
        if self.verbose:
            callbacks.append(ProgressBar(type(self).__name__, max_epochs))
        return callbacks

    def _why_diverged(self, error, X):
        """One sentence: the epoch, the likely cause, the remedy."""
        cause = self._cause_in_data(X)
        if cause is None:
            cause = f"lr={self.lr} is too large; decrease it"
            if self.max_grad_norm is None:
                cause += " or set max_grad_norm=1"
        return (
            f"The lower bound became {-error.loss} in epoch {error.epoch}, most likely "
            f"because {cause}."
        )

    def _cause_in_data(self, X):
        """What in X may have made a training diverge, with the remedy, or None."""
        return unscaled(X, "X")

    def _publish_trace(self, n_before, one_pass):
        history = self.net_.history_
        self.lower_bounds_ = -np.array([epoch["train_loss"] for epoch in history])
        self.n_iter_ = len(history)
        self.__dict__.pop("best_epoch_", None)
        stopper = self._stopper()
        if stopper is not None:
            self.best_epoch_ = stopper.best_epoch_
        stopped = self.n_iter_ - n_before < self.net_.max_epochs
        self.converged_ = not one_pass and (stopped or not self._still_rises(n_before))

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

    def _warn_unless_converged(self):
        if not self.converged_:
            warn_user(
                f"The lower bound still rose by more than tol={self.tol} when "
                f"max_epochs={self.max_epochs} ended the training; increase max_epochs "
                "or tol.",
                ConvergenceWarning,
            )

    # Prediction -------------------------------------------------------------------

    def _fitted_module(self):
        """The module, ready to predict, and its device."""
        module = self.net_.module
        if module.training:  # a walk over all layers, which a search would feel
            module.eval()
        return module, torch.device(self.net_.device)

    def _map_rows(self, function, X, row_size):
        """`function` of chunks of rows, on the device, as one float32 array.

        `row_size` is how many numbers a row takes where it takes most.
        """
        device = torch.device(self.net_.device)
        size, parts = max(1, BLOCK_SIZE // row_size), []
        with inference():
            for start in range(0, X.shape[0], size):
                # A copy: a module that works in place leaves the user's X alone.
                part = np.array(as_dense(X[start : start + size]))
                parts.append(function(as_tensor(part, device)).cpu())
        return torch.cat(parts).numpy()
