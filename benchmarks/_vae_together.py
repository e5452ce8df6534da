"""Data-parallel training: one process against two that torchrun starts.

A thread for each process; 784-200-200-50 with Bernoulli pixels and batches of 1,024
rows for all processes together. Seconds of an epoch without the first, the largest
difference between the traces, and the same of a hand-written loop under torch's
DistributedDataParallel.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _data import add_data_argument, binary_mnist
from _report import print_header, print_machine, print_row
from _vae_peers import LEARNING_RATE, PlainVAE, Task

from sklvm import VAE

SIZES, LATENT_DIM, BATCH_SIZE = (200, 200), 50, 1024


def add_arguments(parser):
    add_data_argument(parser)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--rows", type=int, default=30_000)


def ours(X, n_epochs):
    """Seconds and loss of each epoch."""
    model = VAE(
        LATENT_DIM, likelihood="bernoulli", hidden_layer_sizes=SIZES,
        batch_size=BATCH_SIZE, max_epochs=n_epochs, lr=LEARNING_RATE,
        early_stopping=False, tol=np.inf, random_state=0,
    ).fit(X)  # fmt: skip
    return model.net_.history[:, "dur"], (-model.lower_bounds_).tolist()


def by_hand(X, n_epochs):
    """The same of torch's own wrapper, each process with its share of the rows."""
    torch.manual_seed(0)
    model = PlainVAE(Task(torch.from_numpy(X), "bernoulli", SIZES, LATENT_DIM, 0))
    rank, size = 0, 1
    if torch.distributed.is_initialized():
        rank = torch.distributed.get_rank()
        size = torch.distributed.get_world_size()
        model = torch.nn.parallel.DistributedDataParallel(model)
    own = torch.from_numpy(X[rank::size])
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    seconds, losses = [], []
    for _ in range(n_epochs):
        start, total, batches = time.perf_counter(), 0.0, 0
        for rows in torch.randperm(len(own)).split(BATCH_SIZE // size):
            optimizer.zero_grad()
            loss = model(own[rows])
            loss.backward()
            optimizer.step()
            total, batches = total + loss.detach(), batches + 1
        losses.append(float(total) / batches)
        seconds.append(time.perf_counter() - start)
    return seconds, losses


def run_one(path, rows, n_epochs):
    """What each process of torchrun runs; the first writes what it has found."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    X = np.load(rows)
    found = {"ours": ours(X, n_epochs), "torch's wrapper": by_hand(X, n_epochs)}
    if os.environ["RANK"] == "0":
        Path(path).write_text(json.dumps(found))


def launch(n_processes, rows, n_epochs, folder):
    path = folder / f"{n_processes}.json"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={n_processes}", __file__, path, rows, n_epochs]
    subprocess.run(
        list(map(str, command)), check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return json.loads(path.read_text())


def run(arguments):
    print_machine(1, ["torch"])
    train, _ = binary_mnist(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.npy"
        np.save(rows, train[: arguments.rows].astype(np.float32))
        one, many = (
            launch(n, rows, arguments.epochs, Path(folder))
            for n in (1, arguments.processes)
        )
    print_header(
        "trainer", "s per epoch, 1 process", f"{arguments.processes} processes",
        "ratio", "largest difference of the losses, nats",
    )  # fmt: skip
    for name in one:
        (alone, trace), (together, other) = one[name], many[name]
        before, now = median(alone[1:]), median(together[1:])
        off = np.abs(np.subtract(trace, other)).max()
        print_row(
            name, f"{before:.2f}", f"{now:.2f}", f"{before / now:.2f}", f"{off:.1e}"
        )


if __name__ == "__main__":
    run_one(sys.argv[1], sys.argv[2], int(sys.argv[3]))
