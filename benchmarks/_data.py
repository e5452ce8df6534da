"""The data of the benchmarks: a folder of archives, OpenML where it is absent."""

import os
from pathlib import Path

import numpy as np
from scipy.stats import ortho_group
from sklearn.datasets import fetch_openml


def add_data_argument(parser):
    """`--data`, the folder with mnist.npz, magic04.npz and others."""
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("SKLVM_DATA"),
        help="folder of .npz archives (default: $SKLVM_DATA; without it, OpenML)",
    )


def _archive(folder, name):
    """The arrays of folder/name.npz, or None if there is no such file."""
    if folder is None or not (path := Path(folder) / f"{name}.npz").exists():
        return None
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def grey_mnist(folder):
    """MNIST's grey values 0 to 255: 60,000 and 10,000 rows of uint8."""
    archive = _archive(folder, "mnist")
    if archive is None:
        grey = fetch_openml("mnist_784", version=1, as_frame=False).data
        train, test = grey[:60_000], grey[60_000:]
    else:
        train, test = archive["x_train"], archive["x_test"]
    return tuple(x.reshape(len(x), 784).astype(np.uint8) for x in (train, test))


def binary_mnist(folder):
    """MNIST with ink = grey value above 127: 60,000 and 10,000 rows of uint8."""
    return tuple((x > 127).astype(np.uint8) for x in grey_mnist(folder))


def mnist_digits(folder):
    """Which digit each of grey_mnist's images is: 60,000 and 10,000 integers."""
    archive = _archive(folder, "mnist")
    if archive is None:
        digits = fetch_openml("mnist_784", version=1, as_frame=False).target.astype(int)
        return digits[:60_000], digits[60_000:]
    return archive["y_train"].astype(int), archive["y_test"].astype(int)


def magic04(folder):
    """The MAGIC gamma telescope, 19,020 rows of 10 features."""
    archive = _archive(folder, "magic04")
    if archive is None:
        archive = {"X": fetch_openml("MagicTelescope", version=1, as_frame=False).data}
    return archive["X"].astype(np.float64)


def gvhd(folder):
    """Flow cytometry of graft-versus-host disease, {name: rows of 4 features}.

    It is not on OpenML: without the folder there is nothing to measure.
    """
    archive = _archive(folder, "gmm_classics") or {}
    return {
        name: archive[name].astype(np.float64)
        for name in ("gvhd_pos", "gvhd_control")
        if name in archive
    }


def latent_class_tables(folder):
    """Three tables of the R package poLCA, {name: codes from 0}.

    They are not on OpenML: without the folder there is nothing to measure. The fifth
    column of `cheating` is a covariate.
    """
    if (archive := _archive(folder, "lca_polca")) is None:
        raise SystemExit(f"There is no lca_polca.npz in --data {folder}.")
    return {
        "carcinoma": archive["carcinoma"].astype(int) - 1,
        "cheating": archive["cheating"][:, :4].astype(int) - 1,
        "gss82": archive["gss82"].astype(int) - 1,
    }


def camvid_maps(folder):
    """Street scenes of CamVid as classes 0 to 11, of which 11 is void.

    (367, 90, 120) to train on and (101, 90, 120) held out. They are not on OpenML:
    without the folder there is nothing to measure.
    """
    archive = _camvid(folder, "labels")
    return tuple(archive[key].astype(np.int64) for key in ("y_train", "y_val"))


def camvid_maps_in_full(folder):
    """The same scenes at 360 x 480."""
    archive = _archive(folder, name := "camvid_labels_360x480")
    if archive is None:
        raise SystemExit(f"There is no {name}.npz in --data {folder}.")
    return tuple(archive[key].astype(np.int64) for key in ("y_train", "y_val"))


def camvid_images(folder):
    """The photographs of these scenes, (n, 90, 120, 3) of uint8."""
    archive = _camvid(folder, "images")
    return archive["x_train"], archive["x_val"]


def _camvid(folder, what):
    name = f"camvid_90x120_{what}"
    if (archive := _archive(folder, name)) is None:
        raise SystemExit(f"There is no {name}.npz in --data {folder}.")
    return archive


