from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from radii.noise import Gaussian
from radii.smoothing import SmoothedClassifier
from radii.smoothing._cores import on_cores


@pytest.fixture(params=[1, 2, 5])
def cores(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_answers_come_in_order_and_the_cores_are_shared_out(cores):
    meeting = threading.Barrier(min(cores, 2))  # broken if they do not work side by side

    def work(i: int) -> tuple[int, int]:
        meeting.wait(timeout=30)
        return i, torch.get_num_threads()

    found = on_cores([lambda i=i: work(i) for i in range(2)])
    assert found == [(0, max(1, cores // 2)), (1, max(1, cores // 2))]
    assert torch.get_num_threads() == cores


def test_with_one_core_work_stays_in_this_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = on_cores([threading.current_thread] * 3)
    finally:
        torch.set_num_threads(before)
    assert found == [threading.current_thread()] * 3


def test_one_piece_has_all_cores_and_stays_in_its_thread(cores):
    found = on_cores([lambda: (threading.current_thread(), torch.get_num_threads())])
    assert found == [(threading.current_thread(), cores)]


def test_an_error_is_raised_and_the_cores_are_given_back(cores):
    def fails() -> None:
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        on_cores([fails, lambda: None])
    assert torch.get_num_threads() == cores


class Counting(nn.Module):
    """Remembers how many rows each call had."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.layer = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.rows.append(len(x))
        scores: torch.Tensor = self.layer(x)
        return scores


def _gradient(base: Callable[[torch.Tensor], torch.Tensor], draws: int) -> torch.Tensor:
    smoothed = SmoothedClassifier(base, Gaussian(0.5), num_classes=3)
    x = torch.rand(5, 1, 2, 3, generator=torch.Generator().manual_seed(1))
    soft = smoothed.soft(x, draws, generator=torch.Generator().manual_seed(2))
    leaf = x.requires_grad_()
    soft.attack_loss(soft(leaf), torch.arange(5) % 3).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


@pytest.mark.parametrize(
    ("draws", "rows"),
    [(64, [64] * 5), (30, [30, 60, 60]), (13, [13, 52]), (2, [10]), (100, [100] * 5)],
)
def test_inputs_have_passes_of_their_own_whatever_the_cores(cores, draws, rows):
    base = Counting().eval()
    apart = _gradient(base, draws)
    assert sorted(base.rows) == rows
    base.rows.clear()
    together = _gradient(lambda x: base(x), draws)  # a function may not stand several threads
    assert base.rows == [5 * draws]
    torch.testing.assert_close(apart, together)


def test_autocast_is_for_one_thread_and_keeps_the_pass_in_it(cores):
    base = Counting().eval()
    with torch.autocast("cpu", torch.bfloat16):
        _gradient(base, 64)
    assert base.rows == [320]
