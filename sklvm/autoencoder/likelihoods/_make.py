"""From the names of families to families: the one place where they become objects."""

import copy

import numpy as np

from sklvm.autoencoder.likelihoods._base import Likelihood
from sklvm.autoencoder.likelihoods._blocks import Blocks
from sklvm.autoencoder.likelihoods._counts import NegativeBinomial, Poisson
from sklvm.autoencoder.likelihoods._discrete import Bernoulli, Categorical
from sklvm.autoencoder.likelihoods._gaussian import check_noise, make_gaussian
from sklvm.autoencoder.likelihoods._standardised import LogNormal, Standardised
from sklvm.columns._column import REAL

COUNTS = {"poisson": Poisson, "negative_binomial": NegativeBinomial}
#: The kinds that numbers have, whatever is known of the columns.
NUMERIC = ("gaussian", "lognormal", "bernoulli", *COUNTS)


def numeric_likelihood(likelihood, noise, min_noise):
    """The family of all columns of an array, by its name or as an instance."""
    if isinstance(likelihood, Likelihood):
        return copy.deepcopy(likelihood)
    if likelihood == "gaussian":
        return make_gaussian(noise, min_noise)
    if likelihood == "lognormal":
        return LogNormal(noise, min_noise)
    return Bernoulli() if likelihood == "bernoulli" else COUNTS[likelihood]()


def table_likelihood(schema, noise, min_noise, center, scale):
    """The families of a table's columns, as its schema has them.

    `center` and `scale` are those of the real columns, or of their logarithms. Of
    noise with one number per column, those of the real ones count.
    """
    options = {j: block.options for block in schema.blocks for j in block.columns}
    _check_options(schema, options)
    by_column = _noise_by_column(noise, len(schema.columns))
    groups = {}
    for j, column in enumerate(schema.columns):
        own = None
        if column.kind in REAL:
            own = options[j].get("noise", by_column[j])
        # Those with as many categories are computed at once.
        n = len(column.categories) if column.kind == "categorical" else None
        groups.setdefault((column.kind, own, n), []).append(j)
    if not is_default(noise) and not any(kind in REAL for kind, *_ in groups):
        raise ValueError(
            f"noise={noise!r} has no effect, as no column is gaussian or lognormal; "
            "leave noise out."
        )
    blocks = []
    for (kind, own, n), at in groups.items():
        if kind == "categorical":
            family = Categorical([n] * len(at))
        elif kind in REAL:
            family = Standardised(
                own, min_noise, center[at], scale[at], kind == "lognormal"
            )
        else:
            family = numeric_likelihood(kind, own, min_noise)
        blocks.append((family, at))
    return Blocks(blocks)


def is_default(noise):
    return isinstance(noise, str) and noise == "optimal"


def _noise_by_column(noise, n_columns):
    if np.ndim(noise) == 0:
        return [noise] * n_columns
    if len(noise) != n_columns:
        raise ValueError(
            f"noise has {len(noise)} numbers and X has {n_columns} columns; give one "
            "number, or one for each column."
        )
    return np.asarray(noise).tolist()


def _check_options(schema, options):
    for j, given in options.items():
        column = schema.columns[j]
        allowed = ("noise",) if column.kind in REAL else ()
        for name in given:
            if name not in allowed:
                raise ValueError(
                    f"likelihood has the option {name!r} for the kind {column.kind!r}; "
                    "only gaussian and lognormal columns have one, 'noise'."
                )
            check_noise(given[name])
