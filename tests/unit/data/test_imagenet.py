from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from radii.data import load, pictures
from radii.data.imagenet import middle
from radii.errors import DataError
from tests.unit.data.published_files import (
    WNIDS,
    validation_name,
    write_imagenet,
    write_kit,
    write_picture,
)

WORDS = {
    WNIDS[0]: "tench, Tinca tinca",
    WNIDS[1]: "crane",
    WNIDS[2]: "crane",
    "n04004767": "printer",
}
NAMES = ("tench", f"crane ({WNIDS[1]})", f"crane ({WNIDS[2]})", "printer")


@pytest.fixture
def home(tmp_path):
    write_imagenet(tmp_path / "imagenet", "train", 7)
    write_imagenet(tmp_path / "imagenet", "val", 5)
    return tmp_path / "imagenet"


@pytest.mark.parametrize("place", ["imagenet", "imagenet/ILSVRC/Data/CLS-LOC", "."])
def test_classes_are_folders_in_sorted_order(tmp_path, place):
    write_imagenet(tmp_path / place, "val", 5)
    dataset = load("imagenet", root=tmp_path)
    assert dataset.labels.tolist() == [0, 0, 1, 1, 2]
    assert dataset.class_names == WNIDS
    assert dataset.files[:2] == tuple(f"{WNIDS[0]}/{validation_name(n)}" for n in (1, 4))
    assert dataset.input_shape == dataset[0][0].shape == (3, 224, 224)
    assert dataset.in_memory_bytes == 5 * 3 * 224 * 224 * 4


def test_labels_are_the_same_in_both_splits(home):
    for path in (home / "val" / WNIDS[0]).iterdir():
        path.unlink()
    (home / "val" / WNIDS[0]).rmdir()
    test = load("imagenet", root=home.parent)
    assert test.class_names == load("imagenet@train", root=home.parent).class_names == WNIDS
    assert test.labels.tolist() == [1, 1, 2]


def test_the_published_validation_folder_is_the_sorted_one(home, tmp_path):
    # The kit numbers classes from the last one on: 4, 3, 2 are the three in use.
    write_kit(home, [4, 3, 2, 4, 3], WORDS)
    before = load("imagenet", root=tmp_path)
    assert before.class_names == NAMES
    assert before.labels.tolist() == [0, 0, 1, 1, 2]
    before_print, images = before.fingerprint, [x for x, _ in before]
    for path in list((home / "val").rglob("*.JPEG")):
        path.rename(home / "val" / path.name)
    for wnid in WNIDS:
        (home / "val" / wnid).rmdir()
    after = load("imagenet", root=tmp_path)
    assert after.labels.tolist() == before.labels.tolist()
    assert after.fingerprint == before_print
    assert all((x == y).all() for (x, _), y in zip(after, images, strict=True))
    write_picture(home / "val" / validation_name(6), (40, 40), 0)
    with pytest.raises(DataError, match="must list the class of ILSVRC2012_val_00000006"):
        load("imagenet", root=tmp_path)
    (home / "ILSVRC2012_devkit_t12").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"unpack ILSVRC2012_devkit_t12\.tar\.gz into"):
        load("imagenet", root=tmp_path)


def test_lists_may_lie_above_the_pictures(tmp_path):
    write_imagenet(tmp_path / "imagenet" / "ILSVRC" / "Data" / "CLS-LOC", "val", 5)
    text = "".join(f"{wnid} {words}\n" for wnid, words in WORDS.items())
    (tmp_path / "imagenet" / "LOC_synset_mapping.txt").write_text(text)
    assert load("imagenet", root=tmp_path).class_names == NAMES


def test_a_list_of_classes_numbers_them_all_and_names_them(home, tmp_path):
    text = "".join(f"{wnid} {words}\n" for wnid, words in reversed(WORDS.items()))
    (home / "LOC_synset_mapping.txt").write_text(text)
    assert load("imagenet", root=tmp_path).class_names == NAMES
    assert load("imagenet@train", root=tmp_path).num_classes == 4
    write_picture(home / "val" / "n99999999" / "1.JPEG", (40, 40), 0)
    with pytest.raises(DataError, match=r"'n99999999' .* one of the 4 in .*LOC_synset_mapping"):
        load("imagenet", root=tmp_path)


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (256, 300), (64, 33), (224, 224)])
def test_the_middle_is_what_its_definition_says(size):
    # torchvision: the longer side is int(256 * longer / shorter), and a cut begins at
    # round((side - 224) / 2).
    whole = Image.effect_noise(size, 60).convert("RGB")
    found = middle(whole, 256, 224, "picture")
    width, height = size
    resized = (
        (256, int(256 * height / width)) if width < height else (int(256 * width / height), 256)
    )
    expected = np.asarray(whole.resize(resized, Image.Resampling.BILINEAR))
    top, left = round((resized[1] - 224) / 2), round((resized[0] - 224) / 2)
    assert min(top, left) == 16
    np.testing.assert_array_equal(np.asarray(found), expected[top : top + 224, left : left + 224])


