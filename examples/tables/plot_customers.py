r"""
The customers of a shop
=======================

A table as it comes out of a shop's database: an age, a count, amounts with a long tail,
categories, yes and no, and empty cells. `MixtureEM` finds the segments without any
encoding, says what each of them is like, and of each customer why they are in it.
"""

# %%
# The table
# ---------
# It is generated, so that the segments are known: bargain hunters, families,
# professionals, and a few large buyers. Six cells in a hundred are empty.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from sklvm import MixtureEM, select_n_components
from sklvm.inspection import ComponentsDisplay

N = 2000
PLANS = ["free", "basic", "gold"]
REGIONS = ["north", "south", "east", "west"]
rng = np.random.default_rng(0)
truth = rng.choice(4, size=N, p=[0.44, 0.31, 0.2, 0.05])


def draw(labels, probabilities):
    """A label for each customer, by the probabilities of their segment."""
    return [rng.choice(labels, p=probabilities[k]) for k in truth]


table = pd.DataFrame(
    {
        "age": rng.normal(np.take([28, 41, 47, 55], truth), 7).round(),
        "orders": rng.poisson(rng.gamma(4, np.take([2, 8, 20, 12], truth) / 4)),
        "spend": rng.lognormal(np.take([3.2, 5.0, 6.5, 9.0], truth), 0.6).round(2),
        "plan": draw(
            PLANS,
            [[0.8, 0.15, 0.05], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6], [0.02, 0.08, 0.9]],
        ),
        "region": draw(
            REGIONS,
            [
                [0.4, 0.3, 0.2, 0.1],
                [0.1, 0.5, 0.2, 0.2],
                [0.25, 0.25, 0.25, 0.25],
                [0.7, 0.1, 0.1, 0.1],
            ],
        ),
        "newsletter": rng.random(N) < np.take([0.2, 0.6, 0.4, 0.1], truth),
    }
)
table = table.mask(rng.random(table.shape) < 0.06)
print(table.head())

# %%
# What each column is taken for is read from its values.
model = MixtureEM(n_init=3, random_state=0, verbose=1).fit(table)

# %%
# How many segments?
# ------------------
# The lowest BIC says how many components the table supports; drawn is -BIC / 2n.
selection = select_n_components(
    model.set_params(verbose=0), table, range(1, 8), criterion="bic"
)
selection.plot()
plt.show()

# %%
# What the segments are like
# --------------------------
# For each segment the columns that distinguish it most stand first, in their own units.
# "kl" is how many nats a cell of that column says, on average, for the segment.
model = selection.best_estimator
summary = model.component_summary()
print(summary.to_string())

# %%
# The same as a picture: shaded the distribution of each column in each segment, and as
# a line that of all customers.
ComponentsDisplay.from_estimator(model)
plt.show()

# %%
# They are the segments that generated the table.
labels = model.predict(table)
print(f"adjusted Rand index {adjusted_rand_score(truth, labels):.2f}")
print(pd.crosstab(truth, labels, rownames=["true"], colnames=["found"]))

# %%
# Why is this customer here?
# --------------------------
# Columns of different blocks are independent within a segment, so each adds its own
# term to the logarithm of the odds between two segments: log p(x_d | z = a) - log p(x_d
# | z = b). Here no two columns share a block, and a term is the change of the odds when
# the cell is hidden.
proba = model.predict_proba(table)
doubtful = np.sort(proba, axis=1)[:, -2].argmax()
a, b = proba[doubtful].argsort()[::-1][:2]
row = table.iloc[[doubtful]]


def log_odds(rows):
    """log p(z = a | x) / p(z = b | x)."""
    proba = model.predict_proba(rows)
    return np.log(proba[:, a] / proba[:, b])


terms = {"share of the segments": np.log(model.weights_[a] / model.weights_[b])}
for name in table:
    change = log_odds(row) - log_odds(row.assign(**{name: None}))
    terms[f"{name} = {row[name].item()}"] = change[0]

fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
ax.barh(list(terms), list(terms.values()))
ax.axvline(0, color="0.3", lw=0.8)
ax.invert_yaxis()
ax.set_xlabel(f"nats for segment {b} (left) or {a} (right)")
plt.show()

# sphinx_gallery_thumbnail_number = 2
