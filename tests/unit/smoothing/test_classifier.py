"""The smoothed classifier: one input or many, and everything it refuses before it samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radii.certificates import GaussianL2, GaussianLinf
from radii.errors import BaseClassifierError, NotCoveredError, PlanError
from radii.noise import Gaussian
from radii.records import Certification
from radii.smoothing import SamplingPlan, SmoothedClassifier

PLAN = SamplingPlan(n0=20, n=150, alpha=0.01, block=50, seed=3)
NOISE = Gaussian(0.5)


class Net(nn.Module):
    """Three classes of small images, with layers that would tell training from evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.drop = nn.Dropout(0.5)
        self.score = nn.Linear(16, 3)
        self.calls = 0
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            parameter.data.normal_(generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        scores: Tensor = self.score(self.drop(self.norm(x)).flatten(1))
        return scores


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def smooth(net: nn.Module | None = None, **more: Any) -> SmoothedClassifier:
    return SmoothedClassifier(Net().eval() if net is None else net, NOISE, 3, **more)


def text(result: object) -> str:
    """All that a result says, votes included."""
    return repr(result)


def test_one_input_or_a_batch() -> None:
    x = images(3)
    many = smooth().certify(x, PLAN)
    one = smooth().certify(x[0], PLAN)
    assert isinstance(many, list)
    assert isinstance(one, Certification)
    assert len(many) == 3
    assert text(one) == text(many[0])
    assert int(one.selection.n) == 20
    assert int(one.estimation.n) == 150


def test_tensors_or_arrays() -> None:
    x = images(3)
    expected = text(smooth().certify(x, PLAN))
    assert text(smooth().certify(x.numpy(), PLAN)) == expected
    assert text(smooth().certify(x.numpy().astype(np.float64), PLAN)) == expected


def test_an_array_that_may_not_be_written_is_read() -> None:
    x = images(3).numpy()
    expected = text(smooth().certify(x, PLAN))
    x.setflags(write=False)
    assert text(smooth().certify(x, PLAN)) == expected


def test_the_index_names_the_streams() -> None:
    x = images(3)
    every = dict(smooth().certify_each(enumerate(x), PLAN))
    last = dict(smooth(batch_size=1).certify_each([(2, x[2])], PLAN))
    assert text(last[2]) == text(every[2])


def test_without_a_seed_the_noise_is_new_each_time() -> None:
    x = images(1).expand(8, 1, 4, 4)
    plan = SamplingPlan(n0=20, n=150, alpha=0.01)
    assert text(smooth().certify(x, plan)) != text(smooth().certify(x, plan))


def test_an_empty_batch_gives_an_empty_list() -> None:
    assert smooth().certify(images(0), PLAN) == []


def test_input_shape_settles_what_is_one_input() -> None:
    def base(x: Tensor) -> Tensor:
        return (x.flatten(1).sum(1) > 0).long()

    grid = torch.ones(2, 3)  # a batch of vectors, or one input with two axes
    assert len(SmoothedClassifier(base, NOISE, 2).certify(grid, PLAN)) == 2  # type: ignore[arg-type]
    one = SmoothedClassifier(base, NOISE, 2, input_shape=(2, 3))
    assert isinstance(one.certify(grid, PLAN), Certification)
    assert len(one.certify(grid[None], PLAN)) == 1  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"x must have shape \(2, 3\) or .*, got \(4, 3\)"):
        one.certify(torch.ones(4, 3), PLAN)


def test_the_base_classifier_and_the_input_are_left_as_they_were() -> None:
    net = Net().eval()
    net.score.bias.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    grads = [p.requires_grad for p in net.parameters()]
    x = images(2).requires_grad_()
    global_state = torch.get_rng_state()
    smooth(net).certify(x, PLAN)
    smooth(net).predict(x, 50, 0.01)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert [p.requires_grad for p in net.parameters()] == grads
    assert all(p.grad is None for p in (x, *net.parameters()))
    assert not any(module.training for module in net.modules())
    assert torch.equal(x, images(2))


def refused(net: Net, error: type[Exception], message: str, **call: Any) -> None:
    """Certification raises before the first sample."""
    with pytest.raises(error, match=message):
        smooth(net).certify(**{"x": images(1), "plan": PLAN, **call})
    assert net.calls == 0


@pytest.mark.parametrize("part", ["", "drop"])
def test_training_mode_is_refused(part: str) -> None:
    net = Net().eval()
    net.get_submodule(part).train()
    refused(net, BaseClassifierError, "must be in evaluation mode, got training mode; call base")
    with pytest.raises(BaseClassifierError, match="evaluation mode"):
        smooth(net).predict(images(1))
    assert net.calls == 0
    assert net.drop.training


def test_8_bit_inputs_are_refused() -> None:
    x = (images(1) * 255).to(torch.uint8)
    refused(Net().eval(), TypeError, "got torch.uint8; divide 8-bit images by 255", x=x)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_inputs_that_are_not_finite_are_refused(value: float) -> None:
    x = images(1)
    x[0, 0, 1, 1] = value
    refused(Net().eval(), ValueError, "input 0 must be finite, got NaN or infinity", x=x)


def test_inputs_of_two_shapes_are_refused() -> None:
    pairs = [(0, torch.zeros(1, 4, 4)), (1, torch.zeros(4, 4))]
    with pytest.raises(ValueError, match=r"input 1 must have shape \(1, 4, 4\), got \(4, 4\)"):
        list(smooth().certify_each(pairs, PLAN))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"certificate": GaussianL2(Gaussian(0.25))}, r"sigma=0.5\) in l2, got .*sigma=0.25\)"),
        ({"certificate": GaussianL2(NOISE), "norm": "l1"}, r"in l1, got one about .* in l2"),
        ({"certificate": "laplace_l1"}, "'laplace_l1' does not cover Gaussian noise in l2"),
        ({"norm": "l0"}, "no certificate covers Gaussian noise in l0; .*: .*l2"),
    ],
    ids=["sigma", "norm", "name", "uncovered"],
)
def test_a_certificate_of_something_else_is_refused(call: dict[str, Any], message: str) -> None:
    refused(Net().eval(), NotCoveredError, message, **call)


@pytest.mark.parametrize("dim", [1, 10_000])
def test_a_certificate_for_fewer_or_more_coordinates_is_refused(dim: int) -> None:
    message = "certificate must be about inputs of .* coordinates, got GaussianLinf"
    certificate = GaussianLinf(NOISE, dim=dim)
    refused(Net().eval(), NotCoveredError, message, certificate=certificate, norm="linf")


def test_a_certificate_or_its_name() -> None:
    expected = text(smooth().certify(images(1), PLAN))
    for certificate in ("gaussian_l2", GaussianL2(NOISE)):
        assert text(smooth().certify(images(1), PLAN, certificate=certificate)) == expected


def test_a_hopeless_plan_is_refused() -> None:
    plan = SamplingPlan(n=9, alpha=0.001)
    refused(Net().eval(), PlanError, "n=9 draws can never certify at alpha=0.001", plan=plan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 1}, "num_classes must be at least 2, got 1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_wrong_arguments(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmoothedClassifier(**{"base": Net(), "noise": NOISE, "num_classes": 3, **change})


def test_the_device_is_that_of_the_parameters() -> None:
    assert smooth(Net().to("meta")).resolve_device() == torch.device("meta")
    assert smooth(nn.Flatten()).resolve_device() == torch.device("cpu")
    assert smooth(device="meta").resolve_device() == torch.device("meta")
