"""
Few labels: latents as features, and labels as missing values
=============================================================

Of 1,347 images of digits only some carry a label. Three ways to classify the others:

1. logistic regression on the pixels of the labelled images;
2. logistic regression on their latents, with a VAE fitted to *all* images, labelled or
   not: the unlabelled ones teach which directions matter;
3. the VAE alone. The labels are ten further columns, one-hot, and NaN where unknown.
   The bound is over the observed entries, so nothing else has to be said; ``impute``
   then fills a missing label with its conditional expectation, p(label | image).

The third way is semi-supervised learning by masked features.
"""

# %%
# The data: grey values from 0 to 1, described by the Gaussian likelihood. It serves the
# labels as well, as grey values 0 and 1. Where all features are binary,
# ``likelihood="bernoulli"`` is used in the same way.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklvm import VAE

grey, digit = load_digits(return_X_y=True)
train, test, train_digit, test_digit = train_test_split(
    grey / 16, digit, test_size=0.25, stratify=digit, random_state=0
)


def labelled_rows(n_per_class, seed):
    """Indices of as many training images of each digit."""
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.choice(np.flatnonzero(train_digit == k), n_per_class, replace=False)
            for k in range(10)
        ]
    )


# %%
# The VAE of the second way never sees a label, so one fit serves all. The prior is a
# mixture: it lets the latents form clusters, as digits do. With the standard normal
# prior the latents are no better than the pixels. One noise level is shared by all
# columns: a column of labels has too few values for one of its own.
PARAMETERS = {
    "latent_dim": 8,
    "prior": "vamp",
    "n_pseudo_inputs": 20,
    "hidden_layer_sizes": (200, 200),
    "noise": "shared",
    "max_epochs": 60,
    "lr": 2e-3,
    "early_stopping": False,
    "tol": np.inf,
    "random_state": 0,
}
unsupervised = VAE(**PARAMETERS).fit(train)
latents, test_latents = unsupervised.transform(train), unsupervised.transform(test)


def accuracy_of_regression(features, test_features, rows):
    """Logistic regression on the labelled rows."""
    model = LogisticRegression(max_iter=1000).fit(features[rows], train_digit[rows])
    return model.score(test_features, test_digit)


# %%
# The third way. In training, a row without a label has NaN in all ten label columns; so
# have all rows of the test set.
def accuracy_of_imputation(rows):
    """A VAE of images and labels; the digit with the largest imputed value."""
    labels = np.full((len(train), 10), np.nan)
    labels[rows] = np.eye(10)[train_digit[rows]]
    unknown = np.full((len(test), 10), np.nan)
    model = VAE(**PARAMETERS).fit(np.hstack([train, labels]))
    filled = model.impute(np.hstack([test, unknown]), n_importance=100)
    return np.mean(filled[:, -10:].argmax(axis=1) == test_digit)


# %%
# The accuracy against the number of labels, for three choices of the labelled images.
numbers = [1, 2, 5, 20]
accuracy = {"pixels": [], "latents": [], "labels as missing values": []}
print("labels of each digit: mean accuracy on", ", ".join(accuracy))
for n_per_class in numbers:
    choices = [labelled_rows(n_per_class, seed) for seed in range(3)]
    results = [
        [accuracy_of_regression(train, test, rows) for rows in choices],
        [accuracy_of_regression(latents, test_latents, rows) for rows in choices],
        [accuracy_of_imputation(rows) for rows in choices],
    ]
    for values, result in zip(accuracy.values(), results, strict=True):
        values.append(result)
    print(f"{n_per_class:3d}:", *(f"{mean:.3f}" for mean in np.mean(results, axis=1)))

# %%
# The unlabelled images are worth most where labels are rarest. With twenty labels of
# each digit, regression on the pixels alone is ahead.
figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, values), marker in zip(accuracy.items(), "osD", strict=True):
    lines = axis.plot(numbers, np.mean(values, axis=1), marker=marker, label=name)
    for number, results in zip(numbers, values, strict=True):
        axis.scatter([number] * 3, results, s=8, color=lines[0].get_color(), alpha=0.5)
axis.set_xscale("log")
axis.set_xticks(numbers, numbers)
axis.set_xticks([], minor=True)
axis.set_xlabel("labelled images of each digit")
axis.set_ylabel("accuracy on held-out images")
axis.set_title("Mean, and three choices of the labelled images")
axis.legend()

plt.show()
