from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import pad

from radii.data import ArrayDataset
from radii.errors import DataError
from radii.noise import Stream
from radii.training import (
    AUGMENTATIONS,
    Augmentation,
    CropFlip,
    ImageNetCropFlip,
    PictureAugmentation,
)
from tests.unit.training.toys import digits, training


def crops_of(image, padding, flip):
    """Every outcome, by slicing."""
    framed = pad(image, [padding] * 4)
    height, width = image.shape[1:]
    found = []
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = framed[:, top : top + height, left : left + width]
            found += [crop, crop.flip(2)] if flip else [crop]
    return found


@pytest.mark.parametrize("flip", [True, False])
def test_all_crops_come_equally_often_and_nothing_else_does(flip):
    image = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(0))
    outcomes = torch.stack(crops_of(image, 1, flip))
    draws = 9_000
    x = image.expand(draws, *image.shape)
    found = CropFlip(1, flip).apply(x, generator=torch.Generator().manual_seed(1))
    assert found.shape == x.shape
    same = (found[:, None] == outcomes).flatten(2).all(2)
    assert bool((same.sum(1) == 1).all())
    share = 1 / len(outcomes)
    tolerance = 5 * (draws * share * (1 - share)) ** 0.5
    assert bool((same.sum(0) - draws * share).abs().max() <= tolerance)


def test_each_image_is_changed_by_itself():
    images = torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    found = CropFlip(2).apply(images, generator=torch.Generator().manual_seed(1))
    for before, after in zip(images, found, strict=True):
        assert any(torch.equal(after, crop) for crop in crops_of(before, 2, True))


def test_without_padding_and_flip_nothing_changes():
    x = torch.rand(3, 1, 4, 4)
    assert torch.equal(CropFlip(0, False).apply(x, generator=torch.Generator()), x)


def test_training_uses_it_and_refuses_what_is_no_image(tmp_path):
    plain, changed = (
        list(training(epochs=1, augment=augment).train(tmp_path / str(augment)).parameters())
        for augment in (None, CropFlip(1))
    )
    assert not torch.equal(plain[0], changed[0])
    with pytest.raises(DataError, match="images"):
        CropFlip().check(ArrayDataset(np.zeros((2, 4)), np.array([0, 1]), ("a", "b")))
    with pytest.raises(ValueError, match="padding"):
        CropFlip(-1)


def examples(kind, other=()):
    """One of each of the registered augmentations of a kind, for each of their examples."""
    return [
        AUGMENTATIONS.build({"name": name, **example})
        for name in AUGMENTATIONS.names()
        for example in AUGMENTATIONS[name].examples
        if issubclass(AUGMENTATIONS[name], kind) and not issubclass(AUGMENTATIONS[name], other)
    ]


@pytest.mark.parametrize("augmentation", examples(Augmentation))
def test_specs_of_examples_build_them_again(augmentation):
    assert AUGMENTATIONS.build(AUGMENTATIONS.spec_of(augmentation)) == augmentation


@pytest.mark.parametrize("augmentation", examples(Augmentation, PictureAugmentation))
def test_examples_keep_the_shape_and_depend_on_the_generator_alone(augmentation):
    augmentation.check(digits(2, (3, 8, 8)))
    x = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    first, again, other = (
        augmentation.apply(x, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(x, before)
    assert first.shape == x.shape


def stream(number):
    return Stream(0, 0, "order", number)


@pytest.mark.parametrize("augmentation", examples(PictureAugmentation))
def test_cuts_have_the_size_and_depend_on_the_stream_alone(augmentation):
    picture = Image.effect_noise((70, 50), 60).convert("RGB")
    before = picture.tobytes()
    cuts = [augmentation.cut(picture, (20, 10), stream=stream(i)) for i in (1, 1, 2)]
    assert {part.size for part in cuts} == {(20, 10)}
    assert cuts[0].tobytes() == cuts[1].tobytes() != cuts[2].tobytes()
    assert picture.tobytes() == before
    x = torch.rand(2, 3, 4, 4)
    assert augmentation.apply(x, generator=torch.Generator()) is x
    with pytest.raises(DataError, match=r"needs pictures .* got toy@train; take crop_flip"):
        augmentation.check(digits(2, (3, 8, 8)))


def boxes_of(augmentation, wide, high, count=2_000):
    """Boxes, by a picture whose pixels tell where they are."""
    columns, rows = np.meshgrid(np.arange(wide), np.arange(high))
    place = np.stack([columns, rows, np.zeros_like(rows)], -1).astype(np.uint8)
    found = []
    for number in range(count):
        part = KeepSize(Image.fromarray(place))
        augmentation.cut(part, (8, 8), stream=stream(number))
        found.append(part.box)
    return np.array(found)


class KeepSize:
    """A picture that notes which part was cut out."""

    def __init__(self, picture):
        self.picture, self.width, self.height = picture, picture.width, picture.height

    def crop(self, box):
        self.box = box
        return self.picture.crop(box)


def test_parts_have_the_published_areas_ratios_and_places():
    left, top, right, bottom = boxes_of(ImageNetCropFlip(), 200, 160).T
    width, height = right - left, bottom - top
    assert left.min() >= 0
    assert top.min() >= 0
    assert right.max() <= 200
    assert bottom.max() <= 160
    share, ratio = width * height / (200 * 160), width / height
    assert 0.07 < share.min() < 0.1
    assert share.max() > 0.9
    assert 0.73 < ratio.min() < 0.78
    assert 1.28 < ratio.max() < 1.37
    # Parts below a quarter of the area always fit, and there all is uniform.
    small = share < 0.25
    assert share[small].mean() == pytest.approx((0.08 + 0.25) / 2, abs=0.01)
    assert np.log(ratio[small]).mean() == pytest.approx(0, abs=0.04)
    free = small & (width < 200)
    assert (left / (200 - width + 1e-9))[free].mean() == pytest.approx(0.5, abs=0.05)
    assert (top / (160 - height + 1e-9))[free].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("size", "box"), [((400, 10), (193, 0, 206, 10)), ((10, 400), (0, 193, 10, 206))]
)
def test_of_oblong_pictures_the_middle_is_taken(size, box):
    # No part of at least half the area fits; 13 is 10 * 4 / 3, rounded.
    found = boxes_of(ImageNetCropFlip(smallest=0.5), *size, count=20)
    assert set(map(tuple, found.tolist())) == {box}


def test_half_of_the_parts_are_mirrored():
    ramp = np.tile(np.arange(60, dtype=np.uint8)[None, :, None], (40, 1, 3))
    picture = Image.fromarray(ramp)
    for flip, least, most in ((True, 0.45, 0.55), (False, 0, 0)):
        augmentation = ImageNetCropFlip(flip=flip)
        parts = [
            np.asarray(augmentation.cut(picture, (16, 16), stream=stream(number)))
            for number in range(1_000)
        ]
        assert least <= np.mean([part[0, 0, 0] > part[0, -1, 0] for part in parts]) <= most


def test_the_whole_picture_is_only_resized():
    picture = Image.effect_noise((50, 50), 60).convert("RGB")
    found = ImageNetCropFlip(smallest=1.0, stretch=1.0, flip=False).cut(
        picture, (20, 20), stream=stream(3)
    )
    assert found.tobytes() == picture.resize((20, 20), Image.Resampling.BILINEAR).tobytes()


@pytest.mark.parametrize("options", [{"smallest": 0}, {"smallest": 1.1}, {"stretch": 0.5}])
def test_parts_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ImageNetCropFlip(**options)
