r"""p(x|z): what every family of distributions of the features has."""

from abc import ABCMeta, abstractmethod

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from torch import nn

from sklvm._base import largest_magnitude
from sklvm.neural._device import as_dense

# The squares of larger values, summed over features, come near the end of float32.
MAX_VALUE = 1e15
# Entries that are looked at together, as X may be a memory map or sparse.
CHUNK = 2**20


class Likelihood(nn.Module, metaclass=ABCMeta):
    """Distribution of the features given the decoder's output; independent features.

    A family of your own is a subclass with the first three methods below; pass an
    instance as `likelihood=`. The others have defaults.

    Attributes
    ----------
    n_outputs : int, default=1
        Numbers that the decoder gives for each feature. `outputs` has shape
        (..., n_outputs * n_features), all features' first numbers before the second.

    Examples
    --------
    Heavy tails, by the Laplace distribution with scale 1:

    >>> import numpy as np
    >>> import torch
    >>> from sklvm import VAE
    >>> from sklvm.autoencoder import Likelihood
    >>> class Laplace(Likelihood):
    ...     def log_prob(self, x, outputs):
    ...         return -(x - outputs).abs() - np.log(2)
    ...     def mean(self, outputs):
    ...         return outputs
    ...     def sample(self, outputs, generator):
    ...         e = torch.empty(2, *outputs.shape, device=outputs.device)
    ...         e.exponential_(generator=generator)
    ...         return outputs + e[0] - e[1]
    >>> X = np.random.default_rng(0).laplace(size=(200, 4))
    >>> vae = VAE(likelihood=Laplace(), max_epochs=20, tol=1, random_state=0).fit(X)
    >>> vae.sample(2)[0].shape
    (2, 4)
    """

    n_outputs = 1
    # What messages call the data: X, or y where that is modelled; and the remedy where
    # it has values in (0, 1) for bits.
    data_name, bits_remedy = "X", "binarise X"

    @abstractmethod
    def log_prob(self, x, outputs):
        """log p(x_d|z) of each entry, in nats, of shape (..., n_features).

        Missing entries come as x = 0, where it must be finite; they are left out later.
        """

    @abstractmethod
    def mean(self, outputs):
        """E[x|z], of shape (..., n_features).

        Of a categorical feature the probabilities of its categories, side by side.
        """

    @abstractmethod
    def sample(self, outputs, generator):
        """One x for each z, drawn from the generator, of shape (..., n_features)."""

    # What most families can leave as it is ----------------------------------------

    def check(self, X):
        """Raise if the array X, NaN apart, has values that are impossible."""

    def impossible(self, X):
        """Mask of the entries of the array X that `check` raises of, NaN apart."""
        return np.zeros(X.shape, dtype=bool)

    def warn(self, X):
        """Say where a training on X is possible and hardly what was meant."""

    def why_diverged(self, X):
        """The likely cause in X of a bound that is not finite, or None."""
        return (
            f"log_prob of likelihood={type(self).__name__} is not finite for outputs "
            "that the training comes to; bound its exponentials and logarithms, or "
            "decrease lr"
        )

    def width(self, n_features):
        """Numbers that the decoder gives for a row."""
        return self.n_outputs * n_features

    def start(self, X):
        """Outputs that fit X without any z, of shape (width(n_features),).

        They start the biases of the decoder's last layer; None has them found by
        gradients of `log_prob`. X is a dense array, sparse CSR or a memory map, with
        NaN where entries are missing.
        """
        return None

    def n_inputs(self, n_features):
        """Numbers that the encoder reads of a row."""
        return n_features

    def features(self, x, observed=None):
        """What the encoder reads of x, of shape (..., n_inputs(n_features)).

        Entries that are not `observed` come as x = 0.
        """
        return x

    def n_means(self, n_features):
        """Numbers that `mean` has for a row."""
        return n_features

    def decide(self, mean):
        """The x that a mean stands for: the most probable category, or the mean."""
        return mean

    def log_conditional(self, x, outputs, observed=None):
        """log p(x|z), summed over the observed features; `observed` None means all."""
        return sum_observed(self.log_prob(x, outputs), observed)

    def is_any_distribution(self, n_features):
        """Whether one z can have any p(x|z) of the features, so that z adds none."""
        return False

    # Linear models of the features ------------------------------------------------

    def numbers(self, X):
        """Numbers of which a factor analysis says how many latents the rows have.

        X is a float64 array with NaN where entries are missing, as the result has.
        """
        return X

    # Whether all features have a linear part.
    is_real = False

    def linear_part(self, X):
        """The features that are Gaussian around outputs, a `LinearPart` or None."""
        return None

    def start_noise(self, variance, outputs):
        """Start the noise of the linear part at `variance`; what it then is.

        `outputs` are those that `start` has given; noise among them is set in place.
        """
        return variance

    # Noise, and where it is in closed form ----------------------------------------

    # Whether the draws of a row count by weights that are known after log p(x|z).
    draws_differ = False

    def noise_level(self):
        """sigma, one for all features or one per feature, where z has no say in it."""
        return None

    def n_errors(self, n_features):
        """Numbers that `errors` has for a row; 0 where no noise is in closed form."""
        return 0

    def errors(self, x, outputs, observed):
        """Numbers of each row whose sums over all rows `set_noise` takes."""
        return outputs.new_zeros(*outputs.shape[:-1], 0)

    def set_noise(self, sums):
        """Set the noise that is in closed form to its optimum for all rows."""

    def adapt(self, x, outputs, observed, weights):
        """Move noise in closed form to that of draws with `weights`, (n_draws, n_rows).

        Training does so where `draws_differ`; else `log_conditional` does.
        """


