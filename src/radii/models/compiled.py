"""A base classifier that is compiled before it runs."""

from __future__ import annotations

import importlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from radii.models.operations import operations

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
        self._lock = threading.Lock()
        self._run = _to_compile(module)
        self._compiled: set[int] = (
            set()
        )  # numbers of torch's threads, as for each other code is made

    @property
    def input_dtype(self) -> torch.dtype:
        """That of the module; see `InPrecision`."""
        return getattr(self.module, "input_dtype", torch.float32)

    def forget_rows(self) -> None:
        """Lets the next batch decide anew how many rows are compiled for."""
        with self._lock:
            self.compiled_rows = None
            self._run = _to_compile(self.module)
            self._compiled = set()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Scores or labels of `(rows, *shape)`, as the module's."""
        # One type and layout, or the code would be compiled for each.
        x = x.to(self.input_dtype).contiguous()
        if (threads := torch.get_num_threads()) not in self._compiled:
            with self._lock:  # one thread compiles, the others wait
                if self.compiled_rows is None:
                    self.compiled_rows = len(x)
                with _frozen():
                    answer = self._answers(x, self.compiled_rows)
                self._compiled.add(threads)
                return answer
        assert self.compiled_rows is not None
        return self._answers(x, self.compiled_rows)

    def _answers(self, x: Tensor, rows: int) -> Tensor:
        if len(x) == rows:
            return self._run(x.clone() if x.is_cuda else x)
        answers = []
        for part in torch.split(x, rows):
            missing = rows - len(part)
            full = torch.cat([part, part.new_zeros((missing, *part.shape[1:]))])
            answers.append(self._run(full)[: len(part)].clone())
        return torch.cat(answers)


def _to_compile(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The module as a function that its first call compiles.

    torch keeps what it compiled at the code of the function, for all that share it, up to a limit,
    and searches it with a race between threads that ends in a second compilation. So each has code
    of its own.
    """

    def answer(x: Tensor) -> Tensor:
        scores: Tensor = module(x)
        return scores

    answer.__code__ = answer.__code__.replace()  # a copy
    devices = {tensor.device.type for tensor in (*module.parameters(), *module.buffers())}
    options: dict[str, str | int | bool | Callable[..., Any]] = {}
    if "cuda" in devices:
        options["triton.cudagraphs"] = True
    elif devices <= {"cpu"}:
        options["cpp_wrapper"] = True  # so that threads do not wait for one another
    return torch.compile(answer, dynamic=False, options=options)


@contextmanager
def _frozen() -> Iterator[None]:
    """Inside it this thread, as settings hold for one, compiles with the weights as constants.

    As an option of `torch.compile` freezing would have no effect: what traces the module looks at
    the setting itself.
    """
    settings: Any = importlib.import_module("torch._inductor.config")
    with settings.patch(freezing=True):
        yield


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
