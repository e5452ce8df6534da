"""MixtureEM of known parameters: its blocks from arrays, its schema without a table."""

import numpy as np

from sklvm.columns import Block, Column, Schema
from sklvm.columns._tables import ArrayTable, PandasTable
from sklvm.mixture._bernoulli import BernoulliMixtureEM
from sklvm.mixture._blocks import DEFAULTS, resolved
from sklvm.mixture._categorical import CategoricalMixtureEM
from sklvm.mixture._checks import check_init, check_params, check_weights
from sklvm.mixture._gaussian import GaussianMixtureEM
from sklvm.mixture._poisson import PoissonMixtureEM
from sklvm.mixture.families.negative_binomial import MOST_LEVELS

PARAMS = {
    "gaussian": ("means", "covariances"),
    "lognormal": ("means", "covariances"),
    "real": ("means", "covariances", "logged"),
    "bernoulli": ("theta",),
    "categorical": ("theta",),
    "poisson": ("rates",),
    "negative_binomial": ("means", "dispersions"),
}
# What a fit reads off the rows.
DEFAULT_OPTIONS = {"reg_covar": 0, "n_levels": MOST_LEVELS}


class FromParametersMixin:
    """A fitted mixture of mixed columns that was fitted to nothing."""

    @classmethod
    def from_parameters(cls, weights, blocks, *, categories=None, **params):
        """A fitted mixture with known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            0 or more, with sum 1.
        blocks : list of (kind, columns, dict)
            The dict has the arrays that `components_` has for the kind: `means` and
            `covariances` of "gaussian", "lognormal" (of log x) and "real", `theta` of
            "bernoulli" and "categorical", `rates` of "poisson", `means` and
            `dispersions` of "negative_binomial"; for "real" also `logged`, a mask of
            the columns whose logarithms they are of. It may have options of the block,
            such as `covariance_type`; a `reg_covar` that it leaves out is 0 where a fit
            goes on. Columns are all positions, each from 0 on in one block, or all
            names, in the order in which X has them.
        categories : dict, default=None
            The values of bernoulli and categorical columns, by column, in the order of
            their probabilities; 0, 1, ... for those that it leaves out.
        **params : dict
            Other parameters of the estimator.

        Returns
        -------
        model : MixtureEM

        Examples
        --------
        >>> from sklvm import MixtureEM
        >>> model = MixtureEM.from_parameters(
        ...     [0.5, 0.5],
        ...     [
        ...         ("categorical", [0], {"theta": [[[0.9, 0.1], [0.2, 0.8]]]}),
        ...         ("poisson", [1], {"rates": [[2.0], [9.0]]}),
        ...     ],
        ...     categories={0: ["free", "gold"]},
        ... )
        >>> model.predict([["free", 1], ["gold", 8]]).tolist()
        [0, 1]
        """
        weights = check_weights("weights", weights, np.size(weights))
        entries = [_checked_entry(weights, entry) for entry in blocks]
        components = [(kind, at, options) for kind, at, options, _, _ in entries]
        model = cls(len(weights), components=components, **params)
        model._set_schema(_schema(entries, categories or {}, cls.__name__))
        schema = model._schema
        model._options = [resolved(block, schema.columns) for block in schema.blocks]
        model.n_features_in_ = len(schema.columns)
        if schema.is_frame:
            model.feature_names_in_ = np.array(schema.names, dtype=object)
        model.weights_ = weights
        made = model._make_components(model.n_features_in_, fitted=True)
        arrays = [array for *_, own in entries for array in own]
        model._set_component_params(made, tuple(arrays))
        return model


