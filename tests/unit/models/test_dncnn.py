from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from radii.models import DENOISERS, DnCNN


def test_it_subtracts_what_its_layers_find():
    module = DENOISERS.build("dncnn:depth=4,width=5").build((2, 9, 7)).double().eval()
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(generator=generator)
            part.running_var.uniform_(0.5, 2.0, generator=generator)
    x = torch.randn(3, 2, 9, 7, dtype=torch.float64, generator=generator)
    state = module.state_dict()
    noise = functional.conv2d(x, state["noise.0.weight"], state["noise.0.bias"], padding=1).relu()
    for conv, norm in ((2, 3), (5, 6)):
        noise = functional.conv2d(noise, state[f"noise.{conv}.weight"], padding=1)
        mean, var, scale, shift = (
            state[f"noise.{norm}.{name}"].view(-1, 1, 1)
            for name in ("running_mean", "running_var", "weight", "bias")
        )
        noise = ((noise - mean) / (var + 1e-5).sqrt() * scale + shift).relu()
    noise = functional.conv2d(noise, state["noise.8.weight"], padding=1)
    torch.testing.assert_close(module(x), x - noise, rtol=1e-10, atol=1e-10)
    assert noise.abs().max() > 0.01


def test_number_of_parameters():
    # By arithmetic; convolutions, the first one's bias, and two numbers a channel in batch norms.
    by_hand = (9 * 64 + 64) + 15 * (9 * 64 * 64 + 2 * 64) + 9 * 64
    module = DnCNN().build((1, 28, 28))
    assert sum(parameter.numel() for parameter in module.parameters()) == by_hand == 556_096
    assert sum(isinstance(part, nn.Conv2d) for part in module.modules()) == 17


def initialised(denoiser):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return denoiser.build((1, 15, 15)).eval()


def test_a_pixel_sees_depth_pixels_each_way():
    module = initialised(DnCNN(depth=3, width=32))
    x = torch.zeros(1, 1, 15, 15, requires_grad=True)
    module(x + 0.1)[0, 0, 7, 7].backward()
    seen = x.grad[0, 0].nonzero()
    assert seen.min() == 7 - 3
    assert seen.max() == 7 + 3


@pytest.mark.parametrize("field", ["depth", "width"])
def test_empty_networks_are_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be at least .*, got 0"):
        DnCNN(**{field: 0})


@pytest.mark.parametrize("shape", [(5,), (28, 28), (0, 28, 28), (1, 0, 28)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="dncnn denoises images of shape"):
        DnCNN().build(shape)
