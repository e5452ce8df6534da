"""What other processes run: importable, as spawned ones need it."""

import os
import sys
import threading
import time

import numpy as np


def score_all(estimators, rows, queue):
    """Score rows in another process."""
    queue.put([est.score_samples(X) for est, X in zip(estimators, rows, strict=True)])


def forked(function, seconds=60):
    """Whether a process that is forked now runs a function to its end."""
    pid = os.fork()
    if pid == 0:
        function()
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


def fork_while_threads_predict():
    """Fork after fits, and again and again while threads predict."""
    import torch

    from tests.state.cases import CASES

    torch.set_num_threads(1)  # OpenMP forbids the fork else
    names = ["GaussianMixtureEM", "MixtureEM", "VAE"]
    models = [(CASES[name].fit(), CASES[name].data[0]) for name in names]

    def predict():
        for est, X in models:
            est.score_samples(X)
            est.transform(X)

    assert forked(predict), "a fork after a fit hangs"
    stop = threading.Event()

    def predict_until_stopped():
        while not stop.is_set():
            predict()

    threads = [threading.Thread(target=predict_until_stopped) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            assert forked(predict), "a fork while threads predict hangs"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    print("done")


def filters_after_threads():
    """Whether threads that predict leave the filters of warnings as they were."""
    import warnings

    from tests.state.cases import CASES

    sys.setswitchinterval(1e-6)
    for name in ("GaussianMixtureEM", "BernoulliMixtureEM", "VAE", "ConditionalVAE"):
        est = CASES[name].fit()
        rows = [np.tile(values, (10, 1)) for values in CASES[name].data]
        before = list(warnings.filters)
        for _ in range(3):
            in_threads(est, rows)
            assert list(warnings.filters) == before, name
    print("done")


def in_threads(est, rows):
    """Scores of the rows in eight threads, again and again."""

    def predict():
        for _ in range(30):
            est.score_samples(*rows)

    threads = [threading.Thread(target=predict) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
