"""The columns of a table in each component, as panels of pictures."""

import math

import numpy as np
from scipy.special import rel_entr
from sklearn.utils import Bunch

from sklvm.inspection._drawing import check_axes
from sklvm.mixture._marginals import marginals, percent, shortened

# Categories that a panel shows, those that tell most of the component.
MOST_BARS = 12
# Height of a curve or bar, where 1 is the distance between components.
HEIGHT = 0.85
OVERALL = "0.35"


def column_panels(mixture, order, max_panels):
    """What is drawn of the columns that distinguish the components most.

    Returns
    -------
    panels : list of Bunch
        The most distinguishing first: `name`, `kind`, `labels` of the categories or
        None, points `x` (m,), `density` (K, m) of the components in `order`, that of
        the mixture `overall` (m,), and `information`, which is I(x_d; z) in nats.
    """
    columns = marginals(mixture)
    information = [column.weights @ column.divergences() for column in columns]
    shown = np.argsort(-np.array(information), kind="stable")[:max_panels]
    return [_panel(columns[d], order, information[d]) for d in shown]


def _panel(column, order, information):
    x, labels = column.grid(), column.labels
    density = np.exp(column.log_prob(x))
    overall = column.weights @ density
    name = shortened(column.name)
    if labels is not None and len(labels) > MOST_BARS:
        kl = column.weights @ rel_entr(density, overall)
        shown = np.sort(np.argsort(-kl, kind="stable")[:MOST_BARS])
        name = f"{name} ({MOST_BARS} of {len(labels)})"
        labels = [labels[i] for i in shown]
        density, overall, x = density[:, shown], overall[shown], np.arange(MOST_BARS)
    return Bunch(
        name=name,
        kind=column.kind,
        labels=labels,
        x=x,
        density=density[order],
        overall=overall,
        information=float(information),
    )


def draw_panels(panels, names, ax, **style):
    """Panels side by side within `ax`, or a new figure; `ax` and the panels' axes.

    Each has a line for each component, the first at the top.
    """
    n_columns = math.ceil(math.sqrt(len(panels)))
    n_rows = math.ceil(len(panels) / n_columns)
    if ax is None:
        import matplotlib.pyplot as plt

        size = 1 + 2.6 * n_columns, n_rows * (1.1 + 0.35 * len(names))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    check_axes(ax)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax has no place in a grid, which panels need; make it by plt.subplots."
        )
    ax.set_axis_off()
    grid = place.subgridspec(n_rows, n_columns)
    axes = []
    for i, panel in enumerate(panels):
        row, column = divmod(i, n_columns)
        axes.append(ax.figure.add_subplot(grid[row, column]))
        _draw_panel(axes[-1], panel, **style)
        axes[-1].set_yticks(0.3 - np.arange(len(names)), names if column == 0 else [])
    return ax, np.array(axes)


def _draw_panel(ax, panel, **style):
    is_bars = panel.labels is not None
    density, overall = panel.density, panel.overall
    if panel.kind == "lognormal":
        # Of log x, as the area below a curve is a probability on the axis as drawn.
        density, overall = density * panel.x, overall * panel.x
        ax.set_xscale("log")
    if is_bars:
        scale = np.full(len(density), max(density.max(), overall.max()))
    else:
        scale, overall = density.max(axis=1), overall / overall.max()
    for k, (p, most) in enumerate(zip(density, scale, strict=True)):
        heights = HEIGHT * p / most
        line = HEIGHT * (overall / most if is_bars else overall)
        options = {"color": f"C{k % 10}", "alpha": 0.7, **style}
        if is_bars:
            ax.bar(panel.x, heights, bottom=-k, **options)
            ax.hlines(line - k, panel.x - 0.4, panel.x + 0.4, color=OVERALL, lw=1)
            continue
        step = None if panel.kind in ("gaussian", "lognormal") else "mid"
        ax.fill_between(panel.x, -k, heights - k, step=step, lw=0, **options)
        ax.plot(panel.x, line - k, color=OVERALL, lw=0.8,
                drawstyle="steps-mid" if step else None)  # fmt: skip
    if is_bars:
        crowded = sum(map(len, map(str, panel.labels))) > 20
        ax.set_xticks(panel.x, panel.labels, rotation=90 if crowded else 0)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-len(density) + 0.95, 1)
    ax.set_xlabel(panel.name)
    ax.set_title(f"{panel.information:.2f} nats", loc="right", fontsize="small")
    for side in ("left", "top", "right"):
        ax.spines[side].set_visible(False)


def component_names(labels, weights):
    """Labels as `predict` gives them, with their shares."""
    return [f"{k}: {percent(w)}" for k, w in zip(labels, weights, strict=True)]
