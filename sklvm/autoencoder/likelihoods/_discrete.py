"""Bits and categories."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import issparse

from sklvm._base import warn_user
from sklvm.autoencoder.likelihoods._base import (
    Likelihood,
    chunks,
    column_moments,
    dense_chunks,
    extremes,
    stored_values,
    sum_observed,
)

# How far outside [0, 1] a value may be that was scaled into it.
ROUNDING = 1e-6


class Bernoulli(Likelihood):
    """x_d ~ Bernoulli(theta_d); the outputs are the logits of theta.

    Grey values in [0, 1] are scored by the same cross-entropy, which is then not the
    logarithm of a probability.
    """

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

    def probabilities(self, mean, d):
        """Those of 0 and 1 of feature d, for a mean."""
        return torch.stack([1 - mean[..., d], mean[..., d]], -1)

    def sample(self, outputs, generator):
        return torch.bernoulli(outputs.sigmoid(), generator=generator)


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
        self.n_categories = [int(n) for n in n_categories]

    def check(self, X):
        if X.shape[1] != len(self.n_categories):
            raise ValueError(
                f"{self.data_name} has {X.shape[1]} categorical features and "
                f"n_categories={self.n_categories} says {len(self.n_categories)}; give "
                "the number of categories of each feature."
            )
        X = X.toarray() if issparse(X) else X
        for d, (x, n) in enumerate(zip(X.T, self.n_categories, strict=True)):
            codes = x[~np.isnan(x)]
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
            for codes, n in zip(x.unbind(-1), self.n_categories, strict=True)
        ]
        if observed is not None:
            shown = observed.unbind(-1)
            flags = [f * o.unsqueeze(-1) for f, o in zip(flags, shown, strict=True)]
        return torch.cat(flags, -1).to(x.dtype)

    def _groups(self, outputs):
        """The part of the last axis that belongs to each feature."""
        return outputs.split(self.n_categories, -1)

    def log_prob(self, x, outputs):
        x = x.expand(*outputs.shape[:-1], -1)
        log_prob = [
            group.log_softmax(-1).gather(-1, codes.long().unsqueeze(-1))
            for group, codes in zip(self._groups(outputs), x.unbind(-1), strict=True)
        ]
        return torch.cat(log_prob, -1)

    def mean(self, outputs):
        return torch.cat([g.softmax(-1) for g in self._groups(outputs)], -1)

    def probabilities(self, mean, d):
        """Those of the categories of feature d, for a mean."""
        return self._groups(mean)[d]

    def decide(self, mean):
        codes = [group.argmax(-1, keepdim=True) for group in self._groups(mean)]
        return torch.cat(codes, -1).to(mean.dtype)

    def sample(self, outputs, generator):
        def draw(group):
            theta = group.softmax(-1).flatten(0, -2)
            k = torch.multinomial(theta, 1, generator=generator)
            return k.view(*group.shape[:-1], 1)

        codes = torch.cat([draw(group) for group in self._groups(outputs)], -1)
        return codes.to(outputs.dtype)
