"""Forward passes over noisy copies: by threads on a CPU, in large batches on another device."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError
from radii.noise.base import Noise
from radii.noise.streams import Generators, Stage, Stream
from radii.smoothing.tally import Tally

_ROWS_A_THREAD = 800  # in one round
_ROWS_ELSEWHERE = 10_000
_BYTES_ELSEWHERE = 1 << 30  # of noisy inputs in one round
_PASS_NUMBERS = 150_000  # in the input of one forward pass of a thread, so that it stays in cache
_LEAST_PASS_ROWS = 4


@dataclass(frozen=True)
class Block:
    """Draws of one input that share a random stream.

    Attributes:
        index: Of the input; names the stream.
        x: `(*shape)` float32 on the device.
        stage: Names the stream.
        number: Names the stream.
        rows: How many draws.
    """

    index: int
    x: Tensor
    stage: Stage
    number: int
    rows: int


class Passes(ABC):
    """Carries out rounds of blocks on one device.

    Args:
        device: Where noise is drawn and answers are added up.
        base: From `(rows, *shape)` to scores or labels.
        noise: The smoothing distribution.
        tally: How answers are added up.
        seed: Of the random streams.
        block: Draws in a whole block.
        batch_size: Draws in a round, at most; None picks as many as suit the device.
    """

    def __init__(
        self,
        device: torch.device,
        base: Callable[[Tensor], Any],
        noise: Noise,
        tally: Tally,
        seed: int,
        block: int,
        batch_size: int | None,
    ) -> None:
        self.device = device
        self.base = base
        self.noise = noise
        self.tally = tally
        self.seed = seed
        self.block = block
        self.batch_size = batch_size

    @abstractmethod
    def rows(self, x: Tensor) -> int:
        """Draws of a full round of inputs like `x`."""

    @abstractmethod
    def submit(self, blocks: Sequence[Block]) -> Callable[[], npt.NDArray[Any]]:
        """Starts a round; what is returned waits for its `(blocks, width)` sums."""

    def close(self) -> None:
        """Gives back what was taken; rounds under way are given up."""
        return

    def draw(self, block: Block, generators: Generators, out: Tensor) -> None:
        """Fills `out` `(rows, *shape)` with the noisy copies of a block."""
        copies = block.x.expand(block.rows, *block.x.shape)
        if self.noise.num_outcomes is not None:
            self.noise.outcomes(copies, block.number * self.block, out=out)
            return
        stream = Stream(self.seed, block.index, block.stage, block.number)
        self.noise.at(copies, stream, generators, out=out)

    def classify(self, noisy: Tensor) -> Tensor:
        """The answers of the base classifier to `(rows, *shape)`, on the device."""
        try:
            answer: Tensor = torch.as_tensor(self.base(noisy), device=self.device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a user's code may raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise BaseClassifierError(
                f"the base classifier failed on inputs of shape {tuple(noisy.shape)}: {reason}"
            ) from error
        self.tally.check(answer, len(noisy))
        return answer


class ThreadPasses(Passes):
    """On a CPU: each thread draws, classifies and counts blocks of its own, on one core.

    A forward pass holds as many rows as suit the cache. How many follows from the shape of the
    input alone, blocks never share a pass, and a pass runs on one core: so votes depend neither on
    the batch size nor on the number of threads. A base classifier that is no `nn.Module` may not
    stand calls from several threads, and gets one, which may use all cores.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._cores = torch.get_num_threads()
        self.workers = self._cores if isinstance(self.base, nn.Module) else 1
        self._pool = ThreadPoolExecutor(self.workers, "radii", self._start)
        self._local = threading.local()

    def _start(self) -> None:
        self._local.generators = Generators(self.device)
        self._local.buffer = None
        if self.workers > 1:
            torch.set_num_threads(1)  # of this thread, and of all that start before `close`

    def close(self) -> None:
        """Ends the threads; see `Passes.close`."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self.workers > 1:
            torch.set_num_threads(self._cores)

    def rows(self, x: Tensor) -> int:
        """Draws of a full round; see `Passes.rows`."""
        return max(self.batch_size or self.workers * _ROWS_A_THREAD, self.block)

    def _pass_rows(self, x: Tensor) -> int:
        """Rows of one forward pass: a block in equal parts of a size that suits the cache."""
        passes = max(1, round(self.block * x.numel() / _PASS_NUMBERS))
        return max(min(_LEAST_PASS_ROWS, self.block), -(-self.block // passes))

    def submit(self, blocks: Sequence[Block]) -> Callable[[], npt.NDArray[Any]]:
        """An equal share of the blocks for each thread; see `Passes.submit`."""
        shares = [blocks[first :: self.workers] for first in range(min(self.workers, len(blocks)))]
        futures = [self._pool.submit(self._sums, share) for share in shares]

        def collect() -> npt.NDArray[Any]:
            sums = np.empty((len(blocks), self.tally.width), self.tally.dtype)
            for first, future in enumerate(futures):
                sums[first :: self.workers] = future.result()
            return sums

        return collect

    @torch.no_grad()
    def _sums(self, blocks: Sequence[Block]) -> npt.NDArray[Any]:
        x = blocks[0].x
        buffer = self._local.buffer
        if buffer is None or buffer.shape[1:] != x.shape:
            buffer = self._local.buffer = torch.empty((self.block, *x.shape))
        most = self._pass_rows(x)
        if getattr(self.base, "compiled_rows", most) is None:
            self.base.compiled_rows = most  # type: ignore[attr-defined]  # of a module that is compiled
        answers = []
        for block in blocks:
            noisy = buffer[: block.rows]
            self.draw(block, self._local.generators, noisy)
            answers += [self.classify(part) for part in torch.split(noisy, most)]
        return self.tally.sums(torch.cat(answers), [block.rows for block in blocks]).numpy()


class DevicePasses(Passes):
    """On a GPU or the like: one forward pass a round, and a copy of its sums that nobody waits for.

    A pass that does not fit into memory is halved, and so are all after it.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._generators = Generators(self.device)
        self._buffer: Tensor | None = None
        self._most: int | None = None

    def rows(self, x: Tensor) -> int:
        """Draws of a full round; see `Passes.rows`."""
        fitting = min(_ROWS_ELSEWHERE, _BYTES_ELSEWHERE // (4 * max(x.numel(), 1)))
        return max(self.batch_size or fitting, self.block)

    @torch.no_grad()
    def submit(self, blocks: Sequence[Block]) -> Callable[[], npt.NDArray[Any]]:
        """Everything is queued on the device; see `Passes.submit`."""
        x = blocks[0].x
        if self._buffer is None:
            self._buffer = torch.empty((self.rows(x), *x.shape), device=self.device)
        rows = [block.rows for block in blocks]
        noisy = self._buffer[: sum(rows)]
        for block, out in zip(blocks, torch.split(noisy, rows), strict=True):
            self.draw(block, self._generators, out)
        sums = self.tally.sums(self._answers(noisy), rows)
        if self.device.type != "cuda":
            done = sums.cpu().numpy()
            return lambda: done
        copy = torch.empty(sums.shape, dtype=sums.dtype, pin_memory=True)
        copy.copy_(sums, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))

        def collect() -> npt.NDArray[Any]:
            event.synchronize()
            return copy.numpy()

        return collect

    def _answers(self, noisy: Tensor) -> Tensor:
        while True:
            try:
                return torch.cat(
                    [self.classify(part) for part in torch.split(noisy, self._most or len(noisy))]
                )
            except torch.OutOfMemoryError as error:
                most = min(self._most or len(noisy), len(noisy)) // 2
                if most == 0:
                    raise BaseClassifierError(
                        f"{self.device} has no memory for a single draw; "
                        f"take a smaller base classifier or another device."
                    ) from error
                self._most = most
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()


def passes_on(device: torch.device, *args: Any) -> Passes:
    """The passes that suit a device."""
    return (ThreadPasses if device.type == "cpu" else DevicePasses)(device, *args)
