from __future__ import annotations

import numpy as np
import pytest

from radii.data import load
from radii.errors import DataError
from tests.unit.data.published_files import pixels

Y = np.array([0, 2, 1, 2])


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("x_test", "y_test")])
def test_every_pair_of_names_is_read(tmp_path, names):
    path = tmp_path / "d.npz"
    np.savez(path, **dict(zip(names, (pixels(4, 3, 5, 6), Y), strict=True)))
    dataset = load(f"npz:{path}")
    assert dataset.reference == f"npz:{path}@test"
    assert dataset.input_shape == (3, 5, 6)
    assert dataset.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(dataset.tensors()[0].numpy(), pixels(4, 3, 5, 6))


def test_packing_does_not_change_the_fingerprint(tmp_path):
    np.savez(tmp_path / "a.npz", x=pixels(4, 3, 5, 5), y=Y)
    np.savez_compressed(tmp_path / "b.npz", images=pixels(4, 3, 5, 5), labels=Y.astype(np.uint8))
    first, second = (load(f"npz:{tmp_path / name}.npz").fingerprint for name in "ab")
    assert first == second


def test_splits_share_the_number_of_classes(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x_train=pixels(4, 2), y_train=Y, x_test=pixels(1, 2, seed=1), y_test=[0])
    assert load(f"npz:{path}@test").num_classes == 3
    assert load(f"npz:{path}@test").labels.tolist() == [0]
    assert load(f"npz:{path}@train").labels.tolist() == Y.tolist()


def test_a_split_that_is_not_there_is_not_replaced(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x_train=pixels(4, 2), y_train=Y, x=pixels(4, 2), y=Y)
    with pytest.raises(DataError, match=f"no split 'test'; write npz:{path}@train"):
        load(f"npz:{path}")


def test_a_file_without_splits_is_read_as_any(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=pixels(4, 2), y=Y)
    train, test = load(f"npz:{path}@train"), load(f"npz:{path}@test")
    assert train.fingerprint == test.fingerprint


def test_class_names_may_be_given(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=pixels(4, 2), y=Y, class_names=["cat", "dog", "cow", "hen"])
    assert load(f"npz:{path}").class_names == ("cat", "dog", "cow", "hen")
    np.savez(path, x=pixels(4, 2), y=Y, class_names=["cat", "dog"])
    with pytest.raises(DataError, match=r"label of example 1 must be in \[0, 2\), got 2"):
        load(f"npz:{path}")
    np.savez(path, x=pixels(4, 2), y=Y, class_names=[1, 2, 3])
    with pytest.raises(DataError, match=r"class_names in .* must be a list of texts, got int64"):
        load(f"npz:{path}")


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (pixels(4, 28, 28), (1, 28, 28)),
        (pixels(4, 28, 28) / 255.0, (28, 28)),
        (pixels(4, 3, 3, 3), (3, 3, 3)),
        (pixels(4, 1, 28, 1), (1, 28, 1)),
        (pixels(4, 2, 4, 4), (2, 4, 4)),
        (pixels(4, 17).astype(np.float32), (17,)),
    ],
)
def test_shapes(tmp_path, x, shape):
    np.savez(tmp_path / "d.npz", x=x, y=Y)
    assert load(f"npz:{tmp_path / 'd.npz'}").input_shape == shape


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_last_is_refused_with_the_remedy(tmp_path, channels):
    path = tmp_path / "d.npz"
    x = pixels(4, 8, 9, channels)
    np.savez(path, x=x, y=Y)
    with pytest.raises(DataError, match=r"channels first, got .* save numpy.moveaxis\(x, -1, 1\)"):
        load(f"npz:{path}")
    np.savez(path, x=np.moveaxis(x, -1, 1), y=Y)
    assert load(f"npz:{path}").input_shape == (channels, 8, 9)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": pixels(4, 2)}, "must hold inputs 'x' and labels 'y' .* got x"),
        ({}, "got no array"),
        (
            {"x": pixels(4, 2), "y": Y, "images": pixels(4, 2), "labels": Y},
            "got images, labels, x, y",
        ),
        ({"x": pixels(4, 2), "y": Y / 2}, "labels in .* must be integers"),
        ({"x": pixels(4, 2), "y": 0 * Y - 1}, "labels in .* must be at least 0, got -1"),
        ({"x": pixels(4, 2), "y": Y * 10**12}, "must be below 1000000, got 2000000000000"),
        ({"x": pixels(4, 2), "y": Y - 1}, r"label of example 0 must be in \[0, 2\), got -1"),
        ({"x": pixels(4, 2).astype(np.int64), "y": Y}, "must be uint8 or float, got int64"),
        ({"x": np.array([{}] * 4, dtype=object), "y": Y}, "allow_pickle=False"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, arrays, message):
    path = tmp_path / "d.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        load(f"npz:{path}")


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "d.npz"
    with pytest.raises(DataError, match="no file"):
        load(f"npz:{path}")
    np.savez(path, x=pixels(40, 20), y=np.zeros(40, dtype=int))
    whole = path.read_bytes()
    single = tmp_path / "d.npy"
    np.save(single, pixels(4, 2))
    for content in (b"", b"not a zip", whole[:-30], whole[:200], single.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"must be a \.npz file of plain arrays"):
            load(f"npz:{path}")
    damaged = bytearray(whole)
    damaged[300] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(DataError, match="CRC"):
        load(f"npz:{path}")
