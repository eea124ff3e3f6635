from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from radii.data import load
from radii.errors import DataError
from tests.unit.data.published_files import pixels, write_svhn


@pytest.mark.parametrize("place", ["svhn", "."])
def test_images_are_channels_first_and_ten_is_zero(tmp_path, place):
    images = pixels(4, 3, 32, 32)
    write_svhn(tmp_path / place, "test", images, [10, 1, 9, 10])
    dataset = load("svhn", root=tmp_path)
    assert dataset.labels.tolist() == [0, 1, 9, 0]
    assert dataset.class_names == tuple("0123456789")
    np.testing.assert_array_equal(dataset.inputs, images)


def test_layout_of_the_published_file(tmp_path):
    # http://ufldl.stanford.edu/housenumbers/: X(:,:,:,i) is the i-th image, height first.
    x = np.zeros((32, 32, 3, 1), dtype=np.uint8)
    x[5, 7, 2, 0] = 51
    savemat(tmp_path / "train_32x32.mat", {"X": x, "y": np.array([[3]], dtype=np.float64)})
    image, label = load("svhn@train", root=tmp_path)[0]
    assert label == 3
    assert image[2, 5, 7] == pytest.approx(0.2)
    assert int((image != 0).sum()) == 1


def test_what_is_wrong_is_said(tmp_path):
    path = tmp_path / "test_32x32.mat"
    write_svhn(tmp_path, "test", pixels(2, 3, 32, 32), [1, 11])
    with pytest.raises(DataError, match="must be 1 to 10, got 11"):
        load("svhn", root=tmp_path)
    for label in (1.5, 0.0, np.nan):
        savemat(path, {"X": pixels(32, 32, 3, 2), "y": np.array([[1.0], [label]])})
        with pytest.raises(DataError, match=f"labels .* must be 1 to 10, got {label:g}"):
            load("svhn", root=tmp_path)
    write_svhn(tmp_path, "test", pixels(2, 3, 32, 32), [1, 11])
    whole = path.read_bytes()
    for content in (whole[:-500], whole[:100], b"", b"no matrix at all" * 20):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"test_32x32\.mat"):
            load("svhn", root=tmp_path)
    savemat(path, {"X": pixels(32, 32, 3, 2)})
    with pytest.raises(DataError, match="must hold an array 'y'"):
        load("svhn", root=tmp_path)
    savemat(path, {"X": pixels(2, 32, 32, 3), "y": np.ones((2, 1))})
    with pytest.raises(DataError, match=r"\(32, 32, 3, examples\).* got uint8 \(2, 32, 32, 3\)"):
        load("svhn", root=tmp_path)
