"""What a schema says of itself."""

import numpy as np

from sklvm.columns._hints import hides_tail


def summarise(kind, cells, categories, whole):
    """What a column holds, in a few words."""
    missing = np.isnan(cells.values).mean()
    found = _content(kind, cells.observed(), categories, whole)
    return f"{found}, {percent(missing)} missing" if missing else found


def percent(share):
    """A share with two digits, or those that tell it from 1."""
    return f"{100 * share:.{2 if share < 0.99 else 4}g} %"


def as_table(rows):
    """Rows of strings in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _content(kind, x, categories, whole):
    if kind == "bernoulli":
        return " or ".join(map(str, categories))
    if kind == "categorical":
        shown = ", ".join(map(str, categories[:5]))
        dots = ", ..." if len(categories) > 5 else ""
        return f"{len(categories)} categories: {shown}{dots}"
    note = ", a long tail" if kind == "lognormal" else ""
    if kind == "gaussian" and hides_tail(x):
        note = ", a long tail beside zeros"
    if kind == "negative_binomial" and x.any():
        note = f", variance {x.var() / x.mean():.2g} times the mean"
    return f"{'whole ' * whole}numbers {_ends(x.min(), x.max())}{note}"


def _ends(low, high):
    """Both in as many digits as tell them apart: a time is large, its range is not."""
    largest, width = max(abs(low), abs(high)), high / 2 - low / 2
    more = np.log10(largest / width) if width > 0 else 0
    digits = int(np.clip(np.ceil(more) + 3, 6, 15))
    return f"{low:.{digits}g} to {high:.{digits}g}"
