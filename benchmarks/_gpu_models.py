"""What the commands of gpu.py share: the estimators, and data that need no download."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sklvm import GMVAE, VAE, ConditionalVAE, SparseSegmentationRDA
from sklvm.neural import ConvDecoder, ConvEncoder

SIDE = 16


@dataclass(frozen=True)
class Case:
    """An estimator, and the arguments of its `fit` and `score` for two sets of rows."""

    name: str
    estimator: type
    params: dict
    train: tuple
    held_out: tuple

    def fit(self, device, random_state, scale=1.0):
        epochs = max(2, round(self.params["max_epochs"] * scale))
        params = self.params | {"max_epochs": epochs}
        model = self.estimator(**params, device=device, random_state=random_state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(*self.train)


def digits():
    """scikit-learn's digits with entries of order one: rows of 64."""
    return (load_digits().data / 16).astype(np.float32)


def halves():
    """The lower half of each digit given the upper one."""
    X = digits()
    return X[:, :32], X[:, 32:]


def landscapes(n, height=SIDE, width=SIDE, seed=0):
    """Maps (n, height * width) of four classes: ground with waves, hills and a sun."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / height
    maps = np.zeros((n, height, width), dtype=np.int64)
    for classes in maps:
        level, phase, step = rng.uniform(0.4, 0.8), rng.uniform(0, 6), rng.uniform(2, 6)
        classes[y > level - 0.2 * rng.uniform(0.5, 1) * np.sin(step * x + phase)] = 1
        classes[y > 0.8 + 0.1 * np.sin(2 * step * x)] = 2
        sun = (y - rng.uniform(0.1, 0.3)) ** 2 + (x - rng.uniform(0.2, 0.8)) ** 2
        classes[sun < 0.01] = 3
    return maps.reshape(n, -1)


def cases():
    """Every torch estimator; the VAE with a convolutional network as well."""
    X, (upper, lower), maps = digits(), halves(), landscapes(150)
    common = {"max_epochs": 100, "tol": np.inf, "hidden_layer_sizes": (100,)}
    conv = {"encoder": ConvEncoder((8, 8)), "decoder": ConvDecoder((8, 8))}
    segmentation = {
        "image_shape": (SIDE, SIDE),
        "n_classes": 4,
        "channels": (16, 24),
        "distortion_weight": 2.0,
        "max_epochs": 15,
        "tol": np.inf,
    }
    n = 1200
    rows = (X[:n],), (X[n:],)
    pairs = (upper[:n], lower[:n]), (upper[n:], lower[n:])
    return [
        Case("VAE", VAE, {**common, "latent_dim": 8}, *rows),
        Case(
            "VAE, convolutional",
            VAE,
            {**common, **conv, "latent_dim": 8, "max_epochs": 30},
            *rows,
        ),
        Case(
            "GMVAE",
            GMVAE,
            {**common, "n_components": 4, "latent_dim": 8},
            *rows,
        ),
        Case("ConditionalVAE", ConditionalVAE, {**common, "latent_dim": 4}, *pairs),
        Case(
            "SparseSegmentationRDA",
            SparseSegmentationRDA,
            segmentation,
            (maps[:100],),
            (maps[100:],),
        ),
    ]


def add_arguments(parser):
    parser.add_argument(
        "--device", default="cuda", help="cpu tries the script out without a GPU"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of all epochs")


def machine(device):
    """The device in words."""
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return "no GPU, the CPU in its place"
