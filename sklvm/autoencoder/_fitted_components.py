"""What a fitted GMVAE knows of its components: labels, parts of the bound, samples."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import Bunch, ClassifierTags
from sklearn.utils.validation import check_is_fitted

from sklvm._base import check_count, in_chunks
from sklvm.autoencoder._missing import MissingCells
from sklvm.autoencoder._monte_carlo import of_something


class FittedComponents(MissingCells):
    """Methods of an estimator whose `net_.module` is a `MixtureModel`."""

    @in_chunks
    def predict_proba(self, X):
        """q(z|x) of each row, the mean of q(z|w,x) over draws of w.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components), float32
            Responsibilities, from `n_score_draws` draws that belong to the row. Grey
            values that the score makes bits are read as they are, as in `transform`.
        """
        return self._responsibilities(self._validate_new(X)).astype(np.float32)

    @in_chunks
    def predict(self, X):
        """The component with the largest q(z|x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int64
        """
        return self.predict_proba(X).argmax(axis=1)

    def _responsibilities(self, X):
        check_count("n_score_draws", self.n_score_draws)
        log_resp = self.net_.module.log_responsibilities

        def mean_resp(batch, q, p, eps):
            resp = [log_resp(p, w).exp() for w in self._draws(q, eps)]
            resp = torch.cat(resp).cpu().double().mean(0)
            observed = batch[1]
            if observed is None:
                return resp
            # Of a row with nothing observed it is p(z).
            pi = self.net_.module.prior().log_pi().exp().cpu().double()
            return torch.where(observed.any(-1, keepdim=True).cpu(), resp, pi)

        return self._map_chunks(mean_resp, X, self.n_score_draws, as_bits=False)

    def elbo_terms(self, X):
        """The bound F of the encoder's q(w|x) in its three parts, which add up to it.

        `score_samples` weighs draws of a refined q; with `n_score_steps=0` the same
        draws, so that it is not below the sum.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        terms : Bunch of ndarrays of shape (n_samples,), float32
            In nats. ``z`` is E_q[log p(z) - log q(z|w,x)], ``w`` is
            E_q[log p(w|z) - log q(w|x)], and ``x`` is E_q[log p(x|w)].
        """
        X = self._validate_new(X)
        module = self.net_.module

        def terms_of(batch, q, p, w):
            log_q = module.log_responsibilities(p, w)
            resp = log_q.exp()
            prior = module.prior()
            log_joint, log_pi = prior.log_joint(w), prior.log_pi()
            return torch.stack(
                [
                    (resp * (log_pi - log_q)).sum(-1),
                    (resp * (log_joint - log_pi)).sum(-1) - q.log_prob(w),
                    module.log_conditional(batch, w),
                ],
                -1,
            )

        def mean_terms(batch, q, p, eps):
            terms = [terms_of(batch, q, p, w) for w in self._draws(q, eps)]
            return of_something(batch, torch.cat(terms).cpu().double().mean(0).T).T

        check_count("n_score_draws", self.n_score_draws)
        terms = self._map_chunks(mean_terms, X, self.n_score_draws)
        z, w, x = terms.T.astype(np.float32)
        return Bunch(z=z, w=w, x=x)

    def sample(self, n_samples=1, component=None, return_latent=False):
        """Draw z from p(z), w from p(w|z), then x from p(x|w).

        Parameters
        ----------
        n_samples : int, default=1
        component : int or None, default=None
            Draw from this component only.
        return_latent : bool, default=False
            Whether to return the w, too.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            As from `inverse_transform`.
        labels : ndarray of shape (n_samples,), int64
        W : ndarray of shape (n_samples, latent_dim), float32
            Only with `return_latent`.
        """
        check_is_fitted(self)
        check_count("n_samples", n_samples)
        self._check_component(component)

        def draw_latent(eps, generator):
            prior = self.net_.module.prior()
            if component is None:
                labels = prior.draw_labels(n_samples, generator)
            else:
                labels = torch.full((n_samples,), int(component), device=eps.device)
            return prior.components[labels].rsample(eps), labels

        X, W, labels = self._sample(n_samples, draw_latent)
        return (X, labels, W) if return_latent else (X, labels)

    def _check_component(self, component):
        K = len(self.means_)
        is_index = isinstance(component, Integral) and not isinstance(component, bool)
        if component is not None and not (is_index and 0 <= component < K):
            raise ValueError(
                f"component={component!r} is not one of the {K} components; choose an "
                f"integer from 0 to {K - 1}, or None for all."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # It is no classifier, but scikit-learn's checks of sparse rows ask everything
        # that has predict_proba.
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags
