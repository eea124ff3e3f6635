import pytest

from radii.models import WideResNet28x10


@pytest.fixture(scope="module")
def body():
    return WideResNet28x10().build((3, 32, 32), 10).body


def test_number_of_parameters(body):
    # Zagoruyko and Komodakis 2016, arXiv:1605.07146: 36.5 M.
    by_hand = 3 * 16 * 9
    inside = 16
    for width in (160, 320, 640):
        for _ in range(4):
            by_hand += 2 * inside + inside * width * 9 + 2 * width + width * width * 9
            if inside != width:
                by_hand += inside * width
            inside = width
    by_hand += 2 * 640 + 640 * 10 + 10
    assert round(by_hand / 1e6, 1) == 36.5
    assert sum(parameter.numel() for parameter in body.parameters()) == by_hand


def test_depth_counts_the_shortcut_convolutions(body):
    # 6 * 4 + 4 = 28: the first convolution and 24 in the blocks, 3 shortcuts. The dense layer is
    # not counted in this paper.
    convolutions = [name for name, value in body.state_dict().items() if value.ndim == 4]
    assert len(convolutions) == 28


def test_module_names_are_those_of_the_common_form(body):
    names = set(body.state_dict())
    assert {
        "conv1.weight",
        "block1.layer.0.convShortcut.weight",
        "block2.layer.3.bn2.running_mean",
        "block3.layer.0.conv2.weight",
        "bn1.weight",
        "fc.bias",
    } <= names
    assert "block1.layer.1.convShortcut.weight" not in names


def test_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"wide_resnet28_10 needs inputs .* got \(3, 7, 7\)"):
        WideResNet28x10().build((3, 7, 7), 10)
