"""A training as a stage of a fit whose checkpoints are kept."""

import copy

from skorch.callbacks import Callback


class Stage(Callback):
    """Keeps what a training has reached, and puts it back when the fit begins again.

    It has to be the last of the callbacks, so that what the others do is in it. Of
    those `kept` names the attributes that change from epoch to epoch.

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
                "callbacks": [_kept(callback) for _, callback in net.callbacks_],
            }
        )

    def _put_back(self, net, state):
        state = copy.deepcopy(state)
        net.module.set_changing_state(state["changing"])
        net.module.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        net.generator_.set_state(state["generator"])
        vars(net).update(state["net"])
        for (_, callback), kept in zip(net.callbacks_, state["callbacks"], strict=True):
            vars(callback).update(kept)


# What of a net changes in a training, besides its module.
CHANGING = (
    *("step_", "warmup_", "cosine_steps_", "best_losses_", "history_", "lr"),
    "was_stopped_",
)


def _kept(callback):
    names = getattr(callback, "kept", ())
    return {name: vars(callback)[name] for name in names if name in vars(callback)}
