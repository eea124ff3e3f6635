from __future__ import annotations

import pytest
import torch
from torch.nn.functional import pad

from radii.models import DENOISERS, UNet


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 33, 30), (1, 9, 23)])
def test_images_keep_their_shape(shape):
    x = images(2, *shape)
    module = UNet(width=4).build(shape).eval()
    assert module(x).shape == x.shape
    assert not torch.equal(module(x), x)


def test_odd_sides_are_filled_with_their_border():
    module = UNet(width=4, levels=2).build((1, 8, 8)).eval()
    x = images(2, 1, 7, 9)
    framed = pad(x, [0, 1, 0, 1], mode="replicate")
    torch.testing.assert_close(module(x), module(framed)[..., :7, :9])


def test_number_of_parameters():
    def two(inside, outside):
        return 9 * outside * (inside + outside) + 2 * 2 * outside

    by_hand = (
        two(1, 16) + two(16, 32) + two(32, 64)  # down
        + two(64 + 32, 32) + two(32 + 16, 16)  # up, beside what came down
        + 16 + 1
    )  # fmt: skip
    module = DENOISERS.build("unet").build((1, 28, 28))
    assert sum(parameter.numel() for parameter in module.parameters()) == by_hand == 118_305


def test_the_lowest_size_and_the_copies_beside_both_count():
    module = UNet(width=3, levels=3).build((1, 16, 16)).double().eval()
    x = images(1, 1, 16, 16).double()
    plain = module(x)
    for changed in ("down.2.3.weight", "down.0.0.weight", "up.1.0.weight"):
        parameter = dict(module.named_parameters())[changed]
        kept = parameter.detach().clone()
        with torch.no_grad():
            parameter.mul_(3)
            assert not torch.allclose(module(x), plain), changed
            parameter.copy_(kept)


def test_a_pixel_sees_farther_with_more_sizes():
    def reach(levels):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            module = UNet(width=8, levels=levels).build((1, 64, 64)).eval()
        x = images(1, 1, 64, 64).requires_grad_()
        module(x)[0, 0, 32, 32].backward()
        rows = x.grad[0, 0].abs().sum(1).nonzero()
        return int(rows.max() - rows.min())

    assert reach(3) > reach(2) + 8


@pytest.mark.parametrize("wrong", [{"width": 0}, {"levels": 1}])
def test_empty_networks_are_refused(wrong):
    ((field, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{field} must be at least .*, got {value}"):
        UNet(**wrong)


@pytest.mark.parametrize("shape", [(64,), (1, 7, 28), (0, 28, 28)])
def test_images_that_are_too_small_are_refused(shape):
    with pytest.raises(ValueError, match=r"unet denoises images .* of at least 8, got"):
        UNet().build(shape)
