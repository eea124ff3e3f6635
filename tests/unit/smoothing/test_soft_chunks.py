"""Passes of a few rows: the same answers and gradients, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from radii.errors import BaseClassifierError
from radii.noise import Gaussian
from radii.smoothing import SmoothedClassifier, SoftClassifier
from radii.smoothing.estimators import AVERAGES
from radii.smoothing.soft import suitable_chunk


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def network():
    base = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(36, 5),
        nn.Tanh(),
        nn.Linear(5, 3),
    )
    with torch.no_grad():
        for parameter in base.parameters():
            parameter.normal_(generator=start(1))
    return base.double().eval()


X = torch.randn(4, 2, 5, 5, generator=start(2), dtype=torch.float64)
DELTA = torch.randn(6, 4, 2, 5, 5, generator=start(3), dtype=torch.float64)


def rows_of(base):
    """The rows of each pass, from now on."""
    seen = []
    base.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    return seen


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("estimator", AVERAGES)
@pytest.mark.parametrize(
    ("chunk", "passes"),
    [(1, [1] * 24), (4, [4, 2] * 4), (6, [6] * 4), (13, [12, 12]), (23, [18, 6]), (24, [24])],
)
def test_values_and_gradients_do_not_depend_on_the_chunk(chunk, passes, estimator, frozen):
    base = network()
    results = []
    weights = torch.rand(4, 3, generator=start(5), dtype=torch.float64)
    for rows in (None, chunk):
        leaf = X.clone().requires_grad_()
        wanted = [leaf] if frozen else [leaf, *base.parameters()]
        seen = rows_of(base)
        out = SoftClassifier(base, DELTA, estimator, chunk=rows, frozen=frozen)(leaf)
        assert seen == (passes if rows else [24])
        results.append((out, *torch.autograd.grad((out * weights).sum(), wanted)))
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
    assert float(results[0][1].abs().max()) > 1e-4


@pytest.mark.parametrize("chunk", [1, 4, 13])
def test_fresh_noise_does_not_depend_on_the_chunk(chunk):
    results = []
    for rows in (None, chunk):
        noise = start(7)

        def fresh(noise=noise):
            return torch.empty_like(DELTA).normal_(generator=noise)

        soft = SoftClassifier(network(), DELTA, chunk=rows, fresh=fresh)
        leaf = X.clone().requires_grad_()
        first, second = soft(leaf), soft(leaf)  # the second before the first has gone back
        gradients = [torch.autograd.grad(out[:, 0].sum(), [leaf])[0] for out in (first, second)]
        assert not torch.allclose(*gradients)
        results.append((first, second, *gradients))
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


def test_gradcheck_with_chunks_and_a_graph_that_is_used_twice():
    base = network()
    soft = SoftClassifier(base, DELTA[:2, :1], "margin", chunk=1, frozen=True)
    leaf = X[:1].clone().requires_grad_()
    assert torch.autograd.gradcheck(soft, (leaf,))
    out = soft(leaf)
    first, again = (torch.autograd.grad(out[0, 0], [leaf], retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_the_first_layer_is_undone_once_an_input_in_each_chunk():
    batches = []

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.mm.default and len(args[0]) == 18:  # 2 x 3 x 3 taps
                batches.append(args[1].shape[1] // 9)  # output positions of an input
            return func(*args, **(kwargs or {}))

    leaf = X.clone().requires_grad_()
    out = SoftClassifier(network(), DELTA, chunk=13)(leaf)[:, 0].sum()
    with Count():
        torch.autograd.grad(out, [leaf])
    assert batches == [2, 2]


def test_dropout_is_the_same_on_the_way_back():
    base = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(50, 3)).double()
    masks = []
    base[1].register_forward_hook(lambda module, args, out: masks.append(out == 0))
    state = torch.get_rng_state()
    leaf = X.clone().requires_grad_()
    out = SoftClassifier(base, DELTA, chunk=6)(leaf)[:, 0].sum()
    after = torch.get_rng_state()
    torch.autograd.grad(out, [leaf])
    assert torch.equal(torch.get_rng_state(), after)
    torch.set_rng_state(state)
    assert len(masks) == 8
    for mask in masks[:4]:
        assert any(torch.equal(mask, other) for other in masks[4:])


def test_the_chunk_by_default():
    assert suitable_chunk(torch.empty(64, 8, 1, 28, 28)) is None
    assert suitable_chunk(torch.empty(1, 1).expand(512, 1, 3, 224, 224)) == 13
    assert suitable_chunk(torch.empty(1, 1).expand(64, 50, 3, 32, 32)) == 682
    assert suitable_chunk(torch.empty(1, 1).expand(4, 1, 3, 1000, 1000)) == 1
    smoothed = SmoothedClassifier(network(), Gaussian(0.5), num_classes=3)
    assert smoothed.soft(X, 3).chunk is None
    assert smoothed.soft(X, 3, chunk=2).chunk == 2


MEMORY = """
import re
from pathlib import Path
import torch
from torch import nn
from radii import Gaussian, SmoothedClassifier

