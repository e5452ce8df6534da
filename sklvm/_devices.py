"""Devices of torch: which are there, their memory, and how numbers are rounded there.

Imported only by what computes on them; mixtures that compute with NumPy do not.
"""

import re
from contextlib import ExitStack, contextmanager, nullcontext

import torch


def resolve_device(device, accelerators=("cuda", "mps")):
    """The torch device that `device` names, made sure that it is there.

    "auto" is the first of the accelerators that is, or the CPU.
    """
    if device == "auto":
        there = (d for d in map(torch.device, accelerators) if _is_there(d))
        return next(there, torch.device("cpu"))
    known = isinstance(device, str | torch.device)
    try:
        resolved = torch.device(device) if known else None
    except RuntimeError:
        resolved = None
    if resolved is None or resolved.type not in ("cpu", *accelerators):
        examples = ["cpu", "cuda", "cuda:1", *accelerators[1:]]
        raise ValueError(
            f"device={device!r} is not a device for this estimator; choose "
            f"{', '.join(map(repr, examples))} or 'auto'."
        )
    if not _is_there(resolved):
        raise ValueError(
            f"device={device!r} is not available on this machine; choose device='cpu', "
            "or 'auto' for the best one that is there."
        )
    return resolved


def _is_there(device):
    if device.type == "cpu":
        return True
    if device.type == "cuda":
        return torch.cuda.is_available() and (
            device.index is None or device.index < torch.cuda.device_count()
        )
    return device.type == "mps" and torch.backends.mps.is_available()


def free_bytes(device):
    """Memory of an accelerator that torch may still use."""
    if device.type == "cuda":
        # What torch holds and does not use is free as well.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()


@contextmanager
def full_precision():
    """Where no torch.autocast of the user's applies.

    Its cache keeps the first copy of each weight, so that a training learns nothing;
    and scores in bfloat16 are off in the third digit.
    """
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def cpu_by_default():
    """Where tensors made without a device lie on the CPU.

    The user may have said otherwise by torch.set_default_device.
    """
    is_cpu = torch.get_default_device().type == "cpu"
    return nullcontext() if is_cpu else torch.device("cpu")


# What torch says where there is no memory; only that of CUDA has a class of its own.
NO_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|Storage size calculation "
    r"overflowed",
    re.IGNORECASE,
)


@contextmanager
def memory_errors(remedy):
    """Raise a MemoryError with what to lower where torch is out of memory."""
    try:
        yield
    except RuntimeError as error:
        found = NO_MEMORY.search(str(error))
        if not found:
            raise
        line = next(x for x in str(error).splitlines() if NO_MEMORY.search(x))
        raise MemoryError(f"{line.strip().rstrip('.')}; {remedy}.") from error


def rounds_float32(device):
    """Whether this process lets products of float32 have fewer digits on the device."""
    backends = torch.backends
    if not hasattr(backends, "fp32_precision"):  # before torch 2.9
        return torch.get_float32_matmul_precision() != "highest"
    of_device = backends.cuda if device.type == "cuda" else backends.mkldnn
    choice = of_device.matmul.fp32_precision
    if choice == "none":  # as it is for everything
        choice = backends.fp32_precision
    return choice not in ("none", "ieee")
