"""From explicit scikit-learn parameters to a trained skorch net."""

from abc import abstractmethod
from contextlib import nullcontext
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from sklvm._base import private_random_state, raise_interrupt, unchanged_on_error
from sklvm._compat import with_callbacks
from sklvm._devices import (
    cpu_by_default,
    full_precision,
    memory_errors,
    resolve_device,
)
from sklvm._tasks import watched
from sklvm._warn import warn_user
from sklvm.neural._device import as_dense, as_tensor, inference
from sklvm.neural._interrupt import Interrupted, noticed_ctrl_c
from sklvm.neural._networks import ACTIVATIONS
from sklvm.neural._one_training import TrainsItsNet
from sklvm.neural._ranks import present_ranks, training_together
from sklvm.neural._trace import DivergedError
from sklvm.neural._training import OPTIMIZERS, TrainingNet
from sklvm.neural._values import described, frozen, unscaled
from sklvm.state._checkpoint import (
    CHECKPOINT_CONSTRAINT,
    NO_CHECKPOINT,
    checkpointing,
    present_checkpoint,
)

# Numbers that one block of rows may hold in the widest layer: 2 MB, so in the cache.
BLOCK_SIZE = 2**19
# Rows on which an interrupted training is finished.
N_FEW = 500
# Devices whose optimisers can update all parameters in one call of a kernel.
FUSED = {"cpu", "cuda"}


class BaseNeuralEstimator(TrainsItsNet):
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
    _architecture = (*("activation", "optimizer", "compile", "net_params"),)

    # Whether the processes of torchrun train one model together.
    _trains_together = True

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
    def _finalize(self, X, y, single_epoch):
        """Publish what is known only after training, `lower_bound_` among it."""

    # Fitting ----------------------------------------------------------------------

    def _fit(self, X, y, single_epoch=False):
        """Train for `max_epochs`, or for one pass over the rows."""
        self._validate_params()
        self._check_combinations()
        with (
            unchanged_on_error(self),
            torch.inference_mode(False),
            torch.enable_grad(),
            full_precision(),
            cpu_by_default(),
            training_together(self._trains_together) as ranks,
        ):
            device = ranks.device(resolve_device(self.device))
            given = X, y
            resumes = hasattr(self, "net_") and (single_epoch or self.warm_start)
            X, y = self._validate_rows(X, y, reset=not resumes)
            if resumes:
                self._check_continues()
                self.net_.move(device)
                self._warn_unless_exact()
            else:
                self._shape = {n: frozen(getattr(self, n)) for n in self._architecture}
            self._check_ranks(ranks, X, y)
            with (
                self._checkpointing(X, y, resumes, single_epoch) as checkpoint,
                self.net_.restored_on_error() if resumes else nullcontext(),
            ):
                interrupt = self._climb(X, y, given, device, resumes, single_epoch)
                if interrupt is None:
                    checkpoint.remove()
        raise_interrupt(interrupt, self)
        if not single_epoch and ranks.rank == 0:
            self._warn_unless_converged()
        return self

    def _check_ranks(self, ranks, X, y):
        """Raise in every process of torchrun if one was given something else."""
        if ranks.size == 1:
            return
        if self.checkpoint is not None:
            raise ValueError(
                f"checkpoint={self.checkpoint!r} is of a fit in one process, and "
                f"torchrun has started {ranks.size}; leave it out, and save the "
                "fitted estimator."
            )
        given = {
            name: repr(value)
            for name, value in self.get_params(deep=False).items()
            if isinstance(value, str | float | int | tuple | list | None)
        }
        given["X"], given["y"] = described(X), described(y)
        ranks.check_same(given)

    def _watched(self, X, y, n_parts):
        """The `Task` of a fit to X and y as the user gave them."""
        return watched(self, n_parts, X, y)

    def _n_trainings(self, n_rows):
        """How many trainings a fit has, at most."""
        return 1

    @with_callbacks
    def _climb(self, X, y, given, device, resumes, single_epoch):
        """Train and set the fitted attributes; None, or the Ctrl-C that ended it."""
        is_finished = False
        n_parts = 1 if resumes else self._n_trainings(X.shape[0])
        task = nullcontext() if single_epoch else self._watched(*given, n_parts)
        try:
            with task, noticed_ctrl_c(), memory_errors(self._memory_remedy):
                if resumes:
                    self._configure(self.net_.module)
                    self._train(X, y, single_epoch, warms_up=False)
                else:
                    self._train_anew(X, y, device, single_epoch)
                try:
                    self._finalize(X, y, single_epoch)
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
                self._finalize_early(X, y)
        except DivergedError:
            raise interrupt from None
        return interrupt

    def _finalize_early(self, X, y):
        """`_finalize` of an interrupted training, on few rows so that nobody waits."""
        few = slice(None, None, -(-X.shape[0] // N_FEW))
        self._finalize(X[few], None if y is None else y[few], single_epoch=False)
        self.converged_ = False

    def _checkpointing(self, X, y, resumes, single_epoch):
        if single_epoch:
            return nullcontext(NO_CHECKPOINT)
        start = None
        if resumes and self.checkpoint is not None:
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

    def _train_anew(self, X, y, device, single_epoch):
        """Build the net and train it; a subclass may have stages or restarts."""
        self.net_ = self._make_net(X, y, device, self._draw_seed())
        self._configure(self.net_.module)
        self._warn_of_data(X)
        self._train(X, y, single_epoch)

    def _warn_of_data(self, X):
        """Say where a training on X is possible and hardly what was meant."""

    def _draw_seed(self):
        settled = present_checkpoint().settled(self.random_state)
        rng = private_random_state(settled)
        return present_ranks().first(int(rng.randint(np.iinfo(np.int32).max)))

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
            if name == "optimizer__lr":
                raise ValueError(
                    f"net_params={self.net_params!r} has the learning rate, which is a "
                    f"parameter of {type(self).__name__}; set lr."
                )
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
