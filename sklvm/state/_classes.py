"""The classes and functions that a state may name, and the names by which it does.

A file chooses among these and what the user hands to `load`; it can never make Python
import anything. The names are those of the file format: a class that moves or is
renamed keeps its own, by `register`.
"""

from importlib import import_module

from sklvm._optional import missing_torch

# What is registered when its module is imported, which is before it is written. Who
# loads a file with networks may not have imported the half that needs torch.
NEURAL = ("sklvm.autoencoder", "sklvm.segmentation")

_by_name, _names = {}, {}


def register(thing, name):
    """Let states name a class or function."""
    if _by_name.setdefault(name, thing) is not thing:
        raise TypeError(f"{thing!r} and {_by_name[name]!r} are both named {name!r}.")
    _names[thing] = name


def stateful(thing):
    """Decorator of the package's classes and functions that a fitted state may hold."""
    register(thing, f"sklvm.{thing.__qualname__}")
    return thing


def own_name(thing):
    """The name of a registered class or function, or None."""
    try:
        return _names.get(thing)
    except TypeError:  # not hashable, so not registered
        return None


def foreign_name(thing):
    """The name of a class or function that is not ours, or None where it has none."""
    name = f"{thing.__module__}.{thing.__qualname__}"
    # A lambda and what is local have <> in theirs, the method of an object no module.
    return None if "<" in name or thing.__module__ is None else name


def find(names, given):
    """What the names stand for: ours, or else those given by name."""
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a name of a class is no text")
    unknown = {name.split(".")[0] for name in names if name not in _by_name}
    # Without torch a file that names the user's own classes alone can still be read.
    if unknown & {"sklvm", "torch", "skorch"} or (unknown and not missing_torch()):
        for half in NEURAL:
            import_module(half)
    missing = [n for n in names if n not in _by_name and n not in given]
    if missing:
        remedy = ", ".join(f"{name!r}: {name.split('.')[-1]}" for name in missing)
        raise MissingClassesError(missing, remedy)
    return [_by_name[name] if name in _by_name else given[name] for name in names]


class MissingClassesError(ValueError):
    """Names of a state that are neither ours nor given."""

    def __init__(self, names, remedy):
        super().__init__(names, remedy)
        self.names = names
        self.remedy = remedy
