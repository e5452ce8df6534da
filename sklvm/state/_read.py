"""From a tree of JSON and named arrays back to fitted objects.

Objects are made without their constructors and given their attributes: nothing that a
tree says is executed, and what it may name are the classes at hand.
"""

from collections import OrderedDict

import numpy as np

from sklvm.state._arrays import put_together
from sklvm.state._kinds import base_of, kind_tagged

FLOATS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
MAPPINGS = {"dict": dict, "ordered": OrderedDict}


class Reader:
    """Reads a tree. It uses up `arrays`, so that none is held twice.

    Parameters
    ----------
    classes : list
        What the numbers in the tree stand for.
    arrays : dict
    others : list
        What pickle has seen to.
    """

    def __init__(self, classes, arrays, others=()):
        self.classes = classes
        self.arrays = arrays
        self.others = others
        self._numbered = []
        self._by_tag = {
            "float": FLOATS.__getitem__,
            "ref": self._ref,
            "tuple": lambda values: tuple(map(self.read, values)),
            "class": classes.__getitem__,
            "named": self._named,
            "array": self._array,
            "object": self._object,
            "other": lambda number: others[number],
        }

    def read(self, tree):
        """The value of a tree."""
        if type(tree) is list:
            return self._fill(tree)
        if type(tree) is not dict:
            return tree
        ((tag, content),) = tree.items()
        if tag in self._by_tag:
            return self._by_tag[tag](content)
        if tag in MAPPINGS:
            return self._mapping(MAPPINGS[tag](), content)
        kind = kind_tagged(tag)
        number = self._enter(None)
        value = self._numbered[number] = kind.from_plain(self.read(content))
        return value

    def _enter(self, value):
        self._numbered.append(value)
        return len(self._numbered) - 1

    def _ref(self, number):
        value = self._numbered[number]
        if value is None:
            raise ValueError("an object that is a part of itself")
        return value

    def _fill(self, trees):
        values = []
        self._enter(values)
        values.extend(map(self.read, trees))
        return values

    def _mapping(self, mapping, content):
        self._enter(mapping)
        mapping.update(self._items(content))
        return mapping

    def _items(self, content):
        if type(content) is dict:
            return ((key, self.read(value)) for key, value in content.items())
        return ((self.read(key), self.read(value)) for key, value in content)

    def _array(self, content):
        number = self._enter(None)
        if type(content) is str:
            array = self.arrays.pop(content)
        elif "objects" in content:
            values = [self.read(value) for value in content["objects"]]
            array = np.empty(len(values), dtype=object)
            array[:] = values
            array = array.reshape(content["shape"])
        else:
            array = put_together(self.arrays.pop(content["name"]), content)
        self._numbered[number] = array
        return array

    def _named(self, content):
        number, values = content
        cls = self.classes[number]
        if not (issubclass(cls, tuple) and hasattr(cls, "_fields")):
            raise ValueError("a named tuple of a class that is none")
        return cls(*map(self.read, values))

    def _object(self, content):
        number, state = content
        cls = self.classes[number]
        if not isinstance(cls, type) or type(state) is not dict:
            raise ValueError("an object without a class or attributes")
        base = base_of(cls)
        value = cls.__new__(cls) if base is None else base.new(cls)
        self._enter(value)
        state = dict(self._items(state))
        if hasattr(value, "_set_fitted_state"):
            value._set_fitted_state(state)
        elif hasattr(value, "__setstate__"):
            value.__setstate__(state)
        else:
            value.__dict__.update(state)
        return value
