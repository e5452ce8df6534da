"""What a fit does, reported to scikit-learn's callbacks: restarts, trainings, steps.

A fit is a task that has restarts of EM or trainings of networks as its parts, and those
have iterations or epochs. Without callbacks nothing is reported or kept.
"""

from contextlib import contextmanager
from contextvars import ContextVar

CALLBACKS = "_skl_callbacks"  # where scikit-learn's `set_callbacks` puts them


class Task:
    """One that is reported to callbacks; without a context one that nobody watches.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext or None
    reported : dict
        `estimator`, `X`, `y` and `metadata`, for the callbacks.
    """

    def __init__(self, context=None, reported=None):
        self._context = context
        self._reported = reported
        self._n_steps = 0

    @contextmanager
    def part(self, name, n_parts, number=None):
        """The task of a part with `n_parts` of its own, which the block is.

        Parts side by side have a `number`; None is the next one.
        """
        if self._context is None:
            yield self
            return
        context = self._context.subcontext(name, number, n_parts)
        context.call_on_fit_task_begin(**self._reported)
        yield Task(context, self._reported)
        context.call_on_fit_task_end(**self._reported)

    def step(self, name, attributes):
        """Tell of a step that is done; whether a callback asks to stop.

        `attributes()` are those of an estimator whose fit had ended here, or None.
        """
        if self._context is None:
            return False
        if self._n_steps == self._context.max_subtasks:
            # A restart whose components were re-seeded counts from 0 again.
            self._context.max_subtasks = None
        self._n_steps += 1
        context = self._context.subcontext(name)
        context.call_on_fit_task_begin(**self._reported)
        return context.call_on_fit_task_end(
            **self._reported, reconstruction_attributes=attributes
        )

    @contextmanager
    def lent(self, estimator):
        """Let the estimator, which the block fits, go on with this task as its own."""
        if self._context is None:
            yield
            return
        context = self._context.subcontext("fit the estimator")
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(**self._reported)
            yield
            context.call_on_fit_task_end(**self._reported)


NOBODY = Task()
_present = ContextVar("present_task", default=NOBODY)


def present_task():
    """That of the fit that runs."""
    return _present.get()


@contextmanager
def watched(estimator, n_parts, X, y=None, *, side_by_side=False, **metadata):
    """The `Task` of a fit, which the block is; in a method `with_callbacks`.

    Parameters
    ----------
    estimator : estimator
    n_parts : int
        Parts of the fit, at most.
    X, y, **metadata : what `fit` was called with
    side_by_side : bool, default=False
        Whether parts run in parallel, and have numbers.
    """
    task = NOBODY
    if getattr(estimator, CALLBACKS, None):
        context = estimator._init_callback_context(
            max_subtasks=n_parts, sequential_subtasks=not side_by_side
        )
        reported = {
            "estimator": estimator,
            "X": X,
            # A monitor scores where there is a y, which most scores here ignore.
            "y": X if y is None else y,
            "metadata": {k: v for k, v in metadata.items() if v is not None} or None,
        }
        context.call_on_fit_task_begin(**reported)
        task = Task(context, reported)
    token = _present.set(task)
    try:
        yield task
    finally:
        _present.reset(token)
    if task is not NOBODY:
        context.call_on_fit_task_end(**reported, reconstruction_attributes={})
