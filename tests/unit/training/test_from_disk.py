from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from radii.data import ArrayDataset, load, unit_interval
from radii.errors import DataError, TrainingError
from radii.models import ResNet18, ResNet20, load_base, weights_sha256
from radii.noise import Gaussian
from radii.objectives import GaussianAugmentation
from radii.training import CropFlip, ImageNetCropFlip, TrainingPlan, Unlabelled
from radii.training import batches as batches_module
from radii.training.batches import Batches
from radii.training.divergence import Watch
from radii.training.from_disk import inputs_at, read_ahead
from radii.training.start import moments
from radii.training.validation import split
from radii.training.workers import Workers
from tests.unit.data.published_files import write_imagenet
from tests.unit.training.toys import (
    CPU,
    InterruptedTraining,
    digits,
    interrupt_after,
    training,
)


def pictures(folder, count=20, crop=32):
    """A small ImageNet: pictures of different sizes, three classes."""
    if not (folder / "train").exists():
        write_imagenet(folder, "train", count)
    return replace(load("imagenet@train", root=folder), resize=crop + 4, crop=crop)


def use_threads(monkeypatch, count):
    monkeypatch.setattr("radii.training.batches.os.cpu_count", lambda: count)


def run(folder, architecture=ResNet20(), **options):  # noqa: B008
    plan = {"batch_size": 8, "augment": ImageNetCropFlip(), "validate": 4, "validate_n": 20}
    options = {"epochs": 2, **plan, **options}
    return training(architecture=architecture, dataset=pictures(folder), **options)


def test_threads_leave_the_weights_of_resnet18_as_they_are(tmp_path, monkeypatch):
    hashes = []
    for threads in (1, 3):
        use_threads(monkeypatch, threads)
        made = run(tmp_path, ResNet18(), epochs=1, batch_size=10, validate=0)
        hashes.append(weights_sha256(made.train(tmp_path / str(threads))))
    assert hashes[0] == hashes[1]


def test_threads_and_interruptions_leave_the_weights_as_they_are(tmp_path, monkeypatch):
    use_threads(monkeypatch, 1)
    straight = weights_sha256(run(tmp_path).train(tmp_path / "one"))
    use_threads(monkeypatch, 3)
    with pytest.raises(InterruptedTraining):
        run(tmp_path).train(tmp_path / "broken", on_batch=interrupt_after(3))
    resumed = run(tmp_path).train(tmp_path / "broken", resume=True)
    assert weights_sha256(resumed) == straight
    assert not [t for t in threading.enumerate() if t.name.startswith("radii-reader")]
    details = load_base(str(tmp_path / "broken")).details
    assert details["augment"] == "imagenet_crop_flip"


def test_pictures_that_stay_on_disk_make_the_same_batches(tmp_path, monkeypatch):
    dataset = pictures(tmp_path)
    plan = TrainingPlan(epochs=1, batch_size=8, accumulate=2)
    made = []
    for most in (4 << 30, 0):
        monkeypatch.setattr(batches_module, "_IN_MEMORY_BYTES", most)
        batches = Batches(dataset, split(dataset, 0)[0], plan, CPU, Workers())
        assert (batches._examples._tensors is None) == (most == 0)
        made.append([part for step in batches.of(3) for part in step])
    for kept, streamed in zip(*made, strict=True):
        assert torch.equal(kept.x, streamed.x)
        assert torch.equal(kept.y, streamed.y)
        assert streamed.x.dtype == torch.float32


def cut_of(dataset, epoch, *workers, seed=0):
    """What each picture looks like in an epoch, by its position in the data set."""
    plan = TrainingPlan(epochs=9, batch_size=8, accumulate=2, augment=ImageNetCropFlip(), seed=seed)
    found = {}
    for worker in workers or (Workers(),):
        batches = Batches(dataset, split(dataset, 0)[0], plan, CPU, worker)
        for step, parts in enumerate(batches.of(epoch)):
            order = batches._permutation(len(dataset), epoch, 0)
            for part in parts:
                at = torch.split(order, 8)[step].tensor_split(2)[part.number % 2]
                found |= dict(zip(at.tolist(), part.x, strict=True))
    return torch.stack([found[index] for index in range(len(dataset))])


def test_cuts_belong_to_seed_epoch_and_picture(tmp_path):
    dataset = pictures(tmp_path, 16)
    first = cut_of(dataset, 0)
    assert torch.equal(first, cut_of(dataset, 0, Workers(0, 2), Workers(1, 2)))
    for other in (cut_of(dataset, 1), cut_of(dataset, 0, seed=1), inputs_at(dataset, range(16))):
        assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_pictures_of_self_training_are_cut_as_well(tmp_path):
    run(tmp_path, epochs=1, augment=None).train(tmp_path / "teacher")
    teacher = load_base(str(tmp_path / "teacher"))
    unlabelled = Unlabelled(pictures(tmp_path), teacher)
    labelled = unlabelled.labelled(unlabelled.dataset, CPU)
    plan = TrainingPlan(epochs=1, batch_size=4, augment=ImageNetCropFlip())
    chosen = np.arange(4)
    batches = Batches(pictures(tmp_path), chosen, plan, CPU, Workers(), (labelled, 1.0))
    own, further = next(batches.of(0))
    assert own.x.shape == further.x.shape == (4, 3, 32, 32)
    positions = batches._more(0, 20)
    assert further.y.tolist() == labelled.labels[positions].tolist()
    plain = inputs_at(labelled, positions.tolist())
    assert not any(torch.equal(a, b) for a, b in zip(further.x, plain, strict=True))
    made = replace(run(tmp_path), unlabelled=replace(unlabelled, dataset=digits(8, (3, 32, 32))))
    with pytest.raises(DataError, match="needs pictures"):
        made.train(tmp_path / "out")


