from __future__ import annotations

import sys

import numpy as np
import pytest

from radii.data import HuggingFace, load
from radii.errors import DataError, RadiiError, UnknownNameError
from tests.unit.data.published_files import hub_table, pixels, write_hub

datasets = pytest.importorskip("datasets", reason="needs the extra hub")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def check(dataset, count, seed):
    assert dataset.labels.tolist() == [number % 2 for number in range(count)]
    assert dataset.class_names == ("cat", "dog")
    assert dataset.input_shape == (3, 4, 6)
    for number in range(count):
        expected = pixels(4, 6, 3, seed=seed + number).transpose(2, 0, 1)
        np.testing.assert_array_equal(dataset.pixels(number), expected)


def test_what_save_to_disk_wrote(tmp_path):
    write_hub(tmp_path / "saved")
    check(load(f"hf:{tmp_path / 'saved'}@train"), 5, 50)
    check(load(f"hf:{tmp_path / 'saved'}"), 3, 30)
    hub_table(4).save_to_disk(str(tmp_path / "one"))
    check(load(f"hf:{tmp_path / 'one'}"), 4, 0)
    datasets.DatasetDict(train=hub_table(2)).save_to_disk(str(tmp_path / "part"))
    with pytest.raises(DataError, match="no split 'test'; it has train"):
        load(f"hf:{tmp_path / 'part'}")


@pytest.mark.parametrize("place", [".", "data"])
def test_parquet_files_as_the_hub_has_them(tmp_path, place):
    home = tmp_path / "home"
    (home / place).mkdir(parents=True, exist_ok=True)
    hub_table(2).to_parquet(str(home / place / "train-00000-of-00002.parquet"))
    hub_table(2, seed=2).to_parquet(str(home / place / "train-00001-of-00002-abc123.parquet"))
    hub_table(3, seed=7).to_parquet(str(home / place / "test.parquet"))
    check(load(f"hf:{home}@train"), 4, 0)
    check(load(f"hf:{home}"), 3, 7)
    with pytest.raises(DataError, match="no split 'validation'; it has test, train"):
        load(f"hf:{home}@validation")


def test_the_fingerprint_covers_labels_bytes_and_classes(tmp_path):
    def print_of(table, name):
        table.save_to_disk(str(tmp_path / name))
        return load(f"hf:{tmp_path / name}").fingerprint

    table = hub_table(4)
    other = table.cast_column("label", datasets.ClassLabel(names=["cat", "emu"]))
    prints = [print_of(t, n) for t, n in ((table, "a"), (hub_table(4, seed=1), "b"), (other, "c"))]
    prints.append(print_of(table.select([0, 1, 2, 2]), "d"))
    assert len(set(prints)) == 4
    table.to_parquet(str(tmp_path / "p" / "test.parquet"))
    assert load(f"hf:{tmp_path / 'p'}").fingerprint == prints[0]


def test_gray_images_have_one_channel(tmp_path):
    hub_table(2, gray=True).save_to_disk(str(tmp_path / "gray"))
    dataset = load(f"hf:{tmp_path / 'gray'}")
    assert dataset.input_shape == (1, 4, 6)
    np.testing.assert_array_equal(dataset.pixels(1)[0], pixels(4, 6, seed=1))


def test_images_of_several_sizes_are_refused(tmp_path, monkeypatch):
    mixed = datasets.concatenate_datasets([hub_table(2), hub_table(2, size=(5, 4)), hub_table(1)])
    mixed.save_to_disk(str(tmp_path / "mixed"))
    message = "one size, got 6 x 4 for image 0 and 5 x 4 for image 2 of hf:"
    with pytest.raises(DataError, match=message):
        load(f"hf:{tmp_path / 'mixed'}")
    monkeypatch.setattr("radii.data.hugging_face._LOOKED_AT", 2)  # the first and the last
    dataset = load(f"hf:{tmp_path / 'mixed'}")
    assert dataset[1][1] == 1
    with pytest.raises(DataError, match=message):
        dataset[2]


def test_columns_are_found_by_type_or_named(tmp_path):
    table = hub_table(3).add_column("coarse", [0, 0, 0])
    table = table.cast_column("coarse", datasets.ClassLabel(names=["animal"]))
    table.save_to_disk(str(tmp_path / "two"))
    path = str(tmp_path / "two")
    with pytest.raises(
        DataError, match=r"one column of the type ClassLabel, got label, coarse; name one, as hf:"
    ):
        load(f"hf:{path}")
    found = load(f"hf:{path},label=coarse@test")
    assert found.class_names == ("animal",)
    assert found.reference == f"hf:{path},label=coarse@test"
    same = HuggingFace(path, label="coarse").read("test", None, "two")
    assert same.fingerprint == found.fingerprint
    with pytest.raises(DataError, match="column 'fine' of the type ClassLabel"):
        load(f"hf:{path},label=fine")
    with pytest.raises(UnknownNameError, match="no parameter 'lable'"):
        load(f"hf:{path},lable=coarse")
    table.remove_columns("image").save_to_disk(str(tmp_path / "none"))
    with pytest.raises(DataError, match="of the type Image, got none among label, coarse"):
        load(f"hf:{tmp_path / 'none'}")


def test_hidden_labels_and_damaged_images_are_named(tmp_path):
    table = hub_table(3)
    hidden = table.map(lambda row, i: {"label": -1 if i == 1 else 0}, with_indices=True)
    hidden.save_to_disk(str(tmp_path / "hidden"))
    with pytest.raises(DataError, match=r"label of example 1 must be in \[0, 2\), got -1"):
        load(f"hf:{tmp_path / 'hidden'}")
    broken = [{"bytes": b"no image", "path": None}]
    features = table.features
    datasets.Dataset.from_dict({"label": [0], "image": broken}, features=features).save_to_disk(
        str(tmp_path / "broken")
    )
    with pytest.raises(DataError, match=r"image 0 of hf:.* cannot be read as an image"):
        load(f"hf:{tmp_path / 'broken'}")


def test_without_a_network_it_says_so_at_once(monkeypatch):
    class Silent:
        def dataset_info(self, path, **options):
            raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi", Silent)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with pytest.raises(DataError, match=r"'nobody/nothing' is no folder here.*HF_HUB_OFFLINE=1"):
        load("hf:nobody/nothing")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="is no folder here, and cannot be read"):
        load("hf:nobody/nothing")


def test_folders_of_something_else_and_old_versions_are_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="for image files write folder:PATH"):
        load(f"hf:{tmp_path}")
    (tmp_path / "test.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read as a data set with the split 'test'"):
        load(f"hf:{tmp_path}")
    monkeypatch.setattr(datasets, "__version__", "3.6.0")
    with pytest.raises(RadiiError, match="version 4 or later"):
        load(f"hf:{tmp_path}")


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RadiiError, match=r'pip install "radii\[hub\]"'):
        load(f"hf:{tmp_path}")
