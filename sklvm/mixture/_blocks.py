"""Components of a block of columns, from its kind and the user's options."""

import numpy as np

from sklvm.mixture.families.bernoulli import BernoulliComponents
from sklvm.mixture.families.categorical import CategoricalComponents
from sklvm.mixture.families.covariance import SHAPES
from sklvm.mixture.families.gaussian import GaussianComponents
from sklvm.mixture.families.lognormal import LognormalComponents
from sklvm.mixture.families.negative_binomial import NegativeBinomialComponents
from sklvm.mixture.families.poisson import PoissonComponents

DEFAULTS = {
    "gaussian": {"covariance_type": "full", "reg_covar": None},
    "lognormal": {"covariance_type": "full", "reg_covar": 1e-4},
    "bernoulli": {"theta_prior": (1.1, 1.1)},
    "categorical": {"theta_prior": 1.1},
    "poisson": {"rates_prior": (1.1, 0.0)},
    "negative_binomial": {"n_levels": None},
}
# Smallest variance of a component, in variances of the column.
NARROWEST = 1e-6


def resolved_options(schema, values):
    """The options of each block, checked, with defaults that the rows tell."""
    return [
        _resolved(block, schema.columns, values[:, block.columns])
        for block in schema.blocks
    ]


def _resolved(block, columns, values):
    known = DEFAULTS[block.kind]
    for name in block.options:
        if name not in known:
            raise ValueError(
                f"components has the option {name!r} for {block.kind!r}; it must be "
                f"one of {list(known)}."
            )
    options = known | block.options
    if "covariance_type" in options and options["covariance_type"] not in SHAPES:
        raise ValueError(
            f"components has covariance_type={options['covariance_type']!r}; it must "
            f"be one of {list(SHAPES)}."
        )
    if block.kind == "gaussian" and options["reg_covar"] is None:
        options["reg_covar"] = np.array([_least_variance(x) for x in values.T])
        if options["covariance_type"] == "spherical":
            options["reg_covar"] = options["reg_covar"].mean()
    if block.kind == "negative_binomial" and options["n_levels"] is None:
        options["n_levels"] = np.nanmax(values, axis=0).astype(int) + 1
    if block.kind == "categorical":
        counts = [len(columns[j].categories) for j in block.columns]
        options["n_categories"] = np.array(counts)
    return options


def _least_variance(x):
    """Variance of the rounding of a column, or a little of its own."""
    x = x[~np.isnan(x)]
    return max(rounding_step(x) ** 2 / 12, NARROWEST * x.var())


def rounding_step(x):
    """Largest of 1, 2, 5, 10, 20, ... times a power of ten that most of x is in; or 0.

    Zeros say nothing of how the others are rounded.
    """
    x = abs(x[x != 0])
    x = x[:: 1 + len(x) // 4096]
    if not len(x):
        return 0.0
    largest = int(np.ceil(np.log10(x.max())))
    for exponent in range(largest, largest - 8, -1):
        for digit in (5, 2, 1):
            step = digit * 10.0**exponent
            multiples = x / step
            if (abs(multiples - np.rint(multiples)) < 1e-6).mean() > 0.6:
                return step
    return 0.0


def make_part(block, options, **kwargs):
    """The components of a block."""
    n = len(block.columns)
    match block.kind:
        case "gaussian":
            return GaussianComponents(n, **options, **kwargs)
        case "lognormal":
            return LognormalComponents(n, **options, **kwargs)
        case "bernoulli":
            return BernoulliComponents(n, prior=options["theta_prior"], **kwargs)
        case "poisson":
            return PoissonComponents(n, prior=options["rates_prior"], **kwargs)
        case "negative_binomial":
            return NegativeBinomialComponents(n, **options, **kwargs)
        case "categorical":
            return CategoricalComponents(
                n,
                n_categories=options["n_categories"],
                prior=options["theta_prior"],
                **kwargs,
            )
