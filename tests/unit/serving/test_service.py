"""A service: requests of many callers share rounds, and get the library's own answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures import wait as wait_for
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError, NotCoveredError, PlanError
from radii.noise import Gaussian
from radii.serving import BusyError, Service
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.smoothing.passes import Block, ThreadPasses
from radii.stopping import Precision

SHAPE = (2,)
LONG = 60.0  # seconds that no test waits


def sign(x: Tensor) -> Tensor:
    return (x[:, 0] > 0).long()


class Gate:
    """A base classifier that waits until it is let go, and keeps what it was asked."""

    def __init__(self, answer: Callable[[Tensor], Tensor] = sign) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.sizes: list[int] = []
        self._answer = answer

    def __call__(self, x: Tensor) -> Tensor:
        self.begun.set()
        assert self.open.wait(LONG)
        self.sizes.append(len(x))
        return self._answer(x)


def smoothed(base: Callable[[Tensor], Any] = sign, **more: Any) -> SmoothedClassifier:
    return SmoothedClassifier(base, Gaussian(1.0), 2, input_shape=SHAPE, **more)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is opened when the test ends, so that no service hangs."""
    made = Gate()
    yield made
    made.open.set()


def at(value: float) -> Tensor:
    return torch.tensor([value, 0.0])


def same(a: Any, b: Any) -> bool:
    votes = a.counts.votes.tolist() == b.counts.votes.tolist()
    return (a.prediction, a.p_value, a.timed_out, votes) == (
        b.prediction,
        b.p_value,
        b.timed_out,
        True,
    )


def test_answers_are_those_of_the_library() -> None:
    classifier = smoothed()
    values = np.linspace(-2, 2, 21)
    with Service(classifier) as service:
        futures = [
            (service.submit(at(x), n=500, seed=i), service.submit(at(x), seed=i, budget=LONG))
            for i, x in enumerate(values)
        ]
        for i, (x, (fixed, early)) in enumerate(zip(values, futures, strict=True)):
            assert same(fixed.result(), classifier.predict(at(x), n=500, seed=i))
            assert same(early.result(), classifier.predict(at(x), seed=i, budget=LONG))


def test_another_block_is_other_draws() -> None:
    classifier, plan = smoothed(), SamplingPlan(n=3_000, seed=4, block=50)
    with Service(classifier, block=50) as service:
        found, certified = service.submit(at(0.3), seed=4), service.submit_certify(at(0.3), plan)
    assert not same(found.result(), classifier.predict(at(0.3), seed=4))
    expected = classifier.certify(at(0.3), plan)
    assert not isinstance(expected, list)
    votes = certified.result().estimation.votes
    assert votes.tolist() == expected.estimation.votes.tolist()


@pytest.mark.parametrize(
    "plan",
    [
        SamplingPlan(n=3_000, seed=4),
        SamplingPlan(n=3_000, seed=4, stop=Precision(rel=0.05)),
    ],
)
def test_certificates_are_those_of_the_library(plan: SamplingPlan) -> None:
    classifier = smoothed()
    with Service(classifier) as service:
        futures = [service.submit_certify(at(x), plan, budget=LONG) for x in (-2.0, 0.0, 1.5)]
        futures += [service.submit_certify(at(x), plan) for x in (-2.0, 0.0, 1.5)]
        for x, future in zip((-2.0, 0.0, 1.5) * 2, futures, strict=True):
            found, expected = future.result(), classifier.certify(at(x), plan)
            assert not isinstance(expected, list)
            assert (found.prediction, found.radius) == (expected.prediction, expected.radius)
            assert found.estimation.top == expected.estimation.top
            assert not found.timed_out


