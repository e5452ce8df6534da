"""What the losses of the epochs say of a training."""

import numpy as np


class DivergedError(Exception):
    """The loss of an epoch is not finite."""

    def __init__(self, epoch, loss):
        super().__init__(epoch, loss)
        self.epoch = epoch
        self.loss = loss


def still_rises(trace, window, tol):
    """Whether the mean of the last `window` values is above that of the ones before.

    By more than `tol`, and by more than two standard errors of the difference.
    """
    window = min(window, len(trace) // 2)
    if window == 0:  # too short to say
        return tol < np.inf
    last, before = trace[-window:], trace[-2 * window : -window]
    standard_error = np.sqrt((last.var() + before.var()) / window)
    return last.mean() - before.mean() > max(tol, 2 * standard_error)
