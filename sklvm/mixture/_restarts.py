"""The restarts of a fit, one after another or in threads."""

import copy
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from sklvm.mixture._em import run_em
from sklvm.mixture._rows import over_threads


def run_restarts(
    estimator, mixture, rows, starts, rng, fitted, checkpoint, task, attributes
):
    """One `Run` for each restart, and None; or those that Ctrl-C left, and it.

    `fitted` are the params of a fit that goes on, or None: then there are `n_init`.
    `attributes(run)` are those of the estimator had the fit ended with this run.
    """
    max_iter = estimator.max_iter
    n_runs = estimator.n_init if fitted is None else 1
    n_parallel = rows.n_side_by_side(n_runs)
    bar = tqdm(
        desc=type(estimator).__name__,
        total=n_runs * max_iter,
        unit="it",
        disable=not estimator.verbose,
    )
    reached = {}

    def show(run):
        """Advance the progress bar every `verbose_interval` iterations."""
        every = estimator.verbose_interval
        if estimator.verbose and len(run.lower_bounds) % every == 0:
            bar.set_postfix(F=f"{run.objective:.6g}", refresh=False)
            bar.update(every)

    def restart(number, seed):
        with task.part("restart", max_iter, number) as own:
            run = climb(number, seed, own)
        n_iter = len(run.lower_bounds)
        bar.total -= max(0, max_iter - n_iter)  # what it did not need
        bar.update(n_iter % estimator.verbose_interval)
        return run

    def climb(number, seed, task):
        kept, is_end = checkpoint.reached(number) or (None, False)
        if is_end:
            reached[number] = kept
            return kept
        run, params, trace = None, None, []
        rng = np.random.RandomState(seed)
        if kept is not None:
            run, rng = kept
            trace = run.start_lower_bounds
        elif fitted is None:
            params, trace = starts.best(estimator.init_params, estimator.tol, rng)
        else:
            params = fitted

        def monitor(run):
            run.start_lower_bounds = trace
            reached[number] = run.as_it_is()
            checkpoint.keep(number, lambda: (run.as_it_is(), copy.deepcopy(rng)))
            show(run)
            return task.step("iteration", lambda: attributes(run.as_it_is()))

        with rows.over(rows.n_threads // n_parallel) as own:
            run = run_em(
                mixture,
                params,
                own,
                tol=estimator.tol,
                max_iter=max_iter,
                accelerate=estimator.acceleration is not None,
                resumed=fitted is not None,
                reseed=lambda params, which: starts.reseed(params, which, rng),
                monitor=monitor,
                run=run,
            )
        run.start_lower_bounds = trace
        checkpoint.finish(number, lambda: run)
        return run

    seeds = rng.randint(np.iinfo(np.int32).max, size=n_runs)
    try:
        with bar:
            if n_parallel == 1:
                return [restart(*pair) for pair in enumerate(seeds)], None
            return over_threads(restart, seeds, n_parallel, rows.stop), None
    except KeyboardInterrupt as interrupt:
        runs = [
            replace(run, converged=False)
            for run in reached.values()
            if np.isfinite(run.objective)
        ]
        if not runs:
            raise
        return runs, interrupt
