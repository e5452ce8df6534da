"""Autoencoders that are a density of rows X: codes, scores, samples, imputations."""

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sklvm._base import DensityScoreMixin, check_count
from sklvm.autoencoder._estimator import BaseAutoencoder
from sklvm.autoencoder._monte_carlo import RowEstimates
from sklvm.neural._device import inference
from sklvm.neural._estimator import BLOCK_SIZE


class DensityAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityScoreMixin,
    RowEstimates,
    BaseAutoencoder,
):
    """Estimator of p(x), whose `net_.module` is a `LatentVariableModel` of rows X."""

    _parameter_constraints = {
        **BaseAutoencoder._parameter_constraints,
        "binarize": [StrOptions({"dynamic"}), None],
    }
    _shaping = (*BaseAutoencoder._shaping, "binarize")
    _bits_remedy = "set binarize='dynamic' or binarise X"

    # Checks -----------------------------------------------------------------------

    def _validate_rows(self, X, y, reset):
        X = validate_data(
            self, X, dtype=np.float32, order="C", ensure_all_finite="allow-nan",
            reset=reset,
        )  # fmt: skip
        if not reset:
            self.net_.module.likelihood.check(X)
        if np.isnan(X.min()):  # one pass without a mask, as most data are complete
            self._check_missing(X, reset)
        return X, None

    def _check_missing(self, X, reset):
        if not reset and not self.net_.module.has_missing:
            raise ValueError(
                f"X has NaN and the {type(self).__name__} was fitted to rows without "
                "any, so that its encoder has not learned to read them; set some "
                "entries of the training data to NaN."
            )
        # fmax passes over NaN: only a column without any value has none.
        never = np.flatnonzero(np.isnan(np.fmax.reduce(X, axis=0))) if reset else ()
        if len(never):
            names = getattr(self, "feature_names_in_", np.arange(X.shape[1]))
            raise ValueError(
                f"X has only NaN in the features {', '.join(map(str, names[never]))}; "
                "drop the features that were never observed."
            )

    def _validate_new(self, X):
        check_is_fitted(self)
        return self._validate_rows(X, None, reset=False)[0]

    def _check_combinations(self):
        super()._check_combinations()
        if self.binarize is not None and self.likelihood != "bernoulli":
            raise ValueError(
                f"binarize={self.binarize!r} draws bits and likelihood="
                f"{self.likelihood!r} has none; set likelihood='bernoulli' or "
                "binarize=None."
            )

    def _draws_bits(self):
        return self.binarize is not None

    # Fitting ----------------------------------------------------------------------

    def fit(self, X, y=None):
        """Maximise F by stochastic gradients.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is missing: F is over the observed entries.
        y : Ignored

        Returns
        -------
        self : object
        """
        return self._fit(X, None)

    def _make_parts(self, X, generator):
        """What a `LatentVariableModel` of X consists of."""
        likelihood = self._make_likelihood(X)
        n_features, has_missing = X.shape[1], bool(np.isnan(X.min()))
        encoder, decoder = self._make_networks(
            n_features * (1 + has_missing),
            self.latent_dim,
            (n_features * likelihood.n_outputs, likelihood.start(X)),
            generator,
        )
        return {
            "encoder": encoder,
            "decoder": decoder,
            "likelihood": likelihood,
            "latent_dim": self.latent_dim,
            "posterior": self.posterior,
            "n_features": n_features,
            "has_missing": has_missing,
            "dynamic": self.binarize == "dynamic",
        }

    # The latent -------------------------------------------------------------------

    def transform(self, X):
        """Mean of the posterior q(z|x) of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, latent_dim), float32
        """
        return self._map_codes(self._validate_new(X))

    def _map_codes(self, X):
        module, _ = self._fitted_module()
        return self._map_rows(
            lambda rows: module.posterior(module.observe(rows)).mean,
            X,
            module.encoder_row_size,
        )

    def inverse_transform(self, Z):
        """E[x|z], the mean that the decoder gives.

        Parameters
        ----------
        Z : array-like of shape (n_samples, latent_dim)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float32
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=np.float32, input_name="Z")
        module, _ = self._fitted_module()
        if Z.shape[1] != module.latent_dim:
            raise ValueError(
                f"Z has {Z.shape[1]} columns; it must have latent_dim="
                f"{module.latent_dim}, as transform returns."
            )
        return self._map_rows(
            lambda z: module.likelihood.mean(module.decode(z)), Z, module.row_size
        )

    def reconstruct(self, X):
        """E[x|z] at the posterior mean of each row; missing entries are filled, too.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float32
        """
        return self.inverse_transform(self.transform(X))

    def sample(self, n_samples=1):
        """Draw z from the prior, then x from p(x|z).

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float32
        Z : ndarray of shape (n_samples, latent_dim), float32
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)

        def draw_latent(eps, generator):
            return self.net_.module.prior().draw(eps, generator), None

        return self._sample(n_samples, draw_latent)[:2]

    def _sample(self, n_samples, draw_latent):
        """x, and the z and labels that `draw_latent(eps, generator)` gives."""
        module, device = self._fitted_module()
        generator = self._sampling_generator()
        shape = (n_samples, module.latent_dim)
        with inference():
            eps = torch.randn(
                shape, generator=generator, device=device, dtype=torch.float32
            )
            Z, labels = draw_latent(eps, generator)
            X = [
                module.likelihood.sample(module.decode(z), generator).cpu()
                for z in Z.split(max(1, BLOCK_SIZE // module.row_size))
            ]
        labels = None if labels is None else labels.cpu().numpy()
        return torch.cat(X).numpy(), Z.cpu().numpy(), labels

    # The density ------------------------------------------------------------------

    def score_samples(self, X):
        """The evidence lower bound F of each row, with `n_score_draws` draws.

        Always the bound itself (beta = 1), whatever was trained, in its third form
        E_q[log p(x, z) - log q(z|x)], which varies least near the exact posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        F : ndarray of shape (n_samples,), float32
            In nats. The draws belong to the row: the same row has the same value.
        """
        return self._log_density(X).astype(np.float32)

    def _log_density(self, X):
        check_count("n_score_draws", self.n_score_draws)
        return self._lower_bounds_of_rows(self._validate_new(X), self.n_score_draws)

    def log_likelihood(self, X, n_importance=5000):
        """log p(x) of each row by importance sampling with q(z|x) as the proposal.

        log 1/S sum_s p(x, z_s) / q(z_s|x), whose expectation is at most log p(x) and
        approaches it with the number of draws (Burda et al., 2016, eq. 8).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_importance : int, default=5000
            Draws a row.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float32
            In nats.
        """
        X = self._validate_new(X)
        check_count("n_importance", n_importance)
        return self._log_likelihoods_of_rows(X, n_importance)

    def impute(self, X, n_importance=1000):
        """Fill NaN by E[x_missing | x_observed], estimated by importance sampling.

        The weights p(x_observed, z_s) / q(z_s|x_observed) are normalised to sum to 1.
        Labels given as further columns, with NaN where they are unknown, are predicted
        in this way.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_importance : int, default=1000
            Draws a row.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float32
            Observed entries are as they were.
        """
        X = self._validate_new(X)
        check_count("n_importance", n_importance)
        filled = np.array(X)
        rows = np.flatnonzero(np.isnan(X).any(axis=1))
        if len(rows):
            means = self._map_chunks(self._posterior_mean_of_x, X[rows], n_importance)
            filled[rows] = np.where(np.isnan(X[rows]), means, X[rows])
        return filled

    def _posterior_mean_of_x(self, batch, q, p, eps):
        """E[x|x_observed], of shape (n_rows, n_features)."""
        module = self.net_.module
        weights = self._log_weights(batch, q, module.marginal(p), eps).softmax(0)
        total, first = 0.0, 0
        for z in self._draws(q, eps):
            mean = module.likelihood.mean(module.decode(z))
            block = weights[first : first + len(z)]
            total = total + torch.einsum("sn,snd->nd", block, mean)
            first += len(z)
        return total.cpu()

    @property
    def _n_features_out(self):
        return self.net_.module.latent_dim

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
