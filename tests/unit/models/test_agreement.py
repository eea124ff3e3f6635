from __future__ import annotations

import pytest
import torch
from torch import nn

from radii.models import Agreement


class Shifted(nn.Module):
    """Labels, or scores for them, of whole numbers in the first coordinate."""

    compiled_rows: int | None

    def __init__(self, by: int, scores: bool) -> None:
        super().__init__()
        self.by, self.scores = by, scores
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        labels = (x[:, 0].long() + self.by) % 4
        return nn.functional.one_hot(labels, 4).float() if self.scores else labels


@pytest.mark.parametrize("scores", [True, False])
def test_one_where_the_labels_are_equal(scores: bool) -> None:
    x = torch.arange(6.0)[:, None]
    assert Agreement(Shifted(1, True), Shifted(1, scores))(x).tolist() == [1] * 6
    assert Agreement(Shifted(1, True), Shifted(2, scores))(x).tolist() == [0] * 6


def test_the_batch_size_is_that_of_the_compiled_module() -> None:
    assert not hasattr(Agreement(Shifted(0, True), Shifted(0, True)), "compiled_rows")
    compiled = Shifted(0, True)
    compiled.compiled_rows = None  # as a `Compiled` has it before its first batch
    both = Agreement(compiled, Shifted(0, True))
    assert both.compiled_rows is None
    both.compiled_rows = 7
    assert compiled.compiled_rows == 7


def test_training_mode_of_either_is_its_own() -> None:
    assert not Agreement(Shifted(0, True), Shifted(0, True)).training
    assert Agreement(Shifted(0, True), Shifted(0, True).train()).training
