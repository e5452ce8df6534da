r"""
Imputing before a regression and a classifier
=============================================

A missing cell that is filled with one value is taken for an observation by whatever
comes next. Several draws from p(missing | observed) are not: how much the results
differ says how much the missing cells leave open.
"""

# %%
# Forty of a hundred measurements are missing
# -------------------------------------------
# 442 patients with diabetes, ten measurements each, among them the sex, and how far the
# disease has progressed a year later. The table is complete, so cells can be hidden and
# the results compared with what they would have been.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import MixtureEM

data = load_diabetes(scaled=False, as_frame=True)
complete = data.data.assign(progression=data.target)
rng = np.random.default_rng(0)
hidden = rng.random(complete.shape) < 0.4
hidden[:, -1] = False
table = complete.mask(hidden)
print(table.head(3))

# %%
# Three slopes and their errors
# -----------------------------
# The progression is regressed on the body mass index, the blood pressure and `s5`, the
# logarithm of a lipid. A regression gives the slopes and their squared standard errors.
PREDICTORS = ["bmi", "bp", "s5"]


def regression(table):
    """Slopes and their variances, by least squares."""
    A = np.column_stack([np.ones(len(table)), table[PREDICTORS]])
    inverse = np.linalg.inv(A.T @ A)
    slopes = inverse @ A.T @ table["progression"]
    residuals = table["progression"] - A @ slopes
    variance = residuals @ residuals / (len(A) - A.shape[1])
    return slopes[1:], variance * np.diag(inverse)[1:]


# %%
# By Rubin's rules the slope is the mean over the m draws, and its variance the mean of
# the variances, *plus* the variance of the slopes between the draws, times 1 + 1/m.
def rubin(results):
    """The results of `regression` on several draws as one."""
    slopes, variances = map(np.array, zip(*results, strict=True))
    between = (1 + 1 / len(slopes)) * slopes.var(axis=0, ddof=1)
    return slopes.mean(axis=0), variances.mean(axis=0) + between


# %%
# `sample_missing` draws at the parameters that were fitted. With so many missing cells
# these are uncertain, too: each draw is made by a model of its own, fitted to a
# bootstrap sample of the rows, which weights of the rows make. The progression is a
# column of the model, for it says something of the missing measurements.
model = MixtureEM(n_components=2, random_state=0).set_output(transform="pandas")
draws, n = [], len(table)
for seed in range(10):
    model.set_params(random_state=seed)
    counts = np.bincount(rng.integers(n, size=n), minlength=n)
    model.fit(table, sample_weight=counts)
    draws += model.sample_missing(table, n_draws=1)

results = {
    "complete table": regression(complete),
    "complete rows only": regression(table.dropna(subset=PREDICTORS)),
    "column means": regression(table.fillna(table.mean())),
    "best guesses": regression(model.fit(table).impute(table)),
    "10 draws": rubin([regression(draw) for draw in draws]),
}

fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), sharey=True, layout="constrained")
for d, (ax, name) in enumerate(zip(axes, PREDICTORS, strict=True)):
    for i, (slopes, variances) in enumerate(results.values()):
        error = 1.96 * variances[d] ** 0.5
        ax.errorbar(slopes[d], i, xerr=error, fmt="o", color=f"C{i}")
    ax.axvline(results["complete table"][0][d], color="0.6", ls="--", zorder=0)
    ax.set_xlabel(f"progression per unit of {name}")
axes[0].set_yticks(range(len(results)), results)
axes[0].invert_yaxis()
plt.show()

# %%
# The bars are intervals of 95 %. Complete rows are few. Column means know nothing of
# the other columns, and best guesses know too much: they do not scatter. Both give
# narrow intervals, some of them beside the line. The draws give wider ones, as they
# should: cells are missing.

# %%
# A classifier that exists already
# --------------------------------
# Will the disease progress fast? A classifier was trained on complete rows and now
# meets rows with missing cells. The average of its predictions over draws is what it
# should say, p(y | observed); a prediction from best guesses is as sure as if nothing
# were missing.
X, y = data.data, data.target > 140
shares = [0.15, 0.3, 0.45, 0.6]
names = ["column means", "best guesses", "25 draws, averaged"]
n_splits = 10
scores = np.zeros((len(names), len(shares)))
for seed in range(n_splits):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    classifier.fit(X_train, y_train)
    model.set_params(random_state=seed).fit(X_train)
    for j, share in enumerate(shares):
        asked = X_test.mask(rng.random(X_test.shape) < share)
        filled = [
            [asked.fillna(X_train.mean())],
            [model.impute(asked)],
            model.sample_missing(asked, n_draws=25),
        ]
        for i, tables in enumerate(filled):
            proba = np.mean([classifier.predict_proba(t) for t in tables], axis=0)
            scores[i, j] -= log_loss(y_test, proba) / n_splits

fig, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, values in zip(names, scores, strict=True):
    ax.plot(shares, values, marker=".", label=name)
ax.set(
    xlabel="share of missing cells",
    ylabel="mean log probability\nof the true class",
)
ax.legend()
plt.show()

# %%
# In a Pipeline, `ModelImputer` fills the cells: with best guesses, or with
# ``sample=True`` with one draw.
