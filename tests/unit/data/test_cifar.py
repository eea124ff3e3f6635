from __future__ import annotations

import gzip

import numpy as np
import pytest

from radii.data import CIFAR10, CIFAR100, load
from radii.errors import DataError
from tests.unit.data.published_files import (
    cifar10_files,
    cifar100_files,
    cifar_bytes,
    pixels,
    write_archive,
    write_files,
)


@pytest.mark.parametrize("place", ["cifar10", "."])
@pytest.mark.parametrize("split", ["train", "test"])
def test_archive_and_folder_are_the_same_data_set(tmp_path, place, split):
    write_files(tmp_path / "a" / place / "cifar-10-batches-bin", cifar10_files())
    archive = tmp_path / "b" / place / "cifar-10-binary.tar.gz"
    write_archive(archive, "cifar-10-batches-bin", cifar10_files())
    unpacked = load(f"cifar10@{split}", root=tmp_path / "a")
    packed = load(f"cifar10@{split}", root=tmp_path / "b")
    assert unpacked.fingerprint == packed.fingerprint
    assert len(packed) == {"train": 10, "test": 2}[split]


def test_the_files_may_lie_in_the_root_itself(tmp_path):
    write_files(tmp_path, cifar100_files())
    assert load("cifar100", root=tmp_path).labels.tolist() == [21, 99]


def test_one_flipped_bit_changes_the_fingerprint(tmp_path):
    files = cifar10_files()
    write_files(tmp_path / "a", files)
    changed = bytearray(files["test_batch.bin"])
    changed[-1] ^= 1
    write_files(tmp_path / "b", {"test_batch.bin": bytes(changed)})
    first, second = (load("cifar10", root=tmp_path / name).fingerprint for name in "ab")
    assert first != second


def test_records_are_label_then_red_green_blue_by_row(tmp_path):
    # The layout is described at https://www.cs.toronto.edu/~kriz/cifar.html: 1024 red values by
    # row, then 1024 green, then 1024 blue.
    content = bytes([6]) + bytes([255]) + bytes(1023) + bytes([0, 51]) + bytes(1022) + bytes(1024)
    write_files(tmp_path, {"test_batch.bin": content})
    image, label = load("cifar10", root=tmp_path)[0]
    assert label == 6
    assert image.shape == (3, 32, 32)
    assert image[0, 0, 0] == 1.0
    assert image[1, 0, 1] == pytest.approx(0.2)
    assert int((image != 0).sum()) == 2


def test_batches_are_in_order(tmp_path):
    write_files(tmp_path, cifar10_files())
    assert load("cifar10@train", root=tmp_path).labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]


def test_fine_labels_are_the_second_byte(tmp_path):
    write_archive(tmp_path / "cifar-100-binary.tar.gz", "cifar-100-binary", cifar100_files())
    dataset = load("cifar100@train", root=tmp_path)
    assert dataset.labels.tolist() == [20, 99]
    np.testing.assert_array_equal(dataset.tensors()[0].numpy(), pixels(2, 3, 32, 32, seed=0))


def test_class_names_are_those_of_the_published_lists():
    assert len(CIFAR10.class_names) == 10
    assert len(CIFAR100.class_names) == 100
    assert list(CIFAR100.class_names) == sorted(set(CIFAR100.class_names))
    # Pairs as shown by the viewer of huggingface.co/datasets/uoft-cs/cifar100.
    for number, name in {8: "bicycle", 19: "cattle", 39: "keyboard", 64: "possum"}.items():
        assert CIFAR100.class_names[number] == name
    for number, name in {71: "sea", 80: "squirrel", 90: "train", 96: "willow_tree"}.items():
        assert CIFAR100.class_names[number] == name


@pytest.mark.parametrize(
    ("name", "pickled", "wanted"),
    [
        ("cifar10", "cifar-10-batches-py", "CIFAR-10 binary version"),
        ("cifar10", "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"),
        ("cifar100", "cifar-100-python", "CIFAR-100 binary version"),
        ("cifar100", "cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"),
    ],
)
def test_the_pickled_version_is_not_opened(tmp_path, name, pickled, wanted):
    (tmp_path / name / pickled).mkdir(parents=True)
    with pytest.raises(DataError, match="is the pickled version") as caught:
        load(name, root=tmp_path)
    assert wanted in str(caught.value)
    assert pickled in str(caught.value)


def test_both_versions_side_by_side_are_fine(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    write_files(tmp_path / "cifar-10-batches-bin", cifar10_files())
    assert len(load("cifar10", root=tmp_path)) == 2


@pytest.mark.parametrize("content", [b"", cifar10_files()["test_batch.bin"][:-1]])
def test_truncated_files_are_refused(tmp_path, content):
    write_files(tmp_path, {"test_batch.bin": content})
    message = f"test_batch.bin must hold records of 3073 bytes, got {len(content)} bytes"
    with pytest.raises(DataError, match=message):
        load("cifar10", root=tmp_path)


def test_a_missing_batch_is_named(tmp_path):
    files = cifar10_files()
    del files["data_batch_3.bin"]
    write_files(tmp_path / "a", files)
    write_archive(tmp_path / "b" / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", files)
    for root in ("a", "b"):
        with pytest.raises(DataError, match=r"data_batch_3\.bin"):
            load("cifar10@train", root=tmp_path / root)


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path, "cifar-10-batches-bin", cifar10_files())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz cannot be read"):
        load("cifar10", root=tmp_path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_damaged_archive_is_refused_also_where_its_end_is_not_needed(tmp_path, split):
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path, "cifar-10-batches-bin", cifar10_files())
    whole = path.read_bytes()
    wrong_checksum = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    for content in (wrong_checksum, whole[:-8], whole[:-1], whole + b"more"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz cannot be read"):
            load(f"cifar10@{split}", root=tmp_path)


def test_what_comes_after_the_archive_is_counted(tmp_path, monkeypatch):
    path = tmp_path / "cifar-10-binary.tar.gz"
    write_archive(path, "cifar-10-batches-bin", cifar10_files())
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(5_000_000)))
    assert len(load("cifar10", root=tmp_path)) == 2
    monkeypatch.setattr("radii.data.cifar._MOST_BYTES", 4_000_000)
    with pytest.raises(DataError, match="it holds more than 4000000 bytes"):
        load("cifar10", root=tmp_path)


def test_labels_are_checked(tmp_path):
    write_files(tmp_path, {"test_batch.bin": cifar_bytes(pixels(2, 3, 32, 32), [9, 10])})
    with pytest.raises(DataError, match=r"label of example 1 must be in \[0, 10\), got 10"):
        load("cifar10", root=tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"no cifar-100-binary\.tar\.gz or .* RADII_DATA"):
        load("cifar100", root=tmp_path)
