import pytest
import torch
from torch import nn

from radii.models import ConvNet


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_number_of_parameters():
    by_hand = (
        (32 * 1 * 7 * 7)  # 28 x 28 -> 14 x 14
        + (32 * 32 * 3 * 3)
        + (64 * 32 * 3 * 3)  # -> 7 x 7
        + (64 * 64 * 3 * 3)
        + (256 * 64 * 7 * 7)
        + 2 * (32 + 32 + 64 + 64 + 256)  # of batch norm
        + (10 * 256 + 10)
    )
    assert by_hand == 872_362
    assert count(ConvNet().build((1, 28, 28), 10)) == by_hand


@pytest.mark.parametrize(
    ("shape", "units"),
    [((3, 32, 32), 8 * 8), ((1, 5, 9), 2 * 3), ((2, 4, 4), 1), ((1, 28, 30), 7 * 8)],
)
def test_sides_are_halved_twice_and_rounded_up(shape, units):
    module = ConvNet(width=3, hidden=5).build(shape, 4)
    (first, _) = (layer for layer in module.body if isinstance(layer, nn.Linear))
    assert first.in_features == 6 * units
    assert module.eval()(torch.zeros(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 3, 28), (1, 1, 28, 28)])
def test_refuses_other_shapes(shape):
    message = r"convnet needs inputs of shape \(channels, height, width\) .* of at least 4, got \("
    with pytest.raises(ValueError, match=message):
        ConvNet().build(shape, 10)


@pytest.mark.parametrize("field", ["width", "hidden"])
def test_refuses_no_channels_and_no_units(field):
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        ConvNet(**{field: 0})
