"""The callbacks that the estimators give to skorch themselves."""

import copy

import numpy as np
from skorch.callbacks import Callback, EarlyStopping
from tqdm import tqdm


class StopAfterWarmup(EarlyStopping):
    """Early stopping that begins to watch when the warm-up is over.

    The best weights are kept, however little better they are, those of the start
    among them; `threshold` only decides what is patience well spent.
    """

    kept_in_checkpoints = (
        *("misses_", "dynamic_threshold_", "best_loss_", "best_epoch_"),
        "best_model_weights_",
    )

    def __init__(self, valid, **kwargs):
        self.valid = valid
        super().__init__(**kwargs)

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        self.best_loss_ = np.inf
        if net.step_ >= net.warmup_[1]:
            loss = net.held_out_loss(self.valid)
            self._keep_if_best(net, loss, len(net.history))
            # Or the first epoch would count as an improvement, and replace the start.
            self.dynamic_threshold_ = self._calc_new_threshold(loss)
        self.valid = None  # it holds the data

    def on_epoch_end(self, net, **kwargs):
        if net.step_ < net.warmup_[1]:
            return
        loss, epoch = net.history[-1, self.monitor], net.history[-1, "epoch"]
        self._keep_if_best(net, loss, epoch)
        super().on_epoch_end(net, **kwargs)

    def _keep_if_best(self, net, loss, epoch):
        if loss < self.best_loss_:
            self.best_loss_, self.best_epoch_ = loss, epoch
            self.best_model_weights_ = copy.deepcopy(net.module_.state_dict())


class HeldOutCurve(Callback):
    """The loss of held-out rows every so many steps, from the start on.

    The training ends when it has not fallen for `patience` steps. `errors()` are sums
    over the same rows that say how large the noise is.
    """

    kept_in_checkpoints = "steps_", "losses_", "errors_"

    def __init__(self, valid, errors, every, patience):
        self.valid = valid
        self.errors = errors
        self.every = every
        self.patience = patience

    def on_train_begin(self, net, **kwargs):
        self.steps_, self.losses_, self.errors_ = [], [], []
        self._look(net)

    def on_epoch_end(self, net, **kwargs):
        if net.step_ - self.steps_[-1] < self.every:
            return
        self._look(net)
        best = self.steps_[int(np.argmin(self.losses_))]
        if net.step_ - best >= self.patience:
            raise KeyboardInterrupt  # how callbacks of skorch end a training

    def on_train_end(self, net, **kwargs):
        if self.steps_[-1] != net.step_:
            self._look(net)

    def _look(self, net):
        self.steps_.append(net.step_)
        self.losses_.append(net.held_out_loss(self.valid))
        self.errors_.append(self.errors())


class EpochTasks(Callback):
    """Tells the callbacks of scikit-learn of each epoch, and stops if one asks to.

    Parameters
    ----------
    task : Task
    attributes : callable or None
        Gives those of the estimator if the fit ended here.
    """

    def __init__(self, task, attributes):
        self.task = task
        self.attributes = attributes

    def on_epoch_end(self, net, **kwargs):
        if self.task.step("epoch", self.attributes):
            raise KeyboardInterrupt  # how callbacks of skorch end a training


class ProgressBar(Callback):
    """A bar over the epochs, on standard error."""

    def __init__(self, desc, total):
        self.desc = desc
        self.total = total

    def on_train_begin(self, net, **kwargs):
        self.bar_ = tqdm(desc=self.desc, total=self.total, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        self.bar_.set_postfix(F=f"{-net.history[-1, 'train_loss']:.6g}", refresh=False)
        self.bar_.update()

    def close(self):
        """Leave the bar as it stands, whether the training ended well or not."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_


def copied(callback):
    """A copy for the net, so that training leaves the user's own as it is.

    What it refers to is shared: a list that a callback fills is filled for its user.
    """
    if isinstance(callback, tuple):
        return callback[0], copied(callback[1])
    return callback if isinstance(callback, type) else copy.copy(callback)


def unnamed(callback):
    """The callback of a (name, callback) pair."""
    return callback[1] if isinstance(callback, tuple) else callback