def test_requests_of_two_callers_share_rounds(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[set[int | None]] = []
    submit = ThreadPasses.submit

    def noted(self: ThreadPasses, blocks: Sequence[Block]) -> Callable[[], Any]:
        rounds.append({block.seed for block in blocks})
        return submit(self, blocks)

    monkeypatch.setattr(ThreadPasses, "submit", noted)
    with Service(smoothed(gate, batch_size=1_000)) as service:
        first = service.submit(at(1), n=3_000, seed=1)
        assert gate.begun.wait(LONG)
        futures: list[Future[Any]] = []

        def caller(seed: int) -> None:
            futures.append(service.submit(at(-1), n=300, seed=seed))

        callers = [threading.Thread(target=caller, args=(seed,)) for seed in (2, 3)]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
        gate.open.set()
        assert first.result(LONG).prediction == 1
        assert [future.result(LONG).prediction for future in futures] == [0, 0]
    assert rounds[0] == {1}
    assert any({2, 3} <= each for each in rounds)


def test_a_full_queue_is_an_error(gate: Gate) -> None:
    with Service(smoothed(gate, batch_size=100), queue=2) as service:
        futures = [service.submit(at(1), n=1_000, seed=0)]
        assert gate.begun.wait(LONG)
        futures += [service.submit(at(1), n=100, seed=seed) for seed in (1, 2)]
        assert service.load == (2, 1)
        with pytest.raises(BusyError, match="the service is busy: 2 requests wait"):
            service.submit(at(1))
        gate.open.set()
        assert [future.result(LONG).prediction for future in futures] == [1] * 3
        assert service.submit(at(-1)).result(LONG).prediction == 0


def test_a_request_abstains_when_its_budget_is_over_while_it_waits(gate: Gate) -> None:
    with Service(smoothed(gate, batch_size=100)) as service:
        long = service.submit(at(1), n=1_000, seed=0)
        assert gate.begun.wait(LONG)
        late = service.submit(at(1), budget=0.01)
        late_certificate = service.submit_certify(at(1), budget=0.01)
        time.sleep(0.02)
        gate.open.set()
        found, certified = late.result(LONG), late_certificate.result(LONG)
        assert (found.prediction, found.timed_out, int(found.counts.n)) == (None, True, 0)
        assert (certified.prediction, certified.radius, certified.timed_out) == (None, 0, True)
        assert long.result(LONG).prediction == 1


def test_closing_answers_or_cancels_what_waits(gate: Gate) -> None:
    before = set(threading.enumerate())
    for cancel in (False, True):
        gate.open.clear()
        gate.begun.clear()
        service = Service(smoothed(gate, batch_size=100))
        first = service.submit(at(1), n=1_000)
        assert gate.begun.wait(LONG)
        second = service.submit(at(-1), n=100)
        closing = threading.Thread(target=service.close, kwargs={"cancel": cancel})
        closing.start()
        if cancel:
            assert wait([second], LONG).done  # and not only who asks for the result
            with pytest.raises(CancelledError):
                second.result(LONG)
        gate.open.set()
        closing.join(LONG)
        assert first.result(LONG).prediction == 1
        assert cancel or second.result(0).prediction == 0
        with pytest.raises(RuntimeError, match="the service is closed"):
            service.submit(at(1))
        service.close()  # again, to no effect
    assert set(threading.enumerate()) <= before


def test_who_waits_for_several_gets_to_know_of_those_that_closing_cancels(gate: Gate) -> None:
    service = Service(smoothed(gate, batch_size=100))
    futures = [service.submit(at(1), n=1_000)]
    assert gate.begun.wait(LONG)
    futures += [service.submit(at(1)) for _ in range(3)]
    assert futures[-1].cancel()  # by whoever asked, before
    closing = threading.Thread(target=service.close, kwargs={"cancel": True})
    closing.start()
    done, _ = wait_for(futures[1:], 10)
    gate.open.set()
    closing.join(LONG)
    assert done == {*futures[1:]}
    assert wait_for(futures, 10).not_done == set()
    assert [each.cancelled() for each in futures] == [False, True, True, True]


def test_a_cancelled_request_is_not_drawn(gate: Gate) -> None:
    with Service(smoothed(gate, batch_size=100)) as service:
        first = service.submit(at(1), n=100)
        assert gate.begun.wait(LONG)
        second = service.submit(at(1), n=700)
        assert second.cancel()
        gate.open.set()
        assert first.result(LONG).prediction == 1
    assert sum(gate.sizes) == 100


def poisoned(x: Tensor) -> Tensor:
    scores = torch.stack([-x[:, 0], x[:, 0]], dim=1)
    if bool((x[:, 1] > 50).any()):
        raise RuntimeError("no such input")
    return scores.masked_fill(x[:, 1:] < -50, torch.nan)


@pytest.mark.parametrize("value", [100.0, -100.0])
def test_a_failure_is_that_of_the_request_alone(value: float) -> None:
    gate = Gate(poisoned)
    with Service(smoothed(gate)) as service:
        good = [service.submit(at(1), seed=1)]
        bad = service.submit(torch.tensor([1.0, value]), seed=2)
        good.append(service.submit(at(-1), seed=3))
        gate.open.set()
        with pytest.raises(BaseClassifierError, match=r"no such input|answered NaN"):
            bad.result(LONG)
        assert [each.result(LONG).prediction for each in good] == [1, 0]
        assert same(good[0].result(), smoothed().predict(at(1), seed=1))
        assert service.submit(at(2)).result(LONG).prediction == 1  # it goes on


def test_many_callers_at_once() -> None:
    net = nn.Linear(2, 2).eval()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
        net.bias.zero_()
    classifier = smoothed(net)
    futures: list[tuple[int, Future[Any]]] = []
    with Service(classifier, queue=1_000) as service:

        def caller(first: int) -> None:
            for seed in range(first, first + 20):
                future = service.submit(at(seed % 5 - 2), seed=seed, budget=LONG)
                futures.append((seed, future))

        callers = [threading.Thread(target=caller, args=(20 * i,)) for i in range(10)]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
        wait_for([future for _, future in futures], LONG)
    assert len(futures) == 200
    for seed, future in futures[::7]:
        expected = classifier.predict(at(seed % 5 - 2), seed=seed, budget=LONG)
        assert same(future.result(0), expected)


def test_inputs_are_checked_when_they_are_submitted() -> None:
    with Service(smoothed()) as service:
        with pytest.raises(ValueError, match=r"the input must have shape \(2,\), got \(3,\)"):
            service.submit(torch.zeros(3))
        with pytest.raises(ValueError, match="finite"):
            service.submit(at(float("nan")))
        with pytest.raises(TypeError, match="floating point"):
            service.submit(torch.zeros(2, dtype=torch.int64))
        with pytest.raises(PlanError, match="can never predict"):
            service.submit(at(1), n=5)
        for n in (1000.5, 1000.0, 0):
            with pytest.raises(ValueError, match="n must be a whole number of at least 1, got"):
                service.submit(at(1), n=n)  # type: ignore[arg-type]
        with pytest.raises(PlanError, match="can never certify"):
            service.submit_certify(at(1), SamplingPlan(n=5))
        with pytest.raises(NotCoveredError):
            service.submit_certify(at(1), norm="l0")
        with pytest.raises(ValueError, match="budget must be a positive number"):
            service.submit(at(1), budget=0)
        with pytest.raises(ValueError, match=r"plan\.block must be 100"):
            service.submit_certify(at(1), SamplingPlan(block=50))
        x = np.array([3.0, 0.0], dtype=np.float32)
        future = service.submit(x)
        x[:] = -3
        assert future.result(LONG).prediction == 1


def test_what_a_service_refuses() -> None:
    with pytest.raises(ValueError, match="must know the shape of its inputs"):
        Service(SmoothedClassifier(sign, Gaussian(1.0), 2))
    with pytest.raises(ValueError, match="queue must be at least 1"):
        Service(smoothed(), queue=0)
    with pytest.raises(BaseClassifierError, match="evaluation mode"):
        Service(smoothed(nn.Linear(2, 2)))
    with Service(smoothed(lambda x: x, vote="soft")) as service, pytest.raises(PlanError):
        service.submit(at(1))
