"""
Kinds of days, from counts by the hour
======================================

Each row counts the calls of a day, hour by hour. Kinds of days have rates of their own,
which a mixture of Poisson distributions finds; and where days of one kind are busier
or quieter as a whole, a mixture of negative binomials says so.
"""

# %%
# The calls of a year
# -------------------
# Three kinds of days, which nobody noted: working days, Saturdays, and holidays.
import matplotlib.pyplot as plt
import numpy as np

from sklvm import MixtureEM, PoissonMixtureEM, select_n_components

rng = np.random.default_rng(0)
hours = np.arange(24)


def peak(centre, width, height):
    return height * np.exp(-0.5 * ((hours - centre) / width) ** 2)


rates = 0.5 + np.array(
    [
        peak(10, 1.8, 14) + peak(15, 2.2, 11),
        peak(12, 3, 7),
        peak(19, 2.5, 5),
    ]
)
kind = rng.choice(3, size=365, p=[0.68, 0.16, 0.16])
X = rng.poisson(rates[kind])

# %%
# The number of kinds
# -------------------
# By BIC, which needs no held-out rows.
selection = select_n_components(
    PoissonMixtureEM(n_init=4, random_state=0), X, range(1, 7), criterion="bic"
)
print(selection.best_n_components)

# %%
# Their rates
# -----------
# Lines are the rates that were found, dots those that the calls were drawn from.
model = PoissonMixtureEM(selection.best_n_components, n_init=4, random_state=0).fit(X)
order = np.argsort(-model.weights_)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for k, weight in zip(order, model.weights_[order], strict=True):
    (line,) = ax.plot(hours, model.rates_[k], label=f"{weight:.0%} of the days")
    nearest = np.abs(rates - model.rates_[k]).sum(axis=1).argmin()
    ax.plot(hours, rates[nearest], ".", color=line.get_color())
ax.set(xlabel="hour", ylabel="calls in an hour", xticks=range(0, 24, 3))
ax.legend()
plt.show()

# %%
# When a rate is not one number
# -----------------------------
# Let the traffic of each hour vary by a third around its rate, as weather and
# advertisements have it. A Poisson mixture takes the spread for more kinds of days; one
# of negative binomials, whose variance may be larger than the mean, keeps to three.
noisy = rng.poisson(rates[kind] * rng.gamma(9, 1 / 9, size=X.shape))
sizes = range(1, 9)
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
for family in ("poisson", "negative_binomial"):
    bic = [
        MixtureEM(K, components=[(family, slice(None))], n_init=2, random_state=0)
        .fit(noisy)
        .bic(noisy)
        for K in sizes
    ]
    ax.plot(sizes, bic, "o-", label=f"{family}: least at {sizes[np.argmin(bic)]}")
ax.set(xlabel="number of components", ylabel="BIC")
ax.legend()
plt.show()
