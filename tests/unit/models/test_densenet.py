import pytest

from radii.models import DenseNet40


def test_number_of_parameters():
    # Huang et al. 2017, arXiv:1608.06993, table 2: 1.0 M for L = 40, k = 12.
    convolutions = 3 * 16 * 9
    norms = 0
    width = 16
    for block in range(3):
        for _ in range(12):
            convolutions += width * 12 * 9
            norms += 2 * width
            width += 12
        if block < 2:
            convolutions += width * width
            norms += 2 * width
    by_hand = convolutions + norms + 2 * width + width * 10 + 10
    assert round(by_hand / 1e6, 1) == 1.0
    module = DenseNet40().build((3, 32, 32), 10)
    assert sum(parameter.numel() for parameter in module.parameters()) == by_hand


def test_depth_is_the_number_of_weighted_layers():
    state = DenseNet40().build((3, 32, 32), 10).body.state_dict()
    assert sum(value.ndim > 1 for value in state.values()) == 40


def test_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"densenet40 needs inputs of shape .*, got \(3072,\)"):
        DenseNet40().build((3072,), 10)
