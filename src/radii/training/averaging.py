"""A running average of the weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """The exponential moving average of a module's weights and statistics, as a module.

    Early on it forgets faster, `min(decay, (1 + steps) / (10 + steps))`, or else the untrained
    weights would stay in it for long.

    Args:
        module: Whose weights are averaged; the average starts with them.
        decay: What is kept of the average at each step.

    Attributes:
        module: The average, in evaluation mode.

    Reference:
        Polyak and Juditsky 1992; Tarvainen and Valpola 2017, arXiv:1703.01780.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._decay = decay
        # The tensors of a state dict are the module's own, which are only ever changed in place.
        both = zip(self.module.state_dict().values(), module.state_dict().values(), strict=True)
        # Those that are tied, and so at the same place, once.
        pairs = {(now.data_ptr(), now.shape): (average, now) for average, now in both}.values()
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Takes in the module's present weights; `steps` of training came before the last one."""
        decay = min(self._decay, (1 + steps) / (10 + steps))
        averages, present = zip(*self._floats, strict=True)
        torch._foreach_lerp_(averages, present, 1 - decay)
        for average, now in self._others:
            average.copy_(now)
