"""Objects that take more than their attributes to write: how each kind is written.

Those of NumPy stand here, dates, and the intervals, times and periods of pandas, which
are categories of some tables. `sklvm/neural/_state.py` adds those of torch, so that
nothing here imports it.
"""

import datetime
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils._metadata_requests import MetadataRequest, MethodMetadataRequest

from sklvm.state._classes import register


@dataclass(frozen=True)
class Kind:
    """Objects written as plain values or arrays, under a tag of their own."""

    type_: type
    tag: str
    to_plain: Callable
    from_plain: Callable
    subclasses: bool = False


@dataclass(frozen=True)
class Base:
    """Objects written by their attributes, whatever the subclass."""

    type_: type
    new: Callable  # (class) -> object without attributes of its own
    attributes: Callable  # (object) -> dict


PANDAS = "pandas."
_by_type, _by_tag, _of_subclasses, _bases = {}, {}, [], []


def register_kind(*args, **kwargs):
    """Write the objects of a type as a `Kind` says."""
    kind = Kind(*args, **kwargs)
    _by_tag[kind.tag] = kind
    if kind.subclasses:
        _of_subclasses.append(kind)
    else:
        _by_type[kind.type_] = kind


def register_base(*args):
    """Write the objects of a type as a `Base` says."""
    _bases.append(Base(*args))


def kind_of(value):
    """The kind of a value, or None."""
    if "pandas" in sys.modules:
        _register_pandas()
    if type(value) in _by_type:
        return _by_type[type(value)]
    return next((k for k in _of_subclasses if isinstance(value, k.type_)), None)


def kind_tagged(tag):
    """The kind of a tag."""
    if tag.startswith(PANDAS):
        _register_pandas()
    return _by_tag[tag]


def _register_pandas():
    if f"{PANDAS}Interval" in _by_tag:
        return
    from pandas import Interval, Period, Timedelta, Timestamp

    def moment(plain):
        text, zone, unit = plain
        moment = Timestamp(text).as_unit(unit)
        return moment if zone is None else moment.tz_convert(zone)

    def zone(moment):
        return None if moment.tz is None else str(moment.tz)

    for type_, to_plain, from_plain in (
        (Interval, lambda i: [i.left, i.right, i.closed], lambda i: Interval(*i)),
        (Timestamp, lambda t: [t.isoformat(), zone(t), t.unit], moment),
        (
            Timedelta,
            lambda d: [d.isoformat(), d.unit],
            lambda d: Timedelta(d[0]).as_unit(d[1]),
        ),
        (
            Period,
            lambda p: [p.ordinal, p.freqstr],
            lambda p: Period(ordinal=p[0], freq=p[1]),
        ),
    ):
        register_kind(type_, PANDAS + type_.__name__, to_plain, from_plain)


def base_of(cls):
    """The base of a class, or None."""
    return next((base for base in _bases if issubclass(cls, base.type_)), None)


def _dtype_from(text):
    dtype = np.dtype(text)
    if type(text) is not str or dtype.kind == "V":
        raise ValueError("an unknown dtype")
    return dtype


def _sorted(values):
    # The order in a set of texts is another in every process.
    return sorted(values, key=repr)


BIT_GENERATORS = {
    name: getattr(np.random, name)
    for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
}


def _bit_generator_from(state):
    # A seed of its own: without one it would read the machine's entropy.
    generator = BIT_GENERATORS[state["bit_generator"]](0)
    generator.state = state
    return generator


def _random_state_from(state):
    bit_generator = BIT_GENERATORS[state["bit_generator"]](0)
    random_state = np.random.RandomState(bit_generator)
    random_state.set_state(state)
    return random_state


register_kind(np.dtype, "dtype", lambda d: d.str, _dtype_from, subclasses=True)
register_kind(np.generic, "scalar", np.asarray, lambda a: a[()], subclasses=True)
for _type in BIT_GENERATORS.values():
    register_kind(_type, "bit_generator", lambda g: g.state, _bit_generator_from)
register_kind(
    np.random.RandomState,
    "random_state",
    lambda r: r.get_state(legacy=False),
    _random_state_from,
)
register_kind(
    np.random.Generator, "generator", lambda g: g.bit_generator, np.random.Generator
)
register_kind(Bunch, "bunch", dict, lambda items: Bunch(**items))
# What `set_fit_request` and its like leave in an estimator.
register(MetadataRequest, "sklearn.MetadataRequest")
register(MethodMetadataRequest, "sklearn.MethodMetadataRequest")
register_kind(slice, "slice", lambda s: [s.start, s.stop, s.step], lambda s: slice(*s))
register_kind(range, "range", lambda r: [r.start, r.stop, r.step], lambda r: range(*r))
register_kind(set, "set", _sorted, set)
register_kind(frozenset, "frozenset", _sorted, frozenset)
register_kind(complex, "complex", lambda c: [c.real, c.imag], lambda c: complex(*c))
register_kind(bytes, "bytes", bytes.hex, bytes.fromhex)
register_kind(PurePath, "path", PurePath.as_posix, Path, subclasses=True)
for _type in (datetime.date, datetime.datetime, datetime.time):
    register_kind(_type, _type.__name__, _type.isoformat, _type.fromisoformat)
