from __future__ import annotations

import torch
from torch import nn

from radii.training.averaging import Average


def test_it_is_the_moving_average_of_weights_and_statistics():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = Average(module, 0.3)
    expected = {name: value.double() for name, value in module.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    for steps in range(6):
        module(torch.randn(8, 3, generator=generator))  # moves the statistics
        with torch.no_grad():
            for parameter in module.parameters():
                parameter += torch.randn(parameter.shape, generator=generator)
        average.update(steps)
        decay = min(0.3, (1 + steps) / (10 + steps))
        for name, value in module.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value.double()
    for name, value in average.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
    counter = average.module.state_dict()["1.num_batches_tracked"]
    assert counter == 6
    assert not average.module.training
    assert module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())


def test_tied_weights_are_averaged_once():
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    module[1].weight = module[0].weight
    before = module[0].weight.detach().clone()
    average = Average(module, 0.9)
    with torch.no_grad():
        module[0].weight += 1.0
    average.update(1_000)
    for layer in average.module:
        torch.testing.assert_close(layer.weight, before + 0.1)
