"""Products of families over blocks of columns: tables of mixed columns."""

from copy import copy
from functools import reduce
from itertools import compress, islice
from typing import NamedTuple

import numpy as np

from sklvm.mixture._components import Components, Kernel, in_all
from sklvm.mixture.families.joint import DiscreteComponents, GroupKernel


class ProductComponents(Components):
    """log p(x | z = k) = sum_b log p_b(x_b | z = k), x_b the columns of the block b.

    `blocks` are pairs of the components of a block and the positions of its columns.
    The params of all blocks make one tuple, their statistics and features a tuple or
    list with one entry for each block.
    """

    joined = None  # the units, where the rows are stored so that some blocks are one

    def __init__(self, *args, blocks, **kwargs):
        super().__init__(*args, **kwargs)
        self.parts = [components for components, _ in blocks]
        self.columns = [_slice(columns) for _, columns in blocks]
        self.names = tuple(
            f"{name}_{b}" for b, part in enumerate(self.parts) for name in part.names
        )
        self.is_separable = all(part.is_separable for part in self.parts)

    @property
    def initial_names(self):
        return set(self.names)  # no value is given by the user

    def split(self, params):
        """Params of each block, or None for each."""
        if params is None:
            return [None] * len(self.parts)
        arrays = iter(params)
        return [tuple(islice(arrays, len(part.names))) for part in self.parts]

    def _written(self, values, n_rows):
        """The columns of each block as one array of rows."""
        out = np.empty((n_rows, self.n_features))
        for columns, value in zip(self.columns, values, strict=True):
            out[:, columns] = value
        return out

    def kernels(self, params):
        """All blocks advance together; one without a safer kernel keeps its last."""
        own = self.split(params)
        sequences = [unit.kernels(own) for unit in self.units]
        kernels = [next(sequence) for sequence in sequences]
        while True:
            yield ProductKernel(self, params, kernels)
            safer = [next(sequence, None) for sequence in sequences]
            if not any(safer):
                return
            kernels = [new or old for new, old in zip(safer, kernels, strict=True)]

    def kernel_for(self, params, n_rows):
        own = self.split(params)
        kernels = [unit.kernel_for(own, n_rows) for unit in self.units]
        return ProductKernel(self, params, kernels)

    @property
    def units(self):
        """What has a kernel: a block, or several that are read as one."""
        return self.joined or [
            Unit(part, [b], columns)
            for b, (part, columns) in enumerate(
                zip(self.parts, self.columns, strict=True)
            )
        ]

    def features(self, X):
        return [
            part.features(X[:, columns])
            for part, columns in zip(self.parts, self.columns, strict=True)
        ]

    def statistics(self, features, resp):
        return tuple(
            part.statistics(own, resp)
            for part, own in zip(self.parts, features, strict=True)
        )

    def average(self, statistics, n):
        return tuple(
            part.average(own, n)
            for part, own in zip(self.parts, statistics, strict=True)
        )

    def m_step(self, statistics, params):
        made = [
            part.m_step(own, old)
            for part, own, old in zip(
                self.parts, statistics, self.split(params), strict=True
            )
        ]
        return tuple(value for values in made for value in values)

    def mix(self, one, other, a, b):
        return tuple(
            part.mix(x, y, a, b)
            for part, x, y in zip(self.parts, one, other, strict=True)
        )

    def smooth(self, statistics, average):
        return tuple(
            part.smooth(own, row)
            for part, own, row in zip(self.parts, statistics, average, strict=True)
        )

    def mean(self, params):
        own = zip(self.parts, self.split(params), strict=True)
        means = [part.mean(p) for part, p in own]
        return self._written(means, len(means[0]))

    def expected(self, params, weights):
        own = zip(self.parts, self.split(params), strict=True)
        return self._written([p.expected(q, weights) for p, q in own], len(weights))

    def sample(self, params, labels, rng):
        own = zip(self.parts, self.split(params), strict=True)
        return self._written([p.sample(q, labels, rng) for p, q in own], len(labels))

    def draw(self, params, labels, X, rng):
        own = zip(self.parts, self.split(params), self.columns, strict=True)
        drawn = [p.draw(q, labels, X[:, columns], rng) for p, q, columns in own]
        return self._written(drawn, len(X))

    def n_parameters(self, n_components):
        return sum(part.n_parameters(n_components) for part in self.parts)

    def log_prior(self, params):
        own = zip(self.parts, self.split(params), strict=True)
        return sum(part.log_prior(p) for part, p in own)

    def degenerate(self, params):
        own = zip(self.parts, self.split(params), strict=True)
        # Of shared covariances there is one for all components.
        return reduce(np.logical_or, [part.degenerate(p) for part, p in own])

    def row_size(self, n_components):
        return sum(part.row_size(n_components) for part in self.parts)

    def points(self, rows, params):
        """A column counts as much as any other; scales are taken in step.

        Indicators of categories are noisy coordinates, so every other scale is without
        them where there are others.
        """
        each, is_numeric = [], []
        for part, columns, own in zip(
            self.parts, self.columns, self.split(params), strict=True
        ):
            scales = part.points(rows[:, columns], own)
            each.append([_of_unit_size(points, part.n_features) for points in scales])
            is_numeric.append(not isinstance(part, DiscreteComponents))
        found = []
        for i in range(max(map(len, each))):
            points = [scales[min(i, len(scales) - 1)] for scales in each]
            found.append(np.hstack(points))
            if any(is_numeric) and not all(is_numeric):
                found.append(np.hstack(list(compress(points, is_numeric))))
        return found

    def replaced(self, params, initial):
        own = zip(self.parts, self.split(params), strict=True)
        return tuple(value for part, p in own for value in part.replaced(p, {}))

    def moved(self, params, collapsed, fresh):
        new = []
        for part, old, other in zip(
            self.parts, self.split(params), self.split(fresh), strict=True
        ):
            new += part.moved(old, collapsed, other)
        return tuple(new)

    def for_starts(self, rows, least_share=0.5):
        pairs = zip(self.parts, self.columns, strict=True)
        found = [part.for_starts(rows[:, c], least_share) for part, c in pairs]
        kept = in_all([mask for _, mask in found])
        if kept is not None and kept.mean() < least_share:  # each has others
            return self.for_starts(rows, np.inf)
        other = copy(self)
        other.parts = [part for part, _ in found]
        return self if other.parts == self.parts else other, kept

    def to_unconstrained(self, params, reference):
        coordinates = self._coordinates(params, reference)
        return tuple(value for values in coordinates for value in values)

    def _coordinates(self, params, reference):
        return [
            part.to_unconstrained(own, old)
            for part, own, old in zip(
                self.parts, self.split(params), self.split(reference), strict=True
            )
        ]

    def from_unconstrained(self, values, reference):
        arrays = iter(values)
        shapes = self._coordinates(reference, reference)
        params = []
        for part, shape, old in zip(
            self.parts, shapes, self.split(reference), strict=True
        ):
            own = tuple(islice(arrays, len(shape)))
            made = part.from_unconstrained(own, old)
            if made is None:
                return None
            params += made
        return tuple(params)


