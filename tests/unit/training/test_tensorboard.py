from __future__ import annotations

import sys

import pytest

from radii.errors import RadiiError
from radii.training import TensorBoard
from tests.unit.training.toys import metrics, training


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(RadiiError, match=r"pip install \"radii\[track\]\""):
        TensorBoard(tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_shows_each_epoch_once_also_after_an_interruption(tmp_path):
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="the extra track is not installed",
    )
    made = training(epochs=3, validate=16, validate_n=20)
    for stop_after in (2, None):
        board = TensorBoard(tmp_path)
        seen = []

        def on_epoch(record, board=board, stop_after=stop_after, seen=seen):
            board.add(record)
            seen.append(record)
            if len(seen) == stop_after:
                raise KeyboardInterrupt

        try:
            made.train(
                tmp_path,
                resume=True,
                on_start=lambda epochs, done, board=board: board.start(done),
                on_epoch=on_epoch,
            )
        except KeyboardInterrupt:
            pass
        finally:
            board.close()
    read = accumulators.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss", "lr", "validation_acr"} <= set(read.Tags()["scalars"])
    assert "validation_norm" not in read.Tags()["scalars"]
    for key in ("loss", "validation_acr"):
        points = read.Scalars(key)
        assert [point.step for point in points] == [1, 2, 3]
        assert [point.value for point in points] == pytest.approx(metrics(tmp_path, key), rel=1e-6)
