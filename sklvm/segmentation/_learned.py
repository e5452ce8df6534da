r"""The learned P(L): a mixture over how seeds lie, fitted to training maps and codes.

    P(L) = sum_q w_q  prod_i h_qi^{s_i} (1 - h_qi)^{1 - s_i}  prod_{j in L} p(c_j | ...)

A component is either a lattice, most of whose sites are seeds, with few seeds beside
it; or no lattice and a mean number of seeds. Where seeds are thick, as on a lattice,
what a seed costs is what its class costs given the seeds above and to the left of it: a
bit or less. Beside the lattice seeds are likelier in cells whose corners differ.
"""

import numpy as np

from sklvm.label_maps._range_coder import BIT_TOTAL
from sklvm.segmentation._contexts import (
    ContextTable,
    context_keys,
    cumulative,
    integer_frequencies,
)
from sklvm.segmentation._rate import RateModel
from sklvm.state._classes import stateful

# Between the seeds of a lattice; those that a map is too small for are left out.
STEPS = 16, 12, 10, 8, 6, 5, 4, 3, 2
# Mean numbers of seeds of the components without a lattice.
NUMBERS = 2, 8, 32, 128, 512
# Rows of a map are told apart in so many bands, loose seeds in so many regions a side.
BANDS, REGIONS = 6, 6
# What is believed before any code has been seen, as much as one code counts: the
# frequencies of seeds on a lattice, beside it in cells of one class, and of several.
FIRST_FREQUENCIES = 0.97, 5e-4, 1e-2
# Of the EM that fits the frequencies.
N_ITERATIONS = 10
# Lattices that a search decodes, of the least cost where a decoder has so large a share
# of the errors of the nearest site's class.
N_PROMISING, AS_WRONG = 2, 0.7
# Components that fall behind by so many nats in their flags alone add nothing.
NEGLIGIBLE = 40.0


def logsumexp(values, axis):
    """As scipy's, which takes its time where there are few values; none is +inf."""
    most = values.max(axis=axis, keepdims=True)
    with np.errstate(under="ignore"):  # which a caller may have set to raise
        sums = np.exp(values - most).sum(axis=axis, keepdims=True)
    return np.squeeze(most + np.log(sums), axis=axis)


def as_bit_frequencies(h):
    """Frequencies of ones, of `BIT_TOTAL`; neither never nor always."""
    return np.clip(np.rint(h * BIT_TOTAL), 1, BIT_TOTAL - 1).astype(np.int64)


