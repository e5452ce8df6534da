"""Search for the code of a map under the exact objective, rate + weight * distortion.

A change is a dictionary of pixels and what they become, a class or -1 for blank. Many
changes are tried in one decoding: the effect of a seed is mostly near it, so each
wrong pixel, new or corrected, is put down to the change that is nearest. Those that
seem to pay are kept together, and only if that lowers the exact objective.

A search is a generator: it yields codes and is sent the maps that they decode to, so
that whoever runs it may decode the codes of many searches at a time.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import distance_transform_edt, label

# Share of a region's pixels that a seed in it is thought to mend, and the most of them
# for its distance from the region's border.
CORRECTED, CORRECTED_WITHIN = 0.6, 12.0
# Growth of a code in one step, as a share of its seeds, and at least so many.
GROWTH, FIRST_SEEDS = 0.8, 4
# Growth goes on as long as a step seems to gain so large a share of the objective.
LITTLE = 0.01
# Rounds of growing and moving before seeds are taken away.
N_ROUNDS = 2
# Pixels by which a seed may move in one step.
STRIDE = 4
# Seeds are taken away or moved in so many groups: of few seeds all, of many, those of a
# lattice, only what costs more nats than this.
N_GROUPS, MANY, DEAR = 2, 64, 1.0
# Steps in which all wrong pixels are seeded that are worth it.
MOST_FILLED = 6
# At the end so many seeds at the most are tried one by one.
MOST_PRUNED = 16


def pixel_weights(labels, counted, class_weight):
    """What an error counts for at each pixel, 0 where it does not; float64."""
    if class_weight is None:
        return counted.astype(float)
    return np.where(counted, class_weight[np.where(counted, labels, 0)], 0.0)


@dataclass
class Task:
    """A map (H, W) to be coded."""

    labels: np.ndarray
    counted: np.ndarray  # where an error counts, and a seed may be
    rate_model: object
    weight: float
    class_weight: np.ndarray | None = None
    pixel_weights: np.ndarray = field(init=False)

    def __post_init__(self):
        self.pixel_weights = pixel_weights(self.labels, self.counted, self.class_weight)

    def distortion(self, wrong):
        """The weights of wrong pixels together."""
        return self.pixel_weights[wrong].sum()

    def blank(self):
        return np.full(self.labels.shape, -1, dtype=np.int32)

    def starts(self):
        """Codes that the rate model finds cheap."""
        allowed = self.counted.ravel()
        codes = self.rate_model.starts(self.labels.ravel(), allowed)
        return list(codes.reshape(-1, *self.labels.shape))

    def promising_starts(self):
        """Those that are worth a decoding."""
        allowed = self.counted.ravel()
        codes = self.rate_model.promising_starts(
            self.labels.ravel(), allowed, self.weight * self.pixel_weights.ravel()
        )
        return list(codes.reshape(-1, *self.labels.shape))

    def true_classes(self, changes):
        """The changes, with the map's own class where they have None for it."""
        return [
            {at: self.labels[at] if value is None else value for at, value in c.items()}
            for c in changes
            if all(value is not None or self.counted[at] for at, value in c.items())
        ]

    def prices(self, state):
        # Where no seed may be, any class will do.
        classes = np.where(self.counted, self.labels, 0).ravel()
        prices = self.rate_model.prices(state.code.ravel(), classes, state.known)
        return prices.reshape(state.code.shape)


@dataclass
class State:
    """A code, where its decoded map is wrong, and its objective."""

    code: np.ndarray
    wrong: np.ndarray
    objective: float
    distortion: float = None
    known: object = None  # what the rate model knows of the code


def objective(state):
    return state.objective


def evaluate(task, code):
    """The state of a code; yields it for decoding."""
    decoded = yield code
    wrong = (decoded != task.labels) & task.counted
    rate, known = task.rate_model.look(code.ravel())
    distortion = task.distortion(wrong)
    return State(code, wrong, rate + task.weight * distortion, distortion, known)


# What to change ---------------------------------------------------------------------


def wrong_regions(labels, wrong):
    """Connected wrong pixels of one true class: their numbers 1.. in a map, 0 apart."""
    # On a grid of twice the resolution: what lies between two pixels joins them.
    height, width = labels.shape
    joined = np.zeros((2 * height - 1, 2 * width - 1), dtype=bool)
    joined[::2, ::2] = wrong
    both = wrong[:-1] & wrong[1:]
    joined[1::2, ::2] = both & (labels[:-1] == labels[1:])
    both = wrong[:, :-1] & wrong[:, 1:]
    joined[::2, 1::2] = both & (labels[:, :-1] == labels[:, 1:])
    return label(joined)[0][::2, ::2]


