"""Colours of groups of rows, and a legend of them that fits."""

import numpy as np

from sklvm.mixture._marginals import shortened

MISSING, MISSING_COLOUR = "missing", (0.55, 0.55, 0.55, 1.0)
# Names that a legend has below one another. One of more stands beside the axes, in
# columns, and of so many columns at the most: of others every second, third ... is left
# out, and the legend says so.
ROWS, MOST_COLUMNS = 20, 3
LONGEST = 40  # letters of a name


def with_missing(values):
    """The groups of `RowValues`, that of missing values last, where there are some."""
    groups = values.groups()
    if values.missing.any():
        groups.append((MISSING, values.missing))
    return groups


def distinct_colours(n, cmap=None):
    """n colours that are told apart, (n, 4): of a list, or spread over a scale."""
    import matplotlib.pyplot as plt

    default = "tab10" if n <= 10 else "tab20" if n <= 20 else "turbo"
    colours = plt.get_cmap(cmap or default)
    # The first of a list, or as many from all of a scale.
    is_list = n <= colours.N <= 20
    return colours(np.arange(n) if is_list else np.linspace(0, 1, n))


def group_colours(values, n_groups, cmap):
    """A colour for each of the groups, grey for missing values."""
    has_missing = bool(values.missing.any())
    colours = list(map(tuple, distinct_colours(n_groups - has_missing, cmap)))
    return colours + [MISSING_COLOUR] * has_missing


def as_label(name):
    """A name as the label of an artist; matplotlib leaves out what begins with _.

    One that is too long would take the place of the axes.
    """
    name = shortened(name, LONGEST)
    return f" {name}" if name.startswith("_") else name


def fitting_legend(ax, **options):
    """The legend of the axes, beside them and in columns where it is long.

    The names of labels are shown as they are, and are no formulas.
    """
    handles, names = ax.get_legend_handles_labels()
    n = len(handles)
    options |= {"fontsize": "small"}
    if n > ROWS + 2:  # the prior, and missing values
        step = -(-n // (ROWS * MOST_COLUMNS))
        handles, names = handles[::step], names[::step]
        options |= {
            "title": None if step == 1 else f"{len(names)} of {n}",
            "fontsize": "x-small", "ncols": -(-len(names) // ROWS),
            "loc": "center left", "bbox_to_anchor": (1.01, 0.5), "borderaxespad": 0,
        }  # fmt: skip
    legend = ax.legend(handles, names, **options)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name[1:] if name.startswith(" _") else name)
        text.set_parse_math(False)
    return legend
