from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from radii.data import ArrayDataset, unit_interval
from radii.errors import DataError
from tests.unit.data.published_files import pixels

NAMES = ("a", "b", "c")
LABELS = np.array([0, 2, 1, 2])


def test_pixels_are_divided_by_255():
    x = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    dataset = ArrayDataset(x, np.array([0]), ("a",))
    expected = np.arange(256, dtype=np.float32) / np.float32(255)
    np.testing.assert_array_equal(dataset[0][0].numpy().ravel(), expected)
    assert dataset[0][0].max() == 1.0


def test_floats_are_kept_even_outside_the_unit_interval():
    x = np.array([[-3.5, 1e6], [0.0, 2.0]])
    dataset = ArrayDataset(x, np.array([0, 1]), ("a", "b"))
    assert dataset[0][0].tolist() == [-3.5, 1e6]
    assert dataset[0][0].dtype == torch.float32
    assert dataset.input_shape == (2,)


@pytest.mark.parametrize("x", [pixels(4, 1, 5, 5), pixels(4, 7).astype(np.float64) / 3])
def test_tensors_are_the_items(x):
    dataset = ArrayDataset(x, LABELS, NAMES)
    inputs, labels = dataset.tensors()
    torch.testing.assert_close(
        unit_interval(inputs), torch.stack([dataset[i][0] for i in range(4)]), rtol=0, atol=0
    )
    assert labels.tolist() == [label for _, label in dataset]


def test_indexing_beyond_the_end_is_an_index_error():
    with pytest.raises(IndexError):
        ArrayDataset(pixels(4, 2), LABELS, NAMES)[4]


def test_nobody_outside_can_change_it():
    x, y = pixels(4, 2), LABELS.copy()
    dataset = ArrayDataset(x, y, NAMES)
    before = dataset[0][0].clone()
    x += 1
    y[:] = 0
    dataset[0][0].zero_()
    dataset.tensors()[0].zero_()
    assert torch.equal(dataset[0][0], before)
    assert dataset.labels.tolist() == [0, 2, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        dataset.labels[0] = 1


def test_nobody_can_change_it_through_the_array_of_a_read_only_view():
    x, y = pixels(4, 2), LABELS.copy()
    views = x[:], y[:], memoryview(bytearray(8))
    for view in views[:2]:
        view.flags.writeable = False
    row = np.frombuffer(views[2].toreadonly(), np.uint8).reshape(4, 2)
    buffered = np.frombuffer(views[2], np.uint8).reshape(4, 2)
    buffered.flags.writeable = False
    tensor = torch.zeros(4, 2)
    held = tensor.numpy()
    held.flags.writeable = False
    given = (views[0], np.broadcast_to(x[:1], (4, 2)), row, buffered, held)
    datasets = [ArrayDataset(each, views[1], NAMES) for each in given]
    before = [dataset[0][0].clone() for dataset in datasets]
    x += 1
    y[:] = 0
    views[2][:] = bytes([7] * 8)
    tensor.fill_(7)
    for dataset, first in zip(datasets, before, strict=True):
        assert torch.equal(dataset[0][0], first)
        assert dataset.labels.tolist() == [0, 2, 1, 2]


def test_what_nobody_can_change_is_not_copied():
    owner = pixels(8, 2)
    owner.flags.writeable = False
    fixed = np.frombuffer(bytes(16), np.uint8).reshape(8, 2)
    for given in (owner, owner[:4], fixed, fixed[:4]):
        dataset = ArrayDataset(given[:4], LABELS, NAMES)
        assert np.shares_memory(dataset.inputs, given)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (pixels(4, 2), [0, 1, 3, 0], r"r: label of example 2 must be in \[0, 3\), got 3"),
        (pixels(4, 2), [0, -1, 2, 0], r"r: label of example 1 must be in \[0, 3\), got -1"),
        (pixels(4, 2), [0, 1, 2], "got 4 inputs and 3 labels"),
        (pixels(4, 2), [0.0, 1.0, 2.0, 0.0], "labels must be integers .* got float64"),
        (pixels(4, 2), [[0], [1], [2], [0]], r"labels .* got int64 of the shape \(4, 1\)"),
        (np.ones((4, 2), dtype=np.int32), LABELS, "must be uint8 or float, got int32"),
        (np.ones((4, 2), dtype=bool), LABELS, "must be uint8 or float, got bool"),
        (np.ones(4), LABELS, r"at least one example, got \(4,\)"),
        (np.ones((0, 2)), [], r"at least one example, got \(0, 2\)"),
        ([[0.0], [1.0], [float("nan")], [1.0]], LABELS, "input of example 2 must be finite"),
        ([[0.0], [float("-inf")], [0.0], [1.0]], LABELS, "input of example 1 must be finite"),
        ([[0.0], [1.0], [0.0], [1e39]], LABELS, "input of example 3 must be finite in float32"),
    ],
)
def test_what_is_wrong_is_named(x, y, message):
    with pytest.raises(DataError, match=message):
        ArrayDataset(np.asarray(x), np.asarray(y), NAMES, "r")


@pytest.mark.parametrize("names", [(), ("a", "b", "a")])
def test_class_names_are_distinct(names):
    with pytest.raises(DataError, match="class names must be distinct"):
        ArrayDataset(pixels(4, 2), LABELS, names)


def test_the_fingerprint_is_the_digest_that_is_documented():
    header = b"radii arrays 1\nuint8\n(4, 1, 5, 5)\n3\n"
    content = pixels(4, 1, 5, 5).tobytes() + b"".join(int(y).to_bytes(8, "little") for y in LABELS)
    dataset = ArrayDataset(pixels(4, 1, 5, 5), LABELS, NAMES)
    assert dataset.fingerprint == hashlib.sha256(header + content).hexdigest()


def test_the_fingerprint_does_not_depend_on_memory_layout_or_names():
    x = pixels(4, 3, 5, 5).astype(np.float32)
    expected = ArrayDataset(x, LABELS, NAMES, "one").fingerprint
    for same in (np.asfortranarray(x), x.astype(">f4"), x.astype(np.float64)):
        other = ArrayDataset(same, LABELS.astype(np.uint8), ("d", "e", "f"), "two")
        assert other.fingerprint == expected


def test_the_fingerprint_sees_every_difference():
    x = pixels(4, 1, 5, 5)
    flipped = x.copy()
    flipped[3, 0, 4, 4] ^= 1
    relabelled = LABELS.copy()
    relabelled[3] = 0
    variants = [
        ArrayDataset(x, LABELS, NAMES),
        ArrayDataset(flipped, LABELS, NAMES),
        ArrayDataset(x, relabelled, NAMES),
        ArrayDataset(x, LABELS, (*NAMES, "d")),
        ArrayDataset(x.reshape(4, 25), LABELS, NAMES),
        ArrayDataset(x.astype(np.float32), LABELS, NAMES),
        ArrayDataset(x[::-1], LABELS, NAMES),
    ]
    assert len({dataset.fingerprint for dataset in variants}) == len(variants)
