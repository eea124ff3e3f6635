from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from radii.training import SCHEDULES, Cosine, OneCycle, Step


def rates_of(scheduler_class, steps, **options):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = scheduler_class(optimiser, **options)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def test_step_is_that_of_torch():
    expected = rates_of(torch.optim.lr_scheduler.StepLR, 90, step_size=30, gamma=0.1)
    assert [Step(30, 0.1).factor(epoch, 90) for epoch in range(90)] == pytest.approx(expected)


def test_cosine_is_that_of_torch():
    expected = rates_of(torch.optim.lr_scheduler.CosineAnnealingLR, 20, T_max=20)
    assert [Cosine().factor(epoch, 20) for epoch in range(20)] == pytest.approx(expected)


def test_one_cycle_is_that_of_torch():
    # torch puts the peak on step 0.3 * 100 - 1 and the end on the last step; here both come one
    # step later, so that nothing depends on the number of steps.
    expected = rates_of(
        torch.optim.lr_scheduler.OneCycleLR, 100, max_lr=1.0, total_steps=100, pct_start=0.3
    )
    schedule = OneCycle()
    up = [schedule.factor(0.3 * step / 29, 1) for step in range(29)]
    down = [schedule.factor(0.3 + 0.7 * step / 70, 1) for step in range(71)]
    assert up + down == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_no_epoch_has_more_than_the_full_rate_and_one_has_it(name):
    for example in SCHEDULES[name].examples:
        schedule = SCHEDULES.build({"name": name, **example})
        factors = [schedule.factor(epoch, 100) for epoch in range(100)]
        peak = factors.index(1.0)
        assert all(0 < factor <= 1 for factor in factors)
        assert all(earlier <= later for earlier, later in pairwise(factors[: peak + 1]))
        assert all(later <= earlier for earlier, later in pairwise(factors[peak:]))
        assert peak == 0 or schedule.each_step
        assert SCHEDULES.build(SCHEDULES.spec_of(schedule)) == schedule


def test_a_schedule_changes_within_an_epoch_or_does_not():
    assert not Step().each_step
    assert not Cosine().each_step
    assert Cosine(each_step=True).each_step
    assert OneCycle().each_step


@pytest.mark.parametrize(
    ("schedule", "options"),
    [
        (Step, {"every": 0}),
        (Step, {"gamma": 0.0}),
        (Step, {"gamma": 1.5}),
        (OneCycle, {"rise": 0.0}),
        (OneCycle, {"rise": 1.0}),
        (OneCycle, {"first": 0.0}),
        (OneCycle, {"last": 2.0}),
    ],
)
def test_what_is_no_schedule_is_refused(schedule, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        schedule(**options)
