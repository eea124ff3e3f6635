"""The sampling engine: which noise an input meets depends on its name alone."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError
from radii.models import Agreement, Compiled, InPrecision
from radii.noise import Gaussian, Generators, Laplace, Noise, Splitting, Stage, Stream
from radii.smoothing import Request, Sampler
from radii.smoothing.passes import Block, DevicePasses, passes_on
from radii.smoothing.tally import tally

CPU = torch.device("cpu")
NOISE = Gaussian(1.0)
CLASSES = 4
SHAPE = (2, 3)
DRAWS: Mapping[Stage, int] = {"selection": 10, "estimation": 75}  # no multiples of the block
BLOCK = 16

Votes = dict[int, dict[str, list[int]]]


def network() -> nn.Module:
    """A small net whose classes are all met under noise."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES)).eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        parameter.data.normal_(generator=generator)
    return net


NET = network()


def inputs(n: int) -> list[tuple[int, Tensor]]:
    x = torch.randn(7, *SHAPE, generator=torch.Generator().manual_seed(2))
    return list(enumerate(x))[:n]


def sampler(base: Callable[[Tensor], Any] = NET, **changes: Any) -> Sampler:
    given: dict[str, Any] = {
        "base": base,
        "noise": NOISE,
        "num_classes": CLASSES,
        "seed": 5,
        "block": BLOCK,
        "device": CPU,
    }
    return Sampler(**{**given, **changes})


def votes(engine: Sampler, pairs: list[tuple[int, Tensor]]) -> Votes:
    requests = (Request(index, x, DRAWS) for index, x in pairs)
    return {
        request.index: {stage: counts.votes.tolist() for stage, counts in found.items()}
        for request, found in engine.run(requests)
    }


EXPECTED = votes(sampler(), inputs(7))


def test_votes_are_those_of_the_named_streams() -> None:
    for index, x in inputs(7):
        for stage, draws in DRAWS.items():
            counted = np.zeros(CLASSES, dtype=np.int64)
            for block, start in enumerate(range(0, draws, BLOCK)):
                shape = (min(BLOCK, draws - start), *SHAPE)
                stream = Stream(5, index, stage, block)
                noisy = NOISE.at(x.expand(shape), stream, Generators(CPU))
                labels = NET(noisy).argmax(1)
                counted += np.bincount(labels, minlength=CLASSES)
            assert EXPECTED[index][stage] == counted.tolist()
            assert counted.sum() == draws
            assert np.count_nonzero(counted) > 1 or stage == "selection"


@pytest.mark.parametrize("batch_size", [1, 7, 16, 40, 1000])
def test_votes_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    assert votes(sampler(batch_size=batch_size), inputs(7)) == EXPECTED


def test_votes_do_not_depend_on_the_order_or_on_the_others() -> None:
    assert votes(sampler(), inputs(7)[::-1]) == EXPECTED
    assert votes(sampler(batch_size=50), inputs(7)[3:5]) == {i: EXPECTED[i] for i in (3, 4)}
    assert list(votes(sampler(), inputs(7)[::-1])) == [6, 5, 4, 3, 2, 1, 0]


def test_votes_depend_on_seed_and_index() -> None:
    assert votes(sampler(seed=6), inputs(7)) != EXPECTED
    ((_, x),) = inputs(1)
    same_input = votes(sampler(), [(0, x), (1, x)])
    assert same_input[0] == EXPECTED[0]
    assert same_input[1] != same_input[0]


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: NET(x).argmax(1),
        lambda x: NET(x).argmax(1).to(torch.int32),
        lambda x: NET(x).argmax(1).numpy(),
        lambda x: NET(x).argmax(1).tolist(),
        lambda x: NET(x).double().detach().numpy(),
        lambda x: NET(x).masked_fill(NET(x) < NET(x).max(1, keepdim=True).values, -torch.inf),
    ],
    ids=["labels", "int32", "numpy", "list", "float64 scores", "infinite scores"],
)
def test_labels_and_scores_are_both_taken(answer: Callable[[Tensor], Any]) -> None:
    assert votes(sampler(answer), inputs(7)) == EXPECTED