class LinearPart:
    """Features that a linear model can explain, and where they are.

    Parameters
    ----------
    values : array-like of shape (n_samples, d)
        As the encoder reads them and the outputs are the means of.
    inputs, outputs : ndarray of shape (d,)
        Their positions in what the encoder reads and among the decoder's outputs.
    features : ndarray of shape (d,)
        Their positions among the features, for what is observed of a row.

    Attributes
    ----------
    shares : ndarray of shape (d,) or slice
        Those whose noise is one where noise is shared.
    """

    def __init__(self, values, inputs, outputs, features):
        self.values = values
        self.inputs, self.outputs, self.features = inputs, outputs, features
        self.shares = slice(None)

    @classmethod
    def of_all(cls, X):
        at = np.arange(X.shape[1])
        return cls(X, at, at, at)


def sum_observed(terms, observed):
    if observed is not None:
        terms = torch.where(observed, terms, 0.0)
    return terms.sum(-1)


def scalar(value):
    return torch.tensor(value, dtype=torch.float32)


def vector(values):
    """An array as a float32 tensor."""
    return torch.tensor(np.asarray(values), dtype=torch.float32)


def check_squares(X, name):
    largest = largest_magnitude(X)
    if largest > MAX_VALUE:
        raise ValueError(
            f"{name} has values up to {largest:g}, whose squares overflow float32; "
            f"scale {name} (StandardScaler)."
        )


def chunks(X):
    """The rows of X as they are stored, a part at a time."""
    n_rows = max(1, CHUNK // X.shape[1])
    return (X[rows] for rows in gen_batches(X.shape[0], n_rows))


def dense_chunks(X):
    """The rows of X in float64, a part at a time."""
    for part in chunks(X):
        yield as_dense(part).astype(np.float64)


def stored_values(X):
    """The entries of a dense array, or those that a sparse one holds, flat."""
    return X.data if issparse(X) else np.ravel(X)


def extremes(X):
    """Least and largest entry, NaN apart; a sparse X has zeros, too."""
    values, zero = (X.data, {"initial": 0.0}) if issparse(X) else (X, {})
    low = np.fmin.reduce(values, axis=None, **zero)
    return low, np.fmax.reduce(values, axis=None, **zero)


def column_moments(X):
    """Means and variances of the columns, over what is observed."""
    n_observed = _column_sums(X, np.isfinite)
    # Of what a part of the rows has not observed, 0.
    n_observed = np.maximum(n_observed, 1)
    mean = _column_sums(X, np.asarray) / n_observed
    variance = _column_sums(X, lambda part: (part - mean) ** 2) / n_observed
    # The mean of a constant is rounded.
    return mean, np.where(np.sqrt(variance) > 1e-14 * abs(mean), variance, 0.0)


def column_ranges(X):
    """How far the values of each column are apart, over what is observed."""
    parts = [
        (np.fmin.reduce(part, axis=0), np.fmax.reduce(part, axis=0))
        for part in dense_chunks(X)
    ]
    low, high = zip(*parts, strict=True)
    return np.nan_to_num(np.fmax.reduce(high, axis=0) - np.fmin.reduce(low, axis=0))


def _column_sums(X, function):
    return sum(np.nansum(function(part), axis=0) for part in dense_chunks(X))


def normal_like(tensor, generator):
    return torch.empty_like(tensor).normal_(generator=generator)
