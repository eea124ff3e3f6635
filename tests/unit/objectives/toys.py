"""Networks of a few weights, and what tests of more than one objective check."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from radii.errors import TrainingError
from radii.noise import Gaussian, Laplace, Noise, Splitting
from radii.objectives import Objective
from radii.smoothing import SmoothedClassifier

Base = Callable[[Tensor], Tensor]


def random_weights(inputs: int = 3, *, seed: int = 0) -> list[Tensor]:
    """Of a net with 5 hidden units and 3 classes."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((inputs, 5), (5, 3))
    ]


def net(first: Tensor, second: Tensor) -> Base:
    """Computes in float64, whatever it is given."""
    return lambda x: (x.double() @ first).tanh() @ second


def normal_parameters(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def batch_norm_net(inputs: int) -> nn.Sequential:
    """A part of it is in another mode than the whole."""
    base = nn.Sequential(nn.Linear(inputs, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    normal_parameters(base, seed=3)
    base[2].eval()
    return base


def softmax(scores: Iterable[Any]) -> list[Any]:
    """Of one input's scores, each a number or a tensor without dimensions."""
    exps = [score.exp() if isinstance(score, Tensor) else math.exp(score) for score in scores]
    return [value / sum(exps) for value in exps]


def divergence(p: Sequence[Tensor], q: Sequence[Tensor]) -> Any:
    """KL(p || q), class by class."""
    return sum(p_c * ((p_c / q_c).log() if p_c > 0 else 0.0) for p_c, q_c in zip(p, q, strict=True))


def slope(value: Callable[[], Tensor], tensor: Tensor, at: Any, h: float = 1e-5) -> float:
    """Of `value` in the number at `at`, by a central difference."""
    kept, ends = tensor[at].item(), []
    with torch.no_grad():
        for shift in (h, -h):
            tensor[at] = kept + shift
            ends.append(float(value()))
        tensor[at] = kept
    return (ends[0] - ends[1]) / (2 * h)


def assert_same_gradients(
    loss: Tensor, expected: Tensor, parameters: Iterable[Tensor], *, rtol: float, atol: float
) -> None:
    parameters = list(parameters)
    torch.testing.assert_close(
        torch.autograd.grad(loss, parameters),
        torch.autograd.grad(expected, parameters),
        rtol=rtol,
        atol=atol,
    )


def loss_of_bfloat16_scores(objective: Objective) -> Tensor:
    """All of them 0, for two classes."""

    def base(x: Tensor) -> Tensor:
        return torch.zeros(len(x), 2, dtype=torch.bfloat16, requires_grad=True)

    return objective.loss(
        SmoothedClassifier(base, Gaussian(1.0), 2),
        torch.zeros(3, 4),
        torch.zeros(3, dtype=torch.int64),
        generator=torch.Generator(),
    )


def assert_finite_at_extreme_scores(
    loss_of: Callable[[Base], Tensor],
    net: Callable[[Tensor, Tensor], Base],
    parameters: Sequence[Tensor],
) -> None:
    base = net(*parameters)
    loss = loss_of(lambda x: 1e4 * base(x).float())
    assert loss.isfinite()
    for gradient in torch.autograd.grad(loss, parameters):
        assert gradient.isfinite().all()


def assert_refused(objective: type[Objective], wrong: dict[str, Any], more: str = "") -> None:
    """With an error that begins with the name of the only argument, and with `more`, a pattern."""
    (name,) = wrong
    with pytest.raises(ValueError, match=rf"^{name}{more} must be .*, got"):
        objective(**wrong)


def assert_left_as_it_was(
    loss_of: Callable[[nn.Module, Tensor], Tensor], inputs: Tensor, passes: int
) -> None:
    """Of the base classifier, whose batch norm sees `passes` batches, and the inputs."""
    base = batch_norm_net(inputs.shape[1])
    modes = [part.training for part in base.modules()]
    x = inputs.clone().requires_grad_()
    loss_of(base, x)
    assert base[1].num_batches_tracked == passes
    assert [part.training for part in base.modules()] == modes
    assert all(p.requires_grad and p.grad is None for p in base.parameters())
    assert x.grad is None


def assert_trains_in_bfloat16(loss_of: Callable[[nn.Module], Tensor], base: nn.Module) -> Tensor:
    """In float32 outside the layers. Returns the loss."""
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(base)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in base.parameters())
    return loss.detach()


def assert_noise_must_be_additive(name: str, loss_of: Callable[[Noise], Tensor]) -> None:
    assert loss_of(Laplace(0.5)).isfinite()
    with pytest.raises(TrainingError, match=rf"noise of {name} must be additive, got Splitting"):
        loss_of(Splitting(0.5))
