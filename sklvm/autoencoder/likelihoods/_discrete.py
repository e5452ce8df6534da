"""Bits and categories."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import null_space

from sklvm._warn import warn_user
from sklvm.autoencoder.likelihoods._base import (
    Likelihood,
    chunks,
    column_moments,
    dense_chunks,
    extremes,
    stored_values,
    sum_observed,
)
from sklvm.state._classes import stateful

# How far outside [0, 1] a value may be that was scaled into it.
ROUNDING = 1e-6


@stateful
class Bernoulli(Likelihood):
    """x_d ~ Bernoulli(theta_d); the outputs are the logits of theta.

    Grey values in [0, 1] are scored by the same cross-entropy, which is then not the
    logarithm of a probability.
    """

    def impossible(self, X):
        return (X < -ROUNDING) | (X > 1 + ROUNDING)

    def check(self, X):
        # fmin and fmax pass over NaN. A scaler's rounding is not held against X.
        low, high = extremes(X)
        if low < -ROUNDING or high > 1 + ROUNDING:
            outside = low if low < -ROUNDING else high
            raise ValueError(
                f"likelihood='bernoulli' needs values in [0, 1] and {self.data_name} "
                f"has {outside:g}; scale {self.data_name} (MinMaxScaler(clip=True)), "
                "or choose likelihood='gaussian'."
            )

    def warn(self, X):
        for part in chunks(X):
            values = stored_values(part)
            grey = values[(values > 0) & (values < 1)]
            if len(grey):
                warn_user(
                    f"{self.data_name} has values between 0 and 1, {grey[0]:g} among "
                    "them; with likelihood='bernoulli' the score is then a "
                    "cross-entropy and not the logarithm of a probability, so "
                    f"{self.bits_remedy}."
                )
                return

    def why_diverged(self, X):
        return None

    def is_any_distribution(self, n_features):
        return n_features == 1

    def start(self, X):
        theta, _ = column_moments(X)
        # A column that is constant in the sample is not certain.
        least = 1 / (X.shape[0] + 2)
        theta = theta.clip(least, 1 - least)
        return torch.from_numpy(np.log(theta / (1 - theta)))

    def log_prob(self, x, outputs):
        return -self._cross_entropy(x, outputs)

    def log_conditional(self, x, outputs, observed=None):
        # The sign is changed after the sum: one pass over all entries less.
        return -sum_observed(self._cross_entropy(x, outputs), observed)

    @staticmethod
    def _cross_entropy(x, outputs):
        return F.binary_cross_entropy_with_logits(
            outputs, x.expand_as(outputs), reduction="none"
        )

    def mean(self, outputs):
        return outputs.sigmoid()

    def probabilities(self, outputs, d):
        """Those of 0 and 1 of feature d."""
        theta = outputs[..., d].sigmoid()
        return torch.stack([1 - theta, theta], -1)

    def sample(self, outputs, generator):
        return torch.bernoulli(outputs.sigmoid(), generator=generator)


@stateful
class Categorical(Likelihood):
    """Features that are codes 0, 1, ... of categories.

    The outputs are the logits of each feature's categories, side by side, normalised
    within each feature. The encoder reads one-hot rows.

    Parameters
    ----------
    n_categories : sequence of int
        Number of categories of each feature.
    """

    def __init__(self, n_categories):
        super().__init__()
        numbers = np.atleast_1d(np.asarray(n_categories))
        if numbers.ndim > 1 or numbers.dtype.kind not in "iu" or (numbers < 1).any():
            raise ValueError(
                f"n_categories={n_categories!r} must be the number of categories of "
                "each feature, integers of 1 or more."
            )
        self.n_categories = numbers.tolist()

    def impossible(self, X):
        return (X < 0) | (np.array(self.n_categories) <= X) | (X % 1 > 0)

    def check(self, X):
        if X.shape[1] != len(self.n_categories):
            raise ValueError(
                f"{self.data_name} has {X.shape[1]} categorical features and "
                f"n_categories={self.n_categories} says {len(self.n_categories)}; give "
                "the number of categories of each feature."
            )
        for d, n in enumerate(self.n_categories):
            codes = stored_values(X[:, [d]])
            codes = codes[~np.isnan(codes)]
            wrong = codes[(codes != np.rint(codes)) | (codes < 0) | (codes >= n)]
            if len(wrong):
                raise ValueError(
                    f"{self.data_name} has the value {wrong[0]:g} in the categorical "
                    f"feature {d}; it must be one of the codes 0 to {n - 1}."
                )

    def why_diverged(self, X):
        return None

    def width(self, n_features):
        return sum(self.n_categories)

    def n_inputs(self, n_features):
        return sum(self.n_categories)

    def n_means(self, n_features):
        return sum(self.n_categories)

    def is_any_distribution(self, n_features):
        return n_features == 1

    def start(self, X):
        counts = [np.zeros(n) for n in self.n_categories]
        for part in dense_chunks(X):
            for total, x in zip(counts, part.T, strict=True):
                codes = x[~np.isnan(x)].astype(np.intp)
                total += np.bincount(codes, minlength=len(total))
        shares = [total / max(total.sum(), 1) for total in counts]
        # A category that is rare in the sample is not impossible.
        least = 1 / (X.shape[0] + 2)
        return torch.from_numpy(np.log(np.concatenate(shares).clip(least)))

    def features(self, x, observed=None):
        flags = [
            F.one_hot(codes.long(), n)
            for codes, n in zip(self._features(x), self._sizes(), strict=True)
        ]
        if observed is not None:
            shown = self._features(observed)
            flags = [f * o.unsqueeze(-1) for f, o in zip(flags, shown, strict=True)]
        return torch.cat([f.flatten(-2) for f in flags], -1).to(x.dtype)

    def numbers(self, X):
        return np.hstack([np.zeros((len(X), 0)), *map(_uncorrelated, X.T)])

    # Features that have as many categories, if all of them have, are one group, and
    # computed at once: outputs of shape (..., n_group, n), x of shape (..., n_group).

    def _sizes(self):
        """The number of categories of each group."""
        sizes = self.n_categories
        return sizes[:1] if len(set(sizes)) == 1 else sizes

    def _groups(self, outputs):
        n = self._sizes()
        if len(n) == 1:
            return [outputs.unflatten(-1, (-1, n[0]))]
        return [group.unsqueeze(-2) for group in outputs.split(n, -1)]

    def _features(self, x):
        return [x] if len(self._sizes()) == 1 else x.split(1, -1)

    def log_prob(self, x, outputs):
        x = x.expand(*outputs.shape[:-1], -1)
        log_prob = [
            logits.log_softmax(-1).gather(-1, codes.long().unsqueeze(-1)).squeeze(-1)
            for logits, codes in zip(
                self._groups(outputs), self._features(x), strict=True
            )
        ]
        return torch.cat(log_prob, -1)

    def mean(self, outputs):
        groups = self._groups(outputs)
        return torch.cat([g.softmax(-1).flatten(-2) for g in groups], -1)

    def probabilities(self, outputs, d):
        """Those of the categories of feature d."""
        return outputs.split(self.n_categories, -1)[d].softmax(-1)

    def decide(self, mean):
        codes = [group.argmax(-1) for group in self._groups(mean)]
        return torch.cat(codes, -1).to(mean.dtype)

    def sample(self, outputs, generator):
        def draw(logits):
            theta = logits.softmax(-1)
            k = torch.multinomial(theta.flatten(0, -2), 1, generator=generator)
            return k.view(theta.shape[:-1])

        codes = [draw(logits) for logits in self._groups(outputs)]
        return torch.cat(codes, -1).to(outputs.dtype)


def _uncorrelated(codes):
    """Flags of categories, turned so that they have variance 1 and no correlations.

    Those that they have by themselves are no matter of a latent.
    """
    observed = ~np.isnan(codes)
    _, category, counts = np.unique(
        codes[observed], return_inverse=True, return_counts=True
    )
    root = np.sqrt(counts / max(counts.sum(), 1))
    numbers = np.full((len(codes), max(len(counts) - 1, 0)), np.nan)
    # What is orthogonal to the root has covariance I, as that is I less a projection.
    numbers[observed] = (null_space(root[np.newaxis]) / root[:, np.newaxis])[category]
    return numbers
