"""
The lower half of a digit, given the upper half
===============================================

The top of a digit does not say how it goes on: under the same arc there may be a 2, a 3
or a 9. A regression can only give one answer, the mean of all that are possible, and
that is a blur. A conditional variational autoencoder learns the distribution

    p(y | x) = sum_z p(z | x) p(y | z, x)

of the lower half y given the upper half x, and draws as many answers as are wanted: z
settles which one it is, and all pixels of y follow it together.
"""

# %%
# Questions and answers: 4 x 8 pixels each, ink or no ink.
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import xlogy
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from sklvm import ConditionalVAE

grey, digit = load_digits(return_X_y=True)
ink = (grey > 7.5).astype(np.float32)
train, test, _, test_digit = train_test_split(
    ink, digit, test_size=0.25, stratify=digit, random_state=0
)
x_train, y_train = np.split(train, 2, axis=1)
x_test, y_test = np.split(test, 2, axis=1)

# %%
# One model of the whole answer. A tenth of the training rows is held out to find the
# length of the training.
model = ConditionalVAE(latent_dim=8, likelihood="bernoulli", random_state=0).fit(
    x_train, y_train
)


# %%
# For comparison, a logistic regression of each pixel. It knows the same questions, and
# how likely each pixel is to have ink, but nothing of which pixels go together.
def ink_probability(pixel):
    """P(ink | x) at one pixel of the held-out lower halves."""
    if pixel.min() == pixel.max():  # all alike: Laplace's rule
        return np.full(len(x_test), (pixel.sum() + 1) / (len(pixel) + 2))
    regression = LogisticRegression(C=0.1, max_iter=1000).fit(x_train, pixel)
    return regression.predict_proba(x_test)[:, 1]


single = np.column_stack([ink_probability(pixel) for pixel in y_train.T])
of_pixels = xlogy(y_test, single) + xlogy(1 - y_test, 1 - single)

# %%
# The held-out score: ln p(y | x), in nats for a lower half.
bound = model.score(x_test, y_test)
estimate = model.log_likelihood(x_test, y_test, n_importance=500).mean()
print("nats per lower half, held out")
print(f"ConditionalVAE, lower bound             {bound:8.2f}")
print(f"ConditionalVAE, importance sampling     {estimate:8.2f}")
print(f"logistic regression of each pixel       {of_pixels.sum(axis=1).mean():8.2f}")

# %%
# One question of each digit, above the grey line; what is below it is the truth, the
# mean of all answers, answers of the model, and answers of the regressions, which throw
# a coin for each pixel. The answers of the model differ where the question leaves it
# open, and agree where it does not.
N_ANSWERS = 5
shown = [np.flatnonzero(test_digit == k)[0] for k in range(10)]
questions = x_test[shown]
answers, _ = model.sample(questions, n_samples=N_ANSWERS)
coins = np.random.default_rng(0).random(questions.shape) < single[shown]

rows = {
    "truth": y_test[shown],
    "mean": model.predict(questions),
    **{f"answer {i + 1}": answer for i, answer in enumerate(answers)},
    "pixel by pixel": coins,
}
figure, axes = plt.subplots(
    len(rows),
    len(shown),
    figsize=(9, 8.5),
    subplot_kw={"xticks": [], "yticks": []},
    layout="constrained",
)
for row, (label, lower_halves) in zip(axes, rows.items(), strict=True):
    row[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for axis, upper, lower in zip(row, questions, lower_halves, strict=True):
        image = np.concatenate([upper, lower]).reshape(8, 8)
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        axis.axhline(3.5, color="grey", linewidth=0.8)

plt.show()
