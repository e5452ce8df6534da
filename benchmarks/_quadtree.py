"""Rate-distortion-optimal quadtrees of label maps, with ideal code lengths.

A tree halves a rectangle in both directions, down to one pixel; where a side is odd,
its first half is the longer. The code of a node is

    a flag            leaf or split                -ln P(flag  | depth, parent's state)
    a leaf's class    c of K                       -ln P(c     | depth, parent's state)
    a split's state   s of S, a hint to children   -ln P(s     | depth, parent's state)

and one pixel needs no flag. With S = 1 a leaf's class is coded by depth alone; with
S = K a state stands for the class that prevails below. For given probabilities, the
tree of least

    rate + distortion_weight * wrong pixels        in nats

is found exactly, from the pixels up: V(node, parent's state) is the least over the
node's symbols. The probabilities are fitted to training maps in turn with their trees.

Equal subtrees are common, so each depth keeps its distinct nodes only.
"""

from dataclasses import dataclass

import numpy as np

LN2 = np.log(2.0)


@dataclass
class Level:
    """The distinct nodes of one depth: U of them in a stack of n maps."""

    nodes: np.ndarray  # (n, rows, columns), which of the U
    children: np.ndarray  # (U, 4), nodes of the next level; -1 for none
    counts: np.ndarray  # (U, K), pixels of each class
    parent_rows: np.ndarray  # (rows,), the row in the level above
    parent_columns: np.ndarray  # (columns,)

    @property
    def area(self):
        return self.counts.sum(axis=1)


@dataclass
class Code:
    """Code lengths in nats, by depth and parent's state."""

    flag: np.ndarray  # (depths, S, 2), leaf or split
    leaf: np.ndarray  # (depths, S, K)
    split: np.ndarray  # (depths, S, S)


@dataclass
class Trees:
    """The best trees: by depth, arrays (U, S) over nodes and parent's states."""

    values: list  # rate + distortion_weight * wrong pixels
    wrong: list  # pixels
    symbols: list  # 0..K-1 a leaf of that class, K + s a split of state s


# The maps as trees --------------------------------------------------------------------