def test_two_classes_may_be_answered_as_truth_values() -> None:
    found = votes(sampler(lambda x: x[:, 0, 0] > 0, num_classes=2), inputs(2))
    labels = votes(sampler(lambda x: (x[:, 0, 0] > 0).long(), num_classes=2), inputs(2))
    assert found == labels


def spoilt(x: Tensor, value: float) -> Tensor:
    scores: Tensor = NET(x).detach()
    scores[-1, 2] = value
    return scores


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: spoilt(x, torch.nan),
        lambda x: torch.full((len(x),), -1),
        lambda x: torch.full((len(x),), CLASSES),
    ],
    ids=["nan", "-1", "one too many"],
)
def test_answers_that_are_no_class_are_refused(answer: Callable[[Tensor], Any]) -> None:
    with pytest.raises(BaseClassifierError, match=r"NaN or a label outside 0\.\.3 .* of input 0;"):
        votes(sampler(answer), inputs(2))


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: NET(x)[:, :3],
        lambda x: NET(x)[:-1],
        lambda x: NET(x).argmax(1).float(),
        lambda x: NET(x)[None],
        lambda x: NET(x).long(),
        lambda x: NET(x).mean(),
    ],
    ids=["3 classes", "a row short", "float labels", "an axis more", "whole scores", "a number"],
)
def test_answers_of_another_shape_are_refused(answer: Callable[[Tensor], Any]) -> None:
    with pytest.raises(BaseClassifierError, match=r"must answer scores of shape \(\d+, 4\) or"):
        votes(sampler(answer), inputs(2))


@pytest.mark.parametrize("batch_size", [16, 100, 200])
def test_inputs_are_taken_as_room_is_left(batch_size: int) -> None:
    taken: list[int] = []
    (_, x), _ = inputs(2)

    def endless() -> Iterator[Request]:
        for index in itertools.count():
            taken.append(index)
            yield Request(index, x, {"estimation": 50})

    running = sampler(batch_size=batch_size).run(endless())
    for index, (request, _) in zip(range(4), running, strict=False):
        assert request.index == index
        fitting = batch_size // 50
        assert len(taken) <= index + 1 + 2 * (fitting + 1)  # two rounds are under way


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ({"selection": 10, "estimation": 75}, [10, 75]),  # what is asked for together
        ({"estimation": 500}, [192, 192, 116]),  # 12 streams of 16, near the 200 that suit
    ],
)
@pytest.mark.parametrize("batch_size", [1, 16, 40, None])
def test_passes_on_cpu_depend_on_what_is_asked_alone(
    batch_size: int | None, draws: Mapping[Stage, int], expected: list[int]
) -> None:
    sizes: list[int] = []

    def watched(x: Tensor) -> Tensor:
        sizes.append(len(x))
        scores: Tensor = NET(x)
        return scores

    requests = (Request(index, x, draws) for index, x in inputs(3))
    list(sampler(watched, batch_size=batch_size).run(requests))
    assert sizes == 3 * expected


def test_passes_of_inputs_that_may_stop_are_single_blocks() -> None:
    sizes: list[int] = []

    def watched(x: Tensor) -> Tensor:
        sizes.append(len(x))
        scores: Tensor = NET(x)
        return scores

    list(sampler(watched).run(stopping({0: 80}, inputs(1))))
    assert sizes == [10, 16, 16, 16, 16, 16]


@pytest.mark.parametrize(
    ("shape", "block", "rows"),
    [
        *(((3, 64, 64), 50, 10), ((3, 64, 64), 100, 10), ((3, 40, 40), 100, 34)),
        *(((3, 32, 32), 100, 50), ((3, 224, 224), 100, 4), ((3, 224, 224), 37, 4)),
    ],
)
def test_large_inputs_pass_in_equal_parts(shape: tuple[int, ...], block: int, rows: int) -> None:
    """Of 12, 12, 31, 48, 4 and 4 rows, about, and so that the last is not much shorter."""
    base = Rows()
    x = torch.zeros(1).expand(shape)
    list(sampler(base, block=block).run([Request(0, x, {"estimation": block + 8})]))
    assert base.met == rows_of(block, rows) + rows_of(8, rows)


def rows_of(draws: int, rows: int) -> list[int]:
    return [min(rows, draws - first) for first in range(0, draws, rows)]


