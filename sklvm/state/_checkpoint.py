"""Checkpoints: what a fit has reached, in a file from which the same fit goes on.

A fit is a series of stages: the trainings of its networks, or the restarts of EM. A fit
that is begun again does all that lies between the stages anew, which gives the same as
before; a finished stage only puts back what it had left, and the one that was broken
off goes on from the last epoch or iteration in the file.
"""

import hashlib
import json
import os
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._param_validation import HasMethods

from sklvm.state._classes import foreign_name
from sklvm.state._estimators import version
from sklvm.state._file import check_place
from sklvm.state._save import read_value, write_value
from sklvm.state._write import Writer

# Seconds from one writing to the next, and the most of the time that writing may take.
EVERY, MOST_TIME = 5.0, 0.01
CHECKPOINT_CONSTRAINT = [str, HasMethods("__fspath__"), None]
# What may be another when a fit is begun again.
FREE = ("checkpoint", "callbacks", "n_jobs", "verbose", "verbose_interval")


class NoCheckpoint:
    """Of a fit that keeps nothing."""

    def settled(self, random_state):
        """The `random_state`, or a seed for None."""
        return random_state

    def next_stage(self):
        """The number of a stage that begins."""

    def reached(self, number):
        """(state, whether it is the end) of a stage from the file, or None."""

    def keep(self, number, state):
        """Keep `state()` of a stage, if it is time to."""

    def finish(self, number, state):
        """Keep `state()` of a stage that has ended."""

    def remove(self):
        """Leave nothing, as the fit is done."""


class Checkpoint(NoCheckpoint):
    """What the stages of a fit have reached, in memory and in a file.

    Parameters
    ----------
    path : str or path-like
    identity : dict
        What the fit is of, by names for the user: texts that are compared.

    Raises
    ------
    ValueError
        If the file is of another fit, or no checkpoint.
    OSError
        If the file cannot be written.
    """

    def __init__(self, path, identity):
        self.path = os.fspath(path)
        check_place(self.path, "checkpoint")
        self.identity = identity
        self._lock = threading.Lock()
        self._next, self._stages = 0, {}
        self._seed = int(np.random.SeedSequence().generate_state(1)[0])
        self._due = time.monotonic() + EVERY
        if os.path.exists(self.path):
            self._read()
        else:
            self._write()  # so that a place that cannot be written to is an error now

    def _read(self):
        try:
            found = read_value(self.path, {})
            identity, self._seed = found["identity"], found["seed"]
            self._stages = found["stages"]
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise ValueError(
                f"checkpoint={self.path!r} cannot be read as a checkpoint ({error}); "
                "remove the file, or choose another path."
            ) from error
        names = {*identity, *self.identity}
        differ = [n for n in names if identity.get(n) != self.identity.get(n)]
        if differ:
            raise ValueError(
                f"checkpoint={self.path!r} is of a fit with another "
                f"{' and '.join(sorted(differ))}; go on with that fit, remove the file,"
                " or choose another path, and in a search, whose fits would share the "
                "file, leave checkpoint=None."
            )

    def _write(self):
        start = time.monotonic()
        kept = {"identity": self.identity, "seed": self._seed, "stages": self._stages}
        write_value(self.path, kept)
        end = time.monotonic()
        self._due = end + max(EVERY, (end - start) / MOST_TIME)

    def settled(self, random_state):
        """The same for None when the fit is begun again."""
        return self._seed if random_state is None else random_state

    def next_stage(self):
        self._next += 1
        return self._next - 1

    def reached(self, number):
        return self._stages.get(str(number))

    def keep(self, number, state):
        with self._lock:
            if time.monotonic() >= self._due:
                self._stages[str(number)] = state(), False
                self._write()

    def finish(self, number, state):
        with self._lock:
            self._stages[str(number)] = state(), True
            if time.monotonic() >= self._due:
                self._write()

    def remove(self):
        with suppress(FileNotFoundError):  # nor need it be there: the fit is done
            os.unlink(self.path)


NO_CHECKPOINT = NoCheckpoint()
_present = ContextVar("present", default=None)


def present_checkpoint():
    """That of the fit that runs."""
    return _present.get() or NO_CHECKPOINT


@contextmanager
def checkpointing(estimator, data, start):
    """The `Checkpoint` of a fit, which is to be removed when it is done.

    Parameters
    ----------
    estimator : estimator with a parameter `checkpoint`
    data : dict
        What is fitted, by name: arrays, sparse matrices, or None.
    start : object
        The fitted state that a fit with warm_start goes on from, or None.
    """
    checkpoint = NO_CHECKPOINT
    if estimator.checkpoint is not None:
        identity = {**_identity(estimator), "start": _digest(start)}
        identity |= {name: _digest(array) for name, array in data.items()}
        checkpoint = Checkpoint(estimator.checkpoint, identity)
    token = _present.set(checkpoint)
    try:
        yield checkpoint
    finally:
        _present.reset(token)


def _identity(estimator):
    params = estimator.get_params(deep=False)
    return {
        "estimator": type(estimator).__name__,
        "version of sklvm": version(),
        **{name: _digest(params[name]) for name in params if name not in FREE},
    }


def _digest(value):
    """A text that tells a value from all others."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        # Part by part: it may be a map of a file that is larger than the memory.
        digest = hashlib.sha256(f"{value.dtype} {value.shape}".encode())
        for part in np.array_split(np.atleast_1d(value), 1 + (value.nbytes >> 24)):
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)
        return digest.hexdigest()
    if issparse(value):
        value = value.tocsr()
        parts = (value.shape, value.data, value.indices, value.indptr)
        return " ".join(_digest(np.asarray(part)) for part in parts)
    others = []
    writer = Writer(resumable=True, others=others)
    tree = writer.write(value)
    arrays = {name: _digest(array) for name, array in writer.arrays.items()}
    names = [foreign_name(x if callable(x) else type(x)) for x in others]
    parts = [tree, list(writer.classes), arrays, names]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
