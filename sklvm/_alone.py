"""Checks of scikit-learn that only one thread may run at a time."""

import os
import threading
from functools import wraps

from sklearn.utils import validation


class _OneAtATime:
    """Functions of scikit-learn that change the process's warning filters for a moment.

    Where two threads do so at once, the filters of one remain. A lock that another
    thread holds at a fork would be held for ever in the new process.
    """

    def __init__(self):
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self):
        self.lock = threading.RLock()

    def __call__(self, function):
        @wraps(function)
        def alone(*args, **kwargs):
            with self.lock:
                return function(*args, **kwargs)

        return alone


_one_at_a_time = _OneAtATime()
check_array = _one_at_a_time(validation.check_array)
validate_data = _one_at_a_time(validation.validate_data)
_check_sample_weight = _one_at_a_time(validation._check_sample_weight)
