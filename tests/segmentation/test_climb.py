"""Steps of a search, with a decoder whose seeds act where they are nearest."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklvm.segmentation._rate import ListRate
from sklvm.segmentation._refine import Climb, Task, evaluate, prune, refine, run

WEIGHT = 4.0
# Four quarters of a map, of which a blank code knows one.
LABELS = np.zeros((12, 16), dtype=np.int32)
LABELS[:6, 8:], LABELS[6:, :8], LABELS[6:, 8:] = 1, 2, 3
# A seed in each is all that it takes: no pixel is as near to two.
GOOD = [{(2, 12): 1}, {(9, 3): 2}, {(9, 12): 3}]
FIRST = {(2, 3): 0}


def nearest_seed(code):
    """The class of the nearest seed of each pixel, by all distances; 0 without any."""
    rows, columns = np.nonzero(code >= 0)
    if not len(rows):
        return np.zeros_like(code)
    down, across = np.indices(code.shape)
    squares = (down[..., None] - rows) ** 2 + (across[..., None] - columns) ** 2
    return code[rows, columns][squares.argmin(axis=-1)]


class Decoder:
    """Counts its decodings."""

    def __init__(self):
        self.n_decodings = 0

    def __call__(self, numbers, codes):
        self.n_decodings += len(codes)
        return [nearest_seed(code) for code in codes]


def task():
    counted = np.ones(LABELS.shape, dtype=bool)
    return Task(LABELS, counted, ListRate(LABELS.size, 4), WEIGHT)


def true_objective(code):
    n_seeds = (code >= 0).sum()
    rate = (n_seeds + 1) * np.log(LABELS.size * 4 + 1)
    return rate + WEIGHT * (nearest_seed(code) != LABELS).sum()


def after(steps):
    """The climb, what the last step gave, and the decodings, from a code of a seed."""
    decoder, parts = Decoder(), {}

    def search():
        code = np.full(LABELS.shape, -1, dtype=np.int32)
        ((at, value),) = FIRST.items()
        code[at] = value
        climb = Climb(task(), (yield from evaluate(task(), code)))
        parts["result"] = yield from steps(climb)
        return climb

    (climb,) = run([search()], decoder)
    return climb, parts["result"], decoder.n_decodings


def test_a_step_of_changes_that_all_pay_is_exact_and_one_decoding():
    def steps(climb):
        prices = climb.task.prices(climb.believed)
        return (yield from climb.step(GOOD, prices))

    climb, added, n_decodings = after(steps)
    assert n_decodings == 2
    assert climb.best is climb.believed
    assert climb.best.objective == pytest.approx(true_objective(climb.best.code))
    # Each mends a quarter of 48 pixels for the price of a seed.
    np.testing.assert_allclose(added, np.log(LABELS.size * 4 + 1) - WEIGHT * 48)


def test_changes_that_do_not_pay_are_left_out_and_settling_tells_the_truth():
    bad = {(0, 0): 3}

    def steps(climb):
        prices = climb.task.prices(climb.believed)
        added = yield from climb.step([*GOOD, bad], prices)
        assert climb.believed.objective is None
        believed = climb.believed
        yield from climb.settle()
        return added, believed

    climb, (added, believed), n_decodings = after(steps)
    assert n_decodings == 3
    assert_array_equal(added < 0, [True, True, True, False])
    assert climb.best.code[0, 0] == -1
    assert climb.best is climb.believed
    assert climb.best.objective == pytest.approx(true_objective(climb.best.code))
    # What was believed is true where each change acts alone.
    assert_array_equal(believed.wrong, nearest_seed(believed.code) != LABELS)


def test_settling_falls_back_to_the_best_state():
    def steps(climb):
        before = climb.best
        worse = np.array(before.code)
        worse[0, :] = 3
        climb.believed = type(before)(worse, before.wrong, None)
        yield from climb.settle()
        return before

    climb, before, _ = after(steps)
    assert climb.best is climb.believed is before


def test_prune_takes_the_seeds_that_do_nothing():
    idle = {(10, 13): 3}

    def steps(climb):
        prices = climb.task.prices(climb.believed)
        yield from climb.step([*GOOD, idle], prices)
        code = climb.best.code.copy()
        code[10, 13] = 3
        climb.best = yield from evaluate(climb.task, code)
        effect = {at: -prices[at] for at in map(tuple, np.argwhere(code >= 0))}
        yield from prune(climb, effect)

    climb, _, _ = after(steps)
    assert (climb.best.code >= 0).sum() == 4
    assert climb.best.objective == pytest.approx(true_objective(climb.best.code))


def test_a_search_finds_the_quarters():
    decoder = Decoder()
    blank = np.full(LABELS.shape, -1, dtype=np.int32)
    (state,) = run([refine(task())], decoder)
    assert state.objective == pytest.approx(true_objective(state.code))
    best = 5 * np.log(LABELS.size * 4 + 1)
    gained = true_objective(blank) - state.objective
    assert gained > 0.8 * (true_objective(blank) - best)
    assert decoder.n_decodings < 40
