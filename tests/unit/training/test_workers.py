"""What processes tell one another, played by threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import distributed, nn

from radii.training.workers import Workers


@pytest.fixture
def meeting(monkeypatch):
    """`all_reduce` between two threads."""
    barrier, messages = threading.Barrier(2, timeout=30), {}

    def all_reduce(tensor: torch.Tensor) -> None:
        messages[threading.get_ident()] = tensor.clone()
        barrier.wait()
        tensor.copy_(sum(messages.values()))
        barrier.wait()
        messages.clear()
        barrier.wait()

    monkeypatch.setattr(distributed, "all_reduce", all_reduce)


def weights_of(rank: int) -> dict[str, nn.Parameter]:
    """Trained in both, in the second process only, in none; and frozen."""
    shapes = {"both": (2, 3), "second": (4,), "none": (5,), "frozen": (2,)}
    weights = {name: nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()}
    weights["frozen"].requires_grad_(False)
    weights["both"].grad = torch.full((2, 3), 1.0 + rank)
    if rank:
        weights["second"].grad = torch.arange(4.0)
    return weights


def test_gradients_are_added_up_and_none_is_made(meeting):
    found = [weights_of(rank) for rank in range(2)]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda r: Workers(r, 2).add_gradients(list(found[r].values())), range(2)))
    for weights in found:
        assert torch.equal(weights["both"].grad, torch.full((2, 3), 3.0))
        assert torch.equal(weights["second"].grad, torch.arange(4.0))
        assert weights["none"].grad is None
        assert weights["frozen"].grad is None
        before = {name: weights[name].detach().clone() for name in weights}
        torch.optim.SGD(weights.values(), lr=0.1, weight_decay=0.5).step()
        same = {name: torch.equal(weights[name], before[name]) for name in weights}
        assert same == {"both": False, "second": False, "none": True, "frozen": True}
