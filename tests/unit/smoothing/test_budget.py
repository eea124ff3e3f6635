"""Time budgets: answers in time, and wrong no more often than alpha whatever the clock does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import gammaln
from torch import Tensor, nn

from radii.errors import PlanError
from radii.noise import Gaussian, Splitting
from radii.records import Certification, Counts, Prediction
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.smoothing.certify import certify, looks_of, predict, prediction
from radii.smoothing.deadline import Deadline
from radii.smoothing.looks import Looks, looks_until
from radii.smoothing.passes import DevicePasses
from radii.stopping import Precision

BLOCK = 8


def answer_at(looks: tuple[int, ...], alpha: float, votes: tuple[int, ...]) -> int | None:
    """What the library answers at one look, or None."""
    question = prediction(0, torch.zeros(1), looks, alpha, exact=False, seed=0)
    counts = Counts(np.array(votes))
    if int(counts.n) == looks[-1]:
        return question.answer({"prediction": counts}).prediction
    assert question.request.more is not None
    wanted = question.request.more({"prediction": counts})
    return question.answer({"prediction": counts}).prediction if wanted == 0 else None


def multinomial(n: int, p: tuple[float, ...]) -> dict[tuple[int, ...], float]:
    """The probability of each vector of so many votes."""
    logs = np.log(np.array(p))
    found = {}
    for first in itertools.product(range(n + 1), repeat=len(p) - 1):
        if sum(first) <= n:
            votes = (*first, n - sum(first))
            terms = gammaln(n + 1) + sum(
                k * log - gammaln(k + 1) for k, log in zip(votes, logs, strict=True)
            )
            found[votes] = float(np.exp(terms))
    return found


def wrong_at_some_look(
    looks: tuple[int, ...], alpha: float, p: tuple[float, ...], shares: int | None = None
) -> float:
    """P(at one of the looks the test answers another class than 0), by recursion over the votes.

    No clock makes more of the answers wrong: each is that of a look.
    """
    now: dict[tuple[int, ...], float] = {(0,) * len(p): 1.0}
    wrong, before = 0.0, 0
    for look in looks:
        steps = multinomial(look - before, p)
        after: dict[tuple[int, ...], float] = {}
        for votes, chance in now.items():
            for step, more in steps.items():
                reached = tuple(a + b for a, b in zip(votes, step, strict=True))
                after[reached] = after.get(reached, 0.0) + chance * more
        now = {}
        for votes, chance in after.items():
            answer = (
                answer_at(looks, alpha, votes)
                if shares is None
                else answer_at((look,), alpha / shares, votes)
            )
            if answer not in (None, 0):
                wrong += chance
            else:
                now[votes] = chance
        before = look
    return wrong


@pytest.mark.parametrize("alpha", [0.2, 0.05])
@pytest.mark.parametrize(
    "p",
    [
        (0.5, 0.5),
        (0.55, 0.45),
        (0.8, 0.2),
        (0.4, 0.4, 0.2),
        (0.34, 0.33, 0.33),
        (0.499, 0.499, 0.002),
    ],
)
def test_an_answer_at_any_look_is_wrong_with_probability_alpha_at_most(
    p: tuple[float, ...], alpha: float
) -> None:
    looks = looks_until(32 if len(p) == 3 else 128, BLOCK)
    assert len(looks) >= 3
    assert wrong_at_some_look(looks, alpha, p) <= alpha


def test_looks_without_shares_would_be_wrong_too_often() -> None:
    """So the test above could fail: at a tie the first class is as wrong as the second."""
    looks = looks_until(128, BLOCK)
    assert 2 * wrong_at_some_look(looks, 0.05, (0.5, 0.5)) > 0.01  # of use
    assert 2 * wrong_at_some_look(looks, 0.05, (0.5, 0.5), shares=1) > 0.05


def test_looks() -> None:
    assert looks_until(1_000, 100) == (100, 200, 500, 1_000)
    for n, block in itertools.product((1, 7, 8, 9, 100, 999, 100_000), (1, 8, 100)):
        looks = looks_until(n, block)
        assert looks[-1] == n
        assert list(looks) == sorted(set(looks))
        assert all(look % block == 0 for look in looks[:-1])
    assert looks_of(Splitting(0.5, deterministic=True), 5, 0.1, 8) == (
        Splitting(0.5, deterministic=True).num_outcomes,
    )


@pytest.mark.parametrize(("n", "block", "enough"), [(12, 4, True), (11, 4, False), (11, 11, True)])
def test_each_look_must_be_able_to_tell_at_its_share(n: int, block: int, enough: bool) -> None:
    """Two looks at 0.0005 each need 12 draws, for 2 / 2^11 is 0.00098; one look needs 11."""
    assert len(looks_until(n, block)) == (1 if n == block else 2)
    if enough:
        assert looks_of(Gaussian(1.0), n, 0.001, block)[-1] == n
        return
    assert looks_of(Gaussian(1.0), n, 0.001, None) == (n,)
    with pytest.raises(PlanError, match=r"n=11 draws can never predict .* take n of at least 12"):
        looks_of(Gaussian(1.0), n, 0.001, block)


def test_time_up_before_the_first_look_is_no_evidence() -> None:
    def never(counts: Counts) -> Prediction:
        raise AssertionError("no look was reached")

    answer = Looks((100, 200), never).answer({"prediction": Counts(np.array([40, 20]))})
    assert (answer.prediction, answer.p_value, answer.timed_out) == (None, 1.0, True)


def test_time_up_between_looks_keeps_the_last_p_value() -> None:
    watch = Looks((10, 30, 90), lambda counts: Prediction(None, 0.25, counts))
    assert watch.more({"prediction": Counts(np.array([6, 4]))}) == 20
    answer = watch.answer({"prediction": Counts(np.array([15, 5]))})
    assert (answer.prediction, answer.p_value, answer.timed_out) == (None, 0.25, True)
    assert watch.more({"prediction": Counts(np.array([20, 10]))}) == 60
    assert watch.more({"prediction": Counts(np.array([50, 40]))}) == 0


def sign(x: Tensor) -> Tensor:
    return (x[:, 0] > 0).long()


SMOOTHED = SmoothedClassifier(sign, Gaussian(1.0), 3)
PLAN = SamplingPlan(n0=100, n=2_000, seed=1)


@dataclass
class Ticks:
    """A clock that the base classifier moves: one second for each forward pass."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def base(self, answer: Callable[[Tensor], Tensor] = sign) -> Callable[[Tensor], Tensor]:
        def timed(x: Tensor) -> Tensor:
            self.now += 1
            return answer(x)

        return timed


