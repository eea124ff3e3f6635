from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from radii.training import SCHEDULES, Cosine, Step


def rates_of(scheduler_class, epochs, **options):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = scheduler_class(optimiser, **options)
    rates = []
    for _ in range(epochs):
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


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_the_first_epoch_has_the_full_rate_and_none_has_more(name):
    for example in SCHEDULES[name].examples:
        schedule = SCHEDULES.build({"name": name, **example})
        factors = [schedule.factor(epoch, 100) for epoch in range(100)]
        assert factors[0] == 1
        assert all(0 < later <= earlier for earlier, later in pairwise(factors))
        assert SCHEDULES.build(SCHEDULES.spec_of(schedule)) == schedule


@pytest.mark.parametrize("options", [{"every": 0}, {"gamma": 0.0}, {"gamma": 1.5}])
def test_step_refuses_what_is_no_schedule(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Step(**options)
