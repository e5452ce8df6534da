"""
Three ways through a discrete latent
====================================

The component z of a GMVAE is discrete: there is no gradient through a draw of it. What
the training needs is the gradient in the parameters of q(z) of

    F = sum_k q(z = k) [ln p(x, z = k) - ln q(z = k)].

- **The exact sum** over the components, no draw at all: ``categorical="network"``. The
  default ``"exact"`` goes one step further and takes the best q(z), which is known.
- **Relaxation** (``"gumbel"``): a point near a corner of the simplex instead of a
  corner, softmax((ln q + Gumbel noise) / temperature). It can be differentiated, but it
  is another model: the gradient is biased, the more the higher the temperature, and
  noisier the lower it is (Jang, Gu and Poole, 2017; Maddison, Mnih and Teh, 2017).
- **The score function** (``"reinforce"``): draw z, and weigh the gradient of ln q(z) by
  how good the draw was, compared with the other draws of the same row (Williams, 1992;
  Kool, van Hoof and Welling, 2019). No bias, and the variance of a guess.

With ten components the sum costs next to nothing. The two others are for where a sum is
out of reach, and here is what they are up against.
"""

# %%
# One discrete variable with five values, given the numbers ln p(x, z = k) and the
# logits of q. The estimators are plain functions of these, and their gradient is the
# estimate. Each of the ``n_repeats`` rows has its own noise, so one call gives that
# many gradients.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklvm import GMVAE
from sklvm.autoencoder._categorical import CATEGORICAL

log_joint = torch.tensor([-1.0, -2.0, -2.5, -4.0, -6.0])
logits = torch.tensor([0.5, 0.0, 1.0, 0.0, -0.5])
N_REPEATS = 100_000


def gradients(name, n_draws=2, temperature=1.0, n_repeats=N_REPEATS):
    """Gradients of F in the logits of q, one row for each repeat."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.empty(n_draws, n_repeats, 5).exponential_(generator=generator)
    leaf = logits.repeat(n_repeats, 1).requires_grad_()
    log_q = torch.log_softmax(leaf, dim=-1)
    F = CATEGORICAL[name](log_joint.expand_as(log_q), log_q, -noise.log(), temperature)
    return torch.autograd.grad(F.sum(), leaf)[0].double().numpy()


exact = gradients("network", n_repeats=1)[0]


def bias_and_deviation(name, **parameters):
    """Length of the bias, and root of the total variance, over the exact length."""
    sample = gradients(name, **parameters)
    bias = np.linalg.norm(sample.mean(axis=0) - exact)
    deviation = np.sqrt(sample.var(axis=0, ddof=1).sum())
    return np.array([bias, deviation]) / np.linalg.norm(exact)


# %%
# Both against the exact gradient, in units of its length. A bias can be told from zero
# where it is larger than its standard error.
print("estimator, two draws             bias  (standard error)   variance")
for name, temperature in [
    ("reinforce", None),
    ("gumbel", 1.0),
    ("gumbel", 0.3),
    ("gumbel", 0.1),
]:
    bias, deviation = bias_and_deviation(name, temperature=temperature or 1.0)
    label = name if temperature is None else f"{name}, temperature {temperature}"
    error = f"({deviation / np.sqrt(N_REPEATS):.4f})"
    print(f"{label:28s} {bias:8.4f} {error:>17s} {deviation**2:10.3f}")

# %%
# The same in training, and the default beside them: handwritten digits, black and
# white, ten components. A fit goes on by ``warm_start``, so the held-out bound can be
# followed. It is summed over z exactly for all, with the q(z | w, x) that each has.
ink = (load_digits().data > 7.5).astype(np.float32)
train, test = train_test_split(ink, test_size=0.25, random_state=0)
N_STEPS, N_EPOCHS = 10, 5


def training_curve(categorical):
    """Held-out bound after each few epochs of the joint training."""
    model = GMVAE(
        n_components=10,
        latent_dim=8,
        likelihood="bernoulli",
        categorical=categorical,
        max_epochs=40,
        lr=2e-3,
        lr_schedule="constant",
        warm_start=True,
        tol=np.inf,
        random_state=0,
    ).fit(train)
    model.set_params(max_epochs=N_EPOCHS)
    curve = [model.score(test)]
    for _ in range(N_STEPS):
        curve.append(model.fit(train).score(test))
    return curve


curves = {name: training_curve(name) for name in CATEGORICAL}
for name, curve in curves.items():
    print(f"{name:10s} {curve[-1]:.2f} nats per image, held out")

# %%
# Left, the relaxation has to choose between bias and variance by its temperature, with
# two draws. In the middle, more draws help both, but they cannot take a bias away.
# Right, the training: all four end within a tenth of a nat. They start from the same
# q(z | w, x), which is exact at that point, and of the bound the part of z is small.
STYLES = {"exact": "-", "network": "--", "gumbel": "-.", "reinforce": ":"}
figure, axes = plt.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
left, middle, right = axes

temperatures = np.geomspace(0.05, 2, 12)
relaxed = np.array(
    [bias_and_deviation("gumbel", temperature=float(t)) for t in temperatures]
)
score_function = bias_and_deviation("reinforce")
for column, name, colour in ((0, "bias", "C0"), (1, "standard deviation", "C1")):
    left.plot(temperatures, relaxed[:, column], "o-", color=colour, label=name)
left.plot(
    temperatures,
    relaxed[:, 1] / np.sqrt(N_REPEATS),
    color="grey",
    linewidth=0.8,
    label="standard error of the bias",
)
left.axhline(score_function[1], color="C1", linestyle=":", label="that of reinforce")
left.set_xlabel("temperature")
left.set_ylabel("over the length of the exact gradient")
left.set_ylim(bottom=2e-4)
left.set_title("gumbel: bias against variance")


def root_mean_squared_error(name, n_draws, temperature):
    parameters = {"temperature": temperature, "n_repeats": 10_000}
    return np.linalg.norm(bias_and_deviation(name, n_draws=n_draws, **parameters))


numbers = [2, 4, 8, 16, 32, 64]
for label, name, temperature, style in (
    ("reinforce", "reinforce", 1.0, "s:"),
    ("gumbel, temperature 1", "gumbel", 1.0, "o-."),
    ("gumbel, temperature 0.3", "gumbel", 0.3, "^-."),
):
    errors = [
        root_mean_squared_error(name, n_draws, temperature) for n_draws in numbers
    ]
    middle.plot(numbers, errors, style, label=label)
middle.set_xlabel("draws")
middle.set_ylabel("root mean squared error, same unit")
middle.set_title("More draws")

epochs = N_EPOCHS * np.arange(N_STEPS + 1)
for name, style in STYLES.items():
    right.plot(epochs, curves[name], style, label=name)
right.set_xlabel("epochs after the first fit")
right.set_ylabel("held-out bound, nats per image")
right.set_title("Training")
for axis in (left, middle):
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.minorticks_off()
middle.set_xticks(numbers, numbers)
middle.set_yticks([0.3, 1, 3], ["0.3", "1", "3"])
left.legend(loc="lower left")
middle.legend()
right.legend()

plt.show()
