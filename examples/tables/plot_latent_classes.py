r"""
Latent classes of a survey
==========================

People who answer a questionnaire are of a few kinds, and nobody asked which. Latent
class analysis is the mixture model of such a table: within a class the items are
independent, and each class has its own probabilities of the answers. A
`CategoricalMixtureEM` takes items with any number of answers each, in no order, and
cells without an answer.
"""

# %%
# A survey of 1,500 people
# ------------------------
# It is generated, so that the truth is known: three classes of unequal size, twelve
# items with three to five answers, and one cell in ten left empty.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics.cluster import contingency_matrix

from sklvm import CategoricalMixtureEM
from sklvm.inspection import ModelSelectionDisplay

rng = np.random.default_rng(0)
N, SHARES = 1500, [0.5, 0.3, 0.2]
n_answers = np.array([3, 4, 5, 3, 4, 5, 3, 4, 5, 3, 4, 5])
truth = rng.choice(len(SHARES), size=N, p=SHARES)
answers = np.empty((N, len(n_answers)))
for d, n in enumerate(n_answers):
    probabilities = rng.dirichlet(np.ones(n), size=len(SHARES))
    levels = probabilities.cumsum(axis=1)[:, :-1][truth]
    answers[:, d] = (levels < rng.random((N, 1))).sum(axis=1)
X = np.where(rng.random(answers.shape) < 0.1, np.nan, answers)
print(X[:5])

# %%
# How many classes?
# -----------------
# The answers are coded 0, 1, 2, ..., and a cell without an answer is NaN. All curves
# are in nats per row, and the highest is the best; the criteria are drawn as -BIC / 2n
# and -ICL / 2n. A weak prior keeps answers possible that no row of a class gives, for
# the sake of rows that are held out.
model = CategoricalMixtureEM(
    n_categories=n_answers, theta_prior=1.1, n_init=3, max_iter=500, random_state=0
)
display = ModelSelectionDisplay.from_estimator(model, X, param_range=range(1, 7), cv=5)
print(display.best_)
plt.show()

# %%
# The profile of the classes
# --------------------------
# `theta_` has an array for each item, the probability of each answer in each class. Put
# beside each other they are the profile of the classes; white lines part the items.
model.set_params(n_components=3).fit(X)
order = np.argsort(-model.weights_)
profile = np.hstack(model.theta_)[order]

fig, ax = plt.subplots(figsize=(10, 2.6), layout="constrained")
image = ax.imshow(profile, cmap="viridis", vmin=0, vmax=1, aspect="auto")
ends = np.cumsum(n_answers)
for end in ends[:-1]:
    ax.axvline(end - 0.5, color="white", lw=3)
ax.set_xticks(ends - n_answers / 2 - 0.5, [f"item {d + 1}" for d in range(len(ends))])
ax.set_yticks(range(3), [f"share {w:.2f}" for w in model.weights_[order]])
ax.tick_params(length=0)
fig.colorbar(image, label="p(answer | class)")
plt.show()

# %%
# The classes that were found are those that generated the table, up to their numbers.
labels = model.predict(X)
print("true class down, class found across")
print(contingency_matrix(truth, labels)[:, order])

# %%
# The empty cells
# ---------------
# `impute` fills a cell with the most probable answer, given the other answers of the
# same person. Here it is known what the cells held: the classes recover more of them
# than the most frequent answer to the item does, and many more than a guess.
missing = np.isnan(X)
right = (model.impute(X) == answers)[missing].mean()
most_frequent = np.array([np.bincount(x[x >= 0].astype(int)).argmax() for x in X.T])
by_item = (np.broadcast_to(most_frequent, X.shape) == answers)[missing].mean()
by_chance = np.mean(1 / np.broadcast_to(n_answers, X.shape)[missing])

fig, ax = plt.subplots(figsize=(6, 2), layout="constrained")
names = ["a guess", "most frequent answer", "latent classes"]
bars = ax.barh(names, [by_chance, by_item, right])
ax.bar_label(bars, fmt="%.2f", padding=3)
ax.set(xlabel="share of the empty cells that are filled rightly", xlim=(0, 1))
plt.show()

# sphinx_gallery_thumbnail_number = 2