def test_a_function_gets_as_many_rows_as_it_asks_for() -> None:
    class Asking(Rows):
        pass_rows = 32

    base = Asking()
    list(sampler(base, block=100).run([Request(0, inputs(1)[0][1], {"estimation": 100})]))
    assert base.met == [32, 32, 32, 4]


def test_a_request_for_no_draws_is_refused() -> None:
    ((_, x),) = inputs(1)
    for draws in ({}, {"estimation": 0}, {"selection": 5, "estimation": -1}):
        with pytest.raises(ValueError, match="must ask for draws in each stage"):
            Request(0, x, draws)  # type: ignore[arg-type]


def test_the_base_classifier_runs_without_gradients() -> None:
    def checked(x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        scores: Tensor = NET(x)
        return scores

    with torch.enable_grad():
        assert votes(sampler(checked), inputs(7)) == EXPECTED
        assert torch.is_grad_enabled()


def test_a_base_classifier_that_fails_is_named() -> None:
    def broken(x: Tensor) -> Tensor:
        raise RuntimeError("expected 3 channels\nand more")

    message = r"the base classifier failed on inputs of shape \(10, 2, 3\): expected 3 channels$"
    with pytest.raises(BaseClassifierError, match=message) as caught:
        votes(sampler(broken), inputs(2))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_on_draws_is_told_every_draw() -> None:
    told: list[int] = []
    votes(sampler(batch_size=40, on_draws=told.append), inputs(3))
    assert sum(told) == 3 * sum(DRAWS.values())
    assert max(told) <= 75  # the batch size, or one block


def stopping(stops: Mapping[int, int], pairs: list[tuple[int, Tensor]]) -> Iterator[Request]:
    """Requests of 32 draws and then 48 more at a time, up to the number of draws for each index."""
    for index, x in pairs:

        def more(found: Mapping[Stage, Any], most: int = stops[index]) -> int:
            return min(48, most - int(found["estimation"].n))

        yield Request(index, x, {"selection": 10, "estimation": 32}, more)


@pytest.mark.parametrize("batch_size", [16, 100, None])
def test_stopping_of_neighbours_changes_no_vote(batch_size: int | None) -> None:
    pairs = inputs(7)
    alone = {}
    for index, x in pairs:
        ((_, found),) = sampler().run(stopping({index: 32 + 48 * 4}, [(index, x)]))
        alone[index] = found["estimation"].votes.tolist()
    for odd in (32, 32 + 48, 32 + 48 * 7):
        stops = {index: 32 + 48 * 4 if index % 2 else odd for index in range(7)}
        ran = dict(
            (request.index, found)
            for request, found in sampler(batch_size=batch_size).run(stopping(stops, pairs))
        )
        assert set(ran) == set(range(7))
        for index, found in ran.items():
            assert int(found["estimation"].n) == stops[index]
            assert int(found["selection"].n) == 10
            if index % 2:
                assert found["estimation"].votes.tolist() == alone[index]


def test_an_input_leaves_when_it_is_done() -> None:
    stops = {index: 32 + 48 * (200 if index == 0 else 0) for index in range(7)}
    order = [request.index for request, _ in sampler().run(stopping(stops, inputs(7)))]
    assert order == [1, 2, 3, 4, 5, 6, 0]


def test_votes_do_not_depend_on_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(votes(sampler(), inputs(7)))
            assert torch.get_num_threads() == threads  # left as it was
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_a_base_classifier_that_is_no_module_is_called_from_one_thread() -> None:
    seen = set()

    def base(x: Tensor) -> Tensor:
        seen.add(threading.get_ident())
        answer: Tensor = NET(x)
        return answer

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        votes(sampler(base), inputs(7))
    finally:
        torch.set_num_threads(before)
    assert len(seen) == 1


def test_threads_end_when_a_run_is_broken_off() -> None:
    running = sampler().run(Request(index, x, {"estimation": 10_000}) for index, x in inputs(7))
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("radii_")]


