"""What other processes run: importable, as spawned ones need it."""

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def in_a_process(name, *arguments):
    """What a function of this file prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.state.workers", name, *arguments],
        capture_output=True, text=True, cwd=ROOT, timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.stdout.strip() or done.stderr


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


def score_of_fit(checkpoint):
    """The score of a fit that writes its state twenty times a second."""
    from sklvm import VAE
    from sklvm.state import _checkpoint

    warnings.simplefilter("ignore")
    _checkpoint.EVERY = 0.05
    X = np.random.default_rng(0).normal(size=(2000, 5)) ** 3
    vae = VAE(2, max_epochs=40, random_state=0, checkpoint=checkpoint).fit(X)
    return repr(vae.score(X))


def in_a_fork(checkpoint, seconds=None):
    """What `score_of_fit` gives in a process that is killed so long after its start.

    None is the score of one that is killed; without `seconds` it runs to its end.
    """
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writes, score_of_fit(checkpoint).encode())
        os._exit(0)
    os.close(writes)
    if seconds is not None:
        end = time.monotonic() + 60
        while not Path(checkpoint).exists() and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(reads) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said or None


def killed_fits():
    """One fit as a whole, and one that is killed twice, in processes of their own."""
    import sklvm.autoencoder  # noqa: F401  once for all of them

    path, rng = sys.argv[2], np.random.default_rng(0)
    whole = in_a_fork(f"{path}.other")
    n_killed = sum(in_a_fork(path, rng.uniform(0.1, 0.5)) is None for _ in range(2))
    print(n_killed, in_a_fork(path) == whole, Path(path).exists())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
