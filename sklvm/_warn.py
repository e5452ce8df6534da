"""Warnings to the user."""

import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar

_is_silent = ContextVar("is_silent", default=False)


@contextmanager
def silent():
    """No `warn_user` warns in the block; the process's filters stay as they are."""
    token = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(token)


def warn_user(message, category=UserWarning):
    """A warning that points at the line of the user's that led to it.

    That is the innermost one outside of this package and of the libraries through
    which it is called, for example by a Pipeline.
    """
    if _is_silent.get():
        return
    between = {"sklvm", "sklearn", "joblib"}
    frame, level = sys._getframe(1), 2
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] in between:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