class Unit(NamedTuple):
    """What has a kernel, the blocks that it stands for, and their columns."""

    components: object  # Components, or JointBlocks
    blocks: list
    columns: slice | np.ndarray

    @property
    def is_joint(self):
        return isinstance(self.components, JointBlocks)

    def kernels(self, params):
        """Kernels at the params of all blocks of the product."""
        own = [params[b] for b in self.blocks]
        return self.components.kernels(own if self.is_joint else own[0])

    def kernel_for(self, params, n_rows):
        own = [params[b] for b in self.blocks]
        return self.components.kernel_for(own if self.is_joint else own[0], n_rows)


class JointBlocks:
    """Several blocks of discrete columns whose groups have one kernel.

    Params are a list with those of each block, and so are statistics.
    """

    def __init__(self, parts):
        self.parts, self.groups = parts, None
        self.n_features = sum(part.n_features for part in parts)
        self.dtype, self.missing = parts[0].dtype, parts[0].missing

    def kernels(self, params):
        yield GroupKernel(self, params)

    def kernel_for(self, params, n_rows):
        return GroupKernel(self, params)

    @property
    def n_levels(self):
        return np.concatenate([part.n_levels for part in self.parts])

    def level_logs(self, params):
        logs = [
            part.level_logs(own) for part, own in zip(self.parts, params, strict=True)
        ]
        most = max(values.shape[1] for values in logs)
        shape = self.n_features, most, logs[0].shape[2]
        out, start = np.zeros(shape), 0
        for values in logs:
            out[start : start + len(values), : values.shape[1]] = values
            start += len(values)
        return out

    def from_levels(self, counts):
        ends = np.cumsum([part.n_features for part in self.parts])[:-1]
        split = np.split(counts, ends)
        return [
            part.from_levels(own) for part, own in zip(self.parts, split, strict=True)
        ]


class ProductKernel(Kernel):
    """Kernels of the units side by side; log-probabilities add up in float64."""

    def __init__(self, components, params, kernels):
        super().__init__(components, params)
        self.units, self.kernels = components.units, kernels
        self.flushed = min(kernel.flushed for kernel in kernels)

    def log_prob(self, X, workspace):
        total, features = None, []
        for u, (unit, kernel) in enumerate(zip(self.units, self.kernels, strict=True)):
            # A list where the units are stored apart.
            x = X[u] if isinstance(X, list) else X[:, unit.columns]
            log_prob, own = kernel.log_prob(x, workspace.part(u))
            features.append(own)
            if total is None:
                total = log_prob.astype(np.float64, copy=False)
            else:
                total += log_prob
        return total, features

    def statistics(self, features, resp, workspace):
        sums = []
        for u, (kernel, own) in enumerate(zip(self.kernels, features, strict=True)):
            sums += [kernel.statistics(own, resp, workspace.part(u))]
        # How many each has goes with the sums: who adds them up may be elsewhere.
        marks = np.array([1, *map(len, sums)])
        return marks, *(array for arrays in sums for array in arrays)

    def finalize(self, sums):
        marks, *arrays = sums
        arrays, sizes = iter(arrays), np.rint(marks[1:] / marks[0]).astype(np.intp)
        statistics = [None] * len(self.components.parts)
        for unit, kernel, size in zip(self.units, self.kernels, sizes, strict=True):
            own = kernel.finalize(tuple(islice(arrays, size)))
            for b, values in zip(
                unit.blocks, own if unit.is_joint else [own], strict=True
            ):
                statistics[b] = values
        return tuple(statistics)

    def is_accurate(self, following):
        params = self.components.split(following)
        return all(
            unit.is_joint or kernel.is_accurate(params[unit.blocks[0]])
            for unit, kernel in zip(self.units, self.kernels, strict=True)
        )

    def fill(self, features, resp):
        own = zip(self.kernels, features, strict=True)
        filled = [kernel.fill(f, resp) for kernel, f in own]
        return self.components._written(filled, resp.shape[1])


def _slice(columns):
    """Adjacent columns as a slice, which copies nothing."""
    first = columns[0]
    if (np.diff(columns) == 1).all():
        return slice(first, first + len(columns))
    return columns


def _of_unit_size(points, n_features):
    """Points whose total variance is the number of features."""
    points = points - points.mean(axis=0)
    total = points.var(axis=0).sum()
    return points * np.sqrt(n_features / total) if total > 0 else points
