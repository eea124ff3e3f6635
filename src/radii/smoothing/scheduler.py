"""Keeps a device busy with blocks of draws from many inputs, and lets each input go when done."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radii.errors import BaseClassifierError
from radii.noise.base import Noise
from radii.noise.streams import Rng, Stage
from radii.records import Votes
from radii.smoothing.passes import GIVEN_UP, Block, Passes, passes_on
from radii.smoothing.tally import Tally, Vote, tally

_ROUNDS = 2  # under way at a time, so that the device has work while votes are looked at


@dataclass(frozen=True)
class Request:
    """One input and the draws it needs.

    Attributes:
        index: Of the input in its data set; names its streams.
        x: `(*shape)` float32 on the sampler's device.
        draws: How many draws in each stage, at least 1.
        more: Is shown the votes once all draws are in, and says how many further ones of the last
            stage are wanted, a multiple of the block unless they are the last; 0 ends the request.
        seed: Of its streams; None takes the sampler's.
        expired: Says, from any thread, whether nobody waits for it any longer. It then ends with
            the votes of what was drawn, and `more` is not asked again.
    """

    index: int
    x: Tensor
    draws: Mapping[Stage, int]
    more: Callable[[Mapping[Stage, Votes]], int] | None = None
    seed: int | None = None
    expired: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        if not self.draws or min(self.draws.values()) < 1:
            raise ValueError(f"a request must ask for draws in each stage, got {self.draws!r}")


class _Active:
    """A request under way."""

    def __init__(self, request: Request, tally: Tally, block: int, streams: int) -> None:
        self.request = request
        self.pending: deque[Block] = deque()
        self._tally = tally
        self._block = block
        self._streams = streams
        self._asked: dict[Stage, int] = dict.fromkeys(request.draws, 0)
        self._counted: dict[Stage, int] = dict.fromkeys(request.draws, 0)
        self._sums = {stage: np.zeros(tally.width, tally.dtype) for stage in request.draws}
        self._uncounted = 0
        self._given_up = False
        for stage, draws in request.draws.items():
            self._ask(stage, draws)

    @property
    def votes(self) -> dict[Stage, Votes]:
        """What was counted."""
        return {
            stage: self._tally.votes(sums, self._counted[stage])
            for stage, sums in self._sums.items()
        }

    def add(self, block: Block, sums: npt.NDArray[Any]) -> bool:
        """Adds what a block counted; whether that was the last one."""
        self._uncounted -= 1
        if sums[-1] == GIVEN_UP:
            self._give_up()
            return self._uncounted == 0
        if sums[-1]:
            raise BaseClassifierError(
                f"the base classifier answered NaN or a label outside "
                f"0..{self._tally.num_classes - 1} for {int(sums[-1])} of {block.rows} noisy "
                f"copies of input {block.index}; mend it or check num_classes."
            )
        self._sums[block.stage] += sums
        self._counted[block.stage] += block.rows
        if self._uncounted == 0 and self.request.more is not None and not self._given_up:
            self._ask(list(self._asked)[-1], self.request.more(self.votes))
        return self._uncounted == 0

    def expired(self) -> bool:
        """Gives up what is not drawn yet if nobody waits for it; whether nothing is under way."""
        if self.request.expired is not None and (self._given_up or self.request.expired()):
            self._give_up()
        return self._given_up and self._uncounted == 0

    def _give_up(self) -> None:
        self._given_up = True
        self._uncounted -= len(self.pending)
        self.pending.clear()

    def _ask(self, stage: Stage, draws: int) -> None:
        start = self._asked[stage]
        self._asked[stage] += draws
        whole = self._block * self._streams
        for first in range(start, start + draws, whole):
            rows = min(whole, start + draws - first)
            number = first // self._block
            self.pending.append(
                Block(
                    self.request.index,
                    self.request.x,
                    stage,
                    number,
                    rows,
                    whole,
                    self.request.seed,
                    self.request.expired,
                )
            )
            self._uncounted += 1


_Pending = tuple[_Active, Block]


class _Source:
    """Where requests come from, as long as there are any."""

    def __init__(self, requests: Iterable[Request | None]) -> None:
        self._requests = iter(requests)
        self.ended = False

    def take(self) -> Request | None:
        """The next one, if there is one now."""
        if self.ended:
            return None
        try:
            return next(self._requests)
        except StopIteration:
            self.ended = True
            return None


@dataclass(frozen=True)
class Sampler:
    """Draws noise around inputs and adds up what the base classifier answers.

    Attributes:
        base: From `(rows, *shape)` to scores `(rows, num_classes)` or labels `(rows,)`.
        noise: The smoothing distribution. If its outcomes are enumerated, draw i meets outcome i.
        num_classes: How many classes the base classifier has.
        seed: Of the random streams.
        block: Draws in one block of a stream.
        device: Where noise is drawn and votes are counted.
        batch_size: Draws in one round, at most, unless a single block has more; None picks as many
            as suit the device.
        vote: Whether answers count as votes for a class, or as soft scores.
        on_draws: Is told the number of draws of each round, once its votes are counted.
        rng: The random generator; see `Generators`.
    """

    base: Callable[[Tensor], Any]
    noise: Noise
    num_classes: int
    seed: int
    block: int
    device: torch.device
    batch_size: int | None = None
    vote: Vote = "hard"
    on_draws: Callable[[int], object] | None = None
    rng: Rng = "auto"

    def run(
        self, requests: Iterable[Request | None]
    ) -> Iterator[tuple[Request, dict[Stage, Votes]]]:
        """Votes of each request, as soon as it wants no more draws; so in an order of their own.

        Inputs are taken from `requests` only when there is room for them. Two rounds are under way
        at a time, and only what needs the votes of a round waits for it.

        A source that lives on may give None for "nothing now": rounds under way go on, and it is
        asked again after the next one. While nothing is under way it is asked again at once, so it
        should then wait for something to give.

        Raises:
            BaseClassifierError: If an answer is NaN, out of range or of the wrong shape.
        """
        counter = tally(self.vote, self.num_classes)
        source = _Source(requests)
        active: dict[int, _Active] = {}
        rounds: deque[tuple[list[_Pending], Callable[[], npt.NDArray[Any]]]] = deque()
        with closing(self._passes(counter)) as passes:
            while True:
                for key, state in tuple(active.items()):
                    if state.expired():
                        del active[key]
                        yield state.request, state.votes
                while len(rounds) < _ROUNDS:
                    if not (filled := self._fill(active, source, passes, counter)):
                        break
                    rounds.append((filled, passes.submit([block for _, block in filled])))
                if not rounds:
                    if source.ended and not active:
                        return
                    continue
                filled, counted = rounds.popleft()
                for (state, block), sums in zip(filled, counted(), strict=True):
                    if state.add(block, sums):
                        del active[id(state)]
                        yield state.request, state.votes
                if self.on_draws is not None:
                    self.on_draws(sum(block.rows for _, block in filled))

    def no_votes(self, request: Request) -> dict[Stage, Votes]:
        """The votes of a request for which nothing was drawn."""
        return _Active(request, tally(self.vote, self.num_classes), self.block, 1).votes

    def round_rows(self, x: Tensor) -> int:
        """Draws of a full round of inputs like `x`."""
        with closing(self._passes(tally(self.vote, self.num_classes))) as passes:
            return passes.rows(x)

    def _passes(self, counter: Tally) -> Passes:
        of_draws = (self.seed, self.block, self.batch_size, self.rng)
        return passes_on(self.device, self.base, self.noise, counter, *of_draws)

    def _fill(
        self,
        active: dict[int, _Active],
        source: _Source,
        passes: Passes,
        counter: Tally,
    ) -> list[_Pending]:
        """The next round: blocks of the inputs under way, the oldest first, then of new ones."""

        def admitted() -> Iterator[_Active]:
            while (request := source.take()) is not None:
                streams = 1 if request.more is not None else passes.streams(request.x)
                state = _Active(request, counter, self.block, streams)
                active[id(state)] = state
                state.expired()
                yield state

        blocks: list[_Pending] = []
        used = 0
        for state in itertools.chain(tuple(active.values()), admitted()):
            room = passes.rows(state.request.x)
            while state.pending and (not blocks or used + state.pending[0].rows <= room):
                blocks.append((state, state.pending.popleft()))
                used += blocks[-1][1].rows
            if state.pending or used >= room:
                break
        return blocks
