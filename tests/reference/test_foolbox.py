"""foolbox's own attacks, unchanged, on the smoothed classifier: they and ours agree."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from radii.attacks import DDN, PGDL2
from radii.noise import Gaussian
from radii.smoothing import SmoothedClassifier, SoftClassifier

with warnings.catch_warnings():  # foolbox imports what scipy has renamed
    warnings.simplefilter("ignore", DeprecationWarning)
    fb: Any = pytest.importorskip("foolbox")

BOUNDS = (-4.0, 5.0)
SIGMA = 0.25


def start(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(many: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy 8 x 8 pictures of three shapes."""
    generator = start(seed)
    shapes = torch.zeros(3, 1, 8, 8)
    shapes[0, :, 2:4] = shapes[1, :, :, 4:6] = shapes[2, :, 4:, :4] = 0.7
    y = torch.randint(3, (many,), generator=generator)
    return shapes[y] + 0.15 * torch.randn(many, 1, 8, 8, generator=generator), y


@pytest.fixture(scope="module")
def base() -> nn.Module:
    """A small network, trained for a second."""
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(288, 16), nn.Tanh(), nn.Linear(16, 3)
    )
    generator = start(1)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.normal_(0, fan**-0.5, generator=generator)
    optimizer = torch.optim.Adam(network.parameters(), 0.005)
    for step in range(150):
        x, y = pictures(64, 100 + step)
        x += SIGMA * torch.randn(x.shape, generator=generator)
        optimizer.zero_grad()
        cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    optimizer.zero_grad()
    return network.eval()


@pytest.fixture
def case(base: nn.Module) -> tuple[SoftClassifier, Tensor, Tensor]:
    """A smoothed classifier near inputs that it gets right, these, and their labels."""
    x, y = pictures(48, 7)
    smoothed = SmoothedClassifier(base, Gaussian(SIGMA), num_classes=3)
    soft = smoothed.soft(x, 32, generator=start(3))
    assert bool((soft(x).argmax(1) == y).all())
    return soft, x, y


def norms(delta: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(delta.flatten(1), dim=1)
    return lengths


def test_ddn(case: tuple[SoftClassifier, Tensor, Tensor], base: nn.Module) -> None:
    soft, x, y = case
    theirs = fb.attacks.DDNAttack(steps=60, init_epsilon=1.0, gamma=0.05)
    model = fb.PyTorchModel(soft, bounds=BOUNDS, device="cpu")
    _, (found,), success = theirs(model, x, y, epsilons=[None])
    assert bool(success.all())
    low, high = BOUNDS
    ours = DDN(steps=60, init_norm=1.0, gamma=0.05, low=low, high=high)
    expected = norms(found - x)
    measured = norms(ours.perturb(soft, x, y, generator=start()) - x)
    torch.testing.assert_close(measured, expected, rtol=0.02, atol=0)
    torch.testing.assert_close(measured.median(), expected.median(), rtol=0.02, atol=0)
    assert float(expected.min()) > 0.3  # a search of some length, not the start
    assert all(parameter.grad is None for parameter in base.parameters())


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_pgd(case: tuple[SoftClassifier, Tensor, Tensor], base: nn.Module, epsilon: float) -> None:
    soft, x, y = case
    theirs = fb.attacks.L2PGD(abs_stepsize=epsilon / 5, steps=20, random_start=False)
    model = fb.PyTorchModel(soft, bounds=BOUNDS, device="cpu")
    found, _, _ = theirs(model, x, y, epsilons=epsilon)
    low, high = BOUNDS
    ours = PGDL2(epsilon=epsilon, steps=20, step=epsilon / 5, low=low, high=high)
    measured = ours.perturb(soft, x, y, generator=start())
    torch.testing.assert_close(norms(measured - x), norms(found - x), rtol=0.02, atol=0)
    losses = [soft.attack_loss(soft(each), y).detach() for each in (measured, found, x)]
    torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0)
    assert bool((losses[1] > 1.05 * losses[2]).all())
    assert all(parameter.grad is None for parameter in base.parameters())
