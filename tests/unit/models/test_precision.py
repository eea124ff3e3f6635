import copy
import platform

import pytest
import torch
from torch import nn

from radii.models import (
    InPrecision,
    ResNet20,
    bfloat16_slowdown,
    initialise,
    weights_sha256,
)


def base():
    return initialise(ResNet20(), (3, 32, 32), 10, mean=(0.5,), std=(0.25,), seed=0).eval()


def inputs():
    return torch.rand((4, 3, 32, 32), generator=torch.Generator().manual_seed(0))


def test_computes_in_bfloat16_and_returns_float32():
    module = base()
    with torch.inference_mode():
        scores = InPrecision(module)(inputs())
        by_hand = copy.deepcopy(module).bfloat16()(inputs().bfloat16())
        exact = module(inputs())
    assert scores.dtype == torch.float32
    assert torch.equal(scores, by_hand.float())
    assert not torch.equal(scores, exact)
    # bfloat16 has 8 bits: a relative error of 2^-9 a rounding, through some 20 layers.
    assert (scores - exact).norm() < 20 * 2**-9 * exact.norm()


def test_leaves_the_given_module_as_it_is():
    module = base()
    before = weights_sha256(module)
    InPrecision(module)
    assert weights_sha256(module) == before
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_the_copy_keeps_layout_and_mode():
    module = base().train().to(memory_format=torch.channels_last)
    module.body.bn1.eval()
    inside = InPrecision(module).module
    assert inside.training
    assert not inside.body.bn1.training
    assert inside.body.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert not InPrecision(base()).training


def test_labels_pass_unchanged():
    class Labels(nn.Module):
        def forward(self, x):
            assert x.dtype == torch.bfloat16
            return x.flatten(1).argmax(1)

    labels = InPrecision(Labels())(torch.eye(3))
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 1, 2]


def test_refuses_integers_and_functions():
    with pytest.raises(ValueError, match=r"dtype must be a floating point type, got torch\.int8"):
        InPrecision(base(), torch.int8)
    with pytest.raises(TypeError, match=r"only an nn\.Module can be converted .*, got function"):
        InPrecision(lambda x: x)


def test_the_slowdown_of_bfloat16_is_that_of_its_instructions():
    slowdown = bfloat16_slowdown(torch.device("cpu"))
    if torch.cpu._is_avx512_bf16_supported():
        assert 0 < slowdown < 2
    elif platform.machine() == "x86_64" and not torch.cpu._is_avx512_supported():
        assert slowdown > 2
    assert bfloat16_slowdown(torch.device("meta")) == 0
