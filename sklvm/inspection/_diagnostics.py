r"""What the latent variable of a fitted model holds of the data, in numbers."""

import numpy as np
from scipy.special import rel_entr
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklvm._base import check_count, check_in_memory
from sklvm.inspection._kinds import (
    is_autoencoder,
    is_conditional,
    is_mixture,
    is_segmentation,
    model_and_rows,
)
from sklvm.inspection._label_maps import seeds_of
from sklvm.sources._source import as_source

# A unit is active where its posterior mean varies more over the rows.
ACTIVE_VARIANCE = 0.01
# Entries of a block of log q(z | x_j), every draw under every row.
BLOCK = 2**22


def latent_diagnostics(
    estimator, X, y=None, *, images=None, n_draws=16, max_samples=None
):
    r"""Rate, distortion, and what lies behind them, as a table.

    The evidence lower bound has two parts, and the first of them two again:

    .. math::

        -F &= \underbrace{E[KL(q(z|x) \| p(z))]}_{\text{rate}}
              + \underbrace{E[-E_q \log p(x|z)]}_{\text{distortion}} \\
        \text{rate} &= \underbrace{E[KL(q(z|x) \| q(z))]}_{\text{mutual information}}
              + \underbrace{KL(q(z) \| p(z))}_{\text{aggregated KL}},
        \qquad q(z) = \frac{1}{n} \sum_i q(z|x_i)

    A rate near 0 is a collapsed posterior. A large aggregated KL is a prior with holes:
    `sample` then draws z that no row has.

    Parameters
    ----------
    estimator : fitted estimator of this package, or Pipeline that ends with one
    X : array-like of shape (n_samples, n_features)
        The rows whose q(z) it is. The time is quadratic in their number, except for
        the mixtures and `SparseSegmentationRDA`; see `max_samples`.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Needed by `ConditionalVAE`, ignored by the others.
    images : array-like or None, default=None
        For a `SparseSegmentationRDA` that was fitted with images.
    n_draws : int, default=16
        Draws of z for each row of an autoencoder, the same as those of its score.
    max_samples : int or None, default=None
        Take so many of the rows at the most, at random, the same whenever it is asked.
        All values, also log n, are then those of these rows.

    Returns
    -------
    table : DataFrame, or dict of dicts without pandas
        ``table["value"]["rate"]`` and so on; ``table["unit"]`` has the units. Values
        are means over the rows.

        - "rate", "distortion": in nats; they add up to -F, which is minus the score
          except for autoencoders, whose score is a tighter bound. For
          `SparseSegmentationRDA` the distortion is lambda times the wrong pixels.
        - "mutual_information": in nats, between x and z under q; never above log n.
        - "aggregated_kl": KL(q(z) || p(z)) in nats. For `ConditionalVAE` p(z) is the
          mean of p(z|x) over the rows, and the second equation does not hold.
        - "active_units": dimensions whose posterior mean has a variance above 0.01
          over the rows; for `ConditionalVAE` its difference from the mean of p(z|x).
        - "usage_0", ...: mean responsibility of each component.
        - "seeds": labelled pixels per map.

    Raises
    ------
    TypeError
        If the estimator has no latent variable that this package knows.
    ValueError
        If X does not fit the estimator.

    References
    ----------
    M. Hoffman and M. Johnson, "ELBO Surgery", NeurIPS workshop 2016, eq. 7. A. Alemi
    et al., "Fixing a Broken ELBO", ICML 2018. Y. Burda, R. Grosse and R. Salakhutdinov,
    "Importance Weighted Autoencoders", ICLR 2016, section 5.2 for the active units.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklvm import GaussianMixtureEM
    >>> from sklvm.inspection import latent_diagnostics
    >>> X = load_iris().data
    >>> model = GaussianMixtureEM(n_components=3, random_state=0).fit(X)
    >>> table = latent_diagnostics(model, X)
    >>> F = -(table["value"]["rate"] + table["value"]["distortion"])
    >>> round(float(F - model.score(X)), 9)
    0.0
    """
    check_count("n_draws", n_draws)
    X, y, images = _some_rows(X, y, images, max_samples)
    check_in_memory(X, "give a table of some of them")
    estimator, X = model_and_rows(estimator, X)
    if is_mixture(estimator):
        values = _of_mixture(estimator, X)
    else:
        values = _of_network(estimator, X, y, images, n_draws)
    values = {name: float(value) for name, value in values.items()}
    return _table({"value": values, "unit": {name: _unit(name) for name in values}})


