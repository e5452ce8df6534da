"""Every estimator of the package, once.

``test_contract.py`` runs the whole contract over this list, so a new estimator is
held to it by one more entry.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklvm import (
    BernoulliMixtureEM,
    CategoricalMixtureEM,
    DensityOutlierDetector,
    GaussianMixtureEM,
    JointDensityClassifier,
    LabelMapCodec,
    MixtureEM,
    ModelImputer,
    PoissonMixtureEM,
)

from .networks import GMVAE, VAE, ConditionalVAE, Missing, SparseSegmentationRDA

# {estimator: what `Entry.fitted` copies}
FITTED: dict[type, tuple] = {}


@dataclass(frozen=True)
class Entry:
    """What the contract needs to know about one estimator.

    Data are tuples of arrays with one row per sample, ``(X,)`` or ``(X, y)``: the
    arguments of ``fit``, ``transform``, ``score_samples`` and ``score``.
    """

    estimator: type
    # (seed, n_samples) -> data
    make_data: Callable[[int, int], tuple[np.ndarray, ...]]
    # A fit of well under a second that converges.
    quick: dict[str, Any]
    # Added to `quick`: a fit that must stop before it has converged.
    unfinished: dict[str, Any]
    # For GridSearchCV.
    grid: dict[str, list]
    # For scikit-learn's checks, where the defaults would take seconds for each fit.
    short: dict[str, Any] = field(default_factory=dict)
    # Parameters that also have to be held to them, added to `short`.
    variants: list[dict[str, Any]] = field(default_factory=list)
    # False where everything is computed in float32.
    keeps_float64: bool = True
    # True where the code is float64 whatever the width of X, in which rows come back.
    codes_in_float64: bool = False
    # True where X and its code are classes: int32 out, whatever the width of X.
    integers: bool = False
    # True where sample() takes the rows to condition on, not a number of samples.
    samples_given_rows: bool = False
    # Rows of a fit, of which a test may ask for fewer.
    n_samples: int = 150

    @property
    def rounding(self):
        """Tolerances of a sum of a few numbers of order ten."""
        tol = 1e-10 if self.keeps_float64 else 1e-5
        return {"rtol": tol, "atol": tol}

    def make(self, **params):
        return self.estimator(**(self.quick | {"random_state": 0} | params))

    def rows(self, n_samples=150):
        """Data to fit, of at most so many rows."""
        return self.make_data(0, min(n_samples, self.n_samples))

    def fit_anew(self, n_samples=150, **params):
        """An estimator, fitted now, and the data it was fitted to."""
        data = self.rows(n_samples)
        return self.make(**params).fit(*data), data

    def fitted(self):
        """A copy of one that was fitted once, for tests of what comes after a fit."""
        if self.estimator not in FITTED:
            FITTED[self.estimator] = self.fit_anew()
        return copy.deepcopy(FITTED[self.estimator])


def three_blobs(seed, n_samples):
    """Three Gaussians whose signs are three binary patterns, so both families fit."""
    rng = np.random.default_rng(seed)
    centres = np.array([[1, 1, 1, -1, -1], [-1, 1, -1, 1, -1], [1, -1, -1, -1, 1]])
    labels = rng.integers(3, size=n_samples)
    return (centres[labels] + rng.normal(size=(n_samples, 5)),)


def three_habits(seed, n_samples):
    """Answers 0, 1 or 2 of three groups, each with a favourite for each question."""
    rng = np.random.default_rng(seed)
    favourites = np.array([[0, 1, 2, 0, 1], [1, 2, 0, 1, 2], [2, 0, 1, 2, 0]])
    answers = favourites[rng.integers(3, size=n_samples)]
    other = rng.random(answers.shape) < 0.15
    return (np.where(other, rng.integers(3, size=answers.shape), answers),)


def three_rates(seed, n_samples):
    """Counts of three groups, each often high where the others are low."""
    rng = np.random.default_rng(seed)
    rates = np.array([[9.0, 9, 1, 1, 3], [1, 9, 9, 3, 1], [3, 1, 1, 9, 9]])
    return (rng.poisson(rates[rng.integers(3, size=n_samples)]),)


def three_customers(seed, n_samples):
    """A real, a long-tailed, a count, a scale and a binary column of three groups."""
    rng = np.random.default_rng(seed)
    z = rng.integers(3, size=n_samples)
    columns = [
        rng.normal([0.0, 5, 10], size=(n_samples, 3))[np.arange(n_samples), z],
        np.exp(rng.normal(size=n_samples) + z),
        rng.poisson(np.array([1, 4, 16])[z]),
        (z + (rng.random(n_samples) < 0.2)) % 3,
        rng.random(n_samples) < np.array([0.1, 0.5, 0.9])[z],
    ]
    return (np.column_stack(columns).astype(float),)


def two_answers(seed, n_samples):
    """y of two columns given x, one of two lines each time."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 3))
    side = rng.choice([-1, 1], size=(n_samples, 1))
    y = X[:, :2] + side * [1.5, 1.0] + 0.5 * rng.normal(size=(n_samples, 2))
    return X, y


