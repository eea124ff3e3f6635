"""Forward passes over noisy copies: by threads on a CPU, in large batches on another device."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from radii._allocator import keep_freed_memory
from radii.errors import BaseClassifierError
from radii.noise.base import Noise
from radii.noise.streams import Generators, Rng, Stage, Stream
from radii.smoothing._pooling import SlicedPooling
from radii.smoothing.tally import Tally

_ROWS_A_THREAD = 1_600  # in one round
# Rows of a round elsewhere: the next of these, as long as it pays.
_ROWS_ELSEWHERE = (512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536)
_BYTES_ELSEWHERE = 2 << 30  # of noisy inputs in one round, at most
_PAYS = 1.05  # times as many draws a second
_TIMED = 3  # passes, of which the fastest counts
# Rows of one forward pass of a thread: few calls for small inputs, a full cache for large ones.
_SMALL = 1_024  # numbers in an input
_PASS_ROWS = 200
_PASS_ROWS_COMPILED = 400
_PASS_BYTES = 600_000  # of large inputs
_LEAST_PASS_ROWS = 4  # in float32, and as many bytes in other types
GIVEN_UP = -1  # in place of the number of answers that are none, for a block that was not counted


@dataclass(frozen=True)
class Block:
    """Draws of one input, of one random stream or of several in a row.

    Attributes:
        index: Of the input; names the stream.
        x: `(*shape)` float32 on the device.
        stage: Names the stream.
        number: Names the stream, or the first of them.
        rows: How many draws.
        whole: How many draws blocks of this request have that are not cut short.
        seed: Of the stream; None takes that of the passes.
        expired: Says whether nobody waits for it any longer, so that it may be given up.
    """

    index: int
    x: Tensor
    stage: Stage
    number: int
    rows: int
    whole: int
    seed: int | None = None
    expired: Callable[[], bool] | None = None


class Passes(ABC):
    """Carries out rounds of blocks on one device.

    Args:
        device: Where noise is drawn and answers are added up.
        base: From `(rows, *shape)` to scores or labels.
        noise: The smoothing distribution.
        tally: How answers are added up.
        seed: Of the random streams.
        block: Draws from one stream.
        batch_size: Draws in a round, at most; None picks as many as suit the device.
        rng: The random generator; see `Generators`.
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
        rng: Rng = "auto",
    ) -> None:
        self.device = device
        self.base = base
        self.noise = noise
        self.tally = tally
        self.seed = seed
        self.block = block
        self.batch_size = batch_size
        self.rng = rng

    @abstractmethod
    def rows(self, x: Tensor) -> int:
        """Draws of a full round of inputs like `x`."""

    def streams(self, x: Tensor) -> int:
        """How many streams in a row make up a block, if the draws are all wanted in any case."""
        return 1

    @abstractmethod
    def submit(self, blocks: Sequence[Block]) -> Callable[[], npt.NDArray[Any]]:
        """Starts a round; what is returned waits for its `(blocks, width)` sums.

        A block that has expired may be given up: it then has no sums, and `GIVEN_UP` as the last.
        """

    def close(self) -> None:
        """Gives back what was taken; rounds under way are given up."""
        return

    def draw(self, block: Block, generators: Generators, out: Tensor) -> None:
        """Fills `out` `(rows, *shape)`, float32 or bfloat16, with the noisy copies of a block."""
        if self.noise.num_outcomes is not None:
            copies = block.x.expand(len(out), *block.x.shape)
            out.copy_(self.noise.outcomes(copies, block.number * self.block))
            return
        seed = self.seed if block.seed is None else block.seed
        streams = [
            Stream(seed, block.index, block.stage, block.number + i)
            for i in range(-(-len(out) // self.block))
        ]
        self.noise.copies(block.x, streams, self.block, generators, out)

    def classify(self, noisy: Tensor, base: Callable[[Tensor], Any] | None = None) -> Tensor:
        """The answers of the base classifier to `(rows, *shape)`, on the device."""
        try:
            answer: Tensor = torch.as_tensor((base or self.base)(noisy), device=self.device)
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
    input and from what was asked, blocks never share a pass, and a pass runs on one core: so votes
    depend neither on the batch size nor on the number of threads. A base classifier that is no
    `nn.Module` may not stand calls from several threads, and gets one, which may use all cores.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        keep_freed_memory()
        # Compiled code pools as fast by itself.
        self._pools = not hasattr(self.base, "compiled_rows")
        # A base classifier that begins by rounding its input gets it rounded already.
        self._dtype: torch.dtype = getattr(self.base, "input_dtype", torch.float32)
        self._cores = torch.get_num_threads()
        self.workers = self._cores if isinstance(self.base, nn.Module) else 1
        self._pool = ThreadPoolExecutor(self.workers, "radii", self._start)
        self._local = threading.local()

    def _start(self) -> None:
        self._local.generators = Generators(self.device, self.rng)
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

    def _suits(self, x: Tensor) -> int:
        """Rows of one forward pass that suit the cache, or those that a function asks for."""
        if (wanted := getattr(self.base, "pass_rows", None)) is not None:
            return int(wanted)
        if x.numel() > _SMALL:
            size = self._dtype.itemsize
            return max(_LEAST_PASS_ROWS * 4 // size, _PASS_BYTES // (size * x.numel()))
        return _PASS_ROWS_COMPILED if hasattr(self.base, "compiled_rows") else _PASS_ROWS

    def streams(self, x: Tensor) -> int:
        """So many that a block is a forward pass; see `Passes.streams`."""
        return max(1, self._suits(x) // self.block)

    def _pass_rows(self, block: Block) -> int:
        """Rows of a forward pass: a whole block, or one of its parts, all as equal as can be.

        A short last pass takes nearly as long as a full one, and quite as long if it is compiled.
        """
        if (wanted := getattr(self.base, "pass_rows", None)) is not None:
            return int(wanted)
        whole, suits = block.whole, self._suits(block.x)
        about = max(1, round(whole / suits))
        parts = range(about - about // 4, about + about // 4 + 1)
        rows = (-(-whole // n) for n in parts)
        return min(rows, key=lambda count: (-whole % count, abs(count - suits)))

    def submit(self, blocks: Sequence[Block]) -> Callable[[], npt.NDArray[Any]]:
        """Each thread takes a block whenever it has none; see `Passes.submit`."""
        if getattr(self.base, "compiled_rows", False) is None:  # of a module that is compiled
            self.base.compiled_rows = self._pass_rows(blocks[0])  # type: ignore[attr-defined]
        waiting = deque(enumerate(blocks))
        futures = [
            self._pool.submit(self._sums, waiting) for _ in range(min(self.workers, len(blocks)))
        ]

        def collect() -> npt.NDArray[Any]:
            sums = np.zeros((len(blocks), self.tally.width), self.tally.dtype)
            sums[:, -1] = GIVEN_UP
            for future in futures:
                places, counted = future.result()
                sums[places] = counted
            return sums

        return collect

    @torch.no_grad()
    def _sums(self, waiting: deque[tuple[int, Block]]) -> tuple[list[int], npt.NDArray[Any]]:
        """The places of the blocks that this thread got and completed, and their sums."""
        places: list[int] = []
        rows: list[int] = []
        answers: list[Tensor] = []
        while waiting:
            try:
                place, block = waiting.popleft()
            except IndexError:  # another thread was faster
                break
            if self._adds(block, self._buffer(block), answers):
                places.append(place)
                rows.append(block.rows)
        if not places:
            return [], np.zeros((0, self.tally.width), self.tally.dtype)
        return places, self.tally.sums(torch.cat(answers), rows).numpy()

    def _buffer(self, block: Block) -> Tensor:
        """Room for the noisy copies of a block, which this thread uses again and again."""
        buffer: Tensor | None = self._local.buffer
        if buffer is None or buffer.shape[1:] != block.x.shape or len(buffer) < block.whole:
            shape = (block.whole, *block.x.shape)
            buffer = self._local.buffer = torch.empty(shape, dtype=self._dtype)
        return buffer

    def _adds(self, block: Block, buffer: Tensor, answers: list[Tensor]) -> bool:
        """Adds the answers to a block, unless it expires before they are complete."""
        found = []
        noisy = buffer[: block.rows]
        for number, part in enumerate(torch.split(noisy, self._pass_rows(block))):
            if block.expired is not None and block.expired():
                return False
            if number == 0:
                self.draw(block, self._local.generators, noisy)
            found.append(self.classify(part))
        answers += found
        return True

    def classify(self, noisy: Tensor, base: Callable[[Tensor], Any] | None = None) -> Tensor:
        """With quick pooling, if the first pass finds use for it; see `Passes.classify`."""
        if not self._pools:
            return super().classify(noisy, base)
        with SlicedPooling() as pooling:
            answer = super().classify(noisy, base)
        self._pools = pooling.served
        return answer


class DevicePasses(Passes):
    """On a GPU or the like: one forward pass a round, and a copy of its sums that nobody waits for.

    How many rows it has is found by a probe: they are doubled as long as that gives 5 % more draws
    a second and fits into memory. A pass that does not fit is halved, and so are all after it.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._generators = Generators(self.device, self.rng)
        self._buffer: Tensor | None = None
        self._most: int | None = None
        self._found = self.batch_size

    def rows(self, x: Tensor) -> int:
        """Draws of a full round; see `Passes.rows`."""
        if self._found is None:
            self._found = self._probe(x)
        return max(self._found, self.block)

    @torch.no_grad()
    def _probe(self, x: Tensor) -> int:
        """The number of rows at which doubling no longer pays."""
        base: Any = self.base
        while hasattr(base, "compiled_rows"):  # for one batch size: the module itself is tried
            base = base.module
        most = _BYTES_ELSEWHERE // x.element_size() // x.numel()
        found, before = max(1, min(_ROWS_ELSEWHERE[0], most)), math.inf
        for rows in _ROWS_ELSEWHERE:
            if rows > most:
                break
            try:
                noisy = x.expand(rows, *x.shape).contiguous()
                seconds = min(self._seconds(base, noisy) for _ in range(_TIMED))
            except torch.OutOfMemoryError:
                break
            if _PAYS * seconds > 2 * before:
                break
            found, before = rows, seconds
        return found

    def _seconds(self, base: Callable[[Tensor], Any], noisy: Tensor) -> float:
        started = time.perf_counter()
        self.classify(noisy, base)
        if noisy.is_cuda:
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - started

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
        if not sums.is_cuda:
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
                if noisy.is_cuda:
                    torch.cuda.empty_cache()


def passes_on(device: torch.device, *args: Any) -> Passes:
    """The passes that suit a device."""
    return (ThreadPasses if device.type == "cpu" else DevicePasses)(device, *args)
