"""From fitted objects to a tree of JSON and named arrays.

In the tree None, bool, int, str and finite floats are themselves and a list is a list;
everything else is a dict with one key, its tag. Lists, dicts, arrays and objects are
numbered in the order in which they begin, so that what was shared is shared again.
"""

import copyreg
import math
from collections import OrderedDict
from types import BuiltinFunctionType, FunctionType

import numpy as np

from sklvm._tasks import CALLBACKS
from sklvm.state._arrays import take_apart
from sklvm.state._classes import foreign_name, own_name
from sklvm.state._kinds import base_of, kind_of

PLAIN = (type(None), bool, int, str)
MAPPINGS = {dict: "dict", OrderedDict: "ordered"}
# Left out of the names of arrays, which then read as those of a `state_dict`.
SILENT = ("_modules", "_parameters", "_buffers")


class NotPlainError(TypeError):
    """An object that has no place in a state; `path` says where it was found."""

    def __init__(self, path, value):
        super().__init__(path, value)
        self.path = path
        self.value = value


class Writer:
    """Writes values into a tree, and collects arrays and names of classes.

    `resumable` says whether to keep what only a training needs that goes on. What
    cannot be written is an error, or with `others` a member of that list, for pickle
    to see to.
    """

    def __init__(self, resumable=True, others=None):
        self.resumable = resumable
        self.others = others
        self.arrays = {}
        self.classes = {}  # name -> number
        self.foreign = {}  # name -> class or function
        self._numbers = {}  # id -> number
        self._kept = []  # an id is good as long as its object lives

    def write(self, value, path=""):
        """The tree of a value."""
        if type(value) in PLAIN:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if id(value) in self._numbers:
            return {"ref": self._numbers[id(value)]}
        if type(value) is tuple:
            return {"tuple": self._write_all(value, path)}
        if isinstance(value, type | FunctionType | BuiltinFunctionType):
            return self._write_name(value, path)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return {"named": [self._class(value, path), self._write_all(value, path)]}
        if type(value) is list:
            self._enter(value)
            return self._write_all(value, path)
        if type(value) in MAPPINGS:
            self._enter(value)
            return {MAPPINGS[type(value)]: self._write_items(value, path)}
        if type(value) is np.ndarray:
            self._enter(value)
            return {"array": self._write_array(value, path)}
        kind = kind_of(value)
        if kind is not None:
            self._enter(value)
            return {kind.tag: self._write_plain(kind.to_plain(value), path)}
        return self._write_object(value, path)

    def _enter(self, value):
        self._numbers[id(value)] = len(self._kept)
        self._kept.append(value)

    def _write_plain(self, plain, path):
        """What a kind makes of its object, without numbers in the names of arrays."""
        if type(plain) is not list:
            return self.write(plain, path)
        self._enter(plain)
        return [self.write(value, path) for value in plain]

    def _write_all(self, values, path):
        return [self.write(v, _join(path, i)) for i, v in enumerate(values)]

    def _write_items(self, mapping, path):
        """A JSON object where all keys are text, else pairs."""
        if all(type(key) is str for key in mapping):
            return {key: self.write(v, _join(path, key)) for key, v in mapping.items()}
        return [
            [self.write(key, path), self.write(value, _join(path, key))]
            for key, value in mapping.items()
        ]

    def _write_array(self, array, path):
        apart = take_apart(array)
        if apart is not None:
            plain, how = apart
            while path in self.arrays:
                path += "_"
            self.arrays[path] = plain
            return {"name": path, **how} if how else path
        if array.dtype != object:
            raise NotPlainError(path, array.dtype)
        values = self._write_all(array.ravel().tolist(), path)
        return {"objects": values, "shape": list(array.shape)}

    def _write_name(self, thing, path):
        if self.others is not None and own_name(thing) is None:
            return self._write_other(thing)
        return {"class": self._name(thing, path)}

    def _class(self, value, path):
        return self._name(type(value), path)

    def _name(self, thing, path):
        name = own_name(thing)
        if name is None:
            name = foreign_name(thing)
            if name is None:  # nobody could hand it in
                raise NotPlainError(path, thing)
            self.foreign[name] = thing
        return self.classes.setdefault(name, len(self.classes))

    def _write_other(self, value):
        self.others.append(value)
        return {"other": len(self.others) - 1}

    def _write_object(self, value, path):
        base = base_of(type(value))
        name = foreign_name if base is not None else own_name
        if self.others is not None and name(type(value)) is None:
            return self._write_other(value)
        self._enter(value)
        if hasattr(value, "_get_fitted_state"):
            state = value._get_fitted_state(self.resumable)
        else:
            state = _attributes(value, path) if base is None else base.attributes(value)
        if self.others is None:  # a file is not of one process, as callbacks are
            state = {k: v for k, v in state.items() if k != CALLBACKS}
        state = self._write_items(state, path)
        return {"object": [self._class(value, path), state]}


def _attributes(value, path):
    """The attributes of an object that consists of them, as pickle would take it."""
    try:
        make, args, state, *rest = (*value.__reduce_ex__(2), None, None, None)[:5]
    except TypeError:  # a lock, an open file
        raise NotPlainError(path, value) from None
    as_usual = make is copyreg.__newobj__ and args == (type(value),)
    if not as_usual or rest != [None, None] or type(state) not in (dict, type(None)):
        raise NotPlainError(path, value)
    return state or {}


def _join(path, key):
    if key in SILENT:
        return path
    return f"{path}.{key}" if path else str(key)