def test_rounds_that_have_not_begun_are_given_up_when_passes_end() -> None:
    begun, go_on, met = threading.Event(), threading.Event(), list[int]()

    def base(x: Tensor) -> Tensor:
        met.append(len(x))
        begun.set()
        assert go_on.wait(30)
        return torch.zeros(len(x), dtype=torch.int64)

    passes = passes_on(CPU, base, NOISE, tally("hard", CLASSES), 5, BLOCK, None)
    for number in range(3):
        passes.submit([Block(0, inputs(1)[0][1], "estimation", number, BLOCK, BLOCK)])
    assert begun.wait(30)
    threading.Timer(0.02, go_on.set).start()
    passes.close()
    assert met == [BLOCK]


class SmallMemory(nn.Module):
    """A base classifier on a device that holds so many rows and no more."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        self.met: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        self.met.append(len(x))
        answer: Tensor = NET(x)
        return answer


def test_out_of_memory_halves_the_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radii.smoothing.scheduler.passes_on", DevicePasses)
    base = SmallMemory(30)
    assert votes(sampler(base, batch_size=200), inputs(7)) == votes(sampler(), inputs(7))
    assert max(base.met) <= 30
    with pytest.raises(BaseClassifierError, match="no memory for a single draw"):
        votes(sampler(SmallMemory(0)), inputs(1))


def flat_to_3_000(rows: int) -> float:
    """On this device passes of up to 3,000 rows take equally long."""
    return max(rows, 3_000) / 1e6


def device_passes(base: Callable[[Tensor], Any], batch_size: int | None = None) -> DevicePasses:
    return DevicePasses(CPU, base, NOISE, tally("hard", CLASSES), 5, BLOCK, batch_size)


def probed(
    base: Callable[[Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
    takes: Callable[[int], float] = flat_to_3_000,
) -> int:
    """The rows of a round on a device with passes that take so many seconds."""

    def seconds(self: DevicePasses, tried: Callable[[Tensor], Tensor], noisy: Tensor) -> float:
        self.classify(noisy, tried)
        return takes(len(noisy))

    monkeypatch.setattr(DevicePasses, "_seconds", seconds)
    return device_passes(base).rows(inputs(1)[0][1])


def test_a_probe_doubles_the_rows_while_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probed(NET, monkeypatch) == 4_096
    assert probed(SmallMemory(2_000), monkeypatch) == 1_024
    assert probed(SmallMemory(100), monkeypatch) == 512  # which is then halved as need be
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    compiled = Compiled(copy.deepcopy(NET).eval())
    assert probed(Agreement(compiled, NET), monkeypatch) == 4_096
    assert compiled.compiled_rows is None


def test_a_probe_tries_no_more_rows_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes of float32 inputs of 6 numbers for 700 rows, for 512, for fewer, for half a row."""
    for most, rows, tried in (
        *((700, 512, [512]), (512, 512, [512]), (511.9, 511, [])),
        *((20, 20, []), (17, 17, []), (0.5, BLOCK, [])),
    ):
        monkeypatch.setattr("radii.smoothing.passes._BYTES_ELSEWHERE", int(most * 4 * 6))
        base = SmallMemory(10**9)
        assert probed(base, monkeypatch) == rows
        assert sorted(set(base.met)) == tried


class Rows:
    """A base classifier that answers class 0 and notes how many rows it met."""

    def __init__(self) -> None:
        self.met: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.met.append(len(x))
        return torch.zeros(len(x), dtype=torch.int64)


def test_a_probe_tries_each_size_three_times_and_the_fastest_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to 65,536 rows on a device that takes equally long for all, if seldom in time."""
    base = Rows()

    def takes(rows: int) -> float:
        return 1.0 if base.met.count(rows) == 3 else 1e6 * rows**2

    assert probed(base, monkeypatch, takes) == 65_536
    assert base.met == [512 << i for i in range(8) for _ in range(3)]


@pytest.mark.parametrize(("gain", "pays"), [(1.04, False), (1.06, True), (2.5, True), (0.6, False)])
def test_a_probe_goes_on_for_5_percent(
    gain: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the third size there are `gain` times as many draws a second; then never more."""

    def takes(rows: int) -> float:
        return 3.0 * rows / {512: 1.0, 1_024: 1.5}.get(rows, 1.5 * gain)

    assert probed(Rows(), monkeypatch, takes) == (2_048 if pays else 1_024)


