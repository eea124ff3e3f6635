import pytest
import torch

from radii.models import LeNet


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_number_of_parameters():
    # By arithmetic, weights then biases; also the 431 thousand of LeNet-5 in Caffe's form in
    # Han et al. 2016, arXiv:1510.00149, table 1.
    by_hand = (
        (20 * 1 * 5 * 5 + 20)  # 28 x 28 -> 24 x 24, pooled to 12 x 12
        + (50 * 20 * 5 * 5 + 50)  # -> 8 x 8, pooled to 4 x 4
        + (500 * 50 * 4 * 4 + 500)
        + (10 * 500 + 10)
    )
    assert by_hand == 431_080
    assert count(LeNet().build((1, 28, 28), 10)) == by_hand


def test_takes_32_by_32_colour_images():
    module = LeNet().build((3, 32, 32), 10)
    # 32 -> 28 -> 14 -> 10 -> 5
    assert module.body.fc1.in_features == 50 * 5 * 5
    assert module(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("shape", [(784,), (28, 28), (1, 28, 32), (1, 24, 24), (1, 1, 28, 28)])
def test_refuses_other_shapes(shape):
    message = r"lenet needs inputs of shape \(channels, 28, 28\) or \(channels, 32, 32\), got \("
    with pytest.raises(ValueError, match=message):
        LeNet().build(shape, 10)