def gaussian_mixture_sample(n_rows, n_features, n_components, separation, seed):
    """Draw from a mixture of Gaussians with random weights and full covariances.

    `separation` is the standard deviation of the means, in units of the typical
    standard deviation within a component.
    """
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(n_components, 5.0))
    means = separation * rng.standard_normal((n_components, n_features))
    factors = np.eye(n_features) + 0.5 * rng.standard_normal(
        (n_components, n_features, n_features)
    ) / np.sqrt(n_features)
    labels = rng.choice(n_components, size=n_rows, p=weights)
    noise = rng.standard_normal((n_rows, n_features))
    X = np.empty((n_rows, n_features))
    for k in range(n_components):
        rows = labels == k
        X[rows] = means[k] + noise[rows] @ factors[k].T
    return X


def ill_conditioned_sample(n_rows, n_features, n_components, largest_condition, seed):
    """Draw from Gaussians with condition numbers from 1 to `largest_condition`.

    Every component is turned its own way. The eigenvalues of its covariance are spaced
    evenly in their logarithms, down from one common value; the smallest of all is 1.
    """
    rng = np.random.default_rng(seed)
    longest = np.sqrt(largest_condition)
    X = np.empty((n_rows, n_features))
    labels = rng.integers(n_components, size=n_rows)
    for k, condition in enumerate(np.geomspace(1, largest_condition, n_components)):
        rows = labels == k
        orientation = ortho_group.rvs(n_features, random_state=rng)
        deviations = longest / np.sqrt(np.geomspace(1, condition, n_features))
        mean = 2 * longest * rng.standard_normal(n_features)
        noise = rng.standard_normal((rows.sum(), n_features))
        X[rows] = mean + (noise * deviations) @ orientation
    return X


def collinear_sample(n_rows, n_features, n_components, seed, residual=1e-6):
    """A mixture of Gaussians whose second half of columns follows from the first.

    The second half are linear combinations of standard deviation 1, plus noise whose
    standard deviation is `residual`.
    """
    n_free = n_features // 2
    X = gaussian_mixture_sample(n_rows, n_free, n_components, separation=2, seed=seed)
    rng = np.random.default_rng(seed)
    combinations = X @ rng.standard_normal((n_free, n_features - n_free))
    combinations /= combinations.std(axis=0)
    noise = residual * rng.standard_normal(combinations.shape)
    return np.hstack([X, combinations + noise])


def tiled_with_jitter(X, n_rows, seed=0):
    """The rows of X again and again up to `n_rows`, each a little beside the original.

    The jitter is uniform, a tenth of the smallest distance between two values of a
    column, and nothing in columns that are constant.
    """
    rng = np.random.default_rng(seed)
    distances = [np.diff(np.unique(column)) for column in X.T]
    resolution = np.array([d.min() if len(d) else 0.0 for d in distances])
    tiled = np.resize(X, (n_rows, X.shape[1]))
    return tiled + 0.1 * resolution * rng.uniform(-0.5, 0.5, size=tiled.shape)


def latent_class_sample(n_rows, n_features, n_components, seed):
    """Draw binary rows from a mixture of Bernoulli distributions."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(0.1, 0.9, size=(n_components, n_features))
    labels = rng.integers(n_components, size=n_rows)
    return (rng.random((n_rows, n_features)) < theta[labels]).astype(np.float64)


def categorical_sample(n_rows, n_categories, n_components, seed, missing=0.0):
    """Draw codes from latent classes of equal weight.

    `n_categories` are the numbers of answers, one for each item. A share `missing` of
    the answers is NaN.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_components, size=n_rows)
    X = np.empty((n_rows, len(n_categories)))
    for d, n_answers in enumerate(n_categories):
        theta = rng.dirichlet(np.ones(n_answers), size=n_components)
        upper = theta.cumsum(axis=1)[labels, :-1]
        X[:, d] = (rng.random((n_rows, 1)) > upper).sum(axis=1)
    X[rng.random(X.shape) < missing] = np.nan
    return X
