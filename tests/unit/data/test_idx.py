from __future__ import annotations

import gzip

import numpy as np
import pytest

from radii.data import load
from radii.data.idx import read_idx
from radii.errors import DataError
from tests.unit.data.published_files import idx_bytes, pixels, write_idx

IMAGES = pixels(5, 28, 28)
LABELS = [3, 0, 9, 1, 3]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        *(("mnist", folder) for folder in ("mnist", "MNIST/raw", ".")),
        *(("fashion_mnist", folder) for folder in ("fashion_mnist", "FashionMNIST/raw", ".")),
    ],
)
def test_every_published_arrangement_is_found(tmp_path, name, folder, mark, packed):
    write_idx(tmp_path / folder, IMAGES, LABELS, mark=mark, packed=packed)
    dataset = load(name, root=tmp_path)
    assert dataset.input_shape == (1, 28, 28)
    assert dataset.labels.tolist() == LABELS
    np.testing.assert_array_equal(dataset.tensors()[0].numpy()[:, 0], IMAGES)


def test_splits_are_different_files(tmp_path):
    write_idx(tmp_path / "mnist", IMAGES, LABELS)
    write_idx(tmp_path / "mnist", IMAGES[:2], [7, 8], stem="train")
    assert load("mnist@train", root=tmp_path).labels.tolist() == [7, 8]
    assert load("mnist@test", root=tmp_path).labels.tolist() == LABELS


def test_the_fingerprint_is_of_the_content_not_of_the_file(tmp_path):
    write_idx(tmp_path / "plain", IMAGES, LABELS)
    write_idx(tmp_path / "packed", IMAGES, LABELS, packed=True)
    flipped = IMAGES.copy()
    flipped[4, 27, 27] ^= 1
    write_idx(tmp_path / "flipped", flipped, LABELS)
    plain, packed, other = (
        load("mnist", root=tmp_path / folder).fingerprint
        for folder in ("plain", "packed", "flipped")
    )
    assert plain == packed
    assert plain != other


def test_a_file_that_a_browser_unpacked_but_did_not_rename_is_read(tmp_path):
    (tmp_path / "images.gz").write_bytes(idx_bytes(IMAGES))
    np.testing.assert_array_equal(read_idx(tmp_path / "images.gz", axes=3), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with 00000803, got an empty file"),
        (idx_bytes(IMAGES, kind=0x0D), "starts with 00000803, got 00000d03"),
        (idx_bytes(IMAGES[0]), "starts with 00000803, got 00000802"),
        (b"<html>404</html>", "must be an IDX file"),
        (idx_bytes(IMAGES)[:10], "ends inside its header"),
        (idx_bytes(IMAGES)[:-1], r"must hold 3920 values .* \(5, 28, 28\), got 3919"),
        (idx_bytes(IMAGES) + b"\0", "must hold 3920 values .* got 3921"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:-20], "cannot be read .* download it again"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:40] + b"\xff" * 40, "cannot be read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, message):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, axes=3)
    assert str(path) in str(caught.value)


def test_labels_are_checked(tmp_path):
    write_idx(tmp_path, IMAGES, [0, 1, 10, 3, 4])
    with pytest.raises(
        DataError, match=r"mnist@test: label of example 2 must be in \[0, 10\), got 10"
    ):
        load("mnist", root=tmp_path)
    write_idx(tmp_path, IMAGES, [0, 1, 2])
    with pytest.raises(DataError, match="got 5 inputs and 3 labels"):
        load("mnist", root=tmp_path)


def test_missing_files_are_named_with_the_places_and_the_remedy(tmp_path):
    write_idx(tmp_path / "mnist", IMAGES, LABELS)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError) as caught:
        load("mnist", root=tmp_path)
    message = str(caught.value)
    assert "t10k-images-idx3-ubyte" in message
    assert "t10k-labels-idx1-ubyte" in message
    assert str(tmp_path / "MNIST" / "raw") in message
    assert "pass --data-root DIR or set RADII_DATA" in message


def test_the_complete_mnist(full_mnist):
    test, train = load("mnist", root=full_mnist), load("mnist@train", root=full_mnist)
    assert (len(test), len(train)) == (10_000, 60_000)
    # Mean and standard deviation with which PyTorch's MNIST example normalises the training set.
    parts = np.split(train.tensors()[0].numpy(), 60)
    mean = np.mean([part.mean() for part in parts])
    mean_square = np.mean([np.square(part, dtype=np.float64).mean() for part in parts])
    assert mean / 255 == pytest.approx(0.1307, abs=5e-5)
    assert np.sqrt(mean_square - mean**2) / 255 == pytest.approx(0.3081, abs=5e-5)
