from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from radii.data import load, unit_interval
from radii.data.folder import read_images
from radii.data.pictures import decoded
from radii.errors import DataError
from tests.unit.data.published_files import pixels


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "images"
    for number, name in enumerate(("dog/b.png", "dog/a.png", "cat/z.PNG", "emu/x.png")):
        save(home / name, pixels(4, 6, 3, seed=number))
    return home


def test_classes_and_files_are_sorted(home):
    dataset = load(f"folder:{home}")
    assert dataset.class_names == ("cat", "dog", "emu")
    assert dataset.labels.tolist() == [0, 1, 1, 2]
    assert dataset.labels.dtype == np.int64
    assert dataset.input_shape == (3, 4, 6)
    # z, a, b, x were made with the seeds 2, 1, 0, 3.
    for index, seed in enumerate((2, 1, 0, 3)):
        expected = torch.from_numpy(pixels(4, 6, 3, seed=seed)).permute(2, 0, 1) / 255
        torch.testing.assert_close(dataset[index][0], expected, rtol=0, atol=0)
    assert [label for _, label in dataset] == [0, 1, 1, 2]


def test_tensors_are_the_items(home):
    dataset = load(f"folder:{home}")
    inputs, labels = dataset.tensors()
    assert inputs.dtype == torch.uint8
    assert torch.equal(unit_interval(inputs), torch.stack([x for x, _ in dataset]))
    assert labels.tolist() == dataset.labels.tolist()


def test_pixels_are_read_when_asked_for(home):
    dataset = load(f"folder:{home}")
    (home / "cat" / "z.PNG").unlink()
    assert dataset[1][1] == 1
    with pytest.raises(DataError, match=r"z\.PNG cannot be read"):
        dataset[0]


def test_other_files_are_passed_over(home):
    before = load(f"folder:{home}").fingerprint
    (home / "notes.txt").write_text("hello")
    (home / "cat" / "notes.txt").write_text("hello")
    (home / "cat" / ".hidden.png").write_text("hello")
    (home / ".cache").mkdir()
    assert load(f"folder:{home}").fingerprint == before


def test_a_file_that_is_gone_when_the_fingerprint_is_taken_is_named(home):
    dataset = load(f"folder:{home}")
    (home / "cat" / "z.PNG").unlink()
    with pytest.raises(DataError, match=r"z\.PNG cannot be read \(.*No such file"):
        _ = dataset.fingerprint


def test_no_files_are_no_images():
    with pytest.raises(ValueError, match="files must be at least one image file, got none"):
        read_images([])


def test_the_fingerprint_sees_names_classes_and_bytes(home):
    prints = [load(f"folder:{home}").fingerprint]
    save(home / "emu" / "x.png", pixels(4, 6, 3, seed=9))
    prints.append(load(f"folder:{home}").fingerprint)
    (home / "emu" / "x.png").rename(home / "emu" / "y.png")
    prints.append(load(f"folder:{home}").fingerprint)
    (home / "emu").rename(home / "fox")
    prints.append(load(f"folder:{home}").fingerprint)
    (home / "gnu").mkdir()
    prints.append(load(f"folder:{home}").fingerprint)
    assert len(set(prints)) == 5


def test_the_fingerprint_does_not_depend_on_where_it_lies(home, tmp_path):
    before = load(f"folder:{home}").fingerprint
    home.rename(tmp_path / "elsewhere")
    assert load(f"folder:{tmp_path / 'elsewhere'}").fingerprint == before


def test_gray_images_have_one_channel_if_all_are_gray(home, tmp_path):
    gray = tmp_path / "gray"
    save(gray / "a" / "1.png", pixels(4, 6, seed=1))
    save(gray / "b" / "2.png", pixels(4, 6, seed=2))
    dataset = load(f"folder:{gray}")
    assert dataset.input_shape == (1, 4, 6)
    np.testing.assert_array_equal(dataset.tensors()[0].numpy()[0, 0], pixels(4, 6, seed=1))
    save(gray / "b" / "3.png", pixels(4, 6, 3))
    mixed = load(f"folder:{gray}")
    assert mixed.input_shape == (3, 4, 6)
    assert torch.equal(mixed[0][0][0], mixed[0][0][2])


def test_gray_images_with_transparency_are_gray(tmp_path):
    image = Image.merge("LA", [Image.fromarray(pixels(4, 6, seed=seed)) for seed in (1, 2)])
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "2.png", pixels(4, 6, seed=3))
    dataset = load(f"folder:{tmp_path}")
    assert dataset.input_shape == (1, 4, 6)
    np.testing.assert_array_equal(dataset.tensors()[0].numpy()[0, 0], pixels(4, 6, seed=1))


def test_sizes_that_differ_are_refused(home):
    save(home / "emu" / "y.png", pixels(5, 6, 3))
    message = r"got 6 x 4 for cat/z\.PNG and 6 x 5 for emu/y\.png .* resize them to one size"
    with pytest.raises(DataError, match=message):
        load(f"folder:{home}")


