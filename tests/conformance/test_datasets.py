"""What every data set owes, whoever reads it."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from radii.data import DATASETS, Dataset, Reader, load, unit_interval
from radii.errors import DataError, UnknownNameError
from tests.unit.data import published_files as write

NAMES = DATASETS.names()


def small(name, folder):
    """A reference to a small data set that this test wrote, and its root."""
    if name in ("mnist", "fashion_mnist"):
        write.write_idx(folder, write.pixels(3, 28, 28), [1, 0, 9])
        write.write_idx(folder, write.pixels(4, 28, 28, seed=1), [1, 0, 9, 2], stem="train")
    elif name == "cifar10":
        write.write_files(folder, write.cifar10_files())
    elif name == "cifar100":
        write.write_files(folder, write.cifar100_files())
    elif name == "svhn":
        write.write_svhn(folder, "test", write.pixels(3, 3, 32, 32), [10, 1, 9])
        write.write_svhn(folder, "train", write.pixels(2, 3, 32, 32, seed=1), [2, 10])
    elif name == "imagenet":
        write.write_imagenet(folder / "imagenet", "train")
        write.write_imagenet(folder / "imagenet", "val")
    elif name == "hf":
        write.write_hub(folder)
        return f"hf:{folder}", None
    elif name == "npz":
        arrays = {"x_test": write.pixels(3, 1, 4, 4), "y_test": [0, 1, 1]}
        arrays |= {"x_train": write.pixels(2, 1, 4, 4, seed=1), "y_train": [1, 0]}
        np.savez(folder / "d.npz", **arrays)
        return f"npz:{folder / 'd.npz'}", None
    elif name == "folder":
        for number, place in enumerate(("test/a", "test/b", "train/a", "train/b", "val/a")):
            (folder / place).mkdir(parents=True)
            pixels = write.pixels(4, 5, 3, seed=number)
            Image.fromarray(pixels).save(folder / place / "1.png")
        return f"folder:{folder}", None
    elif name != "mnist5k":
        pytest.skip(f"no small file of {name!r} is written here")
    return name, folder


@pytest.fixture(params=NAMES)
def source(request, tmp_path):
    reference, root = small(request.param, tmp_path)
    return DATASETS[request.param], reference, root


@pytest.mark.parametrize("name", NAMES)
def test_readers_are_frozen_and_described(name):
    reader = DATASETS[name]
    assert issubclass(reader, Reader)
    assert is_dataclass(reader)
    assert reader.__dataclass_params__.frozen
    assert inspect.getdoc(reader).split("\n\n")[0].endswith(".")
    assert ("path" in {field.name for field in fields(reader)}) == reader.takes_path
    assert reader.splits[0] == "test"


def test_the_registry_lists_them():
    listed = {entry.name: entry for entry in DATASETS.entries()}
    assert set(NAMES) == set(listed)
    assert listed["npz"].parameters == {"path": "required"}
    assert "arXiv:1708.07747" in listed["fashion_mnist"].reference


def test_every_split_is_a_data_set(source):
    reader, reference, root = source
    prints = set()
    for split in reader.splits:
        dataset = load(f"{reference}@{split}", root=root)
        assert isinstance(dataset, Dataset)
        assert dataset.reference == f"{reference}@{split}"
        assert dataset.labels.dtype == np.int64
        assert dataset.labels.shape == (len(dataset),)
        assert 0 <= dataset.labels.min() <= dataset.labels.max() < dataset.num_classes
        assert len(dataset.class_names) == len(set(dataset.class_names))
        prints.add(dataset.fingerprint)
    assert len(prints) == len(reader.splits)


def test_items_and_tensors_agree(source):
    _, reference, root = source
    dataset = load(reference, root=root)
    inputs, labels = dataset.tensors()
    assert inputs.shape == (len(dataset), *dataset.input_shape)
    assert inputs.dtype in (torch.uint8, torch.float32)
    assert labels.dtype == torch.int64
    for index in range(min(len(dataset), 5)):
        x, y = dataset[index]
        assert x.dtype == torch.float32
        assert x.shape == dataset.input_shape
        assert 0 <= x.min() <= x.max() <= 1
        assert torch.equal(x, unit_interval(inputs[index]))
        assert isinstance(y, int)
        assert y == labels[index] == dataset.labels[index]
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_items_are_the_callers_own(source):
    _, reference, root = source
    dataset = load(reference, root=root)
    before = dataset[0][0].clone()
    dataset[0][0].fill_(7)
    dataset.tensors()[0].fill_(7)
    dataset.tensors()[1].fill_(0)
    assert torch.equal(dataset[0][0], before)
    assert dataset.labels.max() > 0


def test_the_same_files_give_the_same_fingerprint(source):
    _, reference, root = source
    first, second = load(reference, root=root), load(reference, root=root)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 64
    assert int(first.fingerprint, 16) >= 0


def test_a_data_set_travels_to_another_process(source):
    _, reference, root = source
    dataset = load(reference, root=root)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.fingerprint == dataset.fingerprint
    assert torch.equal(copy[1][0], dataset[1][0])


def test_an_unknown_split_is_refused(source):
    _, reference, root = source
    with pytest.raises(UnknownNameError, match="has no split 'nonsense'; known: test"):
        load(f"{reference}@nonsense", root=root)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if not DATASETS[name].takes_path and name != "mnist5k"]
)
def test_published_data_sets_say_what_is_missing(name, tmp_path, monkeypatch):
    monkeypatch.delenv("RADII_DATA", raising=False)
    for root in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="pass --data-root DIR or set RADII_DATA"):
            load(name, root=root)