def label_maps(seed, n_samples, height=4, width=5):
    """A half plane of class 1, a rectangle of class 2, and one pixel in fifty wrong."""
    rng = np.random.default_rng(seed)
    maps = np.zeros((n_samples, height, width), dtype=int)
    for classes in maps:
        classes[:, rng.integers(1, width) :] = 1
        top, left = rng.integers(height - 2), rng.integers(width - 2)
        bottom = rng.integers(top + 2, height + 1)
        right = rng.integers(left + 2, width + 1)
        classes[top:bottom, left:right] = 2
    noise = rng.random(maps.shape) < 0.02
    maps[noise] = rng.integers(3, size=noise.sum())
    return (maps.reshape(n_samples, height * width),)


MIXTURE = {
    "quick": {"n_components": 3},
    "unfinished": {"max_iter": 1, "tol": 0.0},
    "grid": {"n_components": [1, 2, 3]},
}

# The widest layers are what the defaults spend their time on.
SHORT = {"hidden_layer_sizes": (16,), "max_epochs": 5}

REGISTRY = [
    Entry(
        BernoulliMixtureEM,
        make_data=three_blobs,
        variants=[{"n_components": 2, "random_state": 0}],
        **MIXTURE,
    ),
    Entry(
        CategoricalMixtureEM,
        make_data=three_habits,
        variants=[{"n_components": 2, "random_state": 0}],
        # Without a prior an answer that a class never gave makes a fold impossible.
        **(MIXTURE | {"quick": {"n_components": 3, "theta_prior": 1.5}}),
    ),
    Entry(
        PoissonMixtureEM,
        make_data=three_rates,
        variants=[{"n_components": 2, "random_state": 0}],
        **MIXTURE,
    ),
    Entry(
        GaussianMixtureEM,
        make_data=three_blobs,
        variants=[
            {"n_components": 2, "covariance_type": kind, "random_state": 0}
            for kind in ("full", "tied", "diag", "spherical")
        ],
        **MIXTURE,
    ),
    Entry(
        MixtureEM,
        make_data=three_customers,
        variants=[{"n_components": 2, "random_state": 0}],
        codes_in_float64=True,
        **MIXTURE,
    ),
    Entry(
        VAE,
        make_data=three_blobs,
        quick={
            "hidden_layer_sizes": (16,),
            "max_epochs": 60,
            "lr": 0.01,
            "tol": 0.5,
        },
        short=SHORT,
        unfinished={"max_epochs": 1},
        grid={"latent_dim": [1, 2, 3]},
        variants=[
            {"noise": noise, "random_state": 0}
            for noise in ("learned", "heteroscedastic", 1.0)
        ],
        keeps_float64=False,
    ),
    Entry(
        GMVAE,
        make_data=three_blobs,
        quick={
            "n_components": 3,
            "hidden_layer_sizes": (16,),
            "max_epochs": 60,
            "lr": 0.01,
            "tol": 0.5,
        },
        unfinished={"max_epochs": 1},
        # The score weighs the draws by the prior, so that the number of components
        # hardly moves it here.
        grid={"latent_dim": [1, 2, 3]},
        short=SHORT,
        variants=[
            {"random_state": 0} | params
            for params in (
                {"categorical": "network"},
                {"categorical": "gumbel"},
                {"categorical": "reinforce"},
                {"covariance_type": "spherical"},
                {"weights": "free"},
            )
        ],
        keeps_float64=False,
    ),
    Entry(
        ConditionalVAE,
        make_data=two_answers,
        quick={
            "hidden_layer_sizes": (16,),
            "max_epochs": 60,
            "lr": 0.01,
            "tol": 0.5,
        },
        short=SHORT,
        unfinished={"max_epochs": 1},
        grid={"latent_dim": [1, 2, 3]},
        variants=[
            {"noise": noise, "random_state": 0}
            for noise in ("learned", "heteroscedastic", 1.0)
        ],
        keeps_float64=False,
        samples_given_rows=True,
    ),
    Entry(
        SparseSegmentationRDA,
        make_data=label_maps,
        quick={
            "image_shape": (4, 5),
            "n_classes": 3,
            "rate_model": "list",  # the default is among the variants
            "channels": (8, 8),
            "max_epochs": 8,
            "lr": 0.01,
            "tol": 10.0,
        },
        unfinished={"max_epochs": 1, "tol": 0.0},
        grid={"distortion_weight": [0.5, 2.0]},
        short={"channels": (4,), "max_epochs": 2},
        variants=[
            {"random_state": 0} | params
            for params in (
                {"rate_model": "subset"},
                {"rate_model": "learned"},
                {"gradient": "concrete"},
                {"gradient": "reinforce"},
                {"refine": None},
            )
        ],
        keeps_float64=False,
        integers=True,
        n_samples=60,
    ),
]
REGISTRY = [entry for entry in REGISTRY if entry.estimator is not Missing]

# What stands on a density model, or has neither codes nor samples: no entry above, but
# held to scikit-learn's checks.
WRAPPERS = [
    LabelMapCodec(),
    ModelImputer(),
    DensityOutlierDetector(),
    JointDensityClassifier(MixtureEM(n_components=3, random_state=0)),
]
