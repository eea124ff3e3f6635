"""How much a forward pass computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def operations(module: nn.Module, x: Tensor) -> int:
    """Floating point operations of one forward pass: those of products of matrices.

    Where all products are those of linear and convolution layers they are told from the shapes that
    pass through them. Otherwise torch's own counter is asked, for which torch has to import its
    compiler: some seconds.

    Args:
        module: In evaluation mode.
        x: `(rows, *shape)`.

    Example:
        >>> operations(nn.Linear(784, 10), torch.zeros(1, 784))
        15680
    """
    layers = [layer for layer in module.modules() if layer.state_dict(keep_vars=True)]
    leaves = [layer for layer in layers if not list(layer.children())]
    plain = all(isinstance(layer, (nn.Linear, *_CONVOLUTIONS)) or _thin(layer) for layer in leaves)
    own = {id(tensor) for layer in leaves for tensor in (*layer.parameters(), *layer.buffers())}
    everything = (*module.parameters(), *module.buffers())
    if not plain or any(id(tensor) not in own for tensor in everything if tensor.ndim > 1):
        return _counted_by_torch(module, x)
    total = 0

    def add(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, Tensor)
        total += 2 * output.numel() * weight[0].numel()

    counted = [layer for layer in leaves if isinstance(layer, (nn.Linear, *_CONVOLUTIONS))]
    handles = [layer.register_forward_hook(add) for layer in counted]
    try:
        with torch.no_grad():
            module(x)
    finally:
        for handle in handles:
            handle.remove()
    return total


def _thin(layer: nn.Module) -> bool:
    """Whether a layer holds no matrix, as batch norm."""
    return all(tensor.ndim < 2 for tensor in (*layer.parameters(), *layer.buffers()))


def _counted_by_torch(module: nn.Module, x: Tensor) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    return int(counter.get_total_flops())
