r"""
Synthetic rows
==============

A fitted mixture draws rows of people who do not exist. How alike are they to those of
the table? A classifier that tries to tell them apart is a severe judge: its AUC is 0.5
where it can only guess.
"""

# %%
# A table of employees
# --------------------
# It is generated, and not by a mixture: the salary grows with the years in a curve,
# with a slope that depends on the role, and nobody has worked for more years than since
# they were 18. One role is rare.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklvm import MixtureEM

N = 6000
ROLES = ["clerk", "engineer", "manager", "pilot"]
rng = np.random.default_rng(0)
role = rng.choice(4, size=N, p=[0.5, 0.3, 0.16, 0.04])
age = rng.triangular(20, 35, 65, size=N).round()
years = ((age - 18) * rng.beta(1.5, 1.5, size=N)).round()
growth = np.take([0.15, 0.3, 0.4, 0.5], role)
log_salary = np.take([7.8, 8.1, 8.5, 8.9], role) + growth * np.log1p(years)
salary = np.exp(log_salary + rng.normal(0, 0.12, size=N)).round()
table = pd.DataFrame(
    {
        "role": np.take(ROLES, role),
        "age": age,
        "years": years,
        "salary": salary,
        "remote": rng.random(N) < np.take([0.3, 0.7, 0.4, 0.0], role),
        "sick days": rng.negative_binomial(1, 1 / (1 + np.where(age > 50, 9, 5))),
    }
)
train, test = train_test_split(table, test_size=0.5, random_state=0)
print(table.head())

# %%
# The judge
# ---------
# Gradient boosting, trained on three quarters of held-out rows and as many synthetic
# ones; its AUC is that on the last quarter.


def auc_of_detector(real, synthetic):
    """AUC of a classifier that tells real rows from synthetic ones."""
    rows = pd.concat([real, synthetic]).astype({"role": "category"})
    is_real = np.arange(len(rows)) < len(real)
    X_fit, X_judge, y_fit, y_judge = train_test_split(
        rows, is_real, stratify=is_real, random_state=0
    )
    detector = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    proba = detector.fit(X_fit, y_fit).predict_proba(X_judge)[:, 1]
    return roc_auc_score(y_judge, proba)


# %%
# The salary is lognormal by hand, so that none is negative; the kinds of the others are
# read from their values. One component has independent blocks of columns, and the judge
# is hardly ever wrong. What is curved is pieced together by more components: for rows
# that are to look like the table, more are better as long as the held-out score rises.
model = MixtureEM(
    components=[("lognormal", "salary"), ("auto", slice(None))],
    max_iter=300,
    random_state=0,
)
n_components = [1, 2, 4, 8, 16, 32]
models = [clone(model).set_params(n_components=k).fit(train) for k in n_components]
scores = [model.score(test) for model in models]
best = models[int(np.argmax(scores))]
samples = [model.sample(len(test))[0] for model in models]
aucs = [auc_of_detector(test, rows) for rows in samples]
shuffled = test.apply(lambda column: rng.permutation(column))
print(f"each column shuffled on its own: AUC {auc_of_detector(test, shuffled):.2f}")

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(n_components, scores, marker=".")
left.set(xlabel="components", ylabel="held-out nats per row", xscale="log")
right.plot(n_components, aucs, marker=".")
right.axhline(0.5, color="0.5", ls="--")
right.set(xlabel="components", ylabel="AUC of the judge", xscale="log", ylim=(0.45, 1))
for ax in (left, right):
    ax.set_xticks(n_components, n_components)
    ax.minorticks_off()
plt.show()

# %%
# Two columns at a time
# ---------------------
# The curves are followed, where there are rows enough. What no mixture of this kind
# knows is a sharp edge.
synthetic = samples[models.index(best)]
fig, axes = plt.subplots(
    2, 2, figsize=(8, 6), sharex="row", sharey="row", layout="constrained"
)
for column, (name, rows) in enumerate({"real": test, "synthetic": synthetic}.items()):
    for r, (x, y) in enumerate((("age", "years"), ("years", "salary"))):
        ax = axes[r, column]
        for label in ROLES:
            who = rows["role"] == label
            ax.plot(rows[x][who], rows[y][who], ".", ms=2, alpha=0.5, label=label)
        ax.set(xlabel=x, ylabel=y if column == 0 else None)
    axes[0, column].set_title(name)
axes[1, 0].set_yscale("log")
axes[0, 1].legend(markerscale=4)
plt.show()
# %%
# Rows that break a rule which is known are dropped; the others are as before.
possible = (synthetic["age"] >= 18) & (synthetic["years"] <= synthetic["age"] - 18)
print(f"{1 - possible.mean():.1%} of the synthetic rows have too many years")
synthetic = synthetic[possible]
print(f"AUC without them: {auc_of_detector(test, synthetic):.2f}")

# %%
# Rare categories
# ---------------
# The shares of the roles are those of the table, the rare one included, and a
# combination that never occurs there, a pilot who works from home, is rare.
shares = pd.DataFrame(
    {
        name: rows["role"].value_counts(normalize=True)
        for name, rows in (("real", test), ("synthetic", synthetic))
    }
)
print(shares.round(3))
pilots = synthetic[synthetic["role"] == "pilot"]
print(f"pilots who work from home: {pilots['remote'].mean():.1%}")

# %%
# Counts are counts, and salaries are positive.
print(synthetic.describe().loc[["min", "50%", "max"]].round(1))
