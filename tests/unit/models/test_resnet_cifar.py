import pytest
import torch

from radii.models import ARCHITECTURES, ResNet20, ResNet110, load_published

# He et al. 2016, arXiv:1512.03385, table 6 (in millions, for CIFAR-10).
PUBLISHED = {
    "resnet20": 0.27,
    "resnet32": 0.46,
    "resnet44": 0.66,
    "resnet56": 0.85,
    "resnet110": 1.7,
}
# The paper's shortcuts have no parameters. Ours have, twice: a 1 x 1 convolution, a batch norm.
SHORTCUTS = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def by_arithmetic(blocks):
    """Of the network in section 4.2, with shortcuts that have no parameters."""
    first = 3 * 16 * 9 + 2 * 16

    def stage(inside, width):
        one = inside * width * 9 + 2 * width + width * width * 9 + 2 * width
        others = 2 * (width * width * 9 + 2 * width)
        return one + (blocks - 1) * others

    return first + stage(16, 16) + stage(16, 32) + stage(32, 64) + 64 * 10 + 10


@pytest.mark.parametrize("name", PUBLISHED)
def test_number_of_parameters(name):
    depth = int(name.removeprefix("resnet"))
    parameters = count(ARCHITECTURES.build(name).build((3, 32, 32), 10))
    assert parameters - SHORTCUTS == by_arithmetic((depth - 2) // 6)
    digits = 1 if name == "resnet110" else 2
    assert round((parameters - SHORTCUTS) / 1e6, digits) == PUBLISHED[name]


def test_depth_is_the_number_of_weighted_layers_beside_the_shortcuts():
    names = [
        name
        for name, value in ResNet110().build((3, 32, 32), 10).body.state_dict().items()
        if value.ndim > 1 and "downsample" not in name
    ]
    assert len(names) == 110


def test_module_names_are_those_of_the_published_checkpoints():
    # The checkpoints of Cohen et al. 2019 (locuslab/smoothing, code/archs/cifar_resnet.py).
    names = set(ResNet20().build((3, 32, 32), 10).body.state_dict())
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", "fc.weight", "fc.bias", *(f"bn1.{part}" for part in norm)}
    for layer in (1, 2, 3):
        for block in (0, 1, 2):
            here = f"layer{layer}.{block}"
            expected |= {f"{here}.conv1.weight", f"{here}.conv2.weight"}
            expected |= {f"{here}.bn{index}.{part}" for index in (1, 2) for part in norm}
        if layer > 1:
            expected |= {f"layer{layer}.0.downsample.0.weight"}
            expected |= {f"layer{layer}.0.downsample.1.{part}" for part in norm}
    assert names == expected


def test_a_published_state_dict_loads():
    source = ResNet20().build((3, 32, 32), 10)
    target = ResNet20().build((3, 32, 32), 10)
    load_published(target, {f"1.{name}": v for name, v in source.body.state_dict().items()})
    assert torch.equal(
        target.body.layer2[0].downsample[0].weight, source.body.layer2[0].downsample[0].weight
    )


def test_convolutions_start_with_the_variance_of_he():
    module = ResNet110().build((3, 32, 32), 10).body
    weight = module.layer3[5].conv2.weight  # 64 * 64 * 9 numbers
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_takes_28_by_28_grey_images():
    assert ResNet20().build((1, 28, 28), 10)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("shape", [(3072,), (32, 32), (3, 4, 32), (3, 32, 7)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"resnet20 needs inputs of shape .* at least 8, got"):
        ResNet20().build(shape, 10)
