"""
Choosing the latent dimension of a VAE by cross-validation
==========================================================

How many latent dimensions does a data set need? A reconstruction error cannot tell: it
falls with every dimension that is added. The held-out bound on log p(x) can: each
dimension costs nats in the divergence between q(z|x) and the prior, and has to win them
back in how well the pixels are described.

:class:`~sklvm.VAE` is a scikit-learn transformer whose ``score`` is that bound, in nats
per row, with importance weights that make it tighter than the ELBO: so it compares
models, and not how well their encoders do on new rows. So it goes into a ``Pipeline``,
and ``GridSearchCV`` compares the candidates with no scorer to write.
"""

# %%
# The data are 8 x 8 scans of handwritten digits. The scaler is fitted to the training
# part of each fold, and so to the same rows for all candidates: their scores compare.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from sklvm import VAE

grey = load_digits().data
train, test = train_test_split(grey, test_size=0.25, random_state=0)

# %%
# The search. The likelihood is Gaussian. All pixels share one noise level here, as a
# level for each would be decided by the many pixels that are nearly always blank. In
# each fit a tenth of the rows is held out to find when to stop. With less than 1,000
# rows, as in a fold here, the default would find it by five trainings more: better for
# the model that is kept, and too slow for a search.
vae = VAE(noise="shared", max_epochs=80, early_stopping=True, random_state=0)
pipeline = Pipeline([("scale", MinMaxScaler()), ("vae", vae)])
search = GridSearchCV(
    pipeline,
    {"vae__latent_dim": [1, 2, 4, 8, 16, 32]},
    cv=3,
    return_train_score=True,
)
search.fit(train)

# %%
# The table. The two bounds part as the latent grows, because the network begins to
# learn single images by heart; what the held-out bound still gains is real.
results = search.cv_results_
dims = [parameters["vae__latent_dim"] for parameters in results["params"]]
print("latent_dim   training   held out   (nats per image)")
for dim, training, held_out in zip(
    dims, results["mean_train_score"], results["mean_test_score"], strict=True
):
    print(f"{dim:10d} {training:10.2f} {held_out:10.2f}")
print(f"\nchosen: {search.best_params_['vae__latent_dim']}")
print(f"bound of the test images: {search.score(test):.2f} nats per image")

# %%
# The curve. It flattens rather than falls: a dimension that is not needed can be left
# unused, with q(z|x) equal to the prior and no divergence to pay for. That has to be
# learned, though, which is why the training bound falls a little, too.
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
for name, label in (("train", "training"), ("test", "held out")):
    axis.errorbar(
        dims,
        results[f"mean_{name}_score"],
        results[f"std_{name}_score"],
        marker="o",
        capsize=3,
        label=label,
    )
axis.axvline(search.best_params_["vae__latent_dim"], color="grey", linestyle=":")
axis.set_xscale("log", base=2)
axis.set_xticks(dims, dims)
axis.set_xlabel("latent_dim")
axis.set_ylabel("score, nats per image")
axis.set_title("Three folds: mean and standard deviation")
axis.legend()

# %%
# What the chosen model keeps of the first test images: above the images, below their
# reconstructions from the posterior means. ``transform`` and ``inverse_transform`` of
# the pipeline undo each other's scaling too.
images = test[:10]
reconstructions = search.inverse_transform(search.transform(images))
figure, axes = plt.subplots(
    2,
    len(images),
    figsize=(len(images), 2.2),
    subplot_kw={"xticks": [], "yticks": []},
    layout="constrained",
)
for axis, image in zip(axes.flat, [*images, *reconstructions], strict=True):
    axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)

plt.show()
