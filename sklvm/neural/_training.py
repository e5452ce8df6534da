"""The training loop: a skorch net whose epochs cost what a hand-written loop costs.

skorch's own epoch collates single rows and waits for the loss after every batch. Here
batches are slices of one permutation of data that lie on the device, and the losses are
read once an epoch. Callbacks see epochs as in skorch, and batches where one of them
asks for batches.
"""

import copy
import inspect
import math
from contextlib import contextmanager, suppress

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from torch import nn

from sklvm._devices import resolve_device
from sklvm._warn import warn_user
from sklvm.neural import _state  # noqa: F401 (it says how tensors are written)
from sklvm.neural._batches import Batches
from sklvm.neural._interrupt import was_ctrl_c
from sklvm.neural._ranks import present_ranks
from sklvm.neural._stage import Stage
from sklvm.neural._trace import DivergedError
from sklvm.state._checkpoint import present_checkpoint
from sklvm.state._classes import stateful
from sklvm.state._pack import pack, unpack

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
# What a net is built with again, and what it then has to be given back.
PARAMETERS = (
    *("lr", "batch_size", "max_epochs", "optimizer", "lr_schedule", "max_grad_norm"),
    *("device", "compile", "verbose"),
)
TRAINED = (
    *("step_", "warmup_", "cosine_steps_", "best_losses_", "history_", "generator_"),
    *("split_seed_", "was_stopped_"),
)
BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


def _is_parameter(name):
    return name in PARAMETERS or name.startswith(("optimizer__", "compile__"))


class _StopRequest(Exception):
    """A callback wishes to stop the training."""