def depths(regions):
    """How far each pixel is from the border of its region, 1 on it."""
    padded = np.pad(regions, 1)
    inner = np.ones(regions.shape, dtype=bool)
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        height, width = regions.shape
        inner &= padded[rows : rows + height, columns : columns + width] == regions
    # A map of one region has no border but its own.
    inner[[0, -1]] = inner[:, [0, -1]] = False
    return distance_transform_edt(inner) + 1


def best_of_regions(regions, score):
    """The pixel of the highest score in each region, the best of all first."""
    at = np.flatnonzero((regions.ravel() > 0) & (score.ravel() > -np.inf))
    at = at[np.argsort(-score.ravel()[at], kind="stable")]
    _, first = np.unique(regions.ravel()[at], return_index=True)
    return at[np.sort(first)]


def propose_seeds(task, state, prices, n_seeds, tabu):
    """Up to n_seeds new seeds, one in each of the wrong regions that pay most."""
    regions = wrong_regions(task.labels, state.wrong)
    areas = np.bincount(regions.ravel())[regions]
    corrected = CORRECTED * np.minimum(areas, CORRECTED_WITHIN * depths(regions) ** 2)
    gain = task.weight * task.pixel_weights * corrected - prices
    gain[tabu | (gain <= 0)] = -np.inf
    pixels = best_of_regions(regions, gain)[:n_seeds]
    rows, columns = np.unravel_index(pixels, regions.shape)
    return [
        {at: task.labels[at]}
        for at in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def spread(pixels, n_groups):
    """Deal pixels out so that those of one group are far from one another."""
    order = np.lexsort((pixels[:, 1] // 8, pixels[:, 0] // 8))
    return [pixels[order[g::n_groups]] for g in range(min(n_groups, len(pixels)))]


def removals(state, prices, pixels, rng):
    """Each seed away."""
    return [{tuple(at): -1} for at in pixels.tolist()]


def moves(state, prices, pixels, rng):
    """Each seed to a random pixel nearby, a cheap one rather."""
    changes = []
    for row, column in pixels.tolist():
        top, left = max(0, row - STRIDE), max(0, column - STRIDE)
        window = slice(top, row + STRIDE + 1), slice(left, column + STRIDE + 1)
        score = rng.gumbel(size=prices[window].shape) - prices[window]
        score[state.code[window] >= 0] = -np.inf
        to = np.unravel_index(score.argmax(), score.shape)
        changes.append({(row, column): -1, (int(top + to[0]), int(left + to[1])): None})
    return changes


# What a change does -------------------------------------------------------------------


def changed(code, changes):
    """The code with these changes made."""
    code = code.copy()
    for change in changes:
        for at, value in change.items():
            code[at] = value
    return code


def owners(changes, shape):
    """The number of the change that is nearest to each pixel."""
    nobody = -1
    owner = np.full(shape, nobody)
    for number, change in enumerate(changes):
        for at in change:
            owner[at] = number
    nearest = distance_transform_edt(
        owner == nobody, return_distances=False, return_indices=True
    )
    return owner[tuple(nearest)]


def effects(task, changes, prices, before, after, owner):
    """What each change alone seems to add to the objective, (n_changes,)."""
    difference = (after.astype(float) - before) * task.pixel_weights
    more_wrong = np.bincount(owner.ravel(), difference.ravel(), minlength=len(changes))
    cost = [
        sum(prices[at] if value >= 0 else -prices[at] for at, value in change.items())
        for change in changes
    ]
    return task.weight * more_wrong + cost


# The search ---------------------------------------------------------------------------


class Climb:
    """The best state of a search, and the one that it believes to be at.

    A step decodes the believed code with all of its changes made. Those that seem to
    pay are believed to do what they did among the others, and the next step goes on
    from there, so that each step takes one decoding. `settle` decodes what is believed.
    """

    def __init__(self, task, state):
        self.task = task
        self.best = self.believed = state

    def step(self, changes, prices):
        """What each change seems to add to the objective."""
        state = self.believed
        tried = yield from evaluate(self.task, changed(state.code, changes))
        self.best = min(self.best, tried, key=objective)
        owner = owners(changes, state.code.shape)
        parts = changes, prices, state.wrong, tried.wrong, owner
        added = effects(self.task, *parts)
        kept = added < 0
        if kept.all():
            self.believed = tried
        elif kept.any():
            some = [change for change, keep in zip(changes, kept, strict=True) if keep]
            wrong = np.where(kept[owner], tried.wrong, state.wrong)
            self.believed = State(changed(state.code, some), wrong, None)
        return added

    def settle(self):
        """Be at the best state, the believed one among them."""
        if self.believed.objective is None:
            state = yield from evaluate(self.task, self.believed.code)
            self.best = min(self.best, state, key=objective)
        self.believed = self.best


def grow(climb):
    """Add seeds until a step of that gains little."""
    task = climb.task
    tabu, gain = ~task.counted, np.inf
    while gain > LITTLE * climb.best.objective:
        n_seeds = (climb.believed.code >= 0).sum()
        n_seeds = max(int(np.ceil(GROWTH * n_seeds)), 1 if n_seeds else FIRST_SEEDS)
        prices = task.prices(climb.believed)
        changes = propose_seeds(task, climb.believed, prices, n_seeds, tabu)
        if not changes:
            break
        added = yield from climb.step(changes, prices)
        gain = -added[added < 0].sum()
        for change, nats in zip(changes, added, strict=True):
            if nats >= 0:
                (at,) = change
                tabu[at] = True
    yield from climb.settle()


def tidy(climb, kind, rng):
    """Take seeds away or move them, where that pays; what each change seems to add."""
    task, state, effect = climb.task, climb.believed, {}
    prices = task.prices(state)
    seeds = np.argwhere(state.code >= 0)
    if len(seeds) > MANY:
        seeds = seeds[prices[tuple(seeds.T)] > DEAR]
    for group in spread(seeds, N_GROUPS):
        if climb.believed is not state:
            state = climb.believed
            prices = task.prices(state)
        group = group[state.code[tuple(group.T)] >= 0]
        changes = task.true_classes(kind(state, prices, group, rng))
        if changes:
            added = yield from climb.step(changes, prices)
            effect.update(zip(map(next, map(iter, changes)), added, strict=True))
    yield from climb.settle()
    return effect


def fill(climb):
    """Seed all wrong pixels that are worth it at once, again and again.

    Where a wrong pixel costs many seeds, each of them alone may seem to spoil more
    pixels than it corrects, of which the next ones correct those.
    """
    task, state = climb.task, climb.best
    for _ in range(MOST_FILLED):
        gain = task.weight * task.pixel_weights - task.prices(state)
        filled = state.wrong & (gain > 0)
        if not filled.any():
            break
        code = np.where(filled, task.labels, state.code)
        state = yield from evaluate(task, code)
        climb.best = min(climb.best, state, key=objective)
    climb.believed = climb.best


def prune(climb, effect):
    """Take single seeds away, exactly: those whose removal seemed to add the least."""
    code = climb.best.code
    seeds = [at for at in sorted(effect, key=effect.get) if code[at] >= 0]
    for at in seeds[:MOST_PRUNED]:
        other = yield from evaluate(climb.task, changed(climb.best.code, [{at: -1}]))
        climb.best = min(climb.best, other, key=objective)


def best_of(task, codes):
    """The best state of the blank code and of these, without any search."""
    state = yield from evaluate(task, task.blank())
    for code in codes:
        if (code >= 0).any():
            other = yield from evaluate(task, code)
            state = min(state, other, key=objective)
    return state


def refine(task):
    """The best code found, from the blank one and from those that are cheap."""
    climb = Climb(task, (yield from best_of(task, task.promising_starts())))
    rng = np.random.default_rng(0)
    for _ in range(N_ROUNDS):
        yield from grow(climb)
        yield from tidy(climb, moves, rng)
    yield from grow(climb)
    yield from fill(climb)
    effect = yield from tidy(climb, removals, rng)
    yield from prune(climb, effect)
    return climb.best


def until_distortion(task, state, max_distortion):
    """Add seeds until the distortion is `max_distortion` or less."""
    while (excess := task.distortion(state.wrong) - max_distortion) > 0:
        wrong = state.wrong & (task.pixel_weights > 0)
        # What is left at the end may be single pixels here and there.
        n_least = int(np.ceil(excess / task.pixel_weights[wrong].max()))
        n_seeds = max(1, min(n_least, (state.code >= 0).sum() // 4))
        regions = wrong_regions(task.labels, wrong)
        areas = np.bincount(regions.ravel(), task.pixel_weights.ravel())[regions]
        # The deepest pixels of the largest regions.
        pixels = best_of_regions(regions, areas + depths(regions) / regions.size)
        code = state.code.copy()
        code.flat[pixels[:n_seeds]] = task.labels.flat[pixels[:n_seeds]]
        state = yield from evaluate(task, code)
    return state


def run(searches, decode):
    """Run searches side by side; `decode` maps a list of codes to their maps."""
    results = [None] * len(searches)
    waiting = {i: next(search) for i, search in enumerate(searches)}
    while waiting:
        decoded = decode(list(waiting), list(waiting.values()))
        for i, labels in zip(list(waiting), decoded, strict=True):
            try:
                waiting[i] = searches[i].send(labels)
            except StopIteration as end:
                results[i] = end.value
                del waiting[i]
    return results
