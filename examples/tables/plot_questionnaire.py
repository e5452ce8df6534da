r"""
A questionnaire with missing answers
====================================

Employees answer ten statements on a scale from "no" to "yes", skip some, and some stop
before the end. `MixtureEM` takes the table as it is: the answers, a number, a category
and a yes or no beside them, and the empty cells.
"""

# %%
# The answers of 1,200 people
# ---------------------------
# They are generated, so that the truth is known: three classes, in which a statement
# meets with more or less agreement. One answer in twenty is skipped, and one person in
# five answers only the first few statements.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from sklvm import MixtureEM
from sklvm.inspection import ModelSelectionDisplay

SCALE = ["no", "rather no", "partly", "rather yes", "yes"]
STATEMENTS = {  # mean agreement, from 0 to 4, in each class
    "I like my work": [3.4, 2.4, 1.0],
    "My work matters": [3.2, 2.9, 1.2],
    "I have enough time": [2.9, 0.7, 1.9],
    "I can switch off": [3.0, 0.9, 2.2],
    "I am paid fairly": [2.5, 1.8, 1.0],
    "My boss listens": [3.0, 2.4, 0.9],
    "I learn new things": [2.8, 2.7, 1.0],
    "My team helps me": [3.1, 2.9, 2.0],
    "I would recommend us": [3.3, 2.0, 0.7],
    "I think of leaving": [0.6, 2.0, 3.2],
}
N = 1200
rng = np.random.default_rng(0)
truth = rng.choice(3, size=N, p=[0.45, 0.35, 0.2])
agreement = rng.normal(np.array(list(STATEMENTS.values()))[:, truth].T, 0.9)
codes = agreement.round().clip(0, 4).astype(int)
answers = pd.DataFrame(
    {
        name: pd.Categorical.from_codes(codes[:, d], SCALE, ordered=True)
        for d, name in enumerate(STATEMENTS)
    }
)
n_answered = np.where(rng.random(N) < 0.2, rng.integers(3, 10, size=N), 10)
skipped = (rng.random((N, 10)) < 0.05) | (np.arange(10) >= n_answered[:, np.newaxis])
table = answers.mask(skipped).assign(
    years=rng.poisson(np.take([9, 5, 3], truth)),
    site=np.take(["harbour", "hill"], rng.random(N) < np.take([0.3, 0.5, 0.5], truth)),
    leads=rng.random(N) < np.take([0.2, 0.3, 0.05], truth),
)
print(table.head())
print(f"{skipped.mean():.0%} of the answers are missing")

# %%
# How many classes?
# -----------------
# All curves are in nats per row, and the highest is the best; the criteria are drawn as
# -BIC / 2n and -ICL / 2n.
model = MixtureEM(random_state=0)
display = ModelSelectionDisplay.from_estimator(
    model, table, param_range=range(1, 6), cv=3
)
print(display.best_)
plt.show()

# %%
# What the classes say
# --------------------
# Each row of a panel is a statement, and the bars are the shares of its five answers,
# disagreement to the left. The order of the answers is not known to the model, which
# finds it in the table all the same: neighbouring answers go together.
model = MixtureEM(n_components=3, random_state=0, verbose=1).fit(table)
categorical = next(b for b in model.components_ if b.kind == "categorical")
theta = dict(zip(categorical.columns, categorical.theta, strict=True))
order = np.argsort(-model.weights_)

fig, axes = plt.subplots(1, 3, figsize=(11, 4.2), sharey=True, layout="constrained")
colors = ["firebrick", "lightsalmon", "lightgrey", "lightskyblue", "royalblue"]
for ax, k in zip(axes, order, strict=True):
    shares = np.array([theta[name][k] for name in STATEMENTS])
    left = -shares[:, :2].sum(axis=1) - shares[:, 2] / 2
    for share, answer, color in zip(shares.T, SCALE, colors, strict=True):
        ax.barh(list(STATEMENTS), share, left=left, color=color, label=answer)
        left += share
    ax.axvline(0, color="0.3", lw=0.8)
    ax.set(title=f"class {k}: {model.weights_[k]:.0%} of the people", xlim=(-1, 1))
    ax.set_xticks([-0.5, 0, 0.5], ["50 %", "0", "50 %"])
axes[0].invert_yaxis()
handles, names = axes[0].get_legend_handles_labels()
fig.legend(handles, names, loc="outside lower center", ncols=5)
plt.show()

# %%
# The other columns have their own distributions in each class; `inverse_transform`
# gives the typical row. Nobody is left out: those who stopped early are assigned by
# what they have answered.
print(model.inverse_transform(np.eye(3)[order])[["years", "site", "leads"]])
labels = model.predict(table)
for name, who in ("answered all", n_answered == 10), ("stopped early", n_answered < 10):
    print(f"{name}: adjusted Rand {adjusted_rand_score(truth[who], labels[who]):.2f}")

# %%
# What would they have answered?
# ------------------------------
# `predict_missing_proba` gives the probability of each answer to a statement from the
# other cells of the row. For people who have stopped before the last one, it is
# compared with what they would have said; the first bars take the answers of all
# others.
name = "I think of leaving"
asked = table[name].isna().to_numpy()
proba = model.predict_missing_proba(table[asked], name)
said = answers[name].cat.codes[asked].to_numpy()
overall = table[name].value_counts(normalize=True, sort=False).to_numpy()
results = {
    "answers of all others": np.broadcast_to(overall, proba.shape),
    "given the other cells": proba,
}
fig, ax = plt.subplots(figsize=(6, 2), layout="constrained")
bars = ax.barh(
    list(results), [p[np.arange(len(said)), said].mean() for p in results.values()]
)
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlabel="probability of the answer not given, on average", xlim=(0, 0.6))
plt.show()

# %%
# All of this holds if cells are missing at random: whether somebody stops may depend on
# what they have answered, not on what they would have. Who is silent on a statement
# *because* of their opinion is not described by this model; a yes-or-no column "has
# answered" beside it lets the classes tell at least the part that goes with the rest.

# sphinx_gallery_thumbnail_number = 2