@stateful
class TrainingNet(NeuralNet):
    """Minimises the loss that a module computes of its own batches.

    `warmup` rises from 0 to 1 between the two steps of the optimiser in `warmup_`. No
    method of this class draws from a global generator.

    Parameters
    ----------
    module : TrainedModule
    lr_schedule : {"constant", "cosine"}
    max_grad_norm : float or None
    **kwargs : parameters of `skorch.NeuralNet`
    """

    def __init__(
        self, module, *, lr_schedule="constant", max_grad_norm=None, train_split=None,
        verbose=0, **kwargs
    ):  # fmt: skip
        self.lr_schedule = lr_schedule
        self.max_grad_norm = max_grad_norm
        # The module computes its loss itself, so the criterion has nothing to do.
        super().__init__(
            module,
            criterion=nn.Identity,
            train_split=train_split,
            verbose=verbose,
            **kwargs,
        )

    @property
    def _default_callbacks(self):
        return [("epoch_timer", EpochTimer())]

    # The state of the training ----------------------------------------------------

    def initialize(self):
        self.step_ = 0
        self.warmup_ = 0, 0
        self.cosine_steps_ = None
        self.best_losses_ = {}
        self.has_moments_ = True
        super().initialize()
        return self

    def move(self, device):
        """Go on with the training on this device."""
        if torch.device(self.device) != device:
            state = self.optimizer_.state_dict()
            self.device = str(device)
            self.module_.to(device)
            self._initialize_optimizer()
            self.optimizer_.load_state_dict(state)

    def warmup_factor(self):
        """What the weight of the warm-up is at the present step, from 0 to 1."""
        first, end = self.warmup_
        return 1.0 if self.step_ >= end else (self.step_ + 1 - first) / (end - first)

    @contextmanager
    def restored_on_error(self):
        """Put weights, optimiser, generator and history back if the block raises.

        And `lr`, from which the next training takes the ratios of learning rates.
        """
        weights = copy.deepcopy(self.module_.state_dict())
        optimizer = copy.deepcopy(self.optimizer_.state_dict())
        n_epochs = len(self.history_)
        random = self.generator_.get_state()
        lr, has_moments = self.lr, self.has_moments_
        steps = self.step_, self.warmup_, self.cosine_steps_
        try:
            yield
        except BaseException:
            self.module_.load_state_dict(weights)
            self.optimizer_.load_state_dict(optimizer)
            del self.history_[n_epochs:]
            self.generator_.set_state(random)
            self.lr, self.has_moments_ = lr, has_moments
            self.step_, self.warmup_, self.cosine_steps_ = steps
            raise

    def check_finite(self):
        """Raise if the last step has left weights that are not finite."""
        if not all(p.isfinite().all() for p in self.module_.parameters()):
            raise DivergedError(len(self.history), math.nan)

    # The loop ---------------------------------------------------------------------

    def notify(self, method_name, **cb_kwargs):
        """As skorch's, where a callback stops the training by a KeyboardInterrupt.

        A user's Ctrl-C, which may come while a callback runs, is no such request.
        """
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as error:
            if was_ctrl_c():
                raise
            raise _StopRequest from error
        if was_ctrl_c():  # and it was dropped
            raise KeyboardInterrupt

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` more; Ctrl-C is passed on."""
        self.was_stopped_ = True
        self.has_moments_ = True
        stage = Stage(present_checkpoint())
        self.callbacks_.append(("checkpoint", stage))
        with suppress(_StopRequest):
            self.notify("on_train_begin", X=X, y=y)
            if not stage.is_finished:
                self.fit_loop(X, y, epochs=self.max_epochs - stage.n_done)
                self.was_stopped_ = False
        self.drop_unfinished_epoch()
        self.notify("on_train_end", X=X, y=y)
        self.callbacks_.remove(("checkpoint", stage))
        return self

    def drop_unfinished_epoch(self):
        """An epoch that was cut short has no loss."""
        if self.history_ and "train_loss" not in self.history_[-1]:
            del self.history_[-1]

    def get_iterator(self, dataset, training=False):
        device = torch.device(self.device)
        shuffle = None
        if training:
            # A device's generator cannot be pickled, so it is made anew each time.
            shuffle = torch.Generator(device)
        return Batches(dataset, self.batch_size, device, shuffle)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """One pass; the mean loss goes into the history as `<prefix>_loss`."""
        if iterator is None:
            return
        generator = self._seed(iterator, training)
        self._set_training(training)
        self.watched_ = self._watched_events()
        if not self.watched_:
            self.history.new_batch()  # skorch's Checkpoint looks for at least one
        # One tensor: small ones that stay between the large ones of the steps would
        # keep the allocator from using freed memory again.
        names = ["loss", *(self.module.parts if training else ())]
        losses = torch.zeros(
            len(iterator), len(names), dtype=torch.float32, device=iterator.device
        )
        sizes = []
        for batch in iterator:
            if self.watched_:
                self.notify("on_batch_begin", batch=batch, training=training)
            loss = step_fn(batch, generator)
            losses[len(sizes)] = loss
            sizes.append(len(batch[0]))
            if self.watched_:
                self._tell_batch(batch, loss[0], prefix, training)
        self.history.record(prefix + "_batch_count", len(sizes))
        if training:
            present_ranks().take_first(self.module)
            self.history.record("lr", self.optimizer_.param_groups[0]["lr"])
        mean, *parts = np.average(losses.cpu().numpy(), axis=0, weights=sizes)
        for name, part in zip(names[1:], parts, strict=True):
            self.history.record(f"{prefix}_{name}", float(part))
        name = prefix + "_loss"
        best = self.best_losses_.get(name, np.inf)
        self.best_losses_[name] = min(best, float(mean))
        self.history.record(name, float(mean))
        self.history.record(name + "_best", bool(mean < best))
        if not np.isfinite(mean):
            raise DivergedError(len(self.history), float(mean))

    def _seed(self, iterator, training):
        """The generator of one epoch; held-out epochs repeat the same noise."""
        generator = iterator.shuffle
        if not training:
            return torch.Generator(iterator.device).manual_seed(0)
        seed = torch.randint(2**62, (1,), generator=self.generator_).item()
        return generator.manual_seed(seed)

    def _watched_events(self):
        """The events of batches for which a callback has a method of its own."""
        return {
            event
            for event in BATCH_EVENTS
            for _, callback in self.callbacks_
            if getattr(type(callback), event) is not getattr(Callback, event)
        }

    def _tell_batch(self, batch, loss, prefix, training):
        self.history.record_batch(prefix + "_loss", loss.item())
        self.history.record_batch(prefix + "_batch_size", len(batch[0]))
        self.notify(
            "on_batch_end", batch=batch, training=training, loss=loss, y_pred=None
        )

    def train_step(self, batch, generator):
        """One step of the optimiser; the loss and its parts, as they were before it."""
        drawn, ranks = self.module.draw(*batch, generator), present_ranks()
        rows, weight = ranks.share(len(batch[0]))
        if ranks.size > 1:
            drawn = self.module.shard(drawn, rows)
        warmup, n_parts = self.warmup_factor(), len(self.module.parts)
        self._set_lr()

        def compute_gradient():
            parameters = [
                p for group in self.optimizer_.param_groups for p in group["params"]
            ]
            for parameter in parameters:
                parameter.grad = None
            loss, *outputs = self.module_(*drawn, warmup)
            loss.backward()
            losses = torch.stack([loss.detach(), *outputs[:n_parts]])
            losses = ranks.average_gradients(parameters, losses, weight)
            self._grad_computed(batch)
            computed.append((losses, outputs[n_parts:]))
            return losses[0]

        computed = []
        if self.needs_closure_:
            self.optimizer_.step(torch.enable_grad()(compute_gradient))
        else:
            compute_gradient()
            self.optimizer_.step()
        self.step_ += 1
        losses, outputs = computed[0]
        self.module.after_step(drawn, outputs)
        return losses

    def validation_step(self, batch, generator):
        """The loss of a held-out batch, as after the warm-up."""
        ranks = present_ranks()
        with torch.no_grad():
            if ranks.size == 1:
                return self.module.held_out_loss(*batch, generator)[None]
            rows, weight = ranks.share(len(batch[0]))
            loss = self.module.held_out_loss(*batch, generator, rows)
            return ranks.add(loss[None] * weight)

    def held_out_loss(self, dataset):
        """The mean loss of held-out rows, with the same noise each time."""
        iterator = self.get_iterator(dataset)
        generator = self._seed(iterator, training=False)
        self._set_training(False)
        losses, sizes = [], []
        for batch in iterator:
            losses.append(self.validation_step(batch, generator).item())
            sizes.append(len(batch[0]))
        return float(np.average(losses, weights=sizes))

    def _grad_computed(self, batch):
        if self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.module_.parameters(), self.max_grad_norm)
        if "on_grad_computed" in self.watched_:
            self.notify(
                "on_grad_computed",
                named_parameters=list(self.get_all_learnable_params()),
                batch=batch,
                training=True,
            )

    def _set_lr(self):
        """The learning rate of this step, where a schedule changes it."""
        if self.cosine_steps_ is None:
            return
        start, length, n_ramp = self.cosine_steps_
        step = self.step_ - start
        factor = (1 + math.cos(math.pi * step / length)) / 2
        if step < n_ramp:
            factor *= (step + 1) / n_ramp
        for group in self.optimizer_.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def begin(self, lr, n_steps, n_ramp=0):
        """Set the learning rate, over the `n_steps` of a schedule where it has one.

        In the first `n_ramp` of them it rises to what the schedule says.
        """
        for group in self.optimizer_.param_groups:
            # Groups of parameters may have learning rates of their own.
            group.setdefault("lr_ratio", group["lr"] / self.lr)
            group["lr"] = group["initial_lr"] = group["lr_ratio"] * lr
        self.lr = lr
        # LBFGS evaluates the loss several times a step; most optimisers do not.
        _, *parameters = inspect.signature(
            type(self.optimizer_).step
        ).parameters.values()
        self.needs_closure_ = any(p.default is p.empty for p in parameters)
        has_schedule = self.lr_schedule == "cosine" and n_steps is not None
        self.cosine_steps_ = (self.step_, n_steps, n_ramp) if has_schedule else None

    # State ------------------------------------------------------------------------

    def _get_fitted_state(self, resumable):
        """What the net is rebuilt from: no batches, no data, one module."""
        params = {
            name: value for name, value in vars(self).items() if _is_parameter(name)
        }
        state = {name: getattr(self, name) for name in TRAINED if hasattr(self, name)}
        if resumable and self.has_moments_:
            state["moments"] = self.optimizer_.state_dict()
        elif "generator_" in state:
            # Its state is 5 kB, as much as a small network: a seed will do.
            state["generator_"] = self.generator_.initial_seed()
        return {"params": params, "module": self.module, **state}

    def _set_fitted_state(self, state):
        state = dict(state)
        module, params = state.pop("module"), state.pop("params")
        if not isinstance(module, nn.Module) or not all(map(_is_parameter, params)):
            raise ValueError("a net with parameters that it does not have")
        self.__init__(module, **params)
        moments = state.pop("moments", None)
        try:
            device = resolve_device(self.device)
        except ValueError:
            warn_user(
                f"The estimator was fitted on device={self.device!r}, which is not "
                "available here; it now computes on the CPU."
            )
            device = torch.device("cpu")
        self.device = str(device)
        self.initialize()
        self.__dict__.update({name: state[name] for name in TRAINED if name in state})
        if isinstance(state.get("generator_"), int):
            seed = (state["generator_"] + self.step_) % 2**63
            self.generator_ = torch.Generator().manual_seed(seed)
        self.has_moments_ = moments is not None
        if moments is not None:
            self.optimizer_.load_state_dict(moments)

    def __getstate__(self):
        return pack(self._get_fitted_state(resumable=False))

    def __setstate__(self, state):
        self._set_fitted_state(unpack(state))
