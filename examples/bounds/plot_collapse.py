r"""
Posterior collapse, and holes in the aggregated posterior
=========================================================

A decoder that explains the data without z leaves the posterior at the prior: it has
collapsed. A posterior that holds much of each row may leave the prior with holes, from
which nothing sensible is drawn. `latent_diagnostics` tells both in numbers, and
`LatentSpaceDisplay` shows them.
"""

# %%
# From holes to collapse
# ----------------------
# beta weighs the rate. Below one, the codes of the rows are sharp and fill the prior
# badly: the aggregated KL is larger. At a large beta the code is not worth its price:
# rate and mutual information go to 0, no unit is active, and `fit` warns of it.
import warnings

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sklvm import VAE
from sklvm.inspection import LatentSpaceDisplay, SampleDisplay, latent_diagnostics

digits = load_digits()
X, y = digits.data / 16, digits.target

models = {}
for beta in (0.02, 1.0, 100.0):
    model = VAE(
        latent_dim=2,
        beta=beta,
        noise=0.2,
        max_epochs=60,
        early_stopping=False,
        tol=float("inf"),
        random_state=0,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        models[f"beta = {beta:g}"] = model.fit(X)
    for warning in caught:
        print(f"beta = {beta:g}: {warning.message}")

table = {name: latent_diagnostics(m, X)["value"] for name, m in models.items()}
print(pd.DataFrame(table).round(2))

# %%
# Codes of the rows in colours, draws of the prior in grey: with a small beta some rows
# lie where the prior does not look, and the others do not fill it evenly; at beta = 1
# the classes together are nearly the prior; with a large one all rows are alike.
fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    LatentSpaceDisplay.from_estimator(model, X, y, ax=ax)
    ax.set_title(name)
plt.show()

# %%
# What z from the prior decode to, without the noise: digits, and blends of two of them
# from between the classes; at the largest beta always the mean of all.
fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    _, Z = model.sample(25)
    SampleDisplay(samples=model.inverse_transform(Z), image_shape=(8, 8)).plot(
        ax=ax, vmin=0, vmax=1
    )
    ax.set_title(name)
plt.show()
