from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from radii.data import ArrayDataset, Subset
from radii.errors import DataError
from radii.evaluation import Ledger, Run
from radii.evaluation.report import pictures_of
from radii.evaluation.report.pictures import choose
from radii.models import Base
from radii.noise import Gaussian
from radii.smoothing import SamplingPlan, SmoothedClassifier
from tests.unit.evaluation.ledgers import abstained, row, write, wrong


def pixels(uri: str) -> np.ndarray:
    head, _, content = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def chosen(rows) -> list[tuple[str, int]]:
    return [(role, r.index) for role, r in choose(rows)]


def test_one_input_a_role():
    rows = [
        *(row(0, 0.0), row(1, 0.5), row(2, 2.0), row(3, 1.0), row(4, 2.0), row(5, 0.7)),
        *(wrong(6, 0.1), wrong(7, 3.0), abstained(8), abstained(9)),
    ]
    assert chosen(rows) == [
        ("largest radius", 2),
        ("median radius", 3),
        ("smallest radius above 0", 1),
        ("wrong, largest radius", 7),
        ("first abstention", 8),
        ("first of the others", 0),
    ]


@pytest.mark.parametrize(
    ("rows", "indices"),
    [
        ([row(0)], [0]),
        ([row(0), row(1)], [0, 1]),
        ([abstained(0), abstained(1), abstained(2)], [0, 1]),
        ([wrong(0)], [0]),
        ([row(i) for i in range(5)], [0, 2, 4, 1]),
    ],
)
def test_no_input_is_shown_twice(rows, indices):
    assert [index for _, index in chosen(rows)] == indices


class Thirds:
    """Class by mean brightness, in [0, 1/3), [1/3, 2/3) and above; remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.clone())
        return (x.flatten(1).mean(1) * 3).long().clamp(0, 2)


def dataset(*shape: int) -> ArrayDataset:
    levels = np.linspace(0.05, 0.95, 8, dtype=np.float32).reshape(-1, *(1 for _ in shape))
    inputs = np.broadcast_to(levels, (8, *shape)).copy()
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 1])
    return ArrayDataset(inputs, labels, reference="steps@test", class_names=("low", "mid", "high"))


def certify(data, path, base) -> Ledger:
    run = Run(
        smoothed=SmoothedClassifier(base, Gaussian(0.5), 3),
        base=Base(base, "thirds", hashlib.sha256().hexdigest(), 3, None, None, {}),
        dataset=data,
        subset=Subset(),
        plan=SamplingPlan(n0=20, n=200, seed=5, block=50),
    )
    return run.certify(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_the_input_and_the_noise_that_the_run_saw(tmp_path, channels):
    base = Thirds()
    data = dataset(channels, 20, 30)
    ledger = certify(data, tmp_path / "run.sqlite", base)
    seen = torch.cat(base.seen).double()
    rows = {r.index: r for r in ledger.rows()}
    pictures = pictures_of(ledger, data)
    assert {p.role for p in pictures} >= {"largest radius", "wrong, largest radius"}
    for picture in pictures:
        x = data[picture.index][0].numpy()
        scaled = [np.rint(255 * np.clip(image, 0, 1)) for image in (x, *seen.numpy())]
        stored = [picture.clean, *picture.noisy]
        assert len(stored) == 4
        small = [pixels(uri)[::4, ::4].reshape(20, 30, channels) for uri in stored]
        assert pixels(picture.clean).shape[:2] == (80, 120)
        assert (small[0].transpose(2, 0, 1) == scaled[0]).all()
        for copy in small[1:]:
            assert any((copy.transpose(2, 0, 1) == candidate).all() for candidate in scaled[1:])
        stored_row = rows[picture.index]
        assert picture.label == data.class_names[stored_row.label]
        assert picture.correct == (stored_row.prediction == stored_row.label)
        assert float(picture.radius) <= stored_row.radius < float(picture.radius) + 0.001
        assert sum(bar.votes for bar in picture.votes) == 200
        counts = [bar.votes for bar in picture.votes]
        assert counts == sorted(counts, reverse=True)
        assert all(bar.share == bar.votes / 200 for bar in picture.votes)
        assert {
            data.class_names.index(b.name): b.votes for b in picture.votes
        } == stored_row.n_votes


def test_at_most_three_classes_have_bars(tmp_path):
    data = dataset(1, 4, 4)
    rows = [replace(row(0), n_votes={0: 5, 1: 90, 2: 5, 3: 4})]
    path = write(tmp_path / "a", rows, data_fingerprint=data.fingerprint)
    (picture,) = pictures_of(Ledger(path), data)
    assert [(bar.name, bar.votes) for bar in picture.votes] == [
        ("mid", 90),
        ("low", 5),
        ("high", 5),
    ]


def test_a_class_that_the_data_do_not_name_has_its_number(tmp_path):
    data = dataset(1, 4, 4)
    rows = [replace(row(0, prediction=7), n_votes={0: 5, 9: 5, 7: 90})]
    path = write(tmp_path / "a", rows, data_fingerprint=data.fingerprint)
    (picture,) = pictures_of(Ledger(path), data)
    assert (picture.label, picture.prediction) == ("low", "7")
    assert [bar.name for bar in picture.votes] == ["7", "low", "9"]


@pytest.mark.parametrize(
    ("side", "shown"), [(1, 112), (28, 112), (100, 200), (112, 112), (600, 200)]
)
def test_small_pictures_grow_and_large_ones_stay_small(tmp_path, side, shown):
    data = dataset(1, side, side)
    path = write(tmp_path / "a", [row(0)], data_fingerprint=data.fingerprint)
    (picture,) = pictures_of(Ledger(path), data)
    assert pixels(picture.clean).shape == (shown, shown)


@pytest.mark.parametrize("shape", [(5,), (2, 8, 8), (8, 8), (4, 8, 8)])
def test_what_is_no_image_has_no_picture(tmp_path, shape):
    data = dataset(*shape)
    path = write(tmp_path / "a", [row(0)], data_fingerprint=data.fingerprint)
    assert pictures_of(Ledger(path), data) == []


def test_another_data_set_is_refused(tmp_path):
    path = write(tmp_path / "a", [row(0)])
    with pytest.raises(DataError, match=r"'steps@test' is not the data set of .*fingerprint 'abab"):
        pictures_of(Ledger(path), dataset(1, 8, 8))


@pytest.mark.parametrize("missing", ["data_fingerprint", "seed", "block"])
def test_a_ledger_that_cannot_name_its_noise_has_no_pictures(tmp_path, missing):
    path = write(tmp_path / "a", [row(0)], **{missing: None})
    assert pictures_of(Ledger(path), dataset(1, 8, 8)) == []
