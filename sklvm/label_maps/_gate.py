r"""Predictions of a bit mixed into one, with weights that depend on them.

For logits s_i of the bit and confidences c_i, the logarithms of the numbers counted,

.. math::

    z = b(s, c) + \sum_i w_i(s, c) \, s_i

where w and b are a network of one hidden layer. It is fitted in floats by gradients and
then rounded to integers, of which the predictions are made: z in steps of 1/256, and
the bit's frequency from a table.
"""

import numpy as np
from scipy.special import expit

from sklvm.label_maps._range_coder import BIT_TOTAL
from sklvm.state._classes import stateful

# Steps of a logit and of a confidence to one.
LOGIT, CONFIDENCE = 256, 64
LARGEST = 13 * LOGIT
# Binary places: of the first layer's sums, of the hidden units, of the weights.
FIRST, HIDDEN, WEIGHT = 22, 10, 12
N_HIDDEN = 16
EXACT = 1 << 53
MOST_STEPS, FEWEST_STEPS, BATCH = 2400, 200, 4096
LEARNING_RATE = 4e-3
# What the inputs are divided by, so that they are of order one.
LOGIT_UNIT, CONFIDENCE_UNIT = 3 * LOGIT, 5 * CONFIDENCE


@stateful
class Gate:
    """The frequency of a bit, of BIT_TOTAL, from n_inputs predictions."""

    def __init__(self, n_inputs):
        self.n_inputs = n_inputs
        steps = np.arange(-LARGEST, LARGEST + 1) / LOGIT
        self.frequencies = np.rint(BIT_TOTAL * expit(steps)).astype(np.int64)
        self.frequencies = self.frequencies.clip(1, BIT_TOTAL - 1)

    def fit(self, predictions, bits, weights):
        """Least mean code length of bits (n,), of weights (n,)."""
        x = np.concatenate(
            [
                predictions[..., 0] / LOGIT_UNIT,
                predictions[..., 1] / CONFIDENCE_UNIT - 0.5,
            ],
            axis=1,
            dtype=np.float32,
        )
        layers = _trained(x, bits, weights)
        self._round(*layers)
        return self

    def _round(self, w1, b1, w2, b2):
        m = self.n_inputs
        unit = np.repeat([LOGIT_UNIT, CONFIDENCE_UNIT], m)
        first = (w1 / unit[:, None]).reshape(2, m, -1).swapaxes(0, 1)
        self.w1 = _integers(first.reshape(2 * m, -1) * 2**FIRST)
        self.b1 = _integers((b1 - w1[m:].sum(axis=0) / 2) * 2**FIRST)
        # z and the logits are in steps of one size, and the weights those of a third.
        out = np.r_[np.full(m, LOGIT / LOGIT_UNIT), LOGIT]
        self.w2 = _integers(w2 * out * 2**WEIGHT)
        self.b2 = _integers(b2 * out * 2 ** (WEIGHT + HIDDEN))


class BitFrequencies:
    """Of bits (n,), from logits and confidences (n, n_inputs, 2) below 2^15, int64."""

    def __init__(self, gate):
        self.gate = gate
        self.first = Product(gate.w1, 1 << 15)
        largest = self.first.largest + int(np.abs(gate.b1).max())
        self.second = Product(gate.w2, largest >> (FIRST - HIDDEN))

    def __call__(self, predictions):
        gate = self.gate
        x = predictions.reshape(len(predictions), -1)
        hidden = np.maximum(self.first(x) + gate.b1, 0) >> (FIRST - HIDDEN)
        out = (self.second(hidden) + gate.b2) >> HIDDEN
        z = (out[:, :-1] * predictions[..., 0]).sum(axis=1) + out[:, -1]
        z = np.minimum(np.maximum(z >> WEIGHT, -LARGEST), LARGEST)
        return gate.frequencies[z + LARGEST]


class Product:
    """x @ weights of integers (n, p) and (p, q), int64, for x of at most `largest_x`.

    By the floats of a BLAS, many times as fast, where no sum, in whatever order, can
    reach 2^53: below that doubles are integers, and nothing is rounded.
    """

    def __init__(self, weights, largest_x):
        self.largest = largest_x * int(np.abs(weights).sum(axis=0).max())
        self.weights = weights.astype(float) if self.largest < EXACT else weights

    def __call__(self, x):
        return (x.astype(self.weights.dtype) @ self.weights).astype(np.int64)


def _integers(values):
    return np.rint(values).astype(np.int64)


def _trained(x, bits, weights):
    """The layers of least code length, by Adam, whose steps shrink to 0."""
    rng = np.random.default_rng(0)
    m = x.shape[1] // 2
    w1 = rng.normal(scale=1 / np.sqrt(2 * m), size=(2 * m, N_HIDDEN))
    b1, w2 = np.zeros(N_HIDDEN), np.zeros((N_HIDDEN, m + 1))
    # It begins with a sum of more than the mean: each prediction knows something else.
    b2 = np.r_[np.full(m, 3 / m * 1.2), 0.0]
    layers = [layer.astype(np.float32) for layer in (w1, b1, w2, b2)]
    first = [np.zeros_like(layer) for layer in layers]
    second = [np.zeros_like(layer) for layer in layers]
    bits = bits.astype(np.float32)
    n_steps = int(np.clip(8 * len(x) / BATCH, FEWEST_STEPS, MOST_STEPS))
    if not len(x):  # no map has such a bit
        return layers
    weights = (weights / weights.mean()).astype(np.float32)
    for step in range(n_steps):
        rows = rng.integers(len(x), size=min(BATCH, len(x)))
        gradients = _gradients(layers, x[rows], bits[rows], weights[rows])
        rate = LEARNING_RATE * (1 + np.cos(np.pi * step / n_steps)) / 2
        for layer, mean, square, gradient in zip(
            layers, first, second, gradients, strict=True
        ):
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            corrected = mean / (1 - 0.9 ** (step + 1))
            size = np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-8
            layer -= (rate * corrected / size).astype(np.float32)
    return layers


def _gradients(layers, x, bits, weights):
    """Of the mean code length in nats, in the layers."""
    w1, b1, w2, b2 = layers
    m = x.shape[1] // 2
    hidden = np.maximum(x @ w1 + b1, 0)
    out = hidden @ w2 + b2
    z = (out[:, :-1] * x[:, :m]).sum(axis=1) + out[:, -1]
    slope = (weights * (expit(z) - bits) / len(x))[:, None]
    d_out = np.concatenate([slope * x[:, :m], slope], axis=1)
    d_hidden = (d_out @ w2.T) * (hidden > 0)
    return (
        x.T @ d_hidden,
        d_hidden.sum(axis=0),
        hidden.T @ d_out,
        d_out.sum(axis=0),
    )