def most():
    status = Path('/proc/self/status').read_text()
    return int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024

torch.set_num_threads(1)
base = nn.Sequential(
    nn.Conv2d(3, 8, 2, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)
).eval()
smoothed = SmoothedClassifier(base, Gaussian(0.5), num_classes=10)
generator = torch.Generator().manual_seed(0)
x = torch.rand(1, 3, 224, 224, generator=generator)
smoothed.soft(x, 2, generator=generator)(x)
before = most()
soft = smoothed.soft(x, 512, generator=generator)
leaf = x.clone().requires_grad_()
(gradient,) = torch.autograd.grad(soft(leaf)[0, 0], [leaf])
assert float(gradient.abs().max()) > 0
print(most() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the most memory is read from /proc")
def test_512_draws_of_a_large_image_stay_in_bounded_memory():
    # The noise takes 294 MiB. Its copies and the outputs of the first layer would take 294 and 196
    # MiB more, if they were held at once.
    found = subprocess.run(
        [sys.executable, "-c", MEMORY],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"},  # gives back what is freed
    )
    assert 290 <= int(found.stdout) <= 294 + 150


@pytest.mark.parametrize(("chunk", "calls"), [(None, 1), (6, 1), (100, 1), (4, 4)])
def test_one_pass_is_done_once_and_several_are_done_again(chunk, calls):
    """2 draws of 3 inputs; within 4 rows there are 2 passes, done again for the gradient."""
    seen = []

    def base(x):
        seen.append(len(x))
        return torch.cat([x, -x], dim=1).tanh()

    x = torch.zeros(3, 1, requires_grad=True)
    soft = SoftClassifier(base, torch.tensor([[[-1.0]] * 3, [[1.0]] * 3]), chunk=chunk)
    soft(x)[:, 0].sum().backward()
    assert len(seen) == calls
    assert max(seen) <= (chunk or 6)


def test_a_pass_takes_all_rows_where_they_just_fit(monkeypatch):
    monkeypatch.setattr("radii.smoothing.soft.NUMBERS_AT_ONCE", 12)
    assert suitable_chunk(torch.zeros(2, 3, 2)) is None
    assert suitable_chunk(torch.zeros(2, 3, 1, 3)) == 4
    assert suitable_chunk(torch.zeros(2, 3, 100)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: x[:5],
        lambda x: torch.cat([x, x]),
        lambda x: x[:, 0],
        lambda x: x[:, None],
        lambda x: x.long(),
    ],
)
def test_answers_that_are_no_scores_are_refused(answer):
    soft = SoftClassifier(answer, torch.zeros(2, 3, 4))
    with pytest.raises(
        BaseClassifierError, match=r"must answer scores of shape \(6, num_classes\)"
    ):
        soft(torch.zeros(3, 4))
