"""Speed of training: samples a second of the epochs, in turn with three peers.

Ours, a hand-written PyTorch loop, skorch's NeuralNet as it comes, and pythae's trainer
train the same networks on the same rows with the same batches. Each side in turn
trains for a few epochs, again and again; the first epoch of each turn is dropped, and
medians over the others are compared. What comes before the first epoch and after the
last one (checks, the bound of the training rows, saving) is not counted for anyone.
"""

import importlib.util
import warnings
from statistics import median

import torch
from _report import print_header, print_machine, print_row
from _vae_peers import (
    LEARNING_RATE,
    EpochSeconds,
    Task,
    networks,
    train_by_hand,
    train_by_pythae,
    train_by_skorch,
)
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklvm import VAE

# The aims: samples a second of ours over the peer's.
AIMS = {
    "hand-written loop": {"wide": 0.97, "narrow": 0.97},
    "skorch's default": {"wide": 1.3, "narrow": 3},
    "pythae's trainer": {"wide": 1.3, "narrow": 3},
}
PEERS = {
    "hand-written loop": train_by_hand,
    "skorch's default": train_by_skorch,
    "pythae's trainer": train_by_pythae,
}


def train_ours(task, n_epochs, **params):
    """Seconds of each epoch of our VAE."""
    seconds = []
    noise = {} if task.likelihood == "bernoulli" else {"noise": 1.0}
    # The same networks: those of its own have a linear map beside them.
    encoder, decoder = networks(task)
    model = VAE(
        task.latent_dim,
        likelihood=task.likelihood,
        **noise,
        encoder=encoder,
        decoder=decoder,
        objective="kl",
        early_stopping=False,
        optimizer="adam",
        lr=LEARNING_RATE,
        lr_schedule="constant",
        batch_size=task.batch_size,
        max_epochs=n_epochs,
        callbacks=[EpochSeconds(seconds)],
        random_state=0,
        **params,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(task.X.numpy())
    return seconds


def wide_task(scale, batch_size):
    """784-200-200-50 on 50,000 rows of coin tosses."""
    generator = torch.Generator().manual_seed(0)
    X = torch.rand((int(50_000 * scale), 784), generator=generator).round_()
    return Task(X, "bernoulli", (200, 200), 50, batch_size)


def narrow_task(scale, batch_size):
    """20-64-64-8 on 20,000 rows of Gaussian noise."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn((int(20_000 * scale), 20), generator=generator)
    return Task(X, "gaussian", (64, 64), 8, batch_size)


TASKS = {"wide": wide_task, "narrow": narrow_task}


def sides():
    """{name: trainer}, ours first; pythae only where it is installed."""
    trainers = {"ours": train_ours, **PEERS}
    if importlib.util.find_spec("pythae") is None:
        del trainers["pythae's trainer"]
    return trainers


def samples_a_second(task, n_turns, n_epochs):
    """{side: median over the epochs}, the sides in turn."""
    seconds = {name: [] for name in sides()}
    for _ in range(n_turns):
        for name, train in sides().items():
            seconds[name] += train(task, 1 + n_epochs)[1:]
    return {name: len(task.X) / median(values) for name, values in seconds.items()}


def compare(network, task, n_turns, n_epochs):
    """Print one line for ours and one for each peer."""
    sizes = "-".join(map(str, (*task.hidden_layer_sizes, task.latent_dim)))
    name = f"{task.X.shape[1]}-{sizes}, {len(task.X)} rows, {task.likelihood}"
    rates = samples_a_second(task, n_turns, n_epochs)
    print_row(name, task.batch_size, "ours", f"{rates['ours']:,.0f}", "", "")
    for peer, aims in AIMS.items():
        if peer in rates:
            cells = f"{rates[peer]:,.0f}", f"{rates['ours'] / rates[peer]:.2f}"
        else:
            cells = "not installed", ""
        print_row(name, task.batch_size, peer, *cells, aims[network])


def add_arguments(parser):
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="counted in each turn")
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 1024])
    parser.add_argument("--scale", type=float, default=1.0, help="of all row numbers")
    parser.add_argument("--only", choices=TASKS, help="one of the two networks")


def run(arguments):
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        print_machine(arguments.threads, ("torch", "skorch", "pythae"))
        print(
            f"Medians of {arguments.turns * arguments.epochs} epochs each, "
            f"in {arguments.turns} turns.\n"
        )
        print_header(
            "network", "batch", "trained by", "samples/s", "ours over peer", "aim"
        )
        for network, make_task in TASKS.items():
            if arguments.only in (None, network):
                for batch_size in arguments.batches:
                    task = make_task(arguments.scale, batch_size)
                    compare(network, task, arguments.turns, arguments.epochs)
