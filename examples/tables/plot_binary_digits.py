"""
Kinds of binary rows, and the half of a row that nobody saw
===========================================================

A mixture of binary items finds kinds of rows, each with a probability of yes for each
item. What it knows of a kind fills in the items of a row that are missing.
"""

# %%
# What a kind looks like
# ----------------------
# The rows are digits of 64 pixels, with ink or without. theta, the probability of ink
# given the kind, has the prior Beta(1.5, 1.5): a pixel without ink in all training rows
# would have probability 0, and a new row with ink there a score of minus infinity. The
# kinds are shown from the most to the least frequent.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvm import BernoulliMixtureEM
from sklvm.inspection import ComponentsDisplay

X = (load_digits().data > 7).astype(float)
train, test = train_test_split(X, test_size=100, random_state=0)
model = BernoulliMixtureEM(
    n_components=40, theta_prior=(1.5, 1.5), n_init=4, random_state=0
).fit(train)
ComponentsDisplay.from_estimator(model, image_shape=(8, 8))
plt.show()

# %%
# The lower half, from the upper
# ------------------------------
# Missing items are NaN. Their mean given the others is that of the kinds that could be
# meant, by their probabilities: it is grey where the upper half leaves it open.
rows = test[:10]
seen = rows.copy()
seen[:, 32:] = np.nan
filled = model.impute(seen)

titles = "row", "seen", "mean given what is seen"
fig, axes = plt.subplots(3, 10, figsize=(8, 3), gridspec_kw={"hspace": 0.4})
for panels, images, title in zip(axes, (rows, seen, filled), titles, strict=True):
    for ax, image in zip(panels, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_facecolor("tab:orange")
    title = panels[0].set_title(title, loc="left", fontsize="medium")
    title.set_in_layout(False)  # it is wider than its panel
plt.show()

# %%
# How much of it is right
# -----------------------
# Bits of the lower half that nobody saw, in nats per row: a Bernoulli of each pixel by
# itself, and the mixture. log p(lower | upper) is a difference of two scores, as a row
# with missing items has the probability of what is there.
upper = test.copy()
upper[:, 32:] = np.nan
given = model.score(test) - model.score(upper)
alone = BernoulliMixtureEM(1, theta_prior=(1.5, 1.5)).fit(train)
independent = alone.score(test) - alone.score(upper)
print(f"each pixel by itself {independent:.1f}, given the upper half {given:.1f}")
