"""Data-parallel training: the processes that torchrun has started.

All of them are given the same rows and parameters and do the same, but for the steps of
the optimiser: there each takes its share of the rows of a batch, with the noise that a
single process would have drawn for them, and gradients, losses and what else is a
function of the whole batch are those of all shares together.
"""

import atexit
import multiprocessing
import os
import threading
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

import torch
from torch import distributed

from sklvm._warn import silent

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Ranks:
    """The processes that train one model together, of which this one is `rank`."""

    def __init__(self, rank=0, size=1):
        self.rank, self.size = rank, size

    def device(self, device):
        """This process's own of the GPUs of a machine, where none was named."""
        is_open = self.size > 1 and device.type == "cuda" and device.index is None
        if not is_open:
            return device
        local = int(os.environ.get("LOCAL_RANK", self.rank))
        device = torch.device("cuda", local % torch.cuda.device_count())
        torch.cuda.set_device(device)
        return device

    def share(self, n):
        """The rows of a batch of n that are this process's, and their weight in it.

        Each process has one row at least: all have all of them where they are fewer.
        """
        if n < self.size:
            return slice(None), 1 / self.size
        start, stop = (n * r // self.size for r in (self.rank, self.rank + 1))
        return slice(start, stop), (stop - start) / n

    def add(self, tensor):
        """The sum of a tensor over the processes, in place."""
        if self.size > 1:
            with _lost_processes():
                distributed.all_reduce(tensor)
        return tensor

    def average_gradients(self, parameters, numbers, weight):
        """Make gradients the weighted mean of all; the mean of `numbers` as well."""
        if self.size == 1:
            return numbers
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([numbers.flatten(), *(g.flatten() for g in gradients)])
        flat = self.add(flat.mul_(weight))
        numbers, *means = flat.split([numbers.numel(), *map(torch.numel, gradients)])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))
        return numbers

    def first(self, value):
        """What the first process has for a value."""
        if self.size == 1:
            return value
        values = [value]
        with _lost_processes():
            distributed.broadcast_object_list(values)
        return values[0]

    def take_first(self, module):
        """Make the weights and buffers of a module those of the first process."""
        if self.size > 1:
            with torch.no_grad(), _lost_processes():
                for tensor in module.state_dict().values():
                    distributed.broadcast(tensor, 0)

    def check_same(self, given):
        """Raise in all processes if a named value is not the same in all."""
        if self.size == 1:
            return
        all_given = [None] * self.size
        with _lost_processes():
            distributed.all_gather_object(all_given, given)
        for rank, other in enumerate(all_given):
            for name, value in all_given[0].items():
                if other.get(name) != value:
                    raise ValueError(
                        f"Process 0 of torchrun has {name}={value} and process {rank} "
                        f"has {name}={other.get(name)}; give all processes the same "
                        "rows and parameters, of which each takes its share."
                    )


ALONE = Ranks()
_present = ContextVar("ranks", default=ALONE)


def present_ranks():
    """The processes of the training that runs; one outside of any."""
    return _present.get()


def joint_mean(mean, n):
    """The mean over a batch, given that of this process's n rows, and its gradient.

    The gradient is that of the own rows: the sum over the processes comes later.
    """
    ranks = present_ranks()
    if ranks.size == 1:
        return mean
    joint, n_all = joint_sums(mean.detach() * n, mean.new_tensor(float(n)))
    return joint / n_all + (mean - mean.detach())


def joint_sums(*sums):
    """Sums over a batch, given those over this process's rows; without gradient."""
    ranks = present_ranks()
    if ranks.size == 1:
        return sums
    flat = ranks.add(torch.cat([part.detach().flatten() for part in sums]))
    parts = flat.split([part.numel() for part in sums])
    return [part.view_as(own) for part, own in zip(parts, sums, strict=True)]


@contextmanager
def training_together(is_able=True):
    """The processes of the block: all that torchrun has started, or this one alone.

    A process that one of them has started, as joblib does, and a thread beside the main
    one train alone: no other process does the same at the same time. Only the first of
    several warns.
    """
    ranks = _find() if is_able else ALONE
    token = _present.set(ranks)
    try:
        with nullcontext() if ranks.rank == 0 else silent():
            yield ranks
    finally:
        _present.reset(token)


def _find():
    if not distributed.is_available():
        return ALONE
    if threading.current_thread() is not threading.main_thread():
        return ALONE
    if not distributed.is_initialized():
        is_launched = all(name in os.environ for name in LAUNCHED)
        is_own = multiprocessing.current_process().name == "MainProcess"
        if not (is_launched and is_own and int(os.environ["WORLD_SIZE"]) > 1):
            return ALONE
        distributed.init_process_group()
        atexit.register(_leave)
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def _leave():
    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def _lost_processes():
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise RuntimeError(
            f"Another process of torchrun is gone ({reason}); see its own error, and "
            "start all of them again."
        ) from error
