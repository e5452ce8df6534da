"""How networks are written into a fitted state: tensors, modules, generators, history.

Tensors become arrays on the CPU. A module is written by those attributes in which it
differs from an empty one, a history by its columns.
"""

import math
from itertools import groupby

import numpy as np
import torch
from skorch.history import History
from torch import nn

from sklvm.state._classes import register
from sklvm.state._kinds import register_base, register_kind

BLANK = nn.Module().__dict__


def _tensor_to(tensor):
    """An array, or where it is not laid out as usual [strides, array].

    Convolutions leave weights whose channels lie last, and round otherwise then.
    """
    tensor = tensor.detach().cpu()
    array = _as_numbers(tensor)
    strides = tensor.stride()
    usual = torch.empty(tensor.shape, device="meta").stride()
    if strides != usual and _is_dense(tensor.shape, strides):
        return [list(strides), array]
    return array


def _as_numbers(tensor):
    if tensor.dtype == torch.bfloat16:  # NumPy has no such dtype
        return [tensor.view(torch.int16).numpy()]
    return tensor.numpy()


def _is_dense(shape, strides):
    """Whether so many numbers need no more memory than their own."""
    ends = [(n - 1) * stride for n, stride in zip(shape, strides, strict=True)]
    return min(strides, default=1) > 0 and sum(ends) + 1 == math.prod(shape)


def _tensor_from(plain):
    """A tensor in memory of torch's own, on whose alignment rounding may depend."""
    if not isinstance(plain, list):
        return torch.from_numpy(
            np.ascontiguousarray(plain).reshape(plain.shape)
        ).clone()
    if len(plain) == 1:
        return _tensor_from(*plain).view(torch.bfloat16)
    strides, plain = plain
    tensor = _tensor_from(plain)
    if not _is_dense(tensor.shape, strides):
        raise ValueError("strides that leave memory empty")
    laid_out = torch.empty_strided(
        tensor.shape, strides, dtype=tensor.dtype, device="cpu"
    )
    return laid_out.copy_(tensor)


def _parameter_to(parameter):
    return [parameter.requires_grad, _tensor_to(parameter)]


def _parameter_from(plain):
    requires_grad, array = plain
    return nn.Parameter(_tensor_from(array), bool(requires_grad))


def _generator_to(generator):
    return [str(generator.device), generator.get_state().numpy()]


def _generator_from(plain):
    device, state = plain
    return torch.Generator(device).set_state(torch.from_numpy(state.copy()))


def _new_module(cls):
    module = cls.__new__(cls)
    nn.Module.__init__(module)
    return module


def _attributes(module):
    state = module.__getstate__()
    return {k: v for k, v in state.items() if k not in BLANK or _differs(v, BLANK[k])}


def _differs(value, blank):
    if isinstance(blank, dict | set):
        return len(value) > 0  # the blank one is empty
    return value is not blank


def _narrow(column):
    """Values of one column: an array where they are numbers of one type."""
    types = set(map(type, column))
    if types == {float} or types == {bool}:
        return np.array(column)
    if types == {int} and max(map(abs, column)) < 2**31:
        values = np.array(column)
        return values.astype(np.min_scalar_type(-int(abs(values).max()) - 1))
    return column


def _history_to(history):
    """Epochs with the same names follow each other as a table; no batches."""
    epochs = [{k: v for k, v in epoch.items() if k != "batches"} for epoch in history]
    return [
        {name: _narrow([epoch[name] for epoch in table]) for name in names}
        for names, table in ((n, list(t)) for n, t in groupby(epochs, key=tuple))
    ]


def _history_from(tables):
    history = History()
    for table in tables:
        columns = [c if isinstance(c, list) else c.tolist() for c in table.values()]
        for values in zip(*columns, strict=True):
            history.append({"batches": [], **dict(zip(table, values, strict=True))})
    return history


register_kind(torch.Tensor, "tensor", _tensor_to, _tensor_from)
register_kind(nn.Parameter, "parameter", _parameter_to, _parameter_from)
register_kind(torch.Generator, "torch_generator", _generator_to, _generator_from)
register_kind(torch.device, "device", str, torch.device)
register_kind(torch.Size, "size", list, torch.Size)
register_kind(History, "history", _history_to, _history_from)
register_base(nn.Module, _new_module, _attributes)

register(print, "builtins.print")  # which callbacks of skorch have for a default

# The layers of torch hold numbers and compute; none reads or writes anything else.
for _name in nn.modules.__all__:
    register(getattr(nn, _name), f"torch.nn.{_name}")
for _name, _class in vars(torch.optim).items():
    if isinstance(_class, type) and issubclass(_class, torch.optim.Optimizer):
        register(_class, f"torch.optim.{_name}")
