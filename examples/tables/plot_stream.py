"""
Rows that arrive, and are never all there
=========================================

A fit to all rows needs them again and again. `partial_fit` sees each batch once, and
its parameters are those of the rows so far, weighed as the M-step weighs them.
"""

# %%
# A month of batches
# ------------------
# Three kinds of rows, two columns, three hundred rows in each batch. After each the
# model is scored on rows that it never sees; a fit to all rows so far is what it could
# have been at best.
import matplotlib.pyplot as plt
import numpy as np

from sklvm import GaussianMixtureEM

rng = np.random.default_rng(0)
centres = np.array([[-2.0, 0.0], [1.5, 1.5], [1.5, -2.0]])
widths = np.array([[0.4, 1.2], [0.8, 0.5], [0.5, 0.9]])


def batch(n=300):
    kind = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    return centres[kind] + widths[kind] * rng.normal(size=(n, 2))


new = batch(5000)
model = GaussianMixtureEM(n_components=3, random_state=0)
seen, online, refitted = [], [], []
for _ in range(30):
    seen.append(batch())
    online.append(model.partial_fit(seen[-1]).score(new))
    best = GaussianMixtureEM(n_components=3, random_state=0).fit(np.concatenate(seen))
    refitted.append(best.score(new))

fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(range(1, 31), online, "o-", label="partial_fit, each batch once")
ax.plot(range(1, 31), refitted, color="0.5", label="a fit to all rows so far")
ax.set(xlabel="batches", ylabel="nats per new row")
ax.legend()
plt.show()

# %%
# All rows, a chunk at a time
# ---------------------------
# Rows that can be read again need no such compromise: a function that returns a fresh
# iterator, a path, a query or a collection of Dask is fitted as an array is, to the
# same parameters.
by_chunks = GaussianMixtureEM(n_components=3, random_state=0).fit(lambda: iter(seen))
print(f"{abs(by_chunks.means_ - best.means_).max():.0e}")
