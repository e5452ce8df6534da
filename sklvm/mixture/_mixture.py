"""Weights times components: the mixture, whatever the family."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sklvm.mixture._components import Components, normalise
from sklvm.state._classes import stateful

EMPTY = 10 * np.finfo(np.float64).eps


@stateful
class MixtureParams(NamedTuple):
    weights: np.ndarray  # (K,)
    components: tuple


@stateful
class MixtureStatistics(NamedTuple):
    counts: np.ndarray  # (K,) sum of r_k
    components: tuple


class EStep:
    """The E-step of a mixture at fixed params: a kernel, and the mixing weights."""

    def __init__(self, kernel, weights):
        self.kernel = kernel
        with np.errstate(divide="ignore"):
            self.log_weights = np.log(weights)

    def sums(self, X, weight, workspace):
        """log p(x), counts and statistics, summed over a chunk."""
        return self.kernel.chunk_sums(X, weight, self.log_weights, workspace)

    def log_joint(self, X, workspace):
        """log p(x, z = k), of shape (K, n), and features."""
        log_prob, features = self.kernel.log_prob(X, workspace)
        log_prob += self.log_weights[:, np.newaxis]
        return log_prob, features

    def posterior(self, X, workspace):
        """Responsibilities p(z | x), of shape (K, n)."""
        return self._normalised(X, workspace)[0]

    def labels(self, X, workspace):
        """The component of the highest responsibility, of shape (n,)."""
        return self.posterior(X, workspace).argmax(axis=0)

    def log_density(self, X, workspace):
        """log p(x), of shape (n,)."""
        return self._normalised(X, workspace)[1]

    def filled(self, X, workspace):
        """What stands for each entry of X given the observed ones, of shape (n, D)."""
        resp, _, features = self._normalised(X, workspace)
        return self.kernel.fill(features, resp)

    def _normalised(self, X, workspace):
        resp, features = self.log_joint(X, workspace)
        return resp, normalise(resp, self.log_weights), features

    def finalize(self, counts, *sums):
        return MixtureStatistics(counts, self.kernel.finalize(sums))


@dataclass
class Mixture:
    """p(x) = sum_k w_k p(x | z = k), and what EM needs to know of it.

    Params are those of the weights and of the components. Where a start needs the rows
    as one component, the statistics of an average row, `average`, are handed in.
    """

    components: Components
    n_components: int
    weights: str = "free"  # or "uniform"
    weights_prior: float = 1.0
    initial: dict = field(default_factory=dict)  # the user's initial values, by name

    # EM --------------------------------------------------------------------------

    def e_steps(self, params):
        """Ways to do the E-step, the fastest first, the safest last."""
        for kernel in self.components.kernels(params.components):
            yield EStep(kernel, params.weights)

    def e_step(self, params, n_rows):
        """The E-step that answers for `n_rows` rows soonest."""
        kernel = self.components.kernel_for(params.components, n_rows)
        return EStep(kernel, params.weights)

    def m_step(self, statistics, params):
        """Params that maximise F plus the log prior, given the statistics."""
        new = self.components.m_step(statistics.components, params.components)
        return self.rounded(self.mixing_weights(statistics.counts), new)

    def rounded(self, weights, components):
        """float64 params as the precision of the attributes will hold them."""
        dtype = self.components.dtype
        if dtype == np.float64:
            return MixtureParams(weights, components)

        def round_(values):
            return values.astype(dtype).astype(np.float64)

        return MixtureParams(round_(weights), tuple(map(round_, components)))

    def mixing_weights(self, counts):
        """M-step of p(z): posterior mode under Dirichlet(weights_prior)."""
        if self.weights == "uniform":
            return np.full(self.n_components, 1 / self.n_components)
        counts = counts + (self.weights_prior - 1)
        return counts / counts.sum()

    def log_prior(self, params):
        """log p(theta, w) up to a constant."""
        log_prior = self.components.log_prior(params.components)
        if self.weights_prior > 1:
            with np.errstate(divide="ignore"):
                log_prior += (self.weights_prior - 1) * np.log(params.weights).sum()
        return log_prior

    def collapsed(self, params, counts):
        """Mask (K,) of the components that are empty or degenerate."""
        empty = counts <= EMPTY * counts.sum()
        return empty | self.components.degenerate(params.components)

    def n_parameters(self):
        """Number of free parameters."""
        n_weights = 0 if self.weights == "uniform" else self.n_components - 1
        return n_weights + self.components.n_parameters(self.n_components)

    def stepwise(self, old, new, step):
        """Statistics (1 - step) * old + step * new, per row, of all rows so far."""
        n_old, n_new = old.counts.sum(), new.counts.sum()
        a, b = (1 - step) * (1 + n_new / n_old), step * (1 + n_old / n_new)
        return MixtureStatistics(
            a * old.counts + b * new.counts,
            self.components.mix(old.components, new.components, a, b),
        )

    # Starts and re-seeding: an M-step on a few rows and an average one ----------------

    def _statistics(self, X, resp):
        return self.components.statistics(self.components.features(X), resp)

    def average(self, sample):
        """Statistics of one average row of a sample, as one component."""
        weight = sample.sample_weight[np.newaxis]
        statistics = self._statistics(sample.rows, weight)
        return self.components.average(statistics, weight.sum())

    def start(self, sample, resp, average):
        """Params from responsibilities (K, n) of a sample; never degenerate."""
        resp = resp * sample.sample_weight
        statistics = self.components.smooth(
            self._statistics(sample.rows, resp), average
        )
        weights = self.mixing_weights(resp.sum(axis=1))
        components = self.components.m_step(statistics, None)
        return self.rounded(
            self.initial.get("weights", weights),
            self.components.replaced(components, self.initial),
        )

    def user_params(self):
        """The params at which to begin, if the user gave them all; else None."""
        initial = dict(self.initial)
        weights = initial.pop("weights", None)
        if weights is None or not initial.keys() >= self.components.initial_names:
            return None
        params = self.components.replaced((None,) * len(self.components.names), initial)
        return self.rounded(weights, params)

    def reseed(self, params, collapsed, X, average):
        """Params with the collapsed components moved to the rows X."""
        components = self.components
        fresh = components.smooth(self._statistics(X, np.eye(len(X))), average)
        moved = components.moved(
            params.components, collapsed, components.m_step(fresh, None)
        )
        return self.rounded(self._reseeded_weights(params.weights, collapsed), moved)

    def _reseeded_weights(self, weights, collapsed):
        """Mixing weights where each re-seeded component has an equal share."""
        if self.weights == "uniform":
            return weights
        weights = np.where(collapsed, 0, weights)
        living = weights.sum()
        if living > 0:
            weights = weights * ((1 - collapsed.mean()) / living)
        return np.where(collapsed, 1 / self.n_components, weights)

    # One vector, for acceleration ---------------------------------------------------

    def vectorise(self, path):
        """The params of a path as vectors, and the way back, which may give None."""
        reference = path[0].components
        to, back = self.components.to_unconstrained, self.components.from_unconstrained
        values = [(np.sqrt(p.weights), *to(p.components, reference)) for p in path]
        shapes = [np.shape(v) for v in values[0]]
        ends = np.cumsum([np.size(v) for v in values[0]])[:-1]

        def from_vector(vector):
            # w = s^2 / sum(s^2): any vector is feasible.
            parts = np.split(vector, ends)
            roots, *parts = (v.reshape(s) for v, s in zip(parts, shapes, strict=True))
            components = back(tuple(parts), reference)
            if components is None:
                return None
            return self.rounded(roots**2 / (roots**2).sum(), components)

        return [
            np.concatenate([np.ravel(v) for v in value]) for value in values
        ], from_vector