def inputs(*values: float) -> Iterator[tuple[int, Tensor]]:
    return enumerate(torch.tensor([[value, 0.0] for value in values]))


def predicted(
    seconds: float, *values: float, n: int = 1_000, batch_size: int = 100
) -> dict[int, Prediction]:
    clock = Ticks()
    smoothed = SmoothedClassifier(clock.base(), Gaussian(1.0), 3, batch_size=batch_size)
    deadline = Deadline.within(seconds, clock)
    found = dict(predict(smoothed.sampler(PLAN), inputs(*values), n, 0.001, deadline))
    assert clock.now <= math.ceil(seconds)  # no pass begins after the deadline
    return found


def test_a_prediction_stops_at_the_first_look_that_tells() -> None:
    easy = predicted(1_000, 3.0)[0]
    assert (easy.prediction, int(easy.counts.n), easy.timed_out) == (1, 100, False)
    assert easy.p_value <= 0.001
    harder = predicted(1_000, 0.3)[0]
    assert harder.prediction == 1
    assert int(harder.counts.n) > 200
    tie = predicted(1_000, 0.0)[0]
    assert (tie.prediction, int(tie.counts.n), tie.timed_out) == (None, 1_000, False)


def test_the_votes_are_the_first_of_those_without_a_budget() -> None:
    x = torch.tensor([0.0, 0.0])
    with_budget: Any = SMOOTHED.predict(x, seed=1, budget=1e6)
    without: Any = SMOOTHED.predict(x, seed=1)
    assert with_budget.counts.votes.tolist() == without.counts.votes.tolist()
    assert with_budget.p_value == pytest.approx(min(1, 4 * without.p_value), rel=1e-12)
    assert not with_budget.timed_out


@pytest.mark.parametrize("seconds", [1, 2, 3, 4, 5, 7, 9, 10, 11])
def test_a_prediction_abstains_when_time_is_up(seconds: int) -> None:
    found = predicted(seconds, 0.0)[0]
    assert found.prediction is None
    assert found.timed_out == (seconds < 10)  # a pass has 100 draws
    assert int(found.counts.n) == 100 * min(seconds, 10)


def test_time_up_leaves_what_was_answered_before() -> None:
    found = predicted(5, 3.0, -3.0, 0.0, 3.0)
    assert set(found) == set(range(4))
    assert [each.prediction for each in found.values() if not each.timed_out] != []
    for index, each in found.items():
        assert each.timed_out == (each.prediction is None)
        assert each.prediction in (None, {0: 1, 1: 0, 3: 1}.get(index))
    late = predicted(1e-9, 0.0)[0]  # the first pass begins in time
    assert (late.prediction, late.timed_out, int(late.counts.n)) == (None, True, 100)