def test_an_augmentation_on_the_device_goes_with_pictures_too(tmp_path, monkeypatch):
    kept = run(tmp_path, epochs=1, augment=CropFlip()).train(tmp_path / "kept")
    monkeypatch.setattr(batches_module, "_IN_MEMORY_BYTES", 0)
    streamed = run(tmp_path, epochs=1, augment=CropFlip()).train(tmp_path / "streamed")
    assert weights_sha256(kept) == weights_sha256(streamed)


def test_a_damaged_picture_ends_training_with_its_name(tmp_path):
    made = run(tmp_path, validate=0)
    path = tmp_path / "train" / made.dataset.files[7]
    content = path.read_bytes()

    def damage(epochs, done):
        path.write_bytes(content[:200])

    with pytest.raises(DataError, match=f"{path.name} cannot be read as an image"):
        made.train(tmp_path / "out", on_start=damage)


def test_only_as_much_is_read_ahead_as_is_said():
    started, most, lock = 0, 0, threading.Lock()

    def read(item):
        nonlocal started
        with lock:
            started += 1
        return item

    taken = 0
    parts = [list(range(first, first + 10)) for first in range(0, 300, 10)]
    for found, part in zip(read_ahead(read, parts, threads=3), parts, strict=True):
        assert found == part
        time.sleep(0.002)
        with lock:
            most = max(most, started - taken)
        taken += 10
    assert started == 300
    assert most == 30  # the part that is used and two ahead


@pytest.mark.parametrize("threads", [1, 4])
def test_small_parts_keep_all_threads_busy(threads):
    together, now, lock = 0, 0, threading.Lock()

    def read(item):
        nonlocal together, now
        with lock:
            now += 1
            together = max(together, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return item

    found = list(read_ahead(read, [[i] for i in range(24)], threads=threads))
    assert found == [[i] for i in range(24)]
    assert together == threads


def test_reading_ends_when_nobody_wants_more():
    calls = []
    reading = read_ahead(calls.append, [[i] for i in range(1_000)], threads=2)
    next(reading)
    reading.close()
    assert len(calls) < 20
    assert not [t for t in threading.enumerate() if t.name.startswith("radii-reader")]


def test_moments_of_large_data_are_those_of_a_part(tmp_path, monkeypatch):
    dataset = pictures(tmp_path)
    x = unit_interval(dataset.tensors()[0]).double().transpose(0, 1).flatten(1)
    expected = x.mean(1).tolist(), x.std(1).tolist()
    assert moments(dataset) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    monkeypatch.setattr("radii.training.start._NUMBERS_AT_ONCE", 7 * 3 * 32 * 32)
    assert moments(dataset) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    monkeypatch.setattr("radii.training.start._LEAST_TO_NORMALISE", 2)
    monkeypatch.setattr("radii.training.start._NUMBERS_TO_NORMALISE", 2 * 3 * 32 * 32)
    ends = torch.stack([dataset[0][0], dataset[19][0]]).transpose(0, 1).flatten(1)
    assert moments(dataset)[0] == pytest.approx(ends.mean(1).tolist())


def test_features_of_vectors_share_a_deviation():
    x = np.random.default_rng(0).normal(3.0, 0.5, (200, 6)).astype(np.float32)
    x[:, 0] = 1.0  # constant: the noise in it must not be blown up
    mean, std = moments(ArrayDataset(x, np.arange(200) % 2, ("a", "b"), "toy@train"))
    assert mean == pytest.approx(x.astype(np.float64).mean(0).tolist())
    expected = np.sqrt(x.astype(np.float64).var(0, ddof=1).mean())
    assert std == pytest.approx([expected] * 6)


def test_a_channel_that_hardly_varies_is_not_blown_up():
    x = np.random.default_rng(0).normal(0.5, 0.2, (50, 4, 5, 5)).astype(np.float32)
    x[:, 3] = 1.0
    _, std = moments(ArrayDataset(x, np.arange(50) % 2, ("a", "b"), "toy@train"))
    own = x[:, :3].astype(np.float64).std((0, 2, 3), ddof=1)
    assert std[:3] == pytest.approx(own.tolist())
    assert std[3] == pytest.approx(0.1 * np.sqrt((own**2).sum() / 4))


def test_inputs_that_are_all_the_same_can_be_normalised():
    data = ArrayDataset(np.ones((4, 3), np.float32), np.arange(4) % 2, ("a", "b"), "toy@train")
    assert moments(data) == ([1.0] * 3, [1e-3] * 3)


def test_examples_held_out_must_fit_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("radii.training.validation._IN_MEMORY_BYTES", 3 * 3 * 32 * 32 * 4)
    with pytest.raises(TrainingError, match="validate must be at most 3 for inputs as large"):
        run(tmp_path).train(tmp_path / "out")
    run(tmp_path, validate=3, epochs=1, batch_size=17).train(tmp_path / "out")


def test_of_many_classes_some_are_watched():
    labels = np.arange(900) % 300
    dataset = ArrayDataset(np.zeros((900, 4)), labels, tuple(map(str, range(300))))
    plan = TrainingPlan(epochs=1)
    watch = Watch(
        *(dataset, np.arange(900), Gaussian(0.1), GaussianAugmentation(), plan, 4),
        torch.Generator(),
    )
    assert len(watch._probe) == 2 * 256
