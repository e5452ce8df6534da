"""sklvm.save and sklvm.load."""

import json
import os

from sklearn.base import BaseEstimator

from sklvm.state._classes import MissingClassesError, find
from sklvm.state._estimators import FittedStateMixin, version
from sklvm.state._file import (
    PREFIX,
    checksum,
    pack_bytes,
    read_arrays,
    read_text,
    with_checksum,
    write_whole,
)
from sklvm.state._read import Reader
from sklvm.state._write import NotPlainError, Writer

FORMAT = 1


def save(estimator, path, *, resumable=True):
    """Write a fitted estimator to one file that `load` reads.

    The file holds arrays and JSON in the safetensors format: nothing in it is executed
    when it is loaded. It is written under a temporary name, synced and renamed, so that
    a full disk or a killed process leaves an old file of this name whole.

    Parameters
    ----------
    estimator : estimator of sklvm
        With its parameters and all that it has learned. Classes and functions of your
        own among them, such as modules, likelihoods and callbacks, are named in the
        file, not written into it; `load` takes them.
    path : str or path-like
    resumable : bool, default=True
        Whether to keep what only a training needs that goes on, so that `warm_start`
        and `partial_fit` continue exactly after loading: the moments of an optimiser,
        which are two thirds of such a file, and the statistics of EM. Without them the
        file is smaller, and scores and predictions are the same.

    Raises
    ------
    TypeError
        If the estimator is not one of this package, or holds something that is neither
        numbers, text, arrays nor objects of them, such as a function without a name.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : The way back.

    Examples
    --------
    >>> import os, tempfile
    >>> import sklvm
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> gmm = sklvm.GaussianMixtureEM(n_components=3, random_state=0).fit(X)
    >>> path = os.path.join(tempfile.mkdtemp(), "iris.sklvm")
    >>> sklvm.save(gmm, path)
    >>> sklvm.load(path).score(X) == gmm.score(X)
    True
    """
    name = type(estimator).__name__
    if not isinstance(estimator, FittedStateMixin):
        raise TypeError(
            f"estimator={name} is no estimator of sklvm; save a Pipeline or another "
            "library's estimator with skops.io.dump, which takes those of sklvm too."
        )
    try:
        write_value(path, estimator, resumable)
    except NotPlainError as error:
        raise TypeError(
            f"{name}.{error.path}={error.value!r} cannot be saved, as it is no number, "
            "text or array and no class or function of a module; "
            f"{_remedy(error.value)}."
        ) from None


def _remedy(value):
    place = getattr(value, "__qualname__", "")
    if "<lambda>" in place or "<locals>" in place:  # pickle has none of these, either
        return "define it by def or class at the top of a module"
    return "leave it out, or use pickle"


def write_value(path, value, resumable=True):
    """Write any value that a state may hold to a file."""
    writer = Writer(resumable)
    tree = writer.write(value)
    document = {
        "sha256": "0" * 64,
        "format": FORMAT,
        "version": version(),
        "classes": list(writer.classes),
        "tree": tree,
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    assert text.startswith(PREFIX)
    text = with_checksum(text, writer.arrays)
    write_whole(path, pack_bytes(text, writer.arrays))


def load(path, *, modules=None):
    """Read an estimator that `save` has written.

    Nothing in the file is executed or imported. Classes of this package and layers of
    torch are rebuilt from their attributes; all others must be handed in. What was
    fitted on a GPU that is not there computes on the CPU, with a warning.

    Parameters
    ----------
    path : str or path-like
    modules : dict, default=None
        Your own classes and functions by the names under which the file has them, for
        example ``{"mypackage.MyEncoder": MyEncoder}``.

    Returns
    -------
    estimator : object

    Raises
    ------
    ValueError
        If the file is damaged, not one of `save` or one of a later format, or names
        classes that are not among `modules`. The memory used is bounded by the size of
        the file.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Which has an example.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"path is a {type(path).__name__} and no path; give the name of a file, to "
            "which its bytes are written first."
        )
    path = os.fspath(path)
    try:
        estimator = read_value(path, modules or {})
        if not isinstance(estimator, BaseEstimator):
            raise ValueError("it holds no estimator")
    except (OSError, MemoryError, ImportError):
        raise
    except MissingClassesError as error:
        raise ValueError(
            f"path={path!r} needs {', '.join(error.names)}, which sklvm does not have; "
            f"hand them in as modules={{{error.remedy}}}."
        ) from None
    except _OtherFormatError as error:
        found, by = error.args
        raise ValueError(
            f"path={path!r} has format {found}, written by sklvm {by}, and this is "
            f"sklvm {version()}, which reads format {FORMAT}; install sklvm {by} or "
            "a later version."
        ) from None
    except Exception as error:  # whatever the content of a damaged file leads to
        raise ValueError(
            f"path={path!r} cannot be read as a file of sklvm.save "
            f"({_reason(error)}); save the estimator again."
        ) from error
    return estimator


def read_value(path, modules):
    """What `write_value` has written; any exception where the file is damaged."""
    document, text = _parsed(path)
    if document["format"] != FORMAT:
        raise _OtherFormatError(document["format"], document["version"])
    arrays = read_arrays(path)
    if checksum(text, arrays) != document["sha256"]:
        raise ValueError("its checksum is another")
    classes = find(document["classes"], modules)
    return Reader(classes, arrays).read(document["tree"])


class _OtherFormatError(Exception):
    """The file has a format that this version does not know."""


def _reason(error):
    """What an error says; objects of a damaged file may fail where they are printed."""
    text = error.args[0] if error.args else ""
    return text[:200] if type(text) is str else type(error).__name__


def _parsed(path):
    text = read_text(path)
    document = json.loads(text)
    if type(document) is not dict:
        raise ValueError("its metadata is no object")
    return document, text
