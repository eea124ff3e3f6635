import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from radii.noise import Gaussian
from radii.smoothing import SamplingPlan, SmoothedClassifier, passes
from radii.smoothing._pooling import SlicedPooling

POOL = functional.max_pool2d


def pictures(*shape, dtype=torch.float32, layout=torch.contiguous_format):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).round(decimals=1)
    return x.to(dtype).contiguous(memory_format=layout)


def in_slices(pool, x):
    """What a call gives inside, and whether it was done by slices."""
    with SlicedPooling() as pooling:
        pooled = pool(x)
    return pooled, pooling.served


SLICED = {
    "function": lambda x: POOL(x, 2),
    "module": nn.MaxPool2d(2),
    "module, window and stride": nn.MaxPool2d((2, 2), (2, 2)),
    "by name": lambda x: POOL(input=x, kernel_size=2, padding=0),
    "torch": lambda x: torch.max_pool2d(x, [2]),
    "torch, no stride": lambda x: torch.max_pool2d(x, (2, 2), ()),
    "vmap": lambda x: torch.vmap(lambda one: POOL(one[None], 2))(x),
}
NOT_SLICED = {
    "three by three": lambda x: POOL(x, 3),
    "overlapping": lambda x: POOL(x, 2, 1),
    "gaps": lambda x: POOL(x, 2, 3),
    "two by three": lambda x: POOL(x, (2, 3)),
    "padding": lambda x: POOL(x, 2, padding=1),
    "padding of one axis": lambda x: POOL(x, 2, padding=(0, 1)),
    "dilation": lambda x: POOL(x, 2, dilation=2),
    "ceil": lambda x: POOL(x, 2, ceil_mode=True),
    "indices": lambda x: POOL(x, 2, return_indices=True)[1],
    "one picture": lambda x: POOL(x[0], 2),
    "half precision": lambda x: POOL(x.half(), 2),
    "a size of NumPy": lambda x: POOL(x, np.int64(2)),
    "averages": lambda x: functional.avg_pool2d(x, 2),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("sides", [(8, 6), (9, 6), (8, 7), (2, 3)])
def test_slices_give_what_torch_gives(sides, layout, dtype):
    x = pictures(3, 5, *sides, dtype=dtype, layout=layout)
    pooled, served = in_slices(lambda x: POOL(x, 2), x)
    expected = POOL(x, 2)
    assert served
    assert torch.equal(pooled, expected)
    assert (pooled.dtype, pooled.stride()) == (expected.dtype, expected.stride())


@pytest.mark.parametrize("name", SLICED)
def test_every_way_to_call_it(name):
    x = pictures(3, 4, 9, 8)
    pooled, served = in_slices(SLICED[name], x)
    assert served
    assert torch.equal(pooled, SLICED[name](x))


@pytest.mark.parametrize("name", NOT_SLICED)
def test_other_pooling_is_left_to_torch(name):
    x = pictures(3, 4, 9, 8)
    pooled, served = in_slices(NOT_SLICED[name], x)
    assert not served
    assert torch.equal(pooled, NOT_SLICED[name](x))


def test_nan_and_infinity_pass_through_as_in_torch():
    x = pictures(2, 3, 8, 8)
    x[0, 0, 0, 0], x[0, 1, 3, 2], x[1, 2, 5, 5], x[1, 0, :4] = (
        float("nan"),
        float("inf"),
        float("-inf"),
        float("-inf"),
    )
    pooled, served = in_slices(lambda x: POOL(x, 2), x)
    assert served
    torch.testing.assert_close(pooled, POOL(x, 2), rtol=0, atol=0, equal_nan=True)


def test_gradients_stay_those_of_torch_where_numbers_are_equal():
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    pooled, served = in_slices(lambda x: POOL(x, 2), x)
    assert not served
    (gradient,) = torch.autograd.grad(pooled.sum(), x)
    assert sorted(gradient.flatten().tolist()) == [0.0] * 12 + [1.0] * 4  # slices share it out


def test_a_stride_of_zero_is_refused_by_torch():
    with pytest.raises(RuntimeError, match="stride"):
        in_slices(lambda x: POOL(x, 2, 0), pictures(1, 1, 4, 4))


def test_a_picture_that_is_too_small_is_refused_by_torch():
    with pytest.raises(RuntimeError, match="too small"):
        in_slices(lambda x: POOL(x, 2), pictures(1, 1, 1, 4))


class Pooled(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size, self.linear = size, nn.Linear(64 // size**2, 3)

    def forward(self, x):
        return self.linear(POOL(x, self.size).flatten(1))


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("compiled", [False, True])
def test_only_passes_that_gain_from_slices_pay_for_them(size, compiled, monkeypatch):
    entered, forward = [], []

    class Counted(SlicedPooling):
        def __enter__(self):
            entered.append(self)
            return super().__enter__()

    base = Pooled(size).eval()
    base.register_forward_hook(lambda *_: forward.append(1))
    if compiled:
        base.compiled_rows = 400  # as a compiled module has
    monkeypatch.setattr(passes, "SlicedPooling", Counted)
    smoothed = SmoothedClassifier(base, Gaussian(0.5), num_classes=3, input_shape=(1, 8, 8))
    smoothed.certify(torch.rand(2, 1, 8, 8), SamplingPlan(n0=100, n=8_000))
    assert len(forward) > 20
    if compiled:
        assert not entered
    elif size == 2:
        assert len(entered) == len(forward)
    else:
        assert 1 <= len(entered) <= torch.get_num_threads()