def test_the_time_of_a_pass_is_that_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def base(x: Tensor) -> Tensor:
        now[0] += 2.5
        return torch.zeros(len(x), dtype=torch.int64)

    monkeypatch.setattr("radii.smoothing.passes.time.perf_counter", lambda: now[0])
    assert device_passes(base)._seconds(base, torch.zeros(3, *SHAPE)) == 2.5


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("batch_size", [BLOCK, 3 * BLOCK, 100])
def test_no_round_has_more_draws_than_the_batch_size(
    batch_size: int, device: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device:
        monkeypatch.setattr("radii.smoothing.scheduler.passes_on", DevicePasses)
    told: list[int] = []
    requests = (Request(index, x, {"estimation": 150}) for index, x in inputs(2))
    list(sampler(Rows(), batch_size=batch_size, on_draws=told.append, block=BLOCK).run(requests))
    most = batch_size if device else max(batch_size, 150)  # a CPU joins what is wanted in any case
    assert batch_size / 2 < max(told) <= most
    assert sum(told) == 300


def test_memory_is_halved_once_and_stays_so() -> None:
    """The first pass that does not fit sets the size of all after it."""
    base = SmallMemory(30)
    passes = device_passes(base)
    for rows, met in ((100, [25] * 4), (10, [10]), (60, [25, 25, 10]), (25, [25])):
        base.met.clear()
        assert len(passes._answers(torch.zeros(rows, *SHAPE))) == rows
        assert base.met == met
    small = SmallMemory(1)
    assert len(device_passes(small)._answers(torch.zeros(3, *SHAPE))) == 3
    assert small.met == [1, 1, 1]


def test_inputs_of_several_shapes_share_a_run() -> None:
    def base(x: Tensor) -> Tensor:
        return (x.flatten(1).sum(1) > 0).long() + 2 * (x.flatten(1)[:, 0] > 0).long()

    shapes = [(2, 3), (3, 2), (6,), (2, 3), (2, 4), (1, 2, 3), (2, 3)]
    pairs = [(index, torch.full(shape, 0.1)) for index, shape in enumerate(shapes)]
    together = votes(sampler(base, batch_size=40), pairs)
    for pair in pairs:
        assert votes(sampler(base), [pair])[pair[0]] == together[pair[0]]


def test_noisy_copies_are_written_to_the_same_memory() -> None:
    """One thread makes one buffer for all blocks that are not larger than the first."""
    met = set()

    def base(x: Tensor) -> Tensor:
        met.add(x.untyped_storage().data_ptr())
        return torch.zeros(len(x), dtype=torch.int64)

    requests = (
        Request(index, x, {"estimation": n})
        for (index, x), n in zip(inputs(5), (500, 200, 75, 500, 16), strict=True)
    )
    list(sampler(base).run(requests))
    assert len(met) == 1


# Which rows share a pass decides the last bits of scores, so these numbers belong to what a seed
# names: whoever changes one of them changes votes, and should say so in the changelog.
@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        *(((1, 28, 28), 200), ((1, 32, 32), 200), ((1_025,), 146), ((3, 32, 32), 48)),
        *(((1_500,), 100), ((3, 64, 64), 12), ((3, 224, 224), 4), ((3, 1_000, 1_000), 4)),
    ],
)
def test_which_rows_share_a_pass_on_a_cpu(shape: tuple[int, ...], rows: int) -> None:
    base = Rows()
    list(sampler(base, block=1).run([Request(0, torch.zeros(1).expand(shape), {"estimation": 9})]))
    most = min(rows, 9)
    assert base.met == [most] * (9 // most) + [9 % most] * (9 % most > 0)
    with closing(passes_on(CPU, base, NOISE, tally("hard", 2), 5, 1, None)) as passes:
        assert passes.streams(torch.zeros(1).expand(shape)) == rows


def test_a_compiled_module_has_larger_passes_of_small_inputs() -> None:
    class Module(SmallMemory):
        compiled_rows: int | None = None

    for shape, rows in (((1, 28, 28), 400), ((1_024,), 400), ((3, 32, 32), 48)):
        given = (Module(0), NOISE, tally("hard", CLASSES), 5, 1, None)
        with closing(passes_on(CPU, *given)) as passes:
            assert passes.streams(torch.zeros(1).expand(shape)) == rows


@pytest.mark.parametrize(
    ("shape", "rows"),
    [((1, 28, 28), 200), ((3, 32, 32), 97), ((3, 224, 224), 8), ((3, 1_000, 1_000), 8)],
)
def test_a_pass_in_bfloat16_has_as_many_bytes_of_large_inputs(
    shape: tuple[int, ...], rows: int
) -> None:
    base = InPrecision(nn.Flatten().eval())
    with closing(passes_on(CPU, base, NOISE, tally("hard", 2), 5, 1, None)) as passes:
        assert passes.streams(torch.zeros(1).expand(shape)) == rows


def test_a_round_has_as_many_draws_again_for_each_thread() -> None:
    x, before, found = inputs(1)[0][1], torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(sampler().round_rows(x))
            assert sampler(Rows()).round_rows(x) == found[0]
    finally:
        torch.set_num_threads(before)
    assert found == [found[0], 2 * found[0], 5 * found[0]]
    assert sampler(batch_size=40).round_rows(x) == 40
    assert sampler(batch_size=4).round_rows(x) == BLOCK


def test_the_rows_of_a_compiled_module_are_told_before_its_only_block() -> None:
    class Module(SmallMemory):
        compiled_rows: int | None = None

    base = Module(10**9)
    (_, found), *others = sampler(base, block=100).run(
        [Request(0, inputs(1)[0][1], {"estimation": 100})]
    )
    assert not others
    assert found["estimation"].n == 100
    assert base.compiled_rows == 400
    assert base.met == [100]


def test_each_thread_classifies_on_one_core_and_gives_the_others_back() -> None:
    class Module(SmallMemory):
        def forward(self, x: Tensor) -> Tensor:
            threads.add(torch.get_num_threads())
            return super().forward(x)

    before, threads = torch.get_num_threads(), set[int]()
    try:
        for count in (2, 3):
            torch.set_num_threads(count)
            votes(sampler(Module(10**9)), inputs(3))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert threads == {1}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_is_set_for_several_only(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[bool, int]] = []

    def tell(number: int) -> None:
        told.append((threading.current_thread() is threading.main_thread(), number))

    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch, "set_num_threads", tell)
    votes(sampler(batch_size=16), inputs(7))
    inside = [number for main, number in told if not main]
    assert set(inside) == ({1} if threads > 1 else set())
    assert [number for main, number in told if main] == ([threads] if threads > 1 else [])


