"""Ctrl-C in a training, and not a callback that raises KeyboardInterrupt to stop it.

skorch's own callbacks end a training by a KeyboardInterrupt, so the exception does not
tell who has raised it; the signal does. And where Python can only drop an exception, as
in a destructor, Ctrl-C would be lost.
"""

import signal
import threading
from contextlib import contextmanager
from contextvars import ContextVar


class Interrupted(BaseException):
    """Ctrl-C in a training of which there is a model to keep: the last epoch's."""

    def __init__(self, interrupt):
        super().__init__(interrupt)
        self.interrupt = interrupt


# What the signal's handler has noted in the present training, if there is one.
_pressed = ContextVar("pressed", default=())


def was_ctrl_c():
    """Whether Ctrl-C has been pressed since the training began."""
    return bool(_pressed.get())


@contextmanager
def noticed_ctrl_c():
    """Note each Ctrl-C in the block, and raise it at the end if it has been dropped.

    At the end everything is done: it is an `Interrupted`, with nothing lost.
    """
    pressed = []
    token = _pressed.set(pressed)
    try:
        with _noted_in(pressed):
            yield
        if pressed:
            raise Interrupted(KeyboardInterrupt())
    finally:
        _pressed.reset(token)


@contextmanager
def _noted_in(pressed):
    """Let the handler of the signal note where it raises KeyboardInterrupt."""
    before = signal.getsignal(signal.SIGINT)
    # Signals are the main thread's; elsewhere, or where they are ignored, none comes.
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not callable(before):
        yield
        return

    def handler(*args):
        try:
            before(*args)
        except KeyboardInterrupt:
            pressed.append(True)
            raise

    try:
        signal.signal(signal.SIGINT, handler)
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, before)
