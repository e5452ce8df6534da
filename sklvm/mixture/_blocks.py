"""Components of a block of columns, from its kind and the user's options."""

import numpy as np

from sklvm.columns._blocks import read_entries
from sklvm.columns._tables import read_table
from sklvm.mixture._rounding import least_log_variance, least_variance
from sklvm.mixture.families.bernoulli import BernoulliComponents
from sklvm.mixture.families.categorical import CategoricalComponents
from sklvm.mixture.families.covariance import SHAPES
from sklvm.mixture.families.gaussian import GaussianComponents
from sklvm.mixture.families.lognormal import LognormalComponents
from sklvm.mixture.families.negative_binomial import (
    MOST_LEVELS,
    NegativeBinomialComponents,
)
from sklvm.mixture.families.poisson import PoissonComponents

OF_GAUSSIANS = {"covariance_type": "full", "reg_covar": None}
DEFAULTS = {
    "gaussian": OF_GAUSSIANS,
    "lognormal": OF_GAUSSIANS,
    "real": OF_GAUSSIANS,
    "bernoulli": {"theta_prior": (1.1, 1.1)},
    "categorical": {"theta_prior": 1.1},
    "poisson": {"rates_prior": (1.1, 0.0)},
    "negative_binomial": {"means_prior": (1.1, 0.0), "n_levels": None},
}


def resolved_options(schema, sample, largest):
    """The options of each block, checked, with defaults that the rows tell.

    Parameters
    ----------
    schema : Schema
    sample : Sample
    largest : ndarray of shape (n_features,)
        Of all rows.
    """
    values, weight = sample.rows, sample.sample_weight
    return [
        resolved(
            block, schema.columns, values[:, block.columns], weight,
            largest[block.columns],
        )
        for block in schema.blocks
    ]  # fmt: skip


def resolved(block, columns, values=None, weight=None, largest=None):
    """The same of one block; without rows none may be left for them to tell."""
    options = DEFAULTS[block.kind] | block.options
    _check_options(block, options)
    kinds = [columns[j].kind for j in block.columns]
    if options.get("reg_covar", 0) is None:
        least = {"gaussian": least_variance, "lognormal": least_log_variance}
        pairs = zip(kinds, values.T, strict=True)
        options["reg_covar"] = np.array([least[kind](x, weight) for kind, x in pairs])
        if options["covariance_type"] == "spherical":
            options["reg_covar"] = options["reg_covar"].mean()
    if options.get("n_levels", 0) is None:
        # Room for the larger counts of rows that come later.
        n_levels = np.minimum(2 * largest + 32, MOST_LEVELS)
        options["n_levels"] = n_levels.astype(int)
    if block.kind in ("lognormal", "real"):
        options["logged"] = np.array([kind == "lognormal" for kind in kinds])
    if block.kind == "categorical":
        counts = [len(columns[j].categories) for j in block.columns]
        options["n_categories"] = np.array(counts)
    return options


def check_same_blocks(components, fitted, X):
    """`components` asks for the blocks of the fitted mixture.

    Both are read of the same table, as a selector may answer by its dtypes.
    """
    table = read_table(X)
    new, old = (read_entries(c, table, "components") for c in (components, fitted))
    if len(new) != len(old) or not all(map(_is_same_entry, new, old)):
        raise ValueError(
            f"components={components!r} differs from that of the fitted mixture to "
            f"continue from; set components={fitted!r}, or fit with warm_start=False."
        )


def _is_same_entry(new, old):
    (kind, at, options), (old_kind, old_at, old_options) = new, old
    if kind != old_kind or not np.array_equal(at, old_at):
        return False
    defaults = DEFAULTS.get(kind, {})
    options, old_options = defaults | options, defaults | old_options
    return options.keys() == old_options.keys() and all(
        np.array_equal(value, old_options[name]) for name, value in options.items()
    )


