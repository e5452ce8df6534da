"""What the variational autoencoders share: parameters, checks, networks, noise."""

import copy
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import nn

from sklvm._base import largest_magnitude, private_random_state, warn_user
from sklvm.autoencoder._distributions import POSTERIORS
from sklvm.autoencoder._likelihoods import Gaussian, Likelihood, make_likelihood
from sklvm.autoencoder._objectives import NEED_DRAWS, OBJECTIVES
from sklvm.neural._estimator import LARGE_VALUE, BaseNeuralEstimator
from sklvm.neural._networks import ConvEncoder
from sklvm.neural._training import DivergedError

# A mean KL(q(z|x) || p(z)) below it, in nats, is a latent that is not used. So many
# training rows show it.
COLLAPSED_RATE, N_RATED = 0.01, 1000


class BaseAutoencoder(BaseNeuralEstimator):
    """Estimator that maximises the evidence lower bound of a `LatentVariableModel`."""

    _parameter_constraints = {
        **BaseNeuralEstimator._parameter_constraints,
        # The dimensions that a Sobol sequence has.
        "latent_dim": [Interval(Integral, 1, 21201, closed="both")],
        "likelihood": [StrOptions({"gaussian", "bernoulli"}), Likelihood],
        "noise": [
            StrOptions({"optimal", "learned", "heteroscedastic"}),
            # Its square is a float32.
            Interval(Real, 1e-15, 1e15, closed="both"),
        ],
        "objective": [StrOptions(set(OBJECTIVES))],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "n_score_draws": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0.0, None, closed="left")],
        "free_bits": [Interval(Real, 0.0, None, closed="left")],
        "posterior": [StrOptions(set(POSTERIORS))],
        "encoder": [nn.Module, HasMethods("build"), None],
        "decoder": [nn.Module, HasMethods("build"), None],
    }
    _shaping = (
        *BaseNeuralEstimator._shaping,
        *("latent_dim", "likelihood", "noise", "posterior", "encoder", "decoder"),
    )

    # What the likelihood is of, and the remedy where it has grey values for bits.
    _data_name = "X"
    _bits_remedy = "binarise X"

    # Checks -----------------------------------------------------------------------

    def _check_combinations(self):
        if self.objective in NEED_DRAWS and self.n_draws < 2:
            raise ValueError(
                f"n_draws={self.n_draws} leaves objective={self.objective!r} nothing to"
                " weigh; set n_draws to 2 or more."
            )
        if self.noise != "optimal" and self.likelihood != "gaussian":
            raise ValueError(
                f"noise={self.noise!r} has no effect with likelihood="
                f"{self.likelihood!r}; set likelihood='gaussian' or leave noise out."
            )

    def _warn_of_values(self, X, name):
        """Say where a training is possible and hardly what was meant."""
        gaussian = self.likelihood == "gaussian"
        if self.objective == "iwae" and gaussian and self.noise == "optimal":
            warn_user(
                "noise='optimal' weighs all draws alike, as F does and objective='iwae'"
                " does not, so that the latent may stay unused; set noise='learned'."
            )
        if gaussian:
            self._warn_of_scale(X, name)
        elif self.likelihood == "bernoulli" and not self._draws_bits():
            # Parts, as X may be a memory map.
            parts = (X[rows] for rows in gen_batches(len(X), 4096))
            grey = next((x for x in parts if ((x > 0) & (x < 1)).any()), None)
            if grey is not None:
                value = grey[(grey > 0) & (grey < 1)][0]
                warn_user(
                    f"{name} has values between 0 and 1, {value:g} among them; with "
                    "likelihood='bernoulli' the score is then a cross-entropy and not "
                    f"the logarithm of a probability, so {self._bits_remedy}."
                )

    def _warn_of_scale(self, X, name):
        largest = largest_magnitude(X)
        if largest > LARGE_VALUE:
            warn_user(
                f"{name} has values up to {largest:g} and networks learn from values "
                f"of order one; scale {name} (StandardScaler)."
            )

    def _draws_bits(self):
        """Whether grey values are made bits."""
        return False

    # Fitting ----------------------------------------------------------------------

    def _make_likelihood(self, X):
        likelihood = self.likelihood
        if isinstance(likelihood, Likelihood):
            likelihood = copy.deepcopy(likelihood)
        else:
            likelihood = make_likelihood(likelihood, self.noise)
        likelihood.data_name = self._data_name
        likelihood.check(X)
        self._warn_of_values(X, likelihood.data_name)
        return likelihood

    def _make_networks(self, n_encoder_inputs, n_decoder_inputs, outputs, generator):
        """Encoder and decoder, started at q of unit scale and at the data's mean.

        `outputs` is the pair of the decoder's width and what it is to start with. A
        decoder that has first to find the mean punishes every z meanwhile, and the
        posterior collapses.
        """
        n_outputs, start = outputs
        n_parameters = POSTERIORS[self.posterior].n_parameters(self.latent_dim)
        encoder = self._network("encoder", n_encoder_inputs, n_parameters, generator)
        decoder = self._network("decoder", n_decoder_inputs, n_outputs, generator)
        with torch.no_grad():
            if self.encoder is None or isinstance(self.encoder, ConvEncoder):
                encoder[-1].weight[self.latent_dim :] = 0.0
            if self.decoder is None and start is not None:
                decoder[-1].bias.copy_(torch.as_tensor(start))
        return encoder, decoder

    def _configure(self, module):
        module.configure(self.objective, self.n_draws, self.beta, self.free_bits)

    def _set_noise(self, X):
        """Make optimal noise that of all the rows."""
        likelihood = self._fitted_module()[0].likelihood
        if isinstance(likelihood, Gaussian) and likelihood.noise == "optimal":
            likelihood.set_noise(self._mean_squared_error(X))

    def _finish(self, X, y, one_pass):
        self.__dict__.pop("noise_", None)
        if one_pass:
            self.lower_bound_ = float(self.lower_bounds_[-1])
        else:
            self._set_noise(X)
            self.lower_bound_ = float(self._lower_bounds_of_rows(X, 1).mean())
        if not np.isfinite(self.lower_bound_):
            raise DivergedError(self.n_iter_, -self.lower_bound_)
        if not one_pass:
            self._warn_of_collapse(X)
        likelihood = self.net_.module.likelihood
        if isinstance(likelihood, Gaussian):
            self.noise_ = float(likelihood.variance().detach().sqrt())

    def _warn_of_collapse(self, X):
        """Say that the decoder goes without the latent."""
        rows = X[:: -(-len(X) // N_RATED)]

        def rate_of(batch, q, p, eps):
            return p.kl(q, q.rsample(eps[0])).double().cpu()

        rate = self._map_chunks(rate_of, rows, n_draws=1).mean()
        if rate < COLLAPSED_RATE:
            warn_user(
                f"The posterior has collapsed: with beta={self.beta:g} the latent holds"
                f" {max(rate, 0):.2g} nats a row; decrease beta, or increase warmup, "
                "free_bits or max_epochs, unless there is nothing for it to hold.",
                ConvergenceWarning,
            )

    def _sampling_generator(self):
        # The second number: the first one has started the training.
        rng = private_random_state(self.random_state)
        _, seed = rng.randint(np.iinfo(np.int32).max, size=2)
        return torch.Generator(self.net_.device).manual_seed(int(seed))