def test_gray_and_four_colour_pictures_are_read_as_rgb(home, tmp_path):
    folder = home / "val" / WNIDS[0]
    Image.new("L", (60, 50), 51).save(folder / "a.JPEG")
    Image.new("CMYK", (60, 50)).save(folder / "b.JPEG")
    dataset = load("imagenet", root=tmp_path)
    gray = dataset[dataset.files.index(f"{WNIDS[0]}/a.JPEG")][0]
    assert gray.shape == (3, 224, 224)
    assert gray.flatten().tolist() == pytest.approx([0.2] * gray.numel())
    assert dataset[dataset.files.index(f"{WNIDS[0]}/b.JPEG")][0].min() == 1  # no ink


def test_opening_reads_no_picture(home, tmp_path):
    for path in home.rglob("*.JPEG"):
        path.write_bytes(b"no picture")
    dataset = load("imagenet@train", root=tmp_path)
    assert len(dataset) == 7
    assert len(dataset.fingerprint) == 64
    with pytest.raises(DataError, match=r"_0\.JPEG cannot be read as an image"):
        dataset[0]


def test_the_fingerprint_covers_classes_names_sizes_and_the_cut(home, tmp_path):
    def now():
        return load("imagenet@train", root=tmp_path).fingerprint

    prints = [now(), replace(load("imagenet@train", root=tmp_path), crop=200).fingerprint]
    path = next((home / "train" / WNIDS[0]).iterdir())
    path.write_bytes(path.read_bytes() + b"0")
    prints.append(now())
    path = path.rename(path.with_name("renamed.JPEG"))
    prints.append(now())
    path.rename(home / "train" / WNIDS[1] / path.name)
    prints.append(now())
    (home / "val" / "n99999999").mkdir()
    prints.append(now())
    assert len(set(prints)) == 6
    home.rename(tmp_path / "train_and_val")
    (tmp_path / "train_and_val").rename(tmp_path / "imagenet")
    assert now() == prints[-1]


def test_pictures_that_would_fill_the_memory_are_refused(home, tmp_path, monkeypatch):
    dataset = load("imagenet", root=tmp_path)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 1_000)
    with pytest.raises(DataError, match=r"00000001\.JPEG must have at most 1000 pixels, got 40 x"):
        dataset[0]
    monkeypatch.setattr(pictures, "MOST_PIXELS", 100_000)
    thin = Image.new("RGB", (2, 4_000))
    with pytest.raises(DataError, match="got 256 x 512000"):
        middle(thin, 256, 224, "thin.JPEG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # pillow's own limit, which raises
    with pytest.raises(DataError, match="must have at most"):
        dataset[0]


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "imagenet").mkdir()
    (tmp_path / "imagenet" / "ILSVRC2012_img_val.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"img_val\.tar is packed; unpack it into .*val"):
        load("imagenet", root=tmp_path)
    with pytest.raises(DataError, match=r"no train/WNID/\*\.JPEG for 'imagenet'"):
        load("imagenet@train", root=tmp_path)


def test_damaged_lists_are_refused(home, tmp_path):
    (home / "LOC_synset_mapping.txt").write_text("n01440764\n")
    with pytest.raises(DataError, match=r"each line of .* must be WNID WORDS"):
        load("imagenet", root=tmp_path)
    write_kit(home, [1], WORDS)
    (home / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").write_bytes(b"no matrix" * 30)
    with pytest.raises(DataError, match=r"meta\.mat cannot be read"):
        load("imagenet", root=tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("num_children", np.zeros((0, 0))), ("num_children", np.nan), ("num_children", 0.5)),
        *(("ILSVRC2012_ID", [[1.0, 2.0]]), ("ILSVRC2012_ID", "x"), ("ILSVRC2012_ID", 2.0)),
        *(("WNID", ""), ("WNID", 1.0), ("WNID", WNIDS[1]), ("words", np.zeros((0, 0)))),
    ],
)
def test_a_field_of_the_kit_that_is_wrong_is_refused(home, tmp_path, field, value):
    write_kit(home, [1], WORDS)
    rows = {
        **{"ILSVRC2012_ID": [1.0, 2.0, 3.0], "WNID": [*WNIDS]},
        **{"words": ["tench", "crane", "crane"], "num_children": [0.0, 0.0, 0.0]},
    }
    rows[field] = [value, *rows[field][1:]]
    table = np.empty((3, 1), dtype=[(name, "O") for name in rows])
    for name, values in rows.items():
        for number, each in enumerate(values):
            table[name][number, 0] = each
    path = home / "ILSVRC2012_devkit_t12" / "data" / "meta.mat"
    savemat(path, {"synsets": table})
    with pytest.raises(DataError, match=r"'synsets' in .*meta\.mat cannot be read .*; unpack"):
        load("imagenet", root=tmp_path)


def test_cuts_that_make_no_sense_are_refused(home, tmp_path):
    dataset = load("imagenet", root=tmp_path)
    assert replace(dataset, resize=36, crop=32)[0][0].shape == (3, 32, 32)
    with pytest.raises(ValueError, match="crop must be at least 1 and at most resize"):
        replace(dataset, crop=300)
