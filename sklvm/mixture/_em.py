r"""Expectation-maximisation: coordinate ascent on F(theta, q). Names no family.

One pass over the rows does the E-step at theta and adds up the statistics of the M-step
together; responsibilities exist for one chunk of rows at a time. Because the exact
posterior makes the bound tight, each pass also gives F(theta) = mean log p(x), so F is
always known at the parameters in hand.
"""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from sklvm.state._classes import stateful

MAX_RESEEDS = 10


@stateful
class Point(NamedTuple):
    """What one pass tells of the parameters at which it was made."""

    params: Any
    bound: float  # F per unit of weight
    statistics: Any
    following: Any  # the parameters to which the M-step leads


def e_and_m_pass(mixture, params, rows):
    """The `Point` at these parameters, in one pass over the rows.

    Only where a fast kernel turns out to have lost digits is there a second pass.
    """
    for e_step in mixture.e_steps(params):
        evidence, *sums = rows.sum(e_step.sums)
        if rows.weight_unit != 1:
            evidence, *sums = (rows.weight_unit * s for s in (evidence, *sums))
        statistics = e_step.finalize(*sums)
        following = mixture.m_step(statistics, params)
        if e_step.kernel.is_accurate(following.components):
            break
    return Point(params, evidence / rows.total_weight, statistics, following)


def first_best(runs):
    """The run with the highest objective, the first of those that are level with it.

    Equal optima differ by rounding, which depends on the order of the rows; the choice
    between them must not.
    """
    best = max(run.objective for run in runs)
    level = best - 1e-9 * max(1, abs(best))
    return next(run for run in runs if run.objective >= level)


@stateful
@dataclass
class Run:
    """One restart: where it has come to, and the way there."""

    point: Point
    objective: float  # F + log p(theta) / n
    lower_bounds: list
    converged: bool = False
    n_reseeded: int = 0
    start_lower_bounds: list = field(default_factory=list)  # of the short runs before
    path: list = field(default_factory=list)  # from which acceleration extrapolates
    n_reseeds: int = 0

    def as_it_is(self):
        """A copy that the iterations to come do not change."""
        bounds, path = list(self.lower_bounds), list(self.path)
        return replace(self, lower_bounds=bounds, path=path)

    @property
    def lower_bound(self):
        """F at the parameters reached; -inf if the run was given up."""
        return self.point.bound if np.isfinite(self.objective) else -np.inf


def run_em(
    mixture,
    params,
    rows,
    *,
    tol,
    max_iter,
    accelerate=False,
    resumed=False,
    reseed=None,
    monitor=None,
    run=None,
):
    """EM from `params` until F changes by less than `tol`.

    Parameters
    ----------
    resumed : bool, default=False
        Whether `params` are those of a fit that goes on: then the first iteration may
        be the last. A start may lie on a ridge, and makes two at least.
    reseed : callable, default=None
        `reseed(params, collapsed)` gives params where collapsed components begin again.
        None gives the run up instead: its objective is then -inf.
    monitor : callable, default=None
        Called with the `Run` after each iteration; it may ask to stop.
    run : Run, default=None
        One that was broken off, to go on with.
    """

    def evaluate(params):
        point = e_and_m_pass(mixture, params, rows)
        return point, point.bound + mixture.log_prior(params) / rows.total_weight

    run = run or Run(*evaluate(params), [], path=[params])
    while len(run.lower_bounds) < max_iter and not run.converged:
        params = run.point.following
        collapsed = mixture.collapsed(params, run.point.statistics.counts)
        if collapsed.any():
            run.n_reseeds += 1
            if reseed is None or run.n_reseeds > MAX_RESEEDS:
                run.objective = -np.inf
                break
            params = reseed(params, collapsed)
            run.n_reseeded += int(collapsed.sum())
            run.lower_bounds.clear()  # the trace begins again
            run.path = []
        run.path.append(params)

        jump = None
        if accelerate and len(run.path) == 3:
            jump = _squarem(mixture, run.path, evaluate, run.objective)
            run.path = [params if jump is None else jump[0].params]
        before = run.objective
        run.point, run.objective = evaluate(params) if jump is None else jump
        run.lower_bounds.append(run.objective)
        # A jump that gains little says nothing of convergence, an EM step does.
        is_step = jump is None and not collapsed.any()
        if is_step and np.isfinite(before) and (resumed or len(run.lower_bounds) > 1):
            run.converged = bool(abs(run.objective - before) < tol)
        if monitor is not None and monitor(run):
            break
    if np.isnan(run.objective):
        run.objective = -np.inf
    return run


def _squarem(mixture, path, evaluate, objective):
    """Squared extrapolation of two EM steps, or None where it would lower F.

    Varadhan and Roland (2008), Scandinavian Journal of Statistics 35, 335, scheme S3.
    """
    (x0, x1, x2), from_vector = mixture.vectorise(path)
    r = x1 - x0
    v = (x2 - x1) - r
    if not np.linalg.norm(r) > np.linalg.norm(v) > 0:
        return None
    alpha = -np.linalg.norm(r) / np.linalg.norm(v)
    params = from_vector(x0 - 2 * alpha * r + alpha**2 * v)
    if params is None:
        return None
    point, jumped = evaluate(params)
    if not jumped >= objective:
        return None
    if mixture.collapsed(params, point.statistics.counts).any():
        return None
    return point, jumped
