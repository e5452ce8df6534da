"""What a module has to have so that `TrainingNet` can train it."""

from abc import ABC, abstractmethod

from torch import nn


class TrainedModule(nn.Module, ABC):
    """Module that draws what is random in a batch, and computes its own loss.

    `forward(*drawn, warmup)` gives the loss, a mean over the rows of the batch; then
    the scalars that `parts` names, for the history; then whatever `after_step` is to
    have. It changes nothing. `warmup` rises from 0 to 1 over the training's warm-up.
    """

    #: Names of the scalars that `forward` gives besides the loss.
    parts = ()

    @abstractmethod
    def draw(self, X, y, generator):
        """The arguments of `forward` for a batch, all that is random among them."""

    @abstractmethod
    def held_out_loss(self, X, y, generator):
        """What early stopping looks at.

        Where several processes may train together it takes the rows of the batch that
        are this one's, too, and ``shard(drawn, rows)`` is what was drawn for them.
        """

    def after_step(self, drawn, outputs):
        """Take what `forward` gave after the parts, when the step has been made."""

    def changing_state(self):
        """What changes in a training beside parameters and buffers; for checkpoints."""
        return {}

    def set_changing_state(self, state):
        """Take what `changing_state` gave."""
