r"""
How many components?
====================

Held-out score, BIC and ICL answer different questions: which density predicts best,
which model the data support, and which clusters stand apart.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import KFold

from sklvm import BernoulliMixtureEM, GaussianMixtureEM
from sklvm.inspection import ComponentsDisplay, ModelSelectionDisplay

folds = KFold(5, shuffle=True, random_state=0)

# %%
# Gaussian mixtures of the iris flowers
# -------------------------------------
# All curves are in nats per row, BIC and ICL as -BIC / 2n and -ICL / 2n: the higher the
# better. The bright band is the standard error over five folds.
model = GaussianMixtureEM(n_init=5, max_iter=500, random_state=0)
display = ModelSelectionDisplay.from_estimator(
    model, load_iris().data, param_range=range(1, 7), cv=folds
)
print(display.best_)
plt.show()

# %%
# Bernoulli mixtures of binary digits
# -----------------------------------
# A prior on theta keeps pixels that are blank in all training rows of a component
# possible; without it a held-out row may have probability zero.
X = load_digits().data > 8
model = BernoulliMixtureEM(n_init=2, theta_prior=(1.5, 1.5), random_state=0)
display = ModelSelectionDisplay.from_estimator(
    model, X, param_range=[5, 10, 15, 20, 30, 40], cv=folds
)
print(display.best_)
plt.show()

# %%
# The components of the one that ICL prefers, the heaviest first
# --------------------------------------------------------------
K = int(display.best_["ICL"])
model.set_params(n_components=K).fit(X)
ComponentsDisplay.from_estimator(model, image_shape=(8, 8))
plt.show()
