from __future__ import annotations

import pytest
import torch
from torch.nn.functional import pad

from radii.errors import DataError
from radii.training import AUGMENTATIONS, CropFlip
from tests.unit.training.toys import training


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
        CropFlip().check((4,))
    with pytest.raises(ValueError, match="padding"):
        CropFlip(-1)


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_examples_keep_the_shape_and_depend_on_the_generator_alone(name):
    for example in AUGMENTATIONS[name].examples:
        augmentation = AUGMENTATIONS.build({"name": name, **example})
        assert AUGMENTATIONS.build(AUGMENTATIONS.spec_of(augmentation)) == augmentation
        augmentation.check((3, 8, 8))
        x = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        before = x.clone()
        first, again, other = (
            augmentation.apply(x, generator=torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(x, before)
        assert first.shape == x.shape
