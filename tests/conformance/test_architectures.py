"""What every registered architecture must do."""

import copy

import pytest
import torch

from radii.models import ARCHITECTURES, FromPython, initialise, load_base, save_base
from radii.registry import reference_of

LARGE = {"wide_resnet28_10", "densenet40"}  # the others like them are smaller
CASES = [
    pytest.param((name, example), marks=pytest.mark.slow if name in LARGE else ())
    for name in ARCHITECTURES.names()
    for example in ARCHITECTURES[name].examples
]
CLASSES = 7


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request):
    name, example = request.param
    architecture = ARCHITECTURES[name](**example)
    shape = architecture.example_input_shape
    return architecture, shape, initialise(architecture, shape, CLASSES, seed=0)


def inputs(shape, count=2):
    return torch.rand((count, *shape), generator=torch.Generator().manual_seed(1))


def with_statistics(module, shape):
    """A copy in evaluation mode whose running statistics are not those of a new module."""
    module = copy.deepcopy(module).train()
    with torch.no_grad():
        module(inputs(shape))
    return module.eval()


def test_scores_are_finite_and_differ_between_inputs(case):
    _, shape, module = case
    with torch.inference_mode():
        scores = with_statistics(module, shape)(inputs(shape))
    assert scores.shape == (2, CLASSES)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()
    assert not torch.equal(scores[0], scores[1])


def test_every_parameter_gets_a_finite_gradient(case):
    _, shape, module = case
    module = copy.deepcopy(module).train()
    x = inputs(shape)
    before = x.clone()
    module(x).square().sum().backward()
    assert torch.equal(x, before)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_normalisation_is_inside(case):
    architecture, shape, plain = case
    mean = [0.1 + 0.1 * channel for channel in range(shape[0])]
    std = [0.5 - 0.05 * channel for channel in range(shape[0])]
    inside = initialise(architecture, shape, CLASSES, mean=mean, std=std, seed=0).eval()
    x = inputs(shape, count=1)
    per_channel = (1, shape[0], *(1,) * (len(shape) - 1))
    by_hand = (x - torch.tensor(mean).view(per_channel)) / torch.tensor(std).view(per_channel)
    outside = copy.deepcopy(plain).eval()
    with torch.inference_mode():
        assert torch.equal(inside(x), outside(by_hand))
        assert not torch.equal(inside(x), outside(x))


def test_saved_and_loaded_gives_the_same_scores_bit_for_bit(case, tmp_path):
    architecture, shape, module = case
    module = with_statistics(module, shape)
    description = {
        "architecture": ARCHITECTURES.spec_of(architecture),
        "input_shape": list(shape),
        "num_classes": CLASSES,
        "class_names": None,
        "mean": [0.0],
        "std": [1.0],
    }
    save_base(tmp_path, module, description)
    code = f"{architecture.reference}@" if isinstance(architecture, FromPython) else ""
    loaded = load_base(f"{code}{tmp_path}").module
    if any(parameter.ndim == 4 for parameter in module.parameters()):
        module = module.to(memory_format=torch.channels_last)  # load_base does this too
    x = inputs(shape)
    with torch.inference_mode():
        assert torch.equal(loaded(x), module(x))


def test_spec_round_trip(case):
    architecture = case[0]
    assert ARCHITECTURES.build(ARCHITECTURES.spec_of(architecture)) == architecture


def test_the_seed_alone_decides_the_weights(case):
    architecture, shape, module = case
    again = initialise(architecture, shape, CLASSES, seed=0).state_dict()
    other = initialise(architecture, shape, CLASSES, seed=1).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in module.state_dict().items())
    weights = [name for name, value in again.items() if value.ndim >= 2]
    assert not any(torch.equal(again[name], other[name]) for name in weights)


@pytest.mark.parametrize("name", sorted({*ARCHITECTURES.names()} - {"python"}))
def test_names_its_source(name):
    assert reference_of(ARCHITECTURES[name])


@pytest.mark.parametrize("name", ARCHITECTURES.names())
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 32), (-1, 28, 28)])
def test_refuses_impossible_shapes(name, shape):
    with pytest.raises(ValueError, match="input_shape must be one or more positive sizes"):
        ARCHITECTURES[name](**ARCHITECTURES[name].examples[0]).build(shape, 10)
