"""The callbacks that the estimators give to skorch themselves."""

import copy

import numpy as np
from skorch.callbacks import Callback, EarlyStopping
from tqdm import tqdm


class StopAfterWarmup(EarlyStopping):
    """Early stopping that begins to watch when the warm-up is over.

    The best weights are kept, however little better they are; `threshold` only decides
    what is patience well spent.
    """

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net, **kwargs)
        self.best_loss_ = np.inf

    def on_epoch_end(self, net, **kwargs):
        if net.step_ < net.warmup_[1]:
            return
        loss = net.history[-1, self.monitor]
        if loss < self.best_loss_:
            self.best_loss_ = loss
            self.best_epoch_ = net.history[-1, "epoch"]
            self.best_model_weights_ = copy.deepcopy(net.module_.state_dict())
        super().on_epoch_end(net, **kwargs)


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
