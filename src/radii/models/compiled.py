"""A base classifier that is compiled before it runs."""

from __future__ import annotations

import importlib
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import Tensor, nn

from radii.models.operations import operations

# Of one function; after as many torch would run the next module of that class uncompiled.
_MOST_COMPILED = 10_000
_REPAID = {"cpu": 1e13}  # floating point operations: some minutes of work
_REPAID_ELSEWHERE = 1e16


class Compiled(nn.Module):
    """A module compiled by torch, with its weights frozen, for batches of one size.

    The first batch is compiled for, which takes from some seconds to a minute. Smaller batches are
    filled up with zeros and larger ones are split, so nothing is compiled twice. Compiled
    arithmetic differs from the module's own in its last digits, so a run records it. Gradients do
    not pass through, and weights that change later are not noticed. On CUDA the compiled code is
    replayed as a graph.

    Args:
        module: In evaluation mode, on its device.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"only an nn.Module can be compiled, got {type(module).__name__}; "
                f"compile inside that function, or leave compilation off"
            )
        if any(part.training for part in module.modules()):
            raise ValueError("the module must be in evaluation mode to be frozen; call eval()")
        self.module = module
        self.training = False
        self.compiled_rows: int | None = None
        cuda = any(tensor.is_cuda for tensor in (*module.parameters(), *module.buffers()))
        options: dict[str, str | int | bool | Callable[..., Any]] = {"freezing": True}
        if cuda:
            options["triton.cudagraphs"] = True
        self._run = torch.compile(module, dynamic=False, options=options)
        self._lock = threading.Lock()
        self._compiled = False

    @property
    def input_dtype(self) -> torch.dtype:
        """That of the module; see `InPrecision`."""
        return getattr(self.module, "input_dtype", torch.float32)

    def forget_rows(self) -> None:
        """Lets the next batch decide anew how many rows are compiled for."""
        with self._lock:
            self.compiled_rows, self._compiled = None, False

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Scores or labels of `(rows, *shape)`, as the module's."""
        x = x.to(self.input_dtype)  # one type, or the code would be compiled for each
        if not self._compiled:
            with self._lock:  # one thread compiles, the others wait
                if self.compiled_rows is None:
                    self.compiled_rows = len(x)
                with _without_limit():
                    answer = self._answers(x, self.compiled_rows)
                self._compiled = True
                return answer
        assert self.compiled_rows is not None
        return self._answers(x, self.compiled_rows)

    def _answers(self, x: Tensor, rows: int) -> Tensor:
        if len(x) == rows:
            return cast(Tensor, self._run(x.clone() if x.is_cuda else x))
        answers = []
        for part in torch.split(x, rows):
            missing = rows - len(part)
            full = torch.cat([part, part.new_zeros((missing, *part.shape[1:]))])
            answers.append(cast(Tensor, self._run(full))[: len(part)].clone())
        return torch.cat(answers)


def _without_limit() -> AbstractContextManager[object]:
    """Inside it this thread, as settings hold for one, compiles a function as often as asked."""
    settings: Any = importlib.import_module("torch._dynamo.config")
    most = dict.fromkeys(("recompile_limit", "accumulated_recompile_limit"), _MOST_COMPILED)
    return cast(AbstractContextManager[object], settings.patch(most))


def worth_compiling(module: Callable[[Tensor], Tensor], shape: tuple[int, ...], draws: int) -> bool:
    """Whether so many forward passes of one input repay the time that compiling takes.

    It is decided by the number of floating point operations alone, so that the same run is always
    decided the same way.

    Args:
        module: In evaluation mode, on its device; a function is never compiled.
        shape: Of one input.
        draws: Forward passes of single inputs.
    """
    if not isinstance(module, nn.Module):
        return False
    tensor = next(iter((*module.parameters(), *module.buffers())), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    if device.type == "cpu" and shutil.which(os.environ.get("CXX", "g++")) is None:
        return False  # torch compiles C++ for the CPU
    work = draws * operations(module, torch.zeros((1, *shape), device=device))
    return work >= _REPAID.get(device.type, _REPAID_ELSEWHERE)
