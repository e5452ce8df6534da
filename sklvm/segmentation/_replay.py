"""Codes to train the decoder on: those that a search comes by, and random ones.

The search of each training map goes on while the decoder learns. A step of the training
decodes the codes of its batch anyway, so what it finds wrong serves for the next change
of each code, and the decoder sees the codes that it will be searched with. Codes of all
sizes come by, the blank one among them: a search starts from it again when it is done.
"""

from dataclasses import dataclass, field

import numpy as np

from sklvm.neural._side_by_side import side_by_side
from sklvm.segmentation._refine import (
    FIRST_SEEDS,
    GROWTH,
    State,
    Task,
    changed,
    effects,
    owners,
    propose_seeds,
    removals,
)

# Shares of the codes that are random, and that are refined; the rest are of searches.
RANDOM, REFINED = 0.15, 0.1
# Share of the changes that take seeds away.
REMOVAL = 0.2
# Weights of the distortion are drawn log-uniformly up to this factor from the user's,
# so that one decoder serves a whole curve.
WEIGHT_RANGE = 10.0
# Share of the images that the decoder does not see: it would memorise few, ignore
# the seeds of their maps, and have learned little of seeds when it sees another image.
HIDDEN = 0.3
# Steps of a search are drawn from this range.
STEPS = 3, 16
PATIENCE = 3


@dataclass
class Replayed:
    """The search of one map: its state, and the changes that are being tried."""

    task: Task
    state: State
    steps_left: int
    tabu: np.ndarray
    hidden: bool  # whether the decoder goes without the image, all the search long
    changes: list = field(default_factory=list)
    prices: dict = field(default_factory=dict)  # of the pixels that are being changed
    no_improvement: int = 0


# Of a search, what the map does not tell.
KEPT = "steps_left", "tabu", "hidden", "changes", "prices", "no_improvement"


class Replay:
    """Searches of the training maps (n, H, W) beside the training."""

    def __init__(self, maps, counted, rate_model, weight, class_weight, refined):
        self.maps = maps
        self.counted = counted
        self.rate_model = rate_model
        self.weight = weight
        self.class_weight = class_weight
        self.refined = refined
        self.searches = {}
        # The codes of searches that have ended, and their weights: one per map.
        self.finished = {}

    def draw(self, rows, rng):
        """Codes (n, H, W) for these maps; which of them are of searches, and which
        images are hidden."""
        codes, searched, hidden = [], [], []
        for row in rows:
            kind = rng.random()
            searched.append(kind >= RANDOM + REFINED)
            hidden.append(rng.random() < HIDDEN)
            if kind < RANDOM or (kind < RANDOM + REFINED and row not in self.refined):
                codes.append(random_code(self.maps[row], self.counted[row], rng))
            elif kind < RANDOM + REFINED:
                codes.append(self.refined[row])
            else:
                codes.append(self._trial(row, rng))
                hidden[-1] = self.searches[row].hidden
        return np.stack(codes), np.array(searched), np.array(hidden)

    def changing_state(self):
        """The searches without what the maps tell, and the codes that were found."""
        searches = {
            row: [getattr(search, name) for name in KEPT]
            + [search.task.weight, search.state.code, search.state.wrong]
            for row, search in self.searches.items()
        }
        return {"searches": searches, "finished": self.finished}

    def set_changing_state(self, state):
        self.finished = state["finished"]
        self.searches = {}
        for row, (*kept, weight, code, wrong) in state["searches"].items():
            task = self._task(row, weight)
            search = Replayed(task, State(code, wrong, None), 0, None, False)
            vars(search).update(zip(KEPT, kept, strict=True))
            self.searches[row] = search

    def _task(self, row, weight):
        parts = self.maps[row], self.counted[row], self.rate_model
        return Task(*parts, weight, self.class_weight)

    def _trial(self, row, rng):
        if row not in self.searches:
            self.searches[row] = self._begin(row, rng)
        search = self.searches[row]
        return changed(search.state.code, search.changes)

    def _begin(self, row, rng):
        weight = self.weight * WEIGHT_RANGE ** rng.uniform(-1, 1)
        task = self._task(row, weight)
        starts = task.starts()
        code = task.blank()
        if starts and rng.random() < 0.5:
            code = starts[rng.integers(len(starts))]
        state = State(code, None, None)
        steps, tabu = rng.integers(*STEPS), ~self.counted[row]
        return Replayed(task, state, steps, tabu, hidden=rng.random() < HIDDEN)

    def learn(self, rows, codes, decoded, rng):
        """Go on with the searches of these maps, whose codes have been decoded."""
        searches = [self.searches[row] for row in rows]
        parts = zip(searches, codes, decoded, rng.spawn(len(rows)), strict=True)
        side_by_side(lambda each: self._go_on(*each), list(parts))
        for row, search in zip(rows, searches, strict=True):
            if search.steps_left == 0 or search.no_improvement >= PATIENCE:
                self.finished[row] = search.state.code, search.task.weight
                del self.searches[row]

    def _go_on(self, search, code, labels, rng):
        labels = np.where(code >= 0, code, labels)
        wrong = (labels != search.task.labels) & search.task.counted
        self._accept(search, wrong)
        self._change(search, rng)
        search.steps_left -= 1

    def _accept(self, search, wrong):
        """Keep the changes that pay."""
        state = search.state
        if state.wrong is None:
            state.wrong = wrong
        if not search.changes:
            return
        owner = owners(search.changes, wrong.shape)
        parts = search.changes, search.prices, state.wrong, wrong, owner
        kept = effects(search.task, *parts) < 0
        for change, keep in zip(search.changes, kept, strict=True):
            if not keep:
                search.tabu[tuple(zip(*change, strict=True))] = True
        accepted = [c for c, keep in zip(search.changes, kept, strict=True) if keep]
        search.no_improvement = 0 if accepted else search.no_improvement + 1
        state.code = changed(state.code, accepted)
        # Those of the others are as they were.
        state.wrong = np.where(kept[owner], wrong, state.wrong)

    def _change(self, search, rng):
        """Think of the next changes."""
        state = search.state
        seeds = np.argwhere(state.code >= 0)
        n_seeds = int(np.ceil(GROWTH * len(seeds))) if len(seeds) else FIRST_SEEDS
        prices = search.task.prices(state)
        if len(seeds) > FIRST_SEEDS and rng.random() < REMOVAL:
            group = rng.permutation(seeds)[: len(seeds) // 3]
            search.changes = removals(state, prices, group, rng)
        else:
            parts = search.task, state, prices, n_seeds, search.tabu
            search.changes = propose_seeds(*parts)
        search.prices = {at: float(prices[at]) for c in search.changes for at in c}
        if not search.changes:
            search.no_improvement = PATIENCE


def random_code(labels, counted, rng):
    """Seeds of a log-uniform number, zero included, at random pixels.

    Of the pixels, or of those of a lattice: even ones reach further.
    """
    code = np.full(labels.shape, -1, dtype=np.int32)
    step = 2 ** rng.integers(4)
    lattice = np.zeros(labels.shape, dtype=bool)
    starts = [rng.integers(min(step, n)) for n in labels.shape]
    lattice[starts[0] :: step, starts[1] :: step] = True
    pixels = np.flatnonzero(lattice & counted)
    n_seeds = int(np.exp(rng.uniform(0, np.log(len(pixels) / 2 + 1)))) - 1
    at = rng.permutation(pixels)[:n_seeds]
    code.flat[at] = labels.flat[at]
    return code
