import pytest

from radii.models import ResNet18, ResNet50


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_numbers_of_parameters():
    # torchvision's documentation: num_params of ResNet18_Weights and ResNet50_Weights.
    assert count(ResNet18().build((3, 224, 224), 1000)) == 11_689_512
    assert count(ResNet50().build((3, 224, 224), 1000)) == 25_557_032


def test_module_names_are_torchvisions():
    names = set(ResNet50().build((3, 224, 224), 1000).body.state_dict())
    assert len([name for name in names if not name.endswith("num_batches_tracked")]) == 267
    assert {
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.running_var",
        "layer3.5.conv3.weight",
        "layer4.2.bn3.bias",
        "fc.weight",
        "fc.bias",
    } <= names
    assert "layer1.1.downsample.0.weight" not in names


def test_the_stride_is_in_the_three_by_three_convolution():
    block = ResNet50().build((3, 224, 224), 1000).body.layer2[0]
    assert block.conv1.stride == (1, 1)
    assert block.conv2.stride == (2, 2)
    assert block.downsample[0].stride == (2, 2)


def test_the_first_stage_of_resnet18_has_no_shortcut_convolution():
    body = ResNet18().build((3, 224, 224), 1000).body
    assert body.layer1[0].downsample is None
    assert body.layer2[0].downsample is not None


@pytest.mark.parametrize("architecture", [ResNet18(), ResNet50()])
def test_refuses_small_images(architecture):
    with pytest.raises(ValueError, match=r"at least 32, got \(3, 28, 28\)"):
        architecture.build((3, 28, 28), 10)
