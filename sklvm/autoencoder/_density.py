"""Autoencoders that are a density of rows X: codes, scores, samples."""

from numbers import Real

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklvm._base import DensityScoreMixin, check_count, check_in_memory, in_chunks
from sklvm._warn import warn_user
from sklvm.autoencoder._distributions import StandardNormal
from sklvm.autoencoder._export import DensityExports
from sklvm.autoencoder._monte_carlo import RowEstimates
from sklvm.autoencoder._rows import read_rows
from sklvm.autoencoder._spool import spooled
from sklvm.autoencoder.likelihoods._base import dense_chunks
from sklvm.columns._numbers import check_numbers
from sklvm.neural._device import inference
from sklvm.neural._estimator import BLOCK_SIZE
from sklvm.sources._source import as_source, weighted_tables

# Nats that samples may have less than the training rows before a warning, of at least
# and at most so many of them.
STRANGE, LEAST_JUDGED, N_JUDGED = 1.0, 100, 1000


class DensityAutoencoder(
    DensityExports,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DensityScoreMixin,
    RowEstimates,
):
    """Estimator of p(x), whose `net_.module` is a `LatentVariableModel` of rows X."""

    _parameter_constraints = {
        **RowEstimates._parameter_constraints,
        "binarize": [StrOptions({"dynamic"}), None],
        "mask_rate": [Interval(Real, 0.0, 0.5, closed="both")],
    }
    _architecture = (*RowEstimates._architecture, "binarize", "mask_rate")
    _bits_remedy = "set binarize='dynamic' or binarise X"

    # Checks -----------------------------------------------------------------------

    def _validate_rows(self, X, y, reset, hidden=()):
        """The float32 rows of the module; columns `hidden` are taken for missing."""
        source = as_source(X)
        if reset:
            self._rows = read_rows(self, X, self.likelihood, sparse=True)
            self._set_column_attributes()
        if source is None:
            X = self._rows.encode(self, X, reset, hidden)
        else:
            X = spooled(
                source, lambda X, first: self._rows.encode(self, X, reset and first)
            )
        if not reset:
            self.net_.module.likelihood.check(X)
        # One pass without a mask, as most data are complete; sparse data always are.
        has_gaps = not issparse(X) and bool(np.isnan(X.min()))
        if reset:
            self._has_gaps = has_gaps
        if has_gaps:
            self._check_missing(X, reset)
        return X, None

    def _impossible_rows(self, X):
        if self._rows.is_table:
            return self._rows.schema.impossible(X, "refuse").any(axis=1)
        X = self._rows.encode(self, X, reset=False)
        likelihood = self.net_.module.likelihood
        masks = [likelihood.impossible(rows).any(axis=1) for rows in dense_chunks(X)]
        return np.concatenate(masks)

    def _set_column_attributes(self):
        for name in ("columns_", "categories_"):
            self.__dict__.pop(name, None)
        if self._rows.is_table:
            self.columns_, self.categories_ = self._rows.columns, self._rows.categories

    def _check_missing(self, X, reset):
        if not reset:
            self._check_reads_missing("NaN")
        # fmax passes over NaN: only a column without any value has none.
        never = np.flatnonzero(np.isnan(np.fmax.reduce(X, axis=0))) if reset else ()
        if len(never):
            names = getattr(self, "feature_names_in_", np.arange(X.shape[1]))
            raise ValueError(
                f"X has only NaN in the features {', '.join(map(str, names[never]))}; "
                "drop the features that were never observed."
            )

    def _check_reads_missing(self, what):
        """The encoder has learned to read rows of which some cells are missing."""
        if not self.net_.module.has_missing:
            raise ValueError(
                f"X has {what} and the {type(self).__name__} was fitted to complete"
                " rows, so that its encoder has not learned to read others; set "
                "mask_rate in the fit, as mask_rate=0.2, or some entries of the "
                "training data to NaN."
            )

    def _validate_new(self, X):
        if not hasattr(self, "net_"):  # what scikit-learn asks takes a tenth of a score
            check_is_fitted(self)
        check_in_memory(X, "give its chunks one after the other")
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

    def _cause_in_data(self, X):
        return self.net_.module.likelihood.why_diverged(X)

    # Fitting ----------------------------------------------------------------------

    def _make_parts(self, X, generator):
        """What a `LatentVariableModel` of X consists of."""
        likelihood = self._make_likelihood(X, self._rows)
        n_features = X.shape[1]
        widths = self._n_encoder_inputs(likelihood, n_features), self._n_latents
        encoder, decoder = self._make_networks(likelihood, X, widths, generator)
        return {
            "encoder": encoder,
            "decoder": decoder,
            "likelihood": likelihood,
            "latent_dim": self._n_latents,
            "posterior": self.posterior,
            "n_features": n_features,
            "has_missing": self._sees_gaps(),
            "dynamic": self.binarize == "dynamic",
            "mask_rate": self.mask_rate,
        }

    def _sees_gaps(self):
        """Whether the encoder is told which entries are observed."""
        return self.mask_rate > 0 or self._has_gaps

    def _n_encoder_inputs(self, likelihood, n_features):
        return likelihood.n_inputs(n_features) + self._sees_gaps() * n_features

    def _pass_over(self, X):
        """One pass over a batch of rows, or over each chunk of a source."""
        for table, _ in weighted_tables(X, None):
            self._fit(table, None, single_epoch=True)
        return self

    # The latent -------------------------------------------------------------------

    def transform(self, X):
        """Mean of the posterior q(z|x) of each row.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)

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
        X : ndarray or DataFrame of shape (n_samples, n_features)
            float32 for arrays of numbers. Where columns have kinds, in their own
            dtypes: categorical and bernoulli columns have their most probable value,
            counts and whole numbers the nearest one to the mean; a DataFrame where one
            was fitted.
        """
        check_is_fitted(self)
        Z = check_numbers(Z, "Z", dtype=np.float32)
        module, _ = self._fitted_module()
        if Z.shape[1] != module.latent_dim:
            raise ValueError(
                f"Z has {Z.shape[1]} columns; it must have latent_dim="
                f"{module.latent_dim}, as transform returns."
            )
        return self._rows.decode(self, self._decoded(Z))

    def _decoded(self, Z):
        """The rows that E[x|z] stands for."""
        module, likelihood = self.net_.module, self.net_.module.likelihood
        return self._map_rows(
            lambda z: likelihood.decide(likelihood.mean(module.decode(z))),
            Z,
            module.row_size,
        )

    @in_chunks
    def reconstruct(self, X):
        """E[x|z] at the posterior mean of each row; missing entries are filled, too.

        Parameters
        ----------
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            As from `inverse_transform`; a DataFrame comes back as one, with its index.
        """
        Z = self._map_codes(self._validate_new(X))
        return self._rows.decode(self, self._decoded(Z), like=X)

    def sample(self, n_samples=1):
        """Draw z from the prior, then x from p(x|z).

        Warns where 100 samples or more have far less density than the training rows: a
        table of clusters leaves holes in N(0, I), and the samples from there are like
        no row.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            As from `inverse_transform`.
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
        X = torch.cat(X).numpy()
        self._warn_of_strange_samples(X)
        return self._rows.decode(self, X), Z.cpu().numpy(), labels

    def _warn_of_strange_samples(self, X):
        """Say that the model itself finds its samples unlike the training rows."""
        rows = X[:N_JUDGED]
        is_simple = isinstance(self.net_.module.prior(), StandardNormal)
        if not is_simple or len(rows) < LEAST_JUDGED or self._has_gaps:
            return
        F = self._lower_bounds_of_rows(rows).astype(np.float64)
        short = self.lower_bound_ - F.mean()
        if short > STRANGE + 3 * F.std() / np.sqrt(len(F)):
            warn_user(
                f"The samples have {short:.3g} nats less than the training rows had on "
                "average: p(z) is where no row is encoded, so that they lie between "
                "what was seen; set prior='vamp', or take a GMVAE."
            )

    # The density ------------------------------------------------------------------

    @in_chunks
    def score_samples(self, X):
        """The importance-weighted lower bound on log p(x) of each row.

        log 1/S sum_s p(x, z_s) / q(z_s|x) with S = `n_score_draws` draws of q(z|x),
        whatever was trained. Its expectation lies between F, which it is for one draw,
        and log p(x) (Burda et al., 2016, theorem 1). Before the draws, q of each row is
        improved by `n_score_steps` steps of its own: where the encoder misses rows that
        it has not seen, the score would say more of the encoder than of the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float32
            In nats. The draws belong to the row: the same row has the same value.
        """
        return self._log_density(X).astype(np.float32)

    def _log_density(self, X):
        return self._scores_of_rows(self._validate_new(X))

    @in_chunks
    def log_likelihood(self, X, n_importance=5000):
        """log p(x) of each row by importance sampling with q(z|x) as the proposal.

        log 1/S sum_s p(x, z_s) / q(z_s|x), whose expectation is at most log p(x) and
        approaches it with the number of draws (Burda et al., 2016, eq. 8).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_importance : int, default=5000
            Draws per row.

        Returns
        -------
        log_likelihood : ndarray of shape (n_samples,), float32
            In nats.
        """
        X = self._validate_new(X)
        check_count("n_importance", n_importance)
        return self._log_likelihoods_of_rows(X, n_importance)

    @property
    def _n_features_out(self):
        return self.net_.module.latent_dim

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


# Outside of scikit-learn's own wrapper, so that each chunk comes in its container.
DensityAutoencoder.transform = in_chunks(DensityAutoencoder.transform)
