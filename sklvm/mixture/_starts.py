"""Where EM begins: a function of the weighted set of rows, not of their order.

Everything starts from the canonical sample of `_sample`, which neither the order of the
rows nor where they lie changes, and so nothing that follows from it.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse
from sklearn.cluster import kmeans_plusplus

from sklvm.mixture._components import of_frequent_patterns
from sklvm.mixture._rows import MemoryRows, Workspace, chunk_size
from sklvm.mixture._sample import canonical_sample
from sklvm.mixture._short_runs import best_of

SAMPLE_SIZE = 4096
LLOYD_STEPS = {"k-means++": 5, "kmeans": 300}
N_STARTS = 6
# Rows on which all starts make their first steps.
LEAST_ROWS, ROWS_PER_PARAMETER = 1024, 8
# Rows of a class, at least, for each of the components that begin with it.
ROWS_PER_CENTRE = 2


def draw_rows(sample, n, rng):
    """Rows drawn with probability proportional to their weight."""
    p = sample.sample_weight / sample.sample_weight.sum()
    return sample.rows[rng.choice(len(p), size=n, p=p)]


def nearest_centre(points, centres):
    """Responsibilities (K, n) of the nearest centres; ties are shared."""
    distance = _distances(points, centres)
    resp = (distance == distance.min(axis=0)).astype(np.float64)
    return resp / resp.sum(axis=0)


def _distances(points, centres):
    """Half the squared distances (K, n), but for a term that the centres share."""
    if issparse(centres):
        centres = centres.toarray()
    half_squares = 0.5 * np.einsum("kd,kd->k", centres, centres)
    return half_squares[:, np.newaxis] - centres @ points.T


def _lloyd(points, sample_weight, centres, max_iter):
    """Steps of k-means; scikit-learn's own would warn where clusters coincide."""
    labels = None
    for _ in range(max_iter):
        before, labels = labels, _distances(points, centres).argmin(axis=0)
        if np.array_equal(labels, before):
            break
        resp = (labels == np.arange(len(centres))[:, np.newaxis]) * sample_weight
        counts = resp.sum(axis=1, keepdims=True)
        np.divide(resp @ points, counts, out=centres, where=counts > 0)
    return centres


def responsibilities(points, sample_weight, n_components, method, rng):
    """Initial responsibilities (K, n) of the rows of a canonical sample."""
    n = points.shape[0]
    if method == "random":
        return rng.dirichlet(np.ones(n_components), size=n).T
    if n <= n_components:
        centres = points[np.arange(n_components) % n]
    elif method == "random_from_data":
        p = sample_weight / sample_weight.sum()
        centres = points[rng.choice(n, n_components, replace=False, p=p)]
    else:
        centres, _ = kmeans_plusplus(
            points, n_components, sample_weight=sample_weight, random_state=rng
        )
        centres = centres.toarray() if issparse(centres) else centres
        centres = _lloyd(points, sample_weight, centres, LLOYD_STEPS[method])
    return nearest_centre(points, centres)


def following_classes(points, sample_weight, codes, n_components, rng):
    """Responsibilities (K, n) by which each component has rows of one class alone.

    Classes share the components evenly, and the most frequent ones have those that are
    left. Rows without a class, whose code is NaN, have the nearest of all centres. None
    where there are more classes than components, or too few rows of a class.
    """
    classes, counts = np.unique(codes[~np.isnan(codes)], return_counts=True)
    if not 0 < len(classes) <= n_components:
        return None
    shares = np.full(len(classes), n_components // len(classes))
    shares[np.argsort(-counts, kind="stable")[: n_components % len(classes)]] += 1
    if (counts < ROWS_PER_CENTRE * shares).any():
        return None
    resp = np.zeros((n_components, len(codes)))
    centres, ends = [], np.cumsum(shares)
    for label, n, end in zip(classes, shares, ends, strict=True):
        rows = np.flatnonzero(codes == label)
        own = points[rows], sample_weight[rows]
        resp[end - n : end, rows] = within = responsibilities(*own, n, "kmeans", rng)
        weight = within * own[1]
        total = np.maximum(weight.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        centres.append(weight @ own[0] / total)
    others = np.flatnonzero(np.isnan(codes))
    resp[:, others] = nearest_centre(points[others], np.concatenate(centres))
    return resp


class Starts:
    """Finds where runs begin; holds the canonical sample, drawn when first needed."""

    def __init__(self, mixture, rows, seed):
        self.mixture, self.rows = mixture, rows
        self._seed = seed
        self._drawn = None

    @property
    def sample(self):
        """The canonical sample and the statistics of its average row."""
        if self._drawn is None:
            rng = np.random.RandomState(self._seed)  # the same whenever it is drawn
            sample = canonical_sample(self.rows, SAMPLE_SIZE, rng)
            self._drawn = sample, self.mixture.average(sample)
        return self._drawn

    def reseed(self, params, collapsed, rng):
        """Params with the collapsed components moved to rows of the sample."""
        sample, average = self.sample
        X = draw_rows(sample, collapsed.sum(), rng)
        return self.mixture.reseed(params, collapsed, X, average)

    def best(self, method, tol, rng):
        """Params from which the run on all rows begins, and the way to them.

        The way is the objective on the sample after each iteration of short runs: for
        "k-means++" several starts make such runs, and those with the highest F go on. A
        sample with fewer rows than the model has parameters only tells which of them
        overfits most; k-means then takes the place of short runs.
        """
        user_params = self.mixture.user_params()
        if user_params is not None:
            return user_params, []
        sample, average = self.sample
        n_parameters = self.mixture.n_parameters()
        n = max(sample.rows.shape[0], sample.total_weight)
        if method == "k-means++" and n < n_parameters:
            method = "kmeans"
        # What the user gave is where the run begins, not where a short run has led.
        if self._is_searched(method):
            components, kept = self.mixture.components.for_starts(sample.rows)
            part = sample.of(kept)
            few = part.subsampled(max(LEAST_ROWS, ROWS_PER_PARAMETER * n_parameters))
            first = self._first_starts(few, method, rng, kept is not None)
            return self._short_runs(components, part, few, first, tol)
        resp = next(self._first_starts(sample, method, rng))
        return self.mixture.start(sample, resp, average), []

    def _is_searched(self, method):
        mixture = self.mixture
        return (
            method == "k-means++" and mixture.n_components > 1 and not mixture.initial
        )

    def _first_starts(self, sample, method, rng, of_one_pattern=False):
        """Responsibilities (K, n) of a sample, one start's after the other's."""
        _, average = self.sample
        mixture = self.mixture
        components = mixture.components
        pooled = components.m_step(average, None)
        scales = components.points(sample.rows, pooled)
        if (centres := mixture.initial.get(components.names[0])) is not None:
            yield nearest_centre(scales[0], components.centres(centres, pooled))
            return
        if (column := components.classes) is not None:
            parts = scales[0], sample.sample_weight, sample.rows[:, column]
            resp = following_classes(*parts, mixture.n_components, rng)
            if resp is not None:
                yield resp
        for i in range(N_STARTS):
            points = scales[i % len(scales)]
            yield responsibilities(
                points, sample.sample_weight, mixture.n_components, method, rng
            )
        if of_one_pattern:
            yield from self._of_one_pattern(sample, method, rng)

    def _of_one_pattern(self, sample, method, rng):
        """Responsibilities of the rows with the most frequent pattern alone.

        What stands for the missing cells of the others may lie between clusters.
        """
        components, k = self.mixture.components, self.mixture.n_components
        kept = of_frequent_patterns(sample.rows, 1)
        if kept.sum() < ROWS_PER_CENTRE * k:
            return
        part = sample.of(kept)
        pooled = components.m_step(self.mixture.average(part), None)
        points = components.points(part.rows, pooled)[-1]
        resp = np.zeros((k, len(kept)))
        resp[:, kept] = responsibilities(points, part.sample_weight, k, method, rng)
        yield resp

    def _short_runs(self, components, part, few, first, tol):
        sample, average = self.sample
        is_cheaper = components is not self.mixture.components
        runner, row = self.mixture, average
        if is_cheaper:
            runner = replace(self.mixture, components=components)
            row = runner.average(sample)
        starts = [runner.start(few, resp, row) for resp in first]
        # The chunks are not the user's: the start is the same to the last bit for any.
        row_size = components.row_size(N_STARTS * self.mixture.n_components)
        batch_size = chunk_size(row_size, components.dtype)
        with (
            MemoryRows(*few[:2], batch_size=batch_size) as few_rows,
            MemoryRows(*part[:2], batch_size=batch_size) as rows,
        ):
            few_rows.stop = rows.stop = self.rows.stop
            params, trace = best_of(runner, starts, few_rows, rows, tol)
        if is_cheaper:
            e_step = next(runner.e_steps(params))
            resp = e_step.posterior(sample.rows, Workspace())
            params = self.mixture.start(sample, resp, average)
        return params, trace