def _checked_entry(weights, entry):
    """kind, columns, options, what tells the columns' kinds, and arrays of a block."""
    is_triple = isinstance(entry, list | tuple) and len(entry) == 3
    if not (is_triple and isinstance(entry[0], str) and isinstance(entry[2], dict)):
        raise ValueError(
            f"blocks has the entry {entry!r}; give (kind, columns, dict of parameters)."
        )
    kind, columns, values = entry
    if kind not in PARAMS:
        raise ValueError(
            f"blocks has the kind {kind!r}; choose one of "
            f"{', '.join(map(repr, PARAMS))}."
        )
    options = {key: x for key, x in values.items() if key in DEFAULTS[kind]}
    given = values.keys() - options.keys()
    if given != set(PARAMS[kind]):
        raise ValueError(
            f"blocks has the parameters {sorted(given)} for the kind {kind!r}; give "
            f"{list(PARAMS[kind])}, and options if you like."
        )
    values = {key: values[key] for key in PARAMS[kind]}
    columns = [columns] if np.ndim(columns) == 0 else list(columns)
    about, arrays = _arrays(kind, weights, values, options)
    n = len(about) if kind == "categorical" else arrays[0].shape[1]
    if not len(columns) == len(about) == n:
        raise ValueError(
            f"blocks has the {kind!r} columns {columns!r}, but parameters of {n}; give "
            "them for each of the columns."
        )
    return kind, columns, options, about, arrays


def _arrays(kind, weights, values, options):
    """The kind or the number of categories of each column, and params of the family."""
    match kind:
        case "bernoulli":
            given = BernoulliMixtureEM.from_parameters(weights, **values)
            about = [2] * given.n_features_in_
        case "categorical":
            given = CategoricalMixtureEM.from_parameters(weights, **values)
            about = [np.shape(theta)[-1] for theta in values["theta"]]
        case "poisson":
            given = PoissonMixtureEM.from_parameters(weights, **values)
            about = [kind] * given.n_features_in_
        case "negative_binomial":
            return _negative_binomial(weights, **values)
        case _:
            logged = values.pop("logged", None)
            shape = {k: x for k, x in options.items() if k == "covariance_type"}
            given = GaussianMixtureEM.from_parameters(weights, **values, **shape)
            about = [kind] * given.n_features_in_
            if kind == "real":
                about = ["lognormal" if is_log else "gaussian" for is_log in logged]
    return about, given._component_params()


def _negative_binomial(weights, means, dispersions):
    means = check_params("means", means, weights)
    dispersions = check_init("dispersions", dispersions, means.shape)
    for name, array in (("means", means), ("dispersions", dispersions)):
        if array.min() < 0:
            raise ValueError(
                f"{name} has the value {array.min():g}; give values of 0 or more."
            )
    return ["negative_binomial"] * means.shape[1], (means, dispersions)


def _schema(entries, categories, estimator_name):
    """The schema of a table with these columns."""
    named = [name for _, names, *_ in entries for name in names]
    by_name = all(isinstance(name, str) for name in named)
    names = named if by_name else list(range(len(named)))
    if len(set(named)) < len(named) or set(named) != set(names):
        raise ValueError(
            f"blocks has the columns {named!r}; give each column once, all by names or "
            "all by positions 0, 1, ..."
        )
    columns, blocks = [None] * len(names), []
    for kind, own, options, about, _ in entries:
        at = np.array([names.index(name) for name in own], dtype=np.intp)
        user_options = {key: x for key, x in options.items() if x is not None}
        defaults = {
            key: x for key, x in DEFAULT_OPTIONS.items() if key in DEFAULTS[kind]
        }
        blocks.append(Block(kind, at, defaults | user_options))
        for j, found in zip(at, about, strict=True):
            if isinstance(found, str):
                columns[j] = Column.known(names[j], found)
            else:
                labels = categories.get(names[j], range(found))
                columns[j] = Column.known(names[j], kind, labels, found)
    discrete = [column.name for column in columns if column.categories is not None]
    if unknown := [name for name in categories if name not in discrete]:
        raise ValueError(
            f"categories has the column {unknown[0]!r}, which is no bernoulli or "
            f"categorical column of blocks; name some of {discrete}."
        )
    table_type = PandasTable if by_name else ArrayTable
    return Schema(columns, blocks, table_type, estimator_name)
