"""Metrics for TensorBoard, from the extra `track`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from radii.extras import imported
from radii.training.loop import METRICS

FOLDER = "tensorboard"


class TensorBoard:
    """Writes metrics to `directory/tensorboard`, for `tensorboard --logdir` to show.

    Args:
        directory: Of the training run.

    Raises:
        RadiiError: If tensorboard is not installed.
    """

    def __init__(self, directory: Path) -> None:
        board = imported("torch.utils.tensorboard", "track", "or train without --tensorboard")
        self._writer = board.SummaryWriter
        self._directory = directory
        self._open: Any = None

    def start(self, done: int) -> None:
        """Writes the epochs done before, in place of what an interrupted run left of them."""
        self._open = self._writer(str(self._directory / FOLDER), purge_step=0)
        if done:
            lines = (self._directory / METRICS).read_text("utf-8").splitlines()
            for line in lines:
                self.add(json.loads(line))

    def add(self, record: dict[str, Any]) -> None:
        """Writes the metrics of an epoch."""
        for name, value in record.items():
            if name != "epoch" and not isinstance(value, str):
                self._open.add_scalar(name, value, record["epoch"])
        self._open.flush()

    def close(self) -> None:
        """Ends the file."""
        if self._open is not None:
            self._open.close()
