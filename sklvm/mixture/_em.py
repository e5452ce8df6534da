r"""Expectation-maximisation: coordinate ascent on F(theta, q). Names no family.

One pass over the rows does the E-step at theta and adds up the statistics of the M-step
together; responsibilities exist for one chunk of rows at a time. Because the exact
posterior makes the bound tight, each pass also gives F(theta) = mean log p(x), so F is
always known at the parameters in hand.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

MAX_RESEEDS = 10
CHUNK_BYTES = 2**22
MAX_ROWS = 16_000


class Family(ABC):
    """What EM needs to know of p(x | z): the hooks of one family of components.

    `params` and `moments` are opaque to the loop. Moments are the expected statistics
    of the complete data; `m_step` turns them into the parameters that maximise F at
    fixed q. To write a family, start from `_bernoulli.py`.
    """

    def __init__(
        self,
        n_components,
        n_features,
        *,
        dtype,
        missing=False,
        weights="free",
        weights_prior=1.0,
        initial=None,
        batch_size=None,
        row_entries=None,
    ):
        self.n_components = n_components
        self.n_features = n_features
        self.dtype = dtype
        self.missing = missing  # whether rows may hold NaN
        self.weights = weights
        self.weights_prior = weights_prior
        self.initial = initial or {}  # the user's initial values, by parameter
        self.row_entries = row_entries or n_features  # stored numbers of one row
        self.batch_size = batch_size or self.default_batch_size()
        self.draw_sample = None  # set by whoever knows the rows

    def row_size(self):
        """Numbers that the E-step holds for one row."""
        return self.row_entries + self.n_components

    def default_batch_size(self):
        """Rows in a chunk: what fits a processor's cache."""
        n_bytes = self.row_size() * np.dtype(self.dtype).itemsize
        return int(np.clip(CHUNK_BYTES // n_bytes, 128, MAX_ROWS))

    def rounded(self, values):
        """float64 values as the precision of the attributes will hold them."""
        return values.astype(self.dtype).astype(np.float64)

    def mixing_weights(self, counts):
        """M-step of p(z): posterior mode under Dirichlet(weights_prior)."""
        if self.weights == "uniform":
            return np.full(self.n_components, 1 / self.n_components)
        counts = counts + (self.weights_prior - 1)
        return counts / counts.sum()

    def reseeded_weights(self, weights, collapsed):
        """Mixing weights where each re-seeded component has an equal share."""
        if self.weights == "uniform":
            return weights
        weights = np.where(collapsed, 0, weights)
        n_new = collapsed.sum()
        living = weights.sum()
        if living > 0:
            weights = weights * ((1 - n_new / self.n_components) / living)
        return np.where(collapsed, 1 / self.n_components, weights)

    @abstractmethod
    def expectations(self, params):
        """The E-step at `params`: ways to do it, the fastest first, the safest last."""

    def trusts(self, expectation, following):
        """Whether that way kept the digits that the following parameters need."""
        return True

    @abstractmethod
    def m_step(self, moments, params):
        """Parameters that maximise F (plus the log prior) given the moments."""

    @abstractmethod
    def mix(self, old, new, step):
        """Moments (1 - step) * old + step * new, for stepwise EM."""

    @cached_property
    def sample(self):
        """A sample of the rows, drawn when a start or a re-seeding first needs it."""
        return self.draw_sample()

    @abstractmethod
    def given(self):
        """The parameters at which to begin, if the user gave them all; else None."""

    @abstractmethod
    def start(self, rows, sample_weight, resp):
        """Parameters from responsibilities (K, n) of a few rows; never degenerate."""

    @abstractmethod
    def embed(self, rows):
        """Rows as points without gaps, once for each scale in which to look for starts.

        Starts are distributed over the scales; the first is the rows' own.
        """

    def initial_centres(self):
        """The user's initial means as points of the first of these scales, or None."""
        return None

    @abstractmethod
    def n_parameters(self):
        """Number of free parameters of the components, without the weights."""

    @abstractmethod
    def collapsed(self, params, moments):
        """Mask (K,) of the components that are empty or degenerate."""

    @abstractmethod
    def reseed(self, params, collapsed, rows):
        """Parameters with the collapsed components moved to `rows`."""

    @abstractmethod
    def to_vector(self, params):
        """Parameters as one vector of unconstrained coordinates."""

    @abstractmethod
    def from_vector(self, vector):
        """Inverse of `to_vector`; None where numbers would overflow or degenerate."""

    def log_prior(self, params):
        """log p(theta) up to a constant; zero for maximum likelihood."""
        return 0.0


class Expectation(ABC):
    """The E-step at fixed parameters, for one chunk of rows at a time."""

    weights: np.ndarray

    @abstractmethod
    def log_joint(self, X, workspace):
        """log p(x, z = k), shape (K, n), and what `statistics` needs of the rows."""

    @abstractmethod
    def statistics(self, features, resp, workspace):
        """Sums over the chunk under weighted responsibilities (K, n)."""

    @abstractmethod
    def moments(self, sums):
        """Moments of the whole sample from the sums of `statistics`."""

    @abstractmethod
    def conditional_mean(self, features, resp):
        """E[x | the observed part of x] for each row of the chunk, shape (n, D)."""


def normalise(log_joint, weights):
    """Turn log p(x, z) into p(z | x) in place; return log p(x) in float64.

    A row that no component can produce has log p(x) = -inf and keeps the prior.
    """
    largest = log_joint.max(axis=0)
    lost = np.isnan(largest)
    if lost.any():  # squares of so remote a row overflow
        log_joint[:, lost] = -np.inf
        largest[lost] = -np.inf
    np.maximum(largest, np.finfo(log_joint.dtype).min, out=largest)
    log_joint -= largest
    resp = np.exp(log_joint, out=log_joint)
    total = resp.sum(axis=0)
    if not total.all():
        impossible = total == 0
        resp[:, impossible] = weights[:, np.newaxis]
        with np.errstate(divide="ignore"):
            log_px = np.log(total, dtype=np.float64) + largest
        total[impossible] = 1
    else:
        log_px = np.log(total, dtype=np.float64) + largest
    resp /= total
    return log_px


@dataclass
class WeightedRows:
    """A sample: `data[rows]` is a chunk of it; no weights means weight one each."""

    data: Any
    sample_weight: np.ndarray | None = None

    @property
    def total_weight(self):
        """Number of samples that the rows stand for."""
        if self.sample_weight is None:
            return self.data.shape[0]
        return self.sample_weight.sum()


class Point(NamedTuple):
    """What one pass tells of the parameters at which it was made."""

    params: Any
    bound: float  # F per unit of weight
    moments: Any
    following: Any  # the parameters to which the M-step leads


def e_and_m_pass(family, params, sample, reducer):
    """The `Point` at these parameters, in one pass over the rows.

    Only where a fast way turns out to have lost digits is there a second pass.
    """
    for expectation in family.expectations(params):
        evidence, *sums = reducer.sum(_chunk_sums(expectation, sample))
        moments = expectation.moments(sums)
        following = family.m_step(moments, params)
        if family.trusts(expectation, following):
            break
    return Point(params, evidence / sample.total_weight, moments, following)


def _chunk_sums(expectation, sample):
    """What the pass adds up over chunks: log p(x), and the statistics."""

    def chunk(rows, workspace):
        resp, features = expectation.log_joint(sample.data[rows], workspace)
        log_px = normalise(resp, expectation.weights)
        if sample.sample_weight is None:
            evidence = log_px.sum()
        else:
            w = sample.sample_weight[rows]
            # A row without weight is absent, even where its log p(x) is -inf.
            evidence = w @ np.where(w > 0, log_px, 0)
            resp *= w.astype(resp.dtype, copy=False)
        return evidence, *expectation.statistics(features, resp, workspace)

    return chunk


def first_best(runs):
    """The run with the highest objective, the first of those that are level with it.

    Equal optima differ by rounding, which depends on the order of the rows; the choice
    between them must not.
    """
    best = max(run.objective for run in runs)
    level = best - 1e-9 * max(1, abs(best))
    return next(run for run in runs if run.objective >= level)


@dataclass
class Run:
    """One restart: where it has come to, and the way there."""

    point: Point
    objective: float  # F + log p(theta) / n
    lower_bounds: list
    converged: bool = False
    n_reseeded: int = 0

    @property
    def lower_bound(self):
        """F at the parameters reached; -inf if the run was given up."""
        return self.point.bound if np.isfinite(self.objective) else -np.inf


def run_em(
    family,
    params,
    sample,
    reducer,
    *,
    tol,
    max_iter,
    accelerate=False,
    draw=None,
    monitor=None,
):
    """EM from `params` until F changes by less than `tol`.

    Parameters
    ----------
    draw : callable, default=None
        `draw(n)` gives n rows at which collapsed components begin again. None gives the
        run up instead: its objective is then -inf.
    monitor : callable, default=None
        Called with the number of the iteration and the objective after each.
    """

    def evaluate(params):
        point = e_and_m_pass(family, params, sample, reducer)
        return point, point.bound + family.log_prior(params) / sample.total_weight

    run = Run(*evaluate(params), [])
    path = [params]
    n_reseeds = 0
    while len(run.lower_bounds) < max_iter and not run.converged:
        params = run.point.following
        collapsed = family.collapsed(params, run.point.moments)
        if collapsed.any():
            n_reseeds += 1
            if draw is None or n_reseeds > MAX_RESEEDS:
                run.objective = -np.inf
                break
            params = family.reseed(params, collapsed, draw(collapsed.sum()))
            run.n_reseeded += int(collapsed.sum())
            run.lower_bounds.clear()  # the trace begins again
            path = []
        path.append(params)

        jump = None
        if accelerate and len(path) == 3:
            jump = _squarem(family, path, evaluate, run.objective)
            path = [params if jump is None else jump[0].params]
        before = run.objective
        run.point, run.objective = evaluate(params) if jump is None else jump
        run.lower_bounds.append(run.objective)
        # A jump that gains little says nothing of convergence, an EM step does.
        if jump is None and not collapsed.any() and np.isfinite(before):
            run.converged = bool(abs(run.objective - before) < tol)
        if monitor is not None:
            monitor(len(run.lower_bounds), run.objective)
    if np.isnan(run.objective):
        run.objective = -np.inf
    return run


def _squarem(family, path, evaluate, objective):
    """Squared extrapolation of two EM steps, or None where it would lower F.

    Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335, scheme S3.
    """
    x0, x1, x2 = map(family.to_vector, path)
    r = x1 - x0
    v = (x2 - x1) - r
    if not np.linalg.norm(r) > np.linalg.norm(v) > 0:
        return None
    alpha = -np.linalg.norm(r) / np.linalg.norm(v)
    params = family.from_vector(x0 - 2 * alpha * r + alpha**2 * v)
    if params is None:
        return None
    point, jumped = evaluate(params)
    if not jumped >= objective or family.collapsed(params, point.moments).any():
        return None
    return point, jumped