def _check_options(block, options):
    for name, value in options.items():
        if name not in DEFAULTS[block.kind]:
            raise ValueError(
                f"components has the option {name!r} for {block.kind!r}; it must be "
                f"one of {list(DEFAULTS[block.kind])}."
            )
        is_good, rule = _judged(block, options, name, value)
        if not is_good:
            raise ValueError(
                f"components has {name}={value!r} for {block.kind!r}; it must be "
                f"{rule}."
            )


def _judged(block, options, name, value):
    """Whether an option has a value that it may have, and which those are."""
    each = [(), (len(block.columns),)]
    match name:
        case "covariance_type":
            known = list(SHAPES)
            return isinstance(value, str) and value in known, f"one of {known}"
        case "reg_covar":
            if options["covariance_type"] == "spherical":
                return _are_numbers(value, [()], 0) or value is None, "0 or more"
            rule = "0 or more, or a number above 0 for each of its columns"
            good = value is None or _are_numbers(value, each, 0)
            return good and (np.ndim(value) == 0 or np.all(value)), rule
        case "theta_prior" if block.kind == "categorical":
            return _are_numbers(value, [()], 1), "a number of 1 or more; 1 is flat"
        case "theta_prior":
            rule = "two numbers of 1 or more; (1, 1) is flat"
            return _are_numbers(value, [(2,)], 1), rule
        case "rates_prior" | "means_prior":
            rule = "a shape of 1 or more and a rate of 0 or more; (1, 0) is flat"
            return _are_numbers(value, [(2,)], [1, 0]), rule
        case "n_levels":
            rule = f"whole numbers from 2 to {MOST_LEVELS}, one or one for each column"
            good = value is None or _are_numbers(value, each, 2, kinds="iu")
            return good and (value is None or np.max(value) <= MOST_LEVELS), rule


def _are_numbers(value, shapes, least, kinds="iuf"):
    try:
        array = np.asarray(value)
    except ValueError:  # sequences of several lengths
        return False
    if array.dtype.kind not in kinds or array.shape not in shapes:
        return False
    return bool(np.isfinite(array).all() and (array >= least).all())


def check_counts(schema, options, largest):
    """Counts that are fitted, at most the `largest`, are below `n_levels`."""
    for block, own in zip(schema.blocks, options, strict=True):
        if "n_levels" not in own:
            continue
        n_levels = np.broadcast_to(own["n_levels"], block.columns.shape)
        for j, n in zip(block.columns, n_levels, strict=True):
            x = largest[j]
            if x < n:
                continue
            remedy = f"give the option n_levels={x + 1:.0f} or more"
            if x >= MOST_LEVELS:
                remedy = "name the kind 'gaussian', or mark the cell missing if it errs"
            raise ValueError(
                f"X has the count {x:.0f} in the column {schema.names[j]!r}, where "
                f"the kind 'negative_binomial' takes counts below {n}; {remedy}."
            )


def make_part(block, options, **kwargs):
    """The components of a block."""
    n = len(block.columns)
    match block.kind:
        case "gaussian":
            return GaussianComponents(n, **options, is_floor=True, **kwargs)
        case "lognormal" | "real":
            return LognormalComponents(n, **options, is_floor=True, **kwargs)
        case "bernoulli":
            return BernoulliComponents(n, prior=options["theta_prior"], **kwargs)
        case "poisson":
            return PoissonComponents(n, prior=options["rates_prior"], **kwargs)
        case "negative_binomial":
            n_levels, prior = options["n_levels"], options["means_prior"]
            return NegativeBinomialComponents(
                n, n_levels=n_levels, prior=prior, **kwargs
            )
        case "categorical":
            return CategoricalComponents(
                n,
                n_categories=options["n_categories"],
                prior=options["theta_prior"],
                **kwargs,
            )


def flat_priors(options):
    """Names of the priors that let a probability be 0."""
    found = set()
    for own in options:
        for name in own.keys() & {"theta_prior", "rates_prior", "means_prior"}:
            shapes = np.atleast_1d(own[name])
            if (shapes if name == "theta_prior" else shapes[:1]).min() == 1:
                found.add(name)
    return sorted(found)