@stateful
class Layout:
    """A component's geometry: its lattice, and what surrounds the pixels beside it."""

    def __init__(self, image_shape, step):
        height, width = image_shape
        starts = [min(step // 2, n // 2) for n in image_shape]
        rows, columns = (
            np.arange(start, n, step)
            for start, n in zip(starts, image_shape, strict=True)
        )
        self.grid_shape = len(rows), len(columns)
        self.sites = (rows[:, None] * width + columns).ravel()
        on = np.zeros(height * width, dtype=bool)
        on[self.sites] = True
        self.beside = np.flatnonzero(~on)
        self.corners = self._corners(image_shape, starts, step)
        self.bands = (rows * BANDS // height).repeat(len(columns))

    def _corners(self, image_shape, starts, step):
        """Of the pixels beside the lattice the four sites around, the nearest first."""
        axes = []
        for n, start, n_sites in zip(image_shape, starts, self.grid_shape, strict=True):
            at = (np.arange(n) - start) // step
            low, high = (np.clip(a, 0, n_sites - 1) for a in (at, at + 1))
            nearer = 2 * ((np.arange(n) - start) % step) > step
            axes.append((np.where(nearer, high, low), np.where(nearer, low, high)))
        (near_row, far_row), (near_column, far_column) = axes
        pairs = [(near_row, near_column), (near_row, far_column),
                 (far_row, near_column), (far_row, far_column)]  # fmt: skip
        numbers = [r[:, None] * self.grid_shape[1] + c for r, c in pairs]
        return np.stack([n.ravel()[self.beside] for n in numbers])

    def neighbours(self, grid, n_classes):
        """Of each site the classes left, above, above left and above right."""
        rows, columns = self.grid_shape
        padded = np.full((rows + 1, columns + 2), n_classes)
        padded[1:, 1:-1] = grid.reshape(self.grid_shape)
        parts = padded[1:, :-2], padded[:-1, 1:-1], padded[:-1, :-2], padded[:-1, 2:]
        return [part.ravel() for part in parts]


@stateful
class Nowhere:
    """The geometry of a component without a lattice: regions of the map."""

    def __init__(self, image_shape):
        rows, columns = (np.arange(n) * REGIONS // n for n in image_shape)
        self.grid_shape = 0, 0
        self.sites = np.zeros(0, dtype=int)
        self.beside = np.arange(image_shape[0] * image_shape[1])
        self.regions = (rows[:, None] * REGIONS + columns).ravel()
        self.bands = np.zeros(0, dtype=int)

    def neighbours(self, grid, n_classes):
        return [grid] * 4


@stateful
class LearnedRate(RateModel):
    """Lattices and loose seeds, with frequencies of positions and classes."""

    def __init__(self, image_shape, n_classes):
        self.image_shape = tuple(image_shape)
        self.n_pixels = image_shape[0] * image_shape[1]
        self.n_classes = n_classes
        steps = [s for s in STEPS if 2 * s <= max(image_shape)]
        numbers = [n for n in NUMBERS if 4 * n <= self.n_pixels] or [1]
        self.layouts = [Layout(image_shape, step) for step in steps]
        self.layouts += [Nowhere(image_shape)] * len(numbers)
        self.n_lattices = len(steps)
        self.on_tables = [ContextTable(n_classes) for _ in self.layouts]
        self.beside_table = ContextTable(n_classes)
        # Frequencies of seeds on the lattice, and beside it in even and mixed cells; of
        # loose seeds by region. What a component does not have is not used.
        even = FIRST_FREQUENCIES[1]
        thick = np.full((len(steps), 1 + REGIONS**2), even)
        thick[:, :3] = FIRST_FREQUENCIES
        loose = np.ones((len(numbers), 1 + REGIONS**2))
        loose *= np.array(numbers)[:, None] / self.n_pixels
        self.believed = np.vstack([thick, loose])
        self._set(self.believed, np.ones(len(self.layouts)))

    def _set(self, h, weights):
        self.h = as_bit_frequencies(h)
        self.weights = integer_frequencies(weights / weights.sum())
        self.log_w = np.log(self.weights) - np.log(self.weights.sum())
        self.log_h = np.log(self.h) - np.log(BIT_TOTAL)
        self.log_not_h = np.log(BIT_TOTAL - self.h) - np.log(BIT_TOTAL)

    # What surrounds a seed ------------------------------------------------------------

    def _on_contexts(self, layout, code):
        """Keys of the contexts of all sites, the shortest first."""
        grid = np.where(code[layout.sites] < 0, self.n_classes, code[layout.sites])
        around = layout.neighbours(grid, self.n_classes)
        keys = context_keys(self.n_classes, layout.bands, *around)
        return np.stack(keys, axis=1)

    def _surroundings(self, layout, code):
        """Of the pixels beside a lattice their kind, and contexts of their classes.

        The contexts are the nearest site's class and another one around; where there is
        no lattice, the region.
        """
        if not len(layout.sites):
            nearest = np.full(len(layout.beside), self.n_classes)
            return layout.regions, self._keys(nearest, nearest + layout.regions)
        grid = np.where(code[layout.sites] < 0, self.n_classes, code[layout.sites])
        nearest, *others = grid[layout.corners]
        other = nearest
        for corner in others[::-1]:
            other = np.where(corner != nearest, corner, other)
        return (nearest != other).astype(int), self._keys(nearest, other)

    def _keys(self, first, second):
        # Regions follow on the classes, so the base is larger than both.
        return np.stack([first, first * (self.n_classes + REGIONS**2) + second], axis=1)

    def _flag_counts(self, layout, code, kinds):
        """Seeds and blanks: on the lattice, then beside it by kind."""
        on = (code[layout.sites] >= 0).sum()
        size = {"minlength": REGIONS**2}
        seeds = np.bincount(kinds[code[layout.beside] >= 0], **size)
        sizes = np.append(len(layout.sites), np.bincount(kinds, **size))
        seeds = np.append(on, seeds)
        return seeds, sizes - seeds

    # The rate -------------------------------------------------------------------------

    def _joint(self, code):
        """ln w_q P_q(L) of every component, -inf where it is negligible."""
        flags = np.empty(len(self.layouts))
        n_seeds = (code >= 0).sum()
        for q, layout in enumerate(self.layouts):
            # With all cells of the kind that suits the seeds: no less than it can be.
            on = (code[layout.sites] >= 0).sum()
            bound = (
                on * self.log_h[q, 0] + (len(layout.sites) - on) * self.log_not_h[q, 0]
            )
            flags[q] = self.log_w[q] + bound + (n_seeds - on) * self.log_h[q, 1:].max()
        joint = np.full(len(self.layouts), -np.inf)
        for q in np.argsort(-flags, kind="stable"):
            if flags[q] < joint.max() - NEGLIGIBLE:
                break
            joint[q] = self._component(q, code)
        return joint

    def _component(self, q, code):
        seeds, blanks, classes = self._parts(q, code)
        flags = seeds @ self.log_h[q] + blanks @ self.log_not_h[q]
        return self.log_w[q] + flags - classes

    def _parts(self, q, code):
        """Numbers of seeds and blanks by kind, and -ln p of the classes."""
        layout = self.layouts[q]
        kinds, surroundings = self._surroundings(layout, code)
        seeds, blanks = self._flag_counts(layout, code, kinds)
        cost = 0.0
        for table, at, contexts in (
            (self.beside_table, layout.beside, lambda: surroundings),
            (self.on_tables[q], layout.sites, lambda: self._on_contexts(layout, code)),
        ):
            seeded = np.flatnonzero(code[at] >= 0)
            if len(seeded):
                cost += table.costs_of(contexts()[seeded], code[at][seeded]).sum()
        return seeds, blanks, cost

    def rate(self, codes):
        return np.array([-logsumexp(self._joint(code), 0) for code in codes])

    def look(self, code):
        joint = self._joint(code)
        return -logsumexp(joint, 0), joint

    def prices(self, code, classes, known=None):
        joint = self._joint(code) if known is None else known
        log_resp = joint - logsumexp(joint, 0)
        # -ln of the expected odds: another component may take the new seed on.
        components = np.flatnonzero(log_resp > -NEGLIGIBLE)
        costs = [log_resp[q] - self._prices_of(q, code, classes) for q in components]
        return -logsumexp(np.array(costs), 0)

    def _prices_of(self, q, code, classes):
        layout = self.layouts[q]
        logit = self.log_h[q] - self.log_not_h[q]
        kinds, surroundings = self._surroundings(layout, code)
        costs = self.beside_table.costs_of(surroundings, classes[layout.beside])
        prices = np.empty(self.n_pixels)
        prices[layout.beside] = costs - logit[1 + kinds]
        if len(layout.sites):
            contexts = self._on_contexts(layout, code)
            costs = self.on_tables[q].costs_of(contexts, classes[layout.sites])
            prices[layout.sites] = costs - logit[0]
        return prices

    # Fitting --------------------------------------------------------------------------

    def fit_maps(self, maps):
        """Learn which classes lie beside which, from maps (n, P) with -1 for void."""
        for q in range(self.n_lattices):
            layout, table = self.layouts[q], self.on_tables[q]
            contexts, classes = [], []
            for code in maps:
                seeded = code[layout.sites] >= 0
                contexts.append(self._on_contexts(layout, code)[seeded])
                classes.append(code[layout.sites][seeded])
            table.fit(np.concatenate(contexts), np.concatenate(classes))
        return self

    def fit(self, codes):
        """Fit the frequencies of seeds, and of classes beside a lattice, by EM."""
        if not len(codes):
            return self
        self._fit_beside(codes)
        components = range(len(self.layouts))
        parts = [[self._parts(q, code) for q in components] for code in codes]
        seeds, blanks = (
            np.array([[part[i] for part in row] for row in parts], dtype=float)
            for i in (0, 1)
        )
        costs = np.array([[part[2] for part in row] for row in parts])
        sizes = (seeds + blanks).mean(axis=0)
        for _ in range(N_ITERATIONS):
            joint = np.einsum("nqg,qg->nq", seeds, self.log_h) + self.log_w - costs
            joint += np.einsum("nqg,qg->nq", blanks, self.log_not_h)
            with np.errstate(under="ignore"):
                resp = np.exp(joint - logsumexp(joint, 1)[:, None])
            ones = np.einsum("nq,nqg->qg", resp, seeds) + self.believed * sizes
            alls = np.einsum("nq,nqg->qg", resp, seeds + blanks) + sizes
            h = np.divide(ones, alls, out=self.believed.copy(), where=alls > 0)
            self._set(h, resp.sum(axis=0) + 1)
        return self

    def _fit_beside(self, codes):
        contexts, classes = [], []
        for code in codes:
            layout = self.layouts[int(self._joint(code).argmax())]
            seeded = code[layout.beside] >= 0
            contexts.append(self._surroundings(layout, code)[1][seeded])
            classes.append(code[layout.beside][seeded])
        classes = np.concatenate(classes)
        if len(classes):
            self.beside_table.fit(np.concatenate(contexts), classes)

    def starts(self, labels, allowed):
        """The codes (m, P) that seed a whole lattice each."""
        codes = np.full((self.n_lattices, self.n_pixels), -1, dtype=np.int32)
        for code, layout in zip(codes, self.layouts, strict=False):
            sites = layout.sites[allowed[layout.sites]]
            code[sites] = labels[sites]
        return codes

    def promising_starts(self, labels, allowed, losses):
        # A decoder is about as wrong as the class of the nearest site.
        codes = self.starts(labels, allowed)
        costs = []
        for q, code in enumerate(codes):
            layout = self.layouts[q]
            nearest = code[layout.sites[layout.corners[0]]]
            wrong = nearest != labels[layout.beside]
            loss = losses[layout.beside][wrong].sum()
            costs.append(AS_WRONG * loss - self._component(q, code))
        return codes[np.argsort(costs, kind="stable")[:N_PROMISING]]

    def integers(self):
        tables = [*self.on_tables, self.beside_table]
        parts = [part for table in tables for part in table.integers()]
        return [*self.image_shape, self.n_classes, self.h, self.weights, *parts]

    # Coding ---------------------------------------------------------------------------

    def walk(self, coder, code=None, component=None):
        reads = code is None
        given = np.full(self.n_pixels, -1, dtype=np.int32) if reads else code
        code = np.full(self.n_pixels, -1, dtype=np.int32)
        if component is None and not reads:
            component = int(self._joint(given).argmax())
        q = coder.choose(cumulative(self.weights), component)
        layout = self.layouts[q]
        self._walk_lattice(coder, q, given, code)
        kinds, surroundings = self._surroundings(layout, code)
        frequencies = self.h[q, 1 + kinds].tolist()
        values = (given[layout.beside] >= 0).tolist()
        flags = np.array(coder.bits(frequencies, values), dtype=bool)
        contexts = surroundings[flags].tolist()
        for pixel, context in zip(layout.beside[flags].tolist(), contexts, strict=True):
            table = self.beside_table.cumulative(context)
            code[pixel] = coder.choose(table, int(given[pixel]))
        return code, q

    def _walk_lattice(self, coder, q, given, code):
        """Which sites are seeds, then their classes row by row."""
        layout = self.layouts[q]
        rows, columns = layout.grid_shape
        values = (given[layout.sites] >= 0).tolist()
        flags = coder.bits([int(self.h[q, 0])] * len(values), values)
        above = [self.n_classes] * (columns + 2)
        site = 0
        for _ in range(rows):
            row = [self.n_classes] * (columns + 2)
            for column in range(1, columns + 1):
                if flags[site]:
                    first = int(layout.bands[site])
                    left, up = row[column - 1], above[column]
                    corners = above[column - 1], above[column + 1]
                    keys = context_keys(self.n_classes, first, left, up, *corners)
                    table = self.on_tables[q].cumulative(keys)
                    pixel = layout.sites[site]
                    code[pixel] = row[column] = coder.choose(table, int(given[pixel]))
                site += 1
            above = row