def test_images_of_more_than_8_bits_are_refused(home):
    save(home / "emu" / "y.png", pixels(4, 6).astype(np.uint16) * 257)
    with pytest.raises(DataError, match=r"y\.png must have 8 bits a channel, got mode 'I;16'"):
        load(f"folder:{home}")


def deep_png(kind, channels):
    """Colours of 16 bits, which Pillow does not write: 6 x 4 pixels."""

    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", 6, 4, 16, kind, 0, 0, 0)
    content = (b"\0" + pixels(12 * channels).tobytes()) * 4
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def deep_tiff(planes):
    """Colours of 16 bits; `planes` is 1 for pixel after pixel, 2 for one colour after another."""
    tags = ImageFileDirectory_v2()
    count = 1 if planes == 1 else 3
    tags.tagtype[273] = tags.tagtype[279] = 4
    for tag, value in {
        **{256: 6, 257: 4, 258: (16, 16, 16), 259: 1, 262: 2, 277: 3, 278: 4, 284: planes},
        **{273: (500,) * count, 279: (144 // count,) * count},
    }.items():
        tags[tag] = value
    file = io.BytesIO()
    file.write(b"II*\0" + struct.pack("<I", 8))
    tags.save(file)
    return file.getvalue().ljust(500, b"\0") + pixels(144).tobytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("y.png", deep_png(2, 3)),
        ("y.png", deep_png(4, 2)),
        ("y.png", deep_png(6, 4)),
        ("y.ppm", b"P6 6 4 65535\n" + bytes(144)),
        ("y.ppm", b"P6 6 4 1023\n" + bytes(144)),
        ("y.ppm", b"P3 6 4 65535\n" + b"7 " * 72),
        ("y.pgm", b"P5 6 4 65535\n" + bytes(48)),
        ("y.tif", deep_tiff(1)),
        ("y.tif", deep_tiff(2)),
    ],
)
def test_colours_of_more_than_8_bits_are_refused(home, name, content):
    path = home / "emu" / name
    path.write_bytes(content)
    with Image.open(path) as image:
        assert image.size == (6, 4)
    message = rf"{name} must have 8 bits a channel, got .*; convert it"
    with pytest.raises(DataError, match=message):
        load(f"folder:{home}")
    with pytest.raises(DataError, match=message):
        decoded(path, path, "RGB")


@pytest.mark.parametrize("ending", ["bmp", "ppm", "tif", "webp", "jpg"])
def test_colours_of_8_bits_are_read(tmp_path, ending):
    save(tmp_path / "a" / f"1.{ending}", pixels(4, 6, 3))
    assert load(f"folder:{tmp_path}")[0][0].shape == (3, 4, 6)


def test_bits_of_a_whole_pixel_are_not_those_of_a_channel(tmp_path):
    # A bitmap of 16 bits a pixel: 5, 6 and 5 of them for red, green and blue.
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    header = struct.pack("<IiiHHIIiiII", 40, 6, 4, 1, 16, 3, 48, 0, 0, 0, 0) + masks
    file = b"BM" + struct.pack("<IHHI", 14 + 52 + 48, 0, 0, 14 + 52) + header + bytes(48)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.bmp").write_bytes(file)
    assert load(f"folder:{tmp_path}")[0][0].shape == (3, 4, 6)


def test_broken_images_are_named(home):
    (home / "emu" / "y.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"y\.png cannot be read as an image"):
        load(f"folder:{home}")
    whole = (home / "emu" / "x.png").read_bytes()
    (home / "emu" / "y.png").write_bytes(whole[:-60])
    dataset = load(f"folder:{home}")
    with pytest.raises(DataError, match=r"y\.png cannot be read as an image"):
        dataset[4]


def test_an_image_that_changed_its_size_is_noticed(home):
    dataset = load(f"folder:{home}")
    save(home / "emu" / "x.png", pixels(5, 6, 3))
    with pytest.raises(
        DataError, match=r"x\.png was \(3, 4, 6\) when it was opened, now \(3, 5, 6\)"
    ):
        dataset[3]


def test_splits_are_subfolders_and_share_their_classes(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "train/c/1.png", "val/c/1.png"):
        save(tmp_path / name, pixels(4, 6, 3))
    assert load(f"folder:{tmp_path}@train").labels.tolist() == [0, 1, 2]
    val = load(f"folder:{tmp_path}@val")
    assert val.class_names == ("a", "b", "c")
    assert val.labels.tolist() == [2]
    with pytest.raises(DataError, match=f"no subfolder 'test'; write folder:{tmp_path}@train"):
        load(f"folder:{tmp_path}")


def test_a_class_may_be_called_train(tmp_path):
    for name in ("boat/1.png", "train/1.png"):
        save(tmp_path / name, pixels(4, 6, 3))
    assert load(f"folder:{tmp_path}").class_names == ("boat", "train")


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no image in a subfolder of .* \.png"):
        load(f"folder:{tmp_path}")
    with pytest.raises(DataError, match="no folder"):
        load(f"folder:{tmp_path / 'nowhere'}")
    save(tmp_path / "1.png", pixels(4, 6, 3))
    with pytest.raises(DataError, match="no image in a subfolder"):
        load(f"folder:{tmp_path}")
