"""Writes photographs that scikit-image ships as a data set: `python pictures.py FOLDER`.

The folder is laid out as ImageNet's validation set: a subfolder for each class, whose sorted order
is the order of the classes. Most of them stay empty. Each photograph gives two images of 224 x 224:
its largest square in the middle, and three quarters of that.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import skimage.data
from net import class_names
from PIL import Image

SIDE = 224

# Name in scikit-image, and what is to be seen: the end of the name of a class.
PHOTOGRAPHS = {
    "camera": "tripod",
    "chelsea": "cat",
    "coffee": "cup of coffee",
    "stereo_motorcycle": "motor vehicle on two wheels",
}


def photograph(name: str) -> Image.Image:
    """A photograph of scikit-image in colour; of a stereo pair, the left one."""
    found = getattr(skimage.data, name)()
    pixels = found[0] if isinstance(found, tuple) else found
    return Image.fromarray(np.asarray(pixels, dtype=np.uint8)).convert("RGB")


def crop(image: Image.Image, share: float) -> Image.Image:
    """The square in the middle that has this share of the shorter side, in the size of the net."""
    width, height = image.size
    side = round(share * min(width, height))
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)


def main(folder: Path) -> None:
    """Writes the images, and says what was written."""
    names = class_names()
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, seen in PHOTOGRAPHS.items():
        (of,) = [each for each in names if each.split(" ", 1)[1] == seen]
        image = photograph(name)
        for share, suffix in ((1.0, "whole"), (0.75, "closer")):
            crop(image, share).save(folder / of / f"{name}_{suffix}.png")
    print(f"{2 * len(PHOTOGRAPHS)} images of {len(names)} classes in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "photographs"))