def halvings(length):
    """For each depth, the sizes of the parts of a side and whose halves they are."""
    sizes, parents = [np.array([length])], [np.zeros(1, int)]
    while sizes[-1].max() > 1:
        halves = np.stack([(sizes[-1] + 1) // 2, sizes[-1] // 2], axis=1)
        parents.append(np.nonzero(halves)[0])
        sizes.append(halves[halves > 0])
    return sizes, parents


def build_levels(maps, n_classes):
    """The levels of a stack of maps (n, H, W), from the whole down to the pixels."""
    (_, rows), (_, columns) = (halvings(length) for length in maps.shape[1:])
    depth = max(len(rows), len(columns))
    rows, columns = (
        # A side of one pixel is its own half.
        sides + [np.arange(len(sides[-1]))] * (depth - len(sides))
        for sides in (rows, columns)
    )
    pixels = np.full((n_classes, 4), -1)
    levels = [Level(maps, pixels, np.eye(n_classes), rows[-1], columns[-1])]
    for d in range(depth - 2, -1, -1):
        below = levels[0]
        nodes, children = join_children(below)
        counts = np.append(below.counts, np.zeros((1, n_classes)), axis=0)
        counts = counts[children].sum(axis=1)
        levels.insert(0, Level(nodes, children, counts, rows[d], columns[d]))
    return levels


def join_children(level):
    """The nodes of the level above, and the children (U, 4) of each distinct one."""
    n_rows, n_columns = level.parent_rows[-1] + 1, level.parent_columns[-1] + 1
    children = np.full((2, 2, len(level.nodes), n_rows, n_columns), -1)
    # Which half of its parent each row and column is: 0, or 1 after another.
    row_half = np.append(0, np.diff(level.parent_rows) == 0)
    column_half = np.append(0, np.diff(level.parent_columns) == 0)
    for i in (0, 1):
        for j in (0, 1):
            r, c = np.flatnonzero(row_half == i), np.flatnonzero(column_half == j)
            part = level.nodes[:, r[:, None], c]
            at = level.parent_rows[r][:, None], level.parent_columns[c]
            children[i, j, :, *at] = np.moveaxis(part, 0, -1)
    keys = children.reshape(4, -1)
    above, below = distinct(keys[0], keys[1]), distinct(keys[2], keys[3])
    pairs, first, second = distinct(above[0], below[0])
    halves = (above[1][first], above[2][first], below[1][second], below[2][second])
    return pairs.reshape(len(level.nodes), n_rows, n_columns), np.stack(halves, axis=1)


def distinct(first, second):
    """Number the distinct pairs: the number of each pair, and what each stands for."""
    base = second.max() + 2
    pairs, numbers = np.unique((first + 1) * base + second + 1, return_inverse=True)
    return numbers, pairs // base - 1, pairs % base - 1


# The best trees for a code ------------------------------------------------------------


def best_trees(levels, code, distortion_weight):
    """Minimise rate + distortion_weight * wrong pixels, from the pixels up."""
    n_states = code.split.shape[1]
    trees = Trees([], [], [])
    values = wrong = np.zeros((1, n_states))
    for d in range(len(levels) - 1, -1, -1):
        level, n_classes = levels[d], code.leaf.shape[2]
        errors = level.area[:, None] - level.counts
        # The last row stands for "no child".
        below, wrong_below = (a[level.children].sum(axis=1) for a in (values, wrong))
        one_pixel = level.area[:, None] == 1
        flag = np.where(one_pixel[:, :, None], [0, np.inf], code.flag[d])
        leaf = (distortion_weight * errors)[:, None, :] + code.leaf[d]
        split = below[:, None, :] + code.split[d]
        best_class, best_state = leaf.argmin(axis=2), split.argmin(axis=2)
        leaf, split = leaf.min(axis=2) + flag[..., 0], split.min(axis=2) + flag[..., 1]
        is_leaf = leaf <= split
        values = np.where(is_leaf, leaf, split)
        wrong = np.where(
            is_leaf,
            np.take_along_axis(errors, best_class, axis=1),
            np.take_along_axis(wrong_below, best_state, axis=1),
        )
        trees.values.insert(0, values)
        trees.wrong.insert(0, wrong)
        trees.symbols.insert(0, np.where(is_leaf, best_class, n_classes + best_state))
        values, wrong = (
            np.append(a, np.zeros((1, n_states)), axis=0) for a in (values, wrong)
        )
    return trees


def bits_and_wrong(levels, trees, distortion_weight):
    """Of each map the ideal code length in bits, and the number of wrong pixels."""
    roots = levels[0].nodes[:, 0, 0]
    value, wrong = trees.values[0][roots, 0], trees.wrong[0][roots, 0]
    return (value - distortion_weight * wrong) / LN2, wrong


def reconstruct(levels, trees, n_classes):
    """The maps that the trees stand for, (n, H, W)."""
    maps = np.full(levels[0].nodes.shape, -1)
    states = np.zeros_like(maps)
    for level, symbols in zip(levels, trees.symbols, strict=True):
        at = level.parent_rows[:, None], level.parent_columns
        maps, states = maps[:, *at], states[:, *at]
        symbol = symbols[level.nodes, states]
        is_open = maps == -1
        maps = np.where(is_open & (symbol < n_classes), symbol, maps)
        states = np.where(is_open & (symbol >= n_classes), symbol - n_classes, 0)
    return maps


# The code that fits its trees ---------------------------------------------------------


def first_code(n_depths, n_classes, n_states):
    """Even flags; a child's class and state are its parent's with probability 0.6."""
    keep = 0.6 * np.eye(n_states, n_classes) if n_states > 1 else 0
    leaf = np.broadcast_to(keep + 0.4 / n_classes, (n_depths, n_states, n_classes))
    keep = 0.6 * np.eye(n_states)
    split = np.broadcast_to(keep + 0.4 / n_states, (n_depths, n_states, n_states))
    flag = np.ones((n_depths, n_states, 2))
    return Code(*(code_lengths(p) for p in (flag, leaf, split)))


def code_lengths(frequencies):
    return -np.log(frequencies / frequencies.sum(axis=-1, keepdims=True))


def recount(levels, trees, code):
    """The code of the symbols' frequencies in the trees, each raised by 1/2."""
    lengths = (code.flag, code.leaf, code.split)
    flag, leaf, split = (np.full(a.shape, 0.5) for a in lengths)
    n_classes, n_states = leaf.shape[2], split.shape[2]
    # How often a node is reached from a parent in a state.
    reached = np.zeros_like(trees.values[0])
    np.add.at(reached, (levels[0].nodes[:, 0, 0], 0), 1)
    for d, (level, symbols) in enumerate(zip(levels, trees.symbols, strict=True)):
        node, state = np.nonzero(reached)
        times, symbol = reached[node, state], symbols[node, state]
        is_split, flagged = symbol >= n_classes, level.area[node] > 1
        np.add.at(flag[d], (state[flagged], is_split[flagged] * 1), times[flagged])
        leaves = ~is_split
        np.add.at(leaf[d], (state[leaves], symbol[leaves]), times[leaves])
        node, times = node[is_split], times[is_split]
        new_state = symbol[is_split] - n_classes
        np.add.at(split[d], (state[is_split], new_state), times)
        if d + 1 < len(levels):
            reached = np.zeros((len(levels[d + 1].counts) + 1, n_states))
            children = level.children[node]
            np.add.at(reached, (children, new_state[:, None]), times[:, None])
            reached = reached[:-1]
    return Code(*(code_lengths(a) for a in (flag, leaf, split)))


def fit_code(levels, distortion_weight, n_states, tol=1e-4, max_iter=60):
    """Trees and frequencies in turn, until the mean objective settles."""
    code = first_code(len(levels), levels[0].counts.shape[1], n_states)
    before = np.inf
    for _ in range(max_iter):
        trees = best_trees(levels, code, distortion_weight)
        objective = trees.values[0][levels[0].nodes[:, 0, 0], 0].mean()
        code = recount(levels, trees, code)
        if before - objective < tol * objective:
            break
        before = objective
    return code


def quadtree_curve(train, val, distortion_weights, n_classes, n_states=None):
    """Codes fitted to the maps `train` (n, H, W), and what they make of the maps `val`.

    `distortion_weights` are in nats a wrong pixel; `n_states` None is `n_classes`, 1 is
    the tree that codes a class by its depth alone.

    Returns, by distortion weight and map, the ideal code lengths in bits, the numbers
    of wrong pixels and the reconstructed maps.
    """
    train_levels, levels = (
        build_levels(np.asarray(maps, dtype=int), n_classes) for maps in (train, val)
    )
    bits, wrong, maps = [], [], []
    for weight in distortion_weights:
        code = fit_code(train_levels, weight, n_states or n_classes)
        trees = best_trees(levels, code, weight)
        for curve, values in zip(
            (bits, wrong), bits_and_wrong(levels, trees, weight), strict=True
        ):
            curve.append(values)
        maps.append(reconstruct(levels, trees, n_classes))
    return np.stack(bits), np.stack(wrong), np.stack(maps)
