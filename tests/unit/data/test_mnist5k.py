from __future__ import annotations

import runpy
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from radii.data import load

PACKAGED = files("radii.data") / "mnist5k.npz"
MAKER = Path(__file__).parents[3] / "tools" / "make_mnist5k.py"


@pytest.mark.parametrize(("split", "count"), [("train", 500), ("test", 100)])
def test_classes_are_balanced_and_mixed(split, count):
    dataset = load(f"mnist5k@{split}")
    assert np.bincount(dataset.labels).tolist() == [count] * 10
    assert len(set(dataset.labels[:20])) > 5
    assert dataset.input_shape == (1, 28, 28)


def test_it_is_small_and_licensed():
    assert len(PACKAGED.read_bytes()) < 1_000_000
    licence = (files("radii.data") / "mnist5k.LICENSE.md").read_text()
    for name in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0"):
        assert name in licence


@pytest.mark.parametrize(("split", "count"), [("train", 500), ("test", 100)])
def test_it_is_the_first_of_each_class_of_mnist(full_mnist, split, count):
    full = load(f"mnist@{split}", root=full_mnist)
    with np.load(str(PACKAGED)) as file:
        index = file[f"index_{split}"].astype(np.int64)
        images = file[f"x_{split}"]
    seen = dict.fromkeys(range(10), 0)
    expected = []
    for position, label in enumerate(full.labels.tolist()):
        seen[label] += 1
        if seen[label] <= count:
            expected.append(position)
    assert index.tolist() == expected
    np.testing.assert_array_equal(images, full.tensors()[0].numpy()[index, 0])
    np.testing.assert_array_equal(load(f"mnist5k@{split}").labels, full.labels[index])
    np.testing.assert_array_equal(load(f"mnist5k@{split}").tensors()[0].numpy()[:, 0], images)


def test_the_maker_makes_the_same_arrays_again(full_mnist):
    if not MAKER.is_file():
        pytest.skip("needs tools/make_mnist5k.py of the source repository")
    made = runpy.run_path(str(MAKER))["subset"](full_mnist)
    with np.load(str(PACKAGED)) as file:
        assert set(file.files) == set(made)
        for name in made:
            np.testing.assert_array_equal(file[name], made[name])
            assert file[name].dtype == made[name].dtype