def test_only_a_cpu_has_passes_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("ThreadPasses", "DevicePasses"):
        monkeypatch.setattr(f"radii.smoothing.passes.{kind}", lambda device, kind=kind: kind)
    found = {name: passes_on(torch.device(name)) for name in ("cpu", "cuda", "mps", "meta")}
    assert found == {name: "ThreadPasses" if name == "cpu" else "DevicePasses" for name in found}


def test_what_fails_in_a_probe_is_told_as_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radii.smoothing.scheduler.passes_on", DevicePasses)
    with pytest.raises(BaseClassifierError, match="failed on inputs of shape"):
        votes(sampler(lambda x: x.shape[9]), inputs(1))


@pytest.mark.parametrize("noise", [NOISE, Laplace(1.0), Splitting(0.5, deterministic=True)])
def test_inputs_rounded_beforehand_give_the_votes_of_inputs_rounded_inside(noise: Noise) -> None:
    rounding = InPrecision(NET)

    def outside(x: Tensor) -> Tensor:
        assert x.dtype == torch.float32
        return rounding(x)

    assert rounding.input_dtype == torch.bfloat16
    pairs = [(index, x.abs().round().clamp(0, 1)) for index, x in inputs(7)]
    found = [votes(sampler(base, noise=noise), pairs) for base in (rounding, outside)]
    assert found[0] == found[1]


def test_a_device_runs_whole_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = votes(sampler(), inputs(7))
    monkeypatch.setattr("radii.smoothing.scheduler.passes_on", DevicePasses)
    base = SmallMemory(10**9)
    assert votes(sampler(base, batch_size=200), inputs(7)) == expected
    assert max(base.met) > 150
