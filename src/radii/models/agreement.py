"""Where two base classifiers give the same label."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class Agreement(nn.Module):
    """Answers 1 for inputs that both modules give the same label, and else 0.

    It can be smoothed as any base classifier, so the same noise meets both, in batches of the same
    size as each would get by itself.

    Args:
        module: In evaluation mode.
        other: In evaluation mode, on the same device.
    """

    def __init__(self, module: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.other = other
        self.training = module.training or other.training

    @property
    def compiled_rows(self) -> int | None:
        """That of `module`, which only a compiled one has; see `Compiled`."""
        return cast("int | None", self.module.compiled_rows)

    @compiled_rows.setter
    def compiled_rows(self, rows: int) -> None:
        self.module.compiled_rows = rows  # type: ignore[assignment]  # a number, not a tensor

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Labels 0 or 1 `(rows,)` of `(rows, *shape)`."""
        return (_labels(self.module(x)) == _labels(self.other(x))).long()


def _labels(answer: Tensor) -> Tensor:
    return answer.argmax(1) if answer.is_floating_point() else answer.long()
