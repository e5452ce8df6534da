"""Families of the user's own: where they start, and whether X is in their support.

Their encoder reads x itself, in whatever unit, so its network standardises it.
"""

import copy

import numpy as np
import torch
from torch import nn

from sklvm.autoencoder.likelihoods._base import Likelihood, column_moments, vector
from sklvm.neural._device import as_dense
from sklvm.neural._networks import Standardise

# Rows that show both, and steps of Rprop, whose sizes do not depend on the units of X.
N_ROWS, N_STEPS = 1000, 150


def start_of(likelihood, X):
    """The `start` of a likelihood; where it has none, what gradients find."""
    start = likelihood.start(X)
    if start is not None:
        return start
    # A copy, as rows may be those of a memory map.
    some = X[:: -(-X.shape[0] // N_ROWS)]
    rows = torch.from_numpy(np.array(as_dense(some)))
    observed = ~rows.isnan()
    x = torch.where(observed, rows, 0.0)
    likelihood = copy.deepcopy(likelihood).eval()
    with torch.enable_grad():
        start = _best_outputs(likelihood, x, observed)
    with torch.no_grad():
        _check_support(likelihood, x, observed, start)
    return start


def reads_raw(likelihood):
    """Whether a family leaves it to us what the encoder reads, and where it starts."""
    kind = type(likelihood)
    return kind.features is Likelihood.features and kind.start is Likelihood.start


def standardising(encoder, X, n_inputs):
    """The layers of an encoder, behind one that standardises X."""
    mean, variance = column_moments(X)
    scale = np.sqrt(variance)
    # Sums of a constant column are rounded.
    scale = np.where(scale > 1e-6 * np.abs(mean), scale, 1.0)
    first = Standardise(vector(mean), vector(scale), n_inputs)
    return nn.Sequential(first, *encoder)


def _best_outputs(likelihood, x, observed):
    """The outputs, the same for all rows, with the highest log p(x) on the way."""
    outputs = x.new_zeros(likelihood.width(x.shape[1])).requires_grad_()
    optimizer = torch.optim.Rprop([outputs], lr=0.1, step_sizes=(1e-4, 1.0))
    best, least = outputs.detach().clone(), np.inf
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        rows = outputs.expand(len(x), -1)
        loss = -likelihood.log_conditional(x, rows, observed).mean()
        if not loss.isfinite():
            break
        if loss < least:
            best, least = outputs.detach().clone(), float(loss.detach())
        loss.backward()
        if not outputs.grad.isfinite().all():
            break
        optimizer.step()
    return best


def _check_support(likelihood, x, observed, start):
    """Raise where a probability above 1 shows that X is not what is drawn."""
    outputs = start.expand(len(x), -1)
    drawn = likelihood.sample(outputs, torch.Generator().manual_seed(0))
    if not (drawn == drawn.round()).all():
        return
    log_prob = likelihood.log_prob(x, outputs)
    wrong = observed & (x != x.round()) & (log_prob > 0)
    if wrong.any():
        name = likelihood.data_name
        raise ValueError(
            f"{name} has {x[wrong][0]:g}, which likelihood={type(likelihood).__name__} "
            "gives a probability above 1, and it draws whole numbers only; give "
            f"{name} as it was, without a scaler."
        )
