"""What a fitted autoencoder answers: codes, densities, samples, imputations."""

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from sklvm._base import DensityScoreMixin, check_count, private_random_state
from sklvm.autoencoder._noise import row_bits, row_keys, row_normals
from sklvm.neural._device import as_tensor
from sklvm.neural._estimator import BLOCK_SIZE


class FittedAutoencoder(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityScoreMixin
):
    """Methods of an estimator whose `net_.module` is a `LatentVariableModel`."""

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
                "X has NaN and the VAE was fitted to rows without any, so that its "
                "encoder has not learned to read them; set some entries of the training"
                " data (the first batch of partial_fit) to NaN."
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
        X = self._validate_new(X)
        module, _ = self._fitted_module()
        return self._map_rows(
            lambda chunk: module.posterior(module.observe(chunk)).mean,
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
        module, device = self._fitted_module()
        # The second number: the first one has started the training.
        rng = private_random_state(self.random_state)
        _, seed = rng.randint(np.iinfo(np.int32).max, size=2)
        generator = torch.Generator(device).manual_seed(int(seed))
        shape = (n_samples, module.latent_dim)
        with torch.inference_mode():
            eps = torch.randn(
                shape, generator=generator, device=device, dtype=torch.float32
            )
            Z = module.prior().draw(eps, generator)
            X = [
                module.likelihood.sample(module.decode(z), generator).cpu()
                for z in Z.split(max(1, BLOCK_SIZE // module.row_size))
            ]
        return torch.cat(X).numpy(), Z.cpu().numpy()

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

    def _lower_bounds_of_rows(self, X, n_draws):
        def bound(batch, q, eps):
            return self._log_weights(batch, q, eps).cpu().double().mean(0)

        return self._map_chunks(bound, X, n_draws)

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

        def log_sum(batch, q, eps):
            log_weights = self._log_weights(batch, q, eps).cpu().double()
            return torch.logsumexp(log_weights, 0)

        log_sums = self._map_chunks(log_sum, X, n_importance)
        return (log_sums - np.log(n_importance)).astype(np.float32)

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

    # Draws that belong to the rows ------------------------------------------------

    def _map_chunks(self, function, X, n_draws):
        """`function(batch, q, eps)` of chunks of rows, each row encoded once.

        All chunks have the same size, the last one filled up: a matrix product rounds
        differently for another number of rows, and a row's value would depend on how
        many stand beside it.
        """
        module, device = self._fitted_module()
        row_size = max(module.row_size * n_draws, module.encoder_row_size)
        size = max(1, BLOCK_SIZE // row_size)
        results = []
        with torch.inference_mode():
            for start in range(0, len(X), size):
                taken = np.arange(start, start + size).clip(max=len(X) - 1)
                rows = np.asarray(X[taken])
                keys = row_keys(rows)
                if module.dynamic:
                    rows = row_bits(keys, rows)
                batch = module.observe(as_tensor(rows, device))
                eps = row_normals(keys, n_draws, module.latent_dim).to(device)
                results.append(function(batch, module.posterior(batch), eps))
        return torch.cat(results).numpy()[: len(X)]

    def _draws(self, q, eps):
        """z of q in blocks of draws that keep memory bounded."""
        size = self.net_.module.row_size * eps.shape[1]
        for block in eps.split(max(1, BLOCK_SIZE // size)):
            yield q.rsample(block)

    def _log_weights(self, batch, q, eps):
        """log p(x, z) - log q(z|x) of the draws, of shape (n_draws, n_rows)."""
        module = self.net_.module
        prior = module.prior()
        blocks = [
            module.log_conditional(batch, z) + prior.log_prob(z) - q.log_prob(z)
            for z in self._draws(q, eps)
        ]
        return torch.cat(blocks)

    def _posterior_mean_of_x(self, batch, q, eps):
        """E[x|x_observed], of shape (n_rows, n_features)."""
        module = self.net_.module
        weights = torch.softmax(self._log_weights(batch, q, eps), 0)
        total, first = 0.0, 0
        for z in self._draws(q, eps):
            mean = module.likelihood.mean(module.decode(z))
            block = weights[first : first + len(z)]
            total = total + torch.einsum("sn,snd->nd", block, mean)
            first += len(z)
        return total.cpu()

    def _mean_squared_error(self, X):
        """E_q of the squared error of an observed entry, one draw a row."""
        decode = self.net_.module.decode

        def sums(batch, q, eps):
            x, observed = batch
            observed = torch.ones_like(x) if observed is None else observed.to(x.dtype)
            squares = (x - decode(q.rsample(eps[0]))).square() * observed
            return torch.stack([squares.sum(-1), observed.sum(-1)], -1).cpu()

        total, n_observed = self._map_chunks(sums, X, n_draws=1).sum(0, np.float64)
        return total / max(n_observed, 1)

    @property
    def _n_features_out(self):
        return self.net_.module.latent_dim

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
