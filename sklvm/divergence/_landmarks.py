"""Where on the line a density has its modes, however narrow or far away."""

import numpy as np
from scipy.signal import find_peaks

# Draws that are looked at; and points that lie ever further on either side of them,
# between these multiples of their spread, by steps of half a per cent, or of a fiftieth
# of one. At a narrow mode far away the log density is higher than around it, the wider
# the further.
N_DRAWS, NEAREST, FURTHEST = 8192, 1e-3, 1e6
N_BEYOND, N_FINE = 2**12, 2**17
# A peak is so many nats higher than what lies around. There are not more than so many.
PROMINENCE, MOST_PEAKS = 1.0, 32
# Points between which the search for a maximum goes on, and how often.
N_WITHIN, N_ZOOMS = 16, 16
# Half-widths of a mode at which the line is cut.
WIDTHS = np.array([1.0, 3.0, 8.0, 25.0, 1e2, 1e3])
# Widths are looked for from the last digits of the mode's place on.
WIDTHS_TRIED = np.geomspace(1e-15, 1.0, 61)


def landmarks(density, n_beyond=N_BEYOND):
    """Points on the line at and around the modes of a density that are found."""
    x, spread = _where_to_look(density, n_beyond)
    log_p = _log_prob(density, x)
    finite = np.isfinite(log_p)
    if finite.sum() < 3:
        return np.empty(0)
    floor = log_p[finite].min() - 1
    heights = np.where(finite, log_p, floor)
    heights = np.concatenate([[floor], heights, [floor]])
    peaks, found = find_peaks(heights, prominence=PROMINENCE, plateau_size=1)
    highest = np.argsort(-found["prominences"], kind="stable")[:MOST_PEAKS]
    points = [_around_mode(density, x, peak - 1, spread) for peak in peaks[highest]]
    return np.unique(np.concatenate([np.empty(0), *points]))


def _where_to_look(density, n_beyond):
    """Points in rising order, and the spread of the draws."""
    draws = np.concatenate([density.scouts, density.draw(N_DRAWS, 1)])[:, 0]
    low, middle, high = np.quantile(draws, [0.25, 0.5, 0.75])
    spread = max(high - low, np.finfo(float).eps * abs(middle))
    reach = spread * np.geomspace(NEAREST, FURTHEST, n_beyond)
    x = np.unique(np.concatenate([draws, middle - reach, middle + reach]))
    lower, upper = density.bounds
    return x[(lower < x) & (x < upper)], spread


def _log_prob(density, x):
    with np.errstate(all="ignore"):
        return density.log_prob(x[:, np.newaxis])


def _around_mode(density, x, at, spread):
    """A mode near x[at], and points on either side of it at its own scale."""
    low, high = x[max(at - 1, 0)], x[min(at + 1, len(x) - 1)]
    reach = high - low + spread
    for _ in range(N_ZOOMS):
        within = np.linspace(low, high, N_WITHIN + 1)
        best = int(np.argmax(np.nan_to_num(_log_prob(density, within), nan=-np.inf)))
        mode = within[best]
        low, high = within[max(best - 1, 0)], within[min(best + 1, N_WITHIN)]
    (top,) = _log_prob(density, np.array([mode]))
    if not np.isfinite(top):
        return np.array([mode])
    tried = WIDTHS_TRIED * (abs(mode) + reach)
    fallen = np.ones(len(tried), dtype=bool)
    for side in (-1, 1):
        fallen &= _log_prob(density, mode + side * tried) < top - 0.5
    width = tried[fallen.argmax()] if fallen.any() else reach
    steps = width * WIDTHS
    return np.concatenate([mode - steps, [mode], mode + steps])
