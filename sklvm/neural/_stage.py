"""A training as a stage of a fit whose checkpoints are kept."""

import copy

from skorch.callbacks import Callback


class Stage(Callback):
    """Keeps what a training has reached, and puts it back when the fit begins again.

    It has to be the last of the callbacks, so that what the others do is in it. Of
    those of the package `kept_in_checkpoints` names the attributes that change from
    epoch to epoch. The user's may be others when the fit begins again.

    Parameters
    ----------
    checkpoint : Checkpoint
    """

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint
        self.number = checkpoint.next_stage()
        self.is_finished = False
        self.n_done = 0

    def on_train_begin(self, net, **kwargs):
        self.n_before_ = len(net.history)
        reached = self.checkpoint.reached(self.number)
        if reached is not None:
            state, self.is_finished = reached
            self._put_back(net, state)
            self.n_done = len(net.history) - self.n_before_

    def on_epoch_end(self, net, **kwargs):
        self.checkpoint.keep(self.number, lambda: self._state(net))

    def on_train_end(self, net, **kwargs):
        if not self.is_finished:
            self.checkpoint.finish(self.number, lambda: self._state(net))

    def _state(self, net):
        """Copies: the training goes on before they are written."""
        return copy.deepcopy(
            {
                "module": net.module.state_dict(),
                "changing": net.module.changing_state(),
                "optimizer": net.optimizer_.state_dict(),
                "generator": net.generator_.get_state(),
                "net": {name: getattr(net, name) for name in CHANGING},
                "callbacks": {
                    type(callback).__name__: {n: vars(callback)[n] for n in names}
                    for callback, names in _keeping(net)
                },
            }
        )

    def _put_back(self, net, state):
        state = copy.deepcopy(state)
        net.module.set_changing_state(state["changing"])
        net.module.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.generator_.set_state(state["generator"])
        vars(net).update(state["net"])
        for callback, _ in _keeping(net):
            vars(callback).update(state["callbacks"][type(callback).__name__])


# What of a net changes in a training, besides its module.
CHANGING = (
    *("step_", "warmup_", "cosine_steps_", "best_losses_", "history_", "lr"),
    "was_stopped_",
)


def _keeping(net):
    """The callbacks of which something is kept, and the names of what they have."""
    for _, callback in net.callbacks_:
        names = getattr(callback, "kept_in_checkpoints", ())
        if names:
            yield callback, [name for name in names if name in vars(callback)]