def _some_rows(X, y, images, max_samples):
    """At most so many of the rows, with what belongs to them."""
    if max_samples is None:
        return X, y, images
    check_count("max_samples", max_samples)
    if as_source(X) is not None:
        raise ValueError(
            f"max_samples={max_samples} takes rows of a table at random, and X is a "
            "source of rows; give a table of some of them."
        )
    n = _num_samples(X)
    if n <= max_samples:
        return X, y, images
    rows = np.random.default_rng(0).choice(n, max_samples, replace=False)
    rows.sort()
    return tuple(None if a is None else _safe_indexing(a, rows) for a in (X, y, images))


def _unit(name):
    units = {"active_units": "dimensions", "seeds": "pixels"}
    return "share" if name.startswith("usage_") else units.get(name, "nats")


def _table(columns):
    try:
        import pandas as pd
    except ImportError:
        return columns
    return pd.DataFrame(columns)


def _usage(resp):
    return {f"usage_{k}": share for k, share in enumerate(resp.mean(axis=0))}


# A discrete latent, exactly -----------------------------------------------------------


def _of_mixture(estimator, X):
    check_is_fitted(estimator)
    resp = estimator.predict_proba(X).astype(np.float64)
    usage, weights = resp.mean(axis=0), estimator.weights_.astype(np.float64)
    rate = rel_entr(resp, weights).sum(axis=1).mean()
    return {
        "rate": rate,
        # At the posterior F is log p(x).
        "distortion": -estimator.score(X) - rate,
        "mutual_information": rel_entr(resp, usage).sum(axis=1).mean(),
        "aggregated_kl": rel_entr(usage, weights).sum(),
        **_usage(resp),
    }


# Networks -----------------------------------------------------------------------------


def _of_network(estimator, X, y, images, n_draws):
    if is_autoencoder(estimator):
        rows = estimator._validate_new(X)
        values = _of_autoencoder(estimator, rows, n_draws)
        if hasattr(estimator, "predict_proba"):
            values |= _usage(estimator.predict_proba(X))
        return values
    if is_conditional(estimator):
        rows = estimator._validate_pairs(X, y, "latent_diagnostics")
        return _of_autoencoder(estimator, rows, n_draws)
    if is_segmentation(estimator):
        return _of_segmentation(estimator, X, images)
    raise TypeError(
        f"estimator={type(estimator).__name__} has no latent variable known here; give "
        "a fitted estimator of sklvm, or a Pipeline that ends with one."
    )


def _of_segmentation(estimator, X, images):
    S = estimator.transform(X, images=images)
    wrong = estimator.distortion(X, S, images=images)
    return {
        "rate": estimator.rate(S).mean(dtype=np.float64),
        "distortion": estimator.distortion_weight * wrong.mean(dtype=np.float64),
        "seeds": (seeds_of(estimator, S) >= 0).sum(axis=1).mean(),
    }


def _of_autoencoder(estimator, rows, n_draws):
    """The parts of F by draws of z, each under q(z|x), q(z) and p(z)."""
    import torch

    from sklvm.autoencoder._distributions import GaussianMixture

    module, posteriors, priors, draws = estimator.net_.module, [], [], []

    def parts(batch, q, p, eps):
        z = torch.cat(list(estimator._draws(q, eps)))
        posteriors.append(q)
        priors.append(p)
        draws.append(z)
        log_q, log_p = q.log_prob(z), p.log_prob(z)
        terms = [log_q, log_p, module.log_conditional(batch, z)]
        return torch.stack(terms).mean(1).double().cpu().T

    terms = estimator._map_chunks(parts, rows, n_draws)
    log_q, log_p, log_x = terms.mean(axis=0)
    rate = log_q - log_p
    with torch.inference_mode():
        q = _rows_of(posteriors, len(rows))
        z = torch.cat(draws, dim=1)[:, : len(rows)]
        log_aggregated = _mean_log_prob(GaussianMixture(q), z)
        means = q.mean
        if is_conditional(estimator):  # p(z|x), a row each
            p = _rows_of(priors, len(rows))
            log_p, means = _mean_log_prob(p.aggregated(), z), means - p.mean
    return {
        "rate": rate,
        "distortion": -log_x,
        "mutual_information": log_q - log_aggregated,
        "aggregated_kl": log_aggregated - log_p,
        "active_units": (means.var(0, correction=0) > ACTIVE_VARIANCE).sum(),
    }


def _rows_of(gaussians, n):
    """The Gaussians of n rows from those of chunks, of which the last is filled up."""
    return type(gaussians[0]).joined(gaussians)[:n]


def _mean_log_prob(mixture, z):
    """Mean of the log density of z, of shape (n_draws, n_rows, latent_dim)."""
    z = z.flatten(0, 1)
    size = max(1, BLOCK // mixture.components.mean.numel())
    total = sum(mixture.log_prob(block).double().sum() for block in z.split(size))
    return float(total / len(z))
