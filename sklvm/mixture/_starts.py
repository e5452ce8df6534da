"""Where EM begins: a function of the weighted set of rows, not of their order.

Everything starts from a canonical sample: the distinct rows in the order of a random
projection, with their weights summed. Rows that repeat, rows of weight zero and the
order of the rows leave it unchanged to the last bit, and so all that follows from it.
"""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import euclidean_distances

from sklvm.mixture._em import WeightedRows, run_em
from sklvm.mixture._reduce import Reducer

LLOYD_STEPS = 5
# How many starts run for how many iterations, before the best of them go on.
SHORT_RUNS = [(6, 8), (2, 15), (1, 50)]


def _ranges(sample, chunks):
    """Least and greatest value of each feature among the rows with a weight."""
    low, high = np.inf, -np.inf
    for rows in chunks:
        X = sample.data[rows]
        if sample.sample_weight is not None:
            X = X[sample.sample_weight[rows] > 0]
        low = np.fmin(low, np.fmin.reduce(X, axis=0, initial=np.inf))
        high = np.fmax(high, np.fmax.reduce(X, axis=0, initial=-np.inf))
    return low, high


def _projection(sample, chunks, rng):
    """Random projection of each row, rounded alike wherever the row stands."""
    n, n_features = sample.data.shape
    direction, gap_direction = rng.normal(size=(2, n_features))
    key = np.empty(n)
    if not isinstance(sample.data[:1], np.ndarray):
        for rows in chunks:  # sparse products go one row after the other
            key[rows] = sample.data[rows] @ direction
        return key
    # In units of the ranges, so that no feature drowns the digits of the others.
    low, high = _ranges(sample, chunks)
    low = low.astype(np.float64)
    slope = direction / np.where(high > low, high - low, 1)
    for rows in chunks:
        products = (sample.data[rows] - low) * slope
        np.copyto(products, gap_direction, where=np.isnan(products))
        key[rows] = np.ascontiguousarray(products).sum(axis=1)  # BLAS would not do
    return key


def canonical_sample(sample, size, batch_size, rng):
    """Distinct rows and their weights, or `size` draws if there are more of them.

    The draws are systematic: equally spaced points of the cumulative weight of the rows
    in the order of a random projection.
    """
    data, sample_weight = sample.data, sample.sample_weight
    n = data.shape[0]
    chunks = [slice(i, min(i + batch_size, n)) for i in range(0, n, batch_size)]
    key = _projection(sample, chunks, rng)
    order = np.argsort(key)
    if sample_weight is not None:
        order = order[sample_weight[order] > 0]
    key = key[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    del key
    if len(first) <= size:
        weight = np.ones(len(order)) if sample_weight is None else sample_weight[order]
        rows, weight = data[order[first]], np.add.reduceat(weight, first)
        return WeightedRows(rows, weight)
    points = (np.arange(size) + rng.uniform()) / size
    if sample_weight is None:
        position = (points * len(order)).astype(np.intp)
    else:
        cumulative = np.cumsum(sample_weight[order])
        position = np.searchsorted(cumulative, points * cumulative[-1], side="right")
    return WeightedRows(data[order[position]], np.ones(size))


def draw_rows(sample, n, rng):
    """Rows drawn with probability proportional to their weight."""
    p = sample.sample_weight / sample.sample_weight.sum()
    return sample.data[rng.choice(len(p), size=n, p=p)]


def nearest_centre(points, centres):
    """Responsibilities (K, n) of the nearest centres; ties are shared."""
    distance = euclidean_distances(centres, points, squared=True)
    resp = (distance == distance.min(axis=0)).astype(np.float64)
    return resp / resp.sum(axis=0)


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
    else:  # k-means begins at k-means++, which a few of its steps round off
        max_iter = LLOYD_STEPS if method == "k-means++" else 300
        kmeans = KMeans(n_components, n_init=1, max_iter=max_iter, random_state=rng)
        centres = kmeans.fit(points, sample_weight=sample_weight).cluster_centers_
    return nearest_centre(points, centres)


def best_start(family, method, tol, rng):
    """Parameters from which the run on all rows begins.

    For "k-means++" several starts make short runs on the canonical sample, and those
    with the highest F go on. A sample with fewer rows than the model has parameters
    only tells which of them overfits most; k-means then takes the place of short runs.
    """
    given = family.given()
    if given is not None:
        return given
    sample = family.sample
    rows, sample_weight = sample.data, sample.sample_weight
    if max(rows.shape[0], sample.total_weight) < family.n_parameters():
        method = "kmeans" if method == "k-means++" else method
    spaces = family.embed(rows)
    centres = family.initial_centres()

    def start(space):
        if centres is not None:
            resp = nearest_centre(spaces[0], centres)
        else:
            resp = responsibilities(
                spaces[space], sample_weight, family.n_components, method, rng
            )
        return family.start(rows, sample_weight, resp)

    # What the user gave is where the run begins, not where a short run has led.
    if family.initial or method != "k-means++" or family.n_components == 1:
        return start(0)
    n_starts, _ = SHORT_RUNS[0]
    starts = [start(i % len(spaces)) for i in range(n_starts)]
    # The chunks are not the user's: the start is the same to the last bit for any.
    with Reducer(rows.shape[0], family.default_batch_size(), 1) as reducer:
        for n_kept, max_iter in SHORT_RUNS:
            runs = [
                run_em(
                    family,
                    params,
                    sample,
                    reducer,
                    tol=tol / 10,
                    max_iter=max_iter,
                    accelerate=True,
                )
                for params in starts[:n_kept]
            ]
            runs.sort(key=lambda run: round(run.objective, 5), reverse=True)
            starts = [run.point.params for run in runs]
    return starts[0]
