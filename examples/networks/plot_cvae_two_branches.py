"""
Two answers to one question, where a regression fails
=====================================================

For each x there are two values that y is near to, f(x) and -f(x), each half of the
time. A regression that minimises the squared error gives their mean, a value that y
never has. That is not for want of training: it is the best that one number can do.

A conditional variational autoencoder has a latent z besides x, and learns from the data
alone to let z say which of the two it is. That there are two is not in its data.
"""

# %%
# The data. As p(y|x) is known, so is the most that any model can reach: minus the
# conditional entropy of y given x.
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.neural_network import MLPRegressor

from sklvm import ConditionalVAE

NOISE = 0.15


def branch(x):
    """f(x); the two branches meet at x = 0."""
    return 1.5 * x + 0.2 * np.sin(6 * x)


def draw(n_samples, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=n_samples)
    y = rng.choice([-1, 1], size=n_samples) * branch(x)
    return x[:, None], y + NOISE * rng.standard_normal(n_samples)


def true_log_density(x, y):
    """ln p(y|x)."""
    both = [norm.logpdf(y, sign * branch(x), NOISE) for sign in (-1, 1)]
    return np.logaddexp(*both) - np.log(2)


x, y = np.linspace(0, 1, 1001)[:, None], np.linspace(-3, 3, 1001)
log_density = true_log_density(x, y)
entropy_of_x = -np.trapezoid(np.exp(log_density) * log_density, y, axis=1)
entropy = np.trapezoid(entropy_of_x, x[:, 0])

X_train, y_train = draw(5000, seed=0)
X_test, y_test = draw(5000, seed=1)

# %%
# The regression, with the spread of its residuals as Gaussian noise; and the
# conditional autoencoder. The importance-weighted objective is a tighter bound on
# ln p(y|x) than the usual one. The usual one is paid for a soft passage from one branch
# to the other, as a Gaussian q(z|y,x) fits it better than a sharp one. In return q is
# looser, so that ``log_likelihood`` is the number to read, with more draws than the
# bound of ``score``.
regression = MLPRegressor(hidden_layer_sizes=(64, 64), random_state=0)
regression.fit(X_train, y_train)
sd = np.std(y_train - regression.predict(X_train))
regression_score = norm.logpdf(y_test, regression.predict(X_test), sd).mean()

model = ConditionalVAE(
    latent_dim=2,
    objective="iwae",
    n_draws=8,
    hidden_layer_sizes=(64, 64),
    max_epochs=100,
    lr=5e-3,
    early_stopping=False,
    tol=np.inf,
    random_state=0,
).fit(X_train, y_train)
estimate = model.log_likelihood(X_test, y_test, n_importance=500).mean()

print("                                     held-out nats per row")
print(f"regression with Gaussian noise               {regression_score:7.3f}")
print(f"ConditionalVAE, importance sampling          {estimate:7.3f}")
print(f"minus the conditional entropy, the most      {-entropy:7.3f}")

# %%
# Left, held-out rows with the mean of each model: ``predict`` of the autoencoder is the
# mean of y as well, so it is as wrong as the regression. In the middle, one draw from
# the model for each x. Right, the density that it gives to y at three values of x.
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(13, 4.2), layout="constrained"
)
grid = np.linspace(0, 1, 200)[:, None]
left.scatter(X_test[:1500], y_test[:1500], s=3, color="grey")
left.plot(grid, regression.predict(grid), label="MLPRegressor")
left.plot(grid, model.predict(grid), "--", label="ConditionalVAE.predict")
left.set_title("held-out rows, and two means")
left.legend(loc="upper left")

drawn, Z = model.sample(X_test[:1500])
points = middle.scatter(X_test[:1500], drawn, s=3, c=Z[:, 0], cmap="coolwarm")
figure.colorbar(points, label="first latent")
middle.set_title("one draw of the model for each x")
for axis in (left, middle):
    axis.set_xlabel("x")
    axis.set_ylabel("y")
    axis.set_ylim(-2.2, 2.2)

y_grid = np.linspace(-2.2, 2.2, 300)
for index, value in enumerate((0.1, 0.4, 0.9)):
    X_value = np.full((len(y_grid), 1), value)
    density = np.exp(model.log_likelihood(X_value, y_grid, n_importance=500))
    truth = np.exp(true_log_density(value, y_grid))
    right.plot(y_grid, density, color=f"C{index}", label=f"x = {value}")
    right.plot(y_grid, truth, ":", color="black", linewidth=1)
right.set_xlabel("y")
right.set_ylabel("p(y | x)")
right.set_title("density of the model; dotted, the truth")
right.legend(bbox_to_anchor=(1, 1))

plt.show()
