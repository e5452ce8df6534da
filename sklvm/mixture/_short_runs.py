"""Short runs of EM on a sample: which of several starts is worth going on with."""

import numpy as np

from sklvm.mixture._components import weigh_posterior
from sklvm.mixture._em import run_em
from sklvm.mixture._mixture import EMPTY, MixtureParams

# How many plain steps all starts make together, and then how many of them run for how
# many iterations, before the best of these go on.
FIRST_STEPS = 4
SHORT_RUNS = [(2, 15), (1, 50)]


def best_of(mixture, starts, few_rows, rows, tol):
    """The params to which the best of the starts has come, and the way there.

    All make their first steps on `few_rows`, those that go on on `rows`.
    """
    if mixture.components.is_separable:
        candidates = steps_together(mixture, starts, few_rows, FIRST_STEPS)
    else:
        candidates = [_run(mixture, p, [], few_rows, tol, FIRST_STEPS) for p in starts]
    for n_kept, max_iter in SHORT_RUNS:
        candidates.sort(key=lambda c: round(c[0], 5), reverse=True)
        candidates = [
            _run(mixture, params, trace, rows, tol, max_iter)
            for _, params, trace in candidates[:n_kept]
        ]
    _, params, trace = candidates[0]
    return params, trace


def _run(mixture, params, trace, rows, tol, max_iter):
    """(objective, params, trace) after one short run."""
    run = run_em(mixture, params, rows, tol=tol, max_iter=max_iter, accelerate=True)
    return run.objective, run.point.params, [*trace, *run.lower_bounds]


def steps_together(mixture, starts, rows, n_steps):
    """(objective, params, trace) of each start after plain EM steps, made all at once.

    One pass serves all: their components stand side by side in one kernel, and each
    start's responsibilities sum to one by themselves. A start that leaves components
    empty or degenerate is given up.
    """
    k, n_parts = mixture.n_components, len(starts[0].components)
    weights = np.stack([start.weights for start in starts])  # (S, K)
    parts = [np.concatenate([s.components[i] for s in starts]) for i in range(n_parts)]
    traces = np.empty((len(starts), 0))
    for step in range(n_steps + 1):
        bounds, counts, new = _pass_together(mixture, weights, parts, rows)
        points = [
            MixtureParams(w, tuple(p[s * k : (s + 1) * k] for p in parts))
            for s, w in enumerate(weights)
        ]
        prior = np.array([mixture.log_prior(point) for point in points])
        objective = bounds + prior / rows.total_weight
        traces = np.column_stack([traces, objective])
        if step == n_steps:
            return list(zip(objective, points, traces[:, 1:].tolist(), strict=True))
        empty = counts <= EMPTY * counts.sum(axis=1, keepdims=True)
        degenerate = mixture.components.degenerate(new).reshape(counts.shape)
        alive = ~(empty | degenerate).any(axis=1) & np.isfinite(objective)
        if not alive.any():
            return [(-np.inf, starts[0], [])]
        weights = np.array([mixture.mixing_weights(c) for c in counts[alive]])
        new = tuple(p[np.repeat(alive, k)] for p in new)
        weights, parts = mixture.rounded(weights, new)
        traces = traces[alive]


def _pass_together(mixture, weights, parts, rows):
    """F (S,), counts (S, K) and the parts after the M-step, for all starts."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    k = mixture.n_components
    for kernel in mixture.components.kernels(parts):

        def sums(X, weight, workspace, kernel=kernel):
            resp, features = kernel.log_prob(X, workspace)
            evidence = [
                weigh_posterior(resp[s * k : (s + 1) * k], w, weight, kernel.flushed)
                for s, w in enumerate(log_weights)
            ]
            counts = resp.sum(axis=1, dtype=np.float64)
            statistics = kernel.statistics(features, resp, workspace)
            return np.array(evidence), counts, *statistics

        evidence, counts, *statistics = rows.sum(sums)
        new = mixture.components.m_step(kernel.finalize(statistics), parts)
        if kernel.is_accurate(new):
            break
    return evidence / rows.total_weight, counts.reshape(weights.shape), new