def certified(seconds: float, plan: SamplingPlan, *values: float) -> dict[int, Certification]:
    clock = Ticks()
    smoothed = SmoothedClassifier(clock.base(), Gaussian(1.0), 3, batch_size=100)
    deadline = Deadline.within(seconds, clock)
    chosen = smoothed.certificate("l2")
    return dict(certify(smoothed.sampler(plan), inputs(*values), plan, chosen, deadline))


def test_a_fixed_plan_certifies_in_time_or_not_at_all() -> None:
    expected: Any = SMOOTHED.certify(torch.tensor([2.0, 0.0]), PLAN)
    whole = certified(1_000, PLAN, 2.0)[0]
    assert (whole.prediction, whole.radius) == (expected.prediction, expected.radius)
    assert not whole.timed_out
    for seconds in (1e-9, 1, 5):
        found = certified(seconds, PLAN, 2.0)[0]
        assert found.timed_out
        assert (found.prediction, found.radius, found.pA_lower, found.pB_upper) == (None, 0, 0, 1)
        assert int(found.estimation.n) < 2_000


def test_a_plan_that_stops_early_claims_what_it_can_by_then() -> None:
    plan = SamplingPlan(n0=100, n=20_000, seed=1, stop=Precision(rel=0.02))
    radii = []
    for seconds in (1, 5, 20, 60):
        found = certified(seconds, plan, 2.0)[0]
        assert found.timed_out
        assert found.radius <= 2.0  # the distance to the plane
        assert found.prediction == (1 if found.radius > 0 else None)
        assert found.claim is not None
        assert found.claim.draws <= int(found.estimation.n) <= 100 * seconds
        radii.append(found.radius)
    assert radii[0] == 0
    assert radii == sorted(radii)
    assert radii[-1] > 1
    whole = certified(1e6, plan, 2.0)[0]
    assert not whole.timed_out
    assert whole.radius >= radii[-1]


def test_a_pass_within_a_block_is_broken_off() -> None:
    """A block of 100 inputs of 3 x 100 x 100 has 20 forward passes on a CPU."""
    clock = Ticks()
    smoothed = SmoothedClassifier(
        clock.base(lambda x: (x.flatten(1).sum(1) > 0).long()), Gaussian(1.0), 2
    )
    x = torch.zeros(3, 100, 100)
    sampler = smoothed.sampler(PLAN)
    found = dict(predict(sampler, [(0, x)], 1_000, 0.001, Deadline.within(3, clock)))[0]
    assert found.timed_out
    assert clock.now == 3
    assert int(found.counts.n) == 0  # the block is not complete


def test_on_a_device_with_whole_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radii.smoothing.scheduler.passes_on", DevicePasses)
    found = predicted(5, 0.0, 3.0)
    assert found[0].prediction is None
    assert found[0].timed_out


def test_noise_that_is_enumerated() -> None:
    clock = Ticks()
    base = nn.Flatten(0)

    def answer(x: Tensor) -> Tensor:
        return (base(x) > 0.5).long()

    noise = Splitting(2.0, deterministic=True)
    for seconds, late in ((1e-9, True), (1e9, False)):
        clock.now = 0
        smoothed = SmoothedClassifier(clock.base(answer), noise, 2)
        x = torch.tensor([1.0])
        plan = SamplingPlan(seed=0).under(noise)
        deadline = Deadline.within(seconds, clock)
        found = dict(predict(smoothed.sampler(plan), [(0, x)], 1, 0.001, deadline))[0]
        assert (found.timed_out, found.prediction is None) == (late, late)
        chosen = smoothed.certificate("l1", dim=1)
        result = dict(certify(smoothed.sampler(plan), [(0, x)], plan, chosen, deadline))[0]
        assert (result.timed_out, result.prediction is None) == (late, late)


def test_what_is_refused() -> None:
    for budget in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="budget must be a positive number of seconds"):
            SMOOTHED.predict(torch.zeros(2), budget=budget)
        with pytest.raises(ValueError, match="budget must be a positive number of seconds"):
            SMOOTHED.certify(torch.zeros(2), PLAN, budget=budget)
    with pytest.raises(PlanError, match="n=10 draws can never predict"):
        SMOOTHED.predict(torch.zeros(2), n=10, budget=1.0)


def test_a_batch_shares_one_budget() -> None:
    x = torch.tensor([[3.0, 0.0]] * 3)
    many = SMOOTHED.predict(x, seed=1, budget=1e-9)
    assert isinstance(many, list)
    assert [each.timed_out for each in many] == [True] * 3
    results = SMOOTHED.certify(x, PLAN, budget=1e-9)
    assert isinstance(results, list)
    assert [each.timed_out for each in results] == [True] * 3
    assert [each.radius for each in results] == [0.0] * 3
