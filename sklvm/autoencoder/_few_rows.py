"""Chunks for a few rows, where they give what large ones give.

A row's value must not depend on how many stand beside it, and a matrix product may
round otherwise for another number of rows. Whether it does is a matter of the library
and the processor, so it is tried out, once for each shape.
"""

from functools import lru_cache

import torch
from torch import nn

from sklvm.autoencoder._distributions import DiagonalGaussian
from sklvm.autoencoder._linear_start import LinearAndNetwork
from sklvm.autoencoder._model import LatentVariableModel
from sklvm.autoencoder._refinement import N_DRAWS
from sklvm.neural._networks import ACTIVATIONS

# Rows of a small chunk. Elementwise functions treat those beyond the last whole vector
# of a processor in another way, so that all chunks are multiples of it.
FEW_ROWS = 16
PLAIN = {nn.Linear, nn.Sequential, LinearAndNetwork, *ACTIVATIONS.values()}


def chunk_rows(module, n_rows, size, n_draws, refines=False):
    """Rows of a chunk of at most `size`: fewer where there are few and none differs."""
    if size < FEW_ROWS:
        return size
    size -= size % FEW_ROWS
    is_few = n_rows <= FEW_ROWS < size
    alike = is_few and _few_are_alike(module, size, n_draws, refines)
    return FEW_ROWS if alike else size


def _few_are_alike(module, size, n_draws, refines):
    """Whether chunks of `size` rows give what small ones do, to the bit."""
    if not _is_elementwise(module):
        return False
    encoder, decoder = list(module.encoder.modules()), list(module.decoder.modules())
    if not PLAIN.issuperset(map(type, encoder + decoder)):
        return False
    how = size, torch.get_num_threads()
    refining = decoder if refines else []
    # The likelihood multiplies errors by a vector of precisions.
    vector, device = torch.Size([module.n_features]), next(module.parameters()).device
    return _products_agree(vector, device, n_draws, *how) and all(
        _products_agree(layer.weight.shape, layer.weight.device, n, *how)
        for layers, n in ((encoder, 1), (decoder, n_draws), (refining, N_DRAWS))
        for layer in layers
        if type(layer) is nn.Linear
    )


def _is_elementwise(module):
    """Whether nothing but its networks mixes the numbers of a row."""
    return (
        type(module) is LatentVariableModel
        and module.pseudo_inputs is None
        and module.family is DiagonalGaussian
        and type(module.likelihood).__module__.startswith("sklvm.")
    )


@lru_cache(maxsize=256)
def _products_agree(shape, device, n_draws, size, n_threads):
    """Whether products with weights of a shape are the same in both chunks.

    The threads that torch may use are among the arguments, as they change its ways.
    """
    generator = torch.Generator().manual_seed(0)
    noise = {"generator": generator, "dtype": torch.float32}
    x = torch.randn(n_draws, size, shape[-1], **noise).to(device)
    weight = torch.randn(tuple(shape), **noise).to(device)
    many = _product(x, weight)
    few = _product(x[:, :FEW_ROWS].contiguous(), weight)
    if not torch.equal(many[:, :FEW_ROWS], few):
        return False
    if weight.dim() == 1:
        return True
    # Its gradient.
    many = _product(many, weight.T)[:, :FEW_ROWS]
    return torch.equal(many, _product(few, weight.T))


def _product(x, weight):
    if weight.dim() == 1:
        return x @ weight
    bias = weight.new_ones(len(weight))
    rows = nn.functional.linear(x.flatten(0, 1), weight, bias)
    return rows.unflatten(0, x.shape[:2])
