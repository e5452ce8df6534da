r"""
Outliers where cells are missing
================================

A threshold on log p(x) flags complete rows and spares those with missing cells. The
tail probability of log p(x) under the model, for the cells that are there, does not.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklvm import DensityOutlierDetector

# %%
# Who is flagged?
# ---------------
# The wines, of which each row loses 0, 1 or 2 cells at random: the three groups are
# alike, and one row in ten should be flagged in each.
X = load_wine().data
rng = np.random.default_rng(0)
shares = {"log density": np.zeros(3), "tail probability": np.zeros(3)}
n_repeats = 10
for _ in range(n_repeats):
    X_missing, n_missing = X.copy(), rng.integers(3, size=len(X))
    for row, n in zip(X_missing, n_missing, strict=True):
        row[rng.choice(X.shape[1], size=n, replace=False)] = np.nan
    detector = DensityOutlierDetector(contamination=0.1).fit(X_missing)
    log_density = detector.estimator_.score_samples(X_missing)
    flagged = {
        "log density": log_density < np.quantile(log_density, 0.1),
        "tail probability": detector.predict(X_missing) < 0,
    }
    for name, who in flagged.items():
        shares[name] += [who[n_missing == n].mean() / n_repeats for n in range(3)]

fig, ax = plt.subplots(layout="constrained")
for i, (name, values) in enumerate(shares.items()):
    ax.bar(np.arange(3) + 0.35 * i, 100 * values, width=0.35, label=name)
ax.axhline(10, color="0.5", ls="--")
ax.set_xticks(np.arange(3) + 0.175, range(3))
ax.set(xlabel="missing cells of the row", ylabel="rows flagged (%)")
ax.legend()
plt.show()

# %%
# What is found?
# --------------
# Benign tumours, one in ten measurements missing; half of them train the detector, and
# the malignant ones are the outliers. The scores are logarithms of probabilities: 5 %
# of the benign tumours would lie left of the line if they were draws of the model, one
# Gaussian. Their measurements have heavier tails, and more of them do.
X, y = load_breast_cancer(return_X_y=True)
X = np.where(rng.random(X.shape) < 0.1, np.nan, X)
benign, malignant = X[y == 1], X[y == 0]
detector = make_pipeline(StandardScaler(), DensityOutlierDetector())
detector.fit(benign[::2])
rows = np.vstack([benign[1::2], malignant])
is_outlier = np.arange(len(rows)) >= len(benign[1::2])
scores = detector.score_samples(rows)
print(f"AUC {roc_auc_score(is_outlier, -scores):.3f}")
flagged = detector.predict(rows) < 0
print(f"flagged: {flagged[~is_outlier].mean():.0%} of the benign tumours, ", end="")
print(f"{flagged[is_outlier].mean():.0%} of the malignant ones")

fig, ax = plt.subplots(layout="constrained")
bins = np.linspace(-40, 0, 41)
for which, name in ((~is_outlier, "benign"), (is_outlier, "malignant")):
    ax.hist(scores[which].clip(-40), bins=bins, alpha=0.6, label=name)
ax.axvline(detector[-1].offset_, color="0.3", ls="--", label="5 %")
ax.set(xlabel="log tail probability (-40 and below at -40)", ylabel="rows")
ax.legend()
plt.show()
