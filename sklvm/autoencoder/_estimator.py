"""What the variational autoencoders share: parameters, checks, networks, noise."""

import copy
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import nn

from sklvm._base import private_random_state
from sklvm.autoencoder._distributions import POSTERIORS
from sklvm.autoencoder._linear_start import (
    LinearAndNetwork,
    LinearStart,
    has_linear_start,
)
from sklvm.autoencoder._objectives import NEED_DRAWS, OBJECTIVES
from sklvm.autoencoder.likelihoods import Likelihood
from sklvm.autoencoder.likelihoods._gaussian import NOISES, check_noise
from sklvm.autoencoder.likelihoods._make import COUNTS, is_default
from sklvm.autoencoder.likelihoods._own import (
    reads_raw,
    standardising,
    start_of,
)
from sklvm.columns import KINDS
from sklvm.neural._estimator import BaseNeuralEstimator
from sklvm.neural._networks import ConvEncoder, mlp, run_blank_rows

# A covariance of more rows is hardly another one.
MAX_START_ROWS = 20_000


class BaseAutoencoder(BaseNeuralEstimator):
    """Estimator that maximises the evidence lower bound of a `LatentVariableModel`."""

    _parameter_constraints = {
        **BaseNeuralEstimator._parameter_constraints,
        # The dimensions that a Sobol sequence has.
        "latent_dim": [Interval(Integral, 1, 21201, closed="both")],
        "likelihood": [StrOptions({"auto", *KINDS}), list, tuple, Likelihood, None],
        "noise": [
            StrOptions(set(NOISES)),
            # Its square is a float32.
            Interval(Real, 1e-15, 1e15, closed="both"),
            "array-like",
        ],
        "min_noise": [Interval(Real, 0.0, None, closed="left")],
        "objective": [StrOptions(set(OBJECTIVES))],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "n_score_draws": [Interval(Integral, 1, None, closed="left")],
        "n_score_steps": [Interval(Integral, 0, None, closed="left")],
        "beta": [Interval(Real, 0.0, None, closed="left")],
        "free_bits": [Interval(Real, 0.0, None, closed="left")],
        "posterior": [StrOptions(set(POSTERIORS))],
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "encoder": [nn.Module, HasMethods("build"), None],
        "decoder": [nn.Module, HasMethods("build"), None],
    }
    _architecture = (
        *BaseNeuralEstimator._architecture,
        *("latent_dim", "likelihood", "noise", "min_noise", "posterior"),
        *("encoder", "decoder", "hidden_layer_sizes"),
    )

    _n_rise = 200  # steps over which the learning rate rises, from a linear start

    # What the likelihood is of, and the remedy where it has values in (0, 1) for bits.
    _data_name = "X"
    _bits_remedy = "binarise X"

    # Checks -----------------------------------------------------------------------

    def _check_combinations(self):
        if self.objective in NEED_DRAWS and self.n_draws < 2:
            raise ValueError(
                f"n_draws={self.n_draws} leaves objective={self.objective!r} nothing to"
                " weigh; set n_draws to 2 or more."
            )
        check_noise(self.noise)
        if not is_default(self.noise) and (
            isinstance(self.likelihood, Likelihood)
            or self.likelihood in ("bernoulli", "categorical", *COUNTS)
        ):
            raise ValueError(
                f"noise={self.noise!r} has no effect with likelihood="
                f"{self.likelihood!r}; set likelihood='gaussian' or leave noise out."
            )

    @property
    def _n_latents(self):
        """The dimension of z that a module is to have."""
        return int(self.latent_dim)  # of a NumPy array, perhaps

    def _draws_bits(self):
        """Whether values in (0, 1) are made bits."""
        return False

    # Fitting ----------------------------------------------------------------------

    def _make_likelihood(self, X, rows):
        """The likelihood of `rows`, which read X, with every check."""
        likelihood = rows.make_likelihood(self.noise, self.min_noise)
        likelihood.data_name = self._data_name
        likelihood.bits_remedy = self._bits_remedy
        likelihood.check(X)
        return likelihood

    def _warn_of_data(self, X):
        """Say where X is hardly what the likelihood is for."""
        if not self._draws_bits():
            self.net_.module.likelihood.warn(X)

    def _make_networks(self, likelihood, X, widths, generator, given=None):
        """Encoder and decoder, started at the linear model, or at the data's mean.

        A decoder that has first to find the mean of X punishes every z meanwhile, and
        the posterior collapses. `widths` are the numbers that encoder and decoder read,
        `given` what else they read, of the rows that a start is fitted to.
        """
        n_encoder_inputs, n_decoder_inputs = widths
        start = start_of(likelihood, X)
        n_parameters = POSTERIORS[self.posterior].n_parameters(self._n_latents)
        encoder = self._network("encoder", n_encoder_inputs, n_parameters, generator)
        decoder = self._network("decoder", n_decoder_inputs, len(start), generator)
        with torch.no_grad():
            if self.encoder is None or isinstance(self.encoder, ConvEncoder):
                encoder[-1].weight[self._n_latents :] = 0.0
            if self.decoder is None:
                decoder[-1].bias.copy_(torch.as_tensor(start))
        n_given = 0 if given is None else given.shape[1]
        if self._starts_linear(likelihood, X.shape[1] + n_given):
            shared = isinstance(self.noise, str) and self.noise == "shared"
            rows = self._start_rows(X.shape[0], generator)
            linear = LinearStart(
                likelihood, X[rows], start, self._n_latents, shared, given
            )
            n_inputs = likelihood.n_inputs(X.shape[1])
            encoder = linear.as_encoder(encoder, n_inputs, generator)
            decoder = linear.as_decoder(decoder, generator)
        elif self.encoder is None and reads_raw(likelihood):
            encoder = standardising(encoder, X, n_encoder_inputs)
        return encoder, decoder

    def _starts_linear(self, likelihood, n_columns):
        """Whether the training starts at the maximum of the linear model."""
        are_own = self.encoder is not None or self.decoder is not None
        return not are_own and has_linear_start(likelihood, n_columns)

    def _starts_well(self, module):
        return isinstance(module.decoder, LinearAndNetwork)

    def _rise(self, module, watched):
        return self._n_rise if isinstance(module.decoder, LinearAndNetwork) else 0

    def _start_rows(self, n, generator):
        """Rows that the linear start is fitted to: none that are held out."""
        rows = np.arange(n)
        # partial_fit may begin with too few rows for that, and holds none out.
        if self._holds_out(n) and 0 < round(self.validation_fraction * n) < n:
            rows = np.sort(self._split(n, generator.initial_seed())[0])
        return rows[:: -(-len(rows) // MAX_START_ROWS)]

    # Networks ---------------------------------------------------------------------

    def _network(self, name, n_inputs, n_outputs, generator):
        """The network that the parameter `name` describes, with the right widths."""
        network = getattr(self, name)
        if network is None:
            sizes = self._hidden_layer_sizes()
            if name == "decoder":
                sizes = sizes[::-1]
            return mlp(n_inputs, sizes, n_outputs, self.activation, generator)
        if isinstance(network, type):
            raise ValueError(
                f"{name}={network.__name__} is a class; give an instance of it."
            )
        if isinstance(network, nn.Module):
            # A copy, so that training leaves the user's module as it is.
            network = copy.deepcopy(network)
        else:
            network = network.build(n_inputs, n_outputs, self.activation, generator)
        self._check_widths(name, network, n_inputs, n_outputs)
        return network

    def _hidden_layer_sizes(self):
        sizes = np.atleast_1d(self.hidden_layer_sizes).tolist()
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes={self.hidden_layer_sizes!r} must hold integers of "
                "1 or more; () makes the networks linear."
            )
        return sizes

    def _check_widths(self, name, network, n_inputs, n_outputs):
        remedy = f"it must map rows of width {n_inputs} to rows of width {n_outputs}"
        try:
            shape = run_blank_rows(network, n_inputs).shape
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else repr(error)
            raise ValueError(
                f"{name}={type(network).__name__} fails on rows of width {n_inputs} "
                f"({reason}); {remedy}."
            ) from error
        if tuple(shape) != (2, n_outputs):
            raise ValueError(
                f"{name}={type(network).__name__} returns shape {tuple(shape)} for 2 "
                f"rows of width {n_inputs}; {remedy}."
            )

    # Of a training ----------------------------------------------------------------

    def _configure(self, module):
        module.configure(self.objective, self.n_draws, self.beta, self.free_bits)

    def _sampling_generator(self):
        # The second number: the first one has started the training.
        rng = private_random_state(self.random_state)
        _, seed = rng.randint(np.iinfo(np.int32).max, size=2)
        return torch.Generator(self.net_.device).manual_seed(int(seed))
