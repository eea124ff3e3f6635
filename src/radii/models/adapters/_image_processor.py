"""What an image processor of `transformers` does to pixels, from its `preprocessor_config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radii.errors import BaseClassifierError
from radii.models.base import Normalize

_OF_SIZE = {
    *("do_resize", "size", "resample", "do_center_crop", "crop_size", "crop_pct"),
    *("default_to_square", "do_convert_rgb"),
}
_OF_VALUES = {"do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"}
_OF_FORM = {
    *("image_processor_type", "feature_extractor_type", "processor_class", "return_tensors"),
    *("_valid_processor_keys", "data_format", "input_data_format", "device", "disable_grouping"),
}
_KNOWN = _OF_SIZE | _OF_VALUES | _OF_FORM


def normalize_of(processor: Mapping[str, Any], repository: str) -> Normalize:
    """The layer that does to images in [0, 1] what the processor does to their pixels of 0 to 255.

    Raises:
        BaseClassifierError: If the processor does more than scaling, subtracting and dividing.
    """
    more = sorted(key for key, value in processor.items() if value and key not in _KNOWN)
    if more:
        raise BaseClassifierError(
            f"the image processor of {repository!r} must only resize, crop, scale and normalise, "
            f"but it has {', '.join(more)}; write the preprocessing as the first layer of a module "
            f"of your own and refer to it as FILE.py:name"
        )
    scale = 255.0
    if processor.get("do_rescale", True):
        scale *= float(processor.get("rescale_factor", 1 / 255))
    scale = 1.0 if abs(scale - 1) < 1e-6 else scale  # a factor that was rounded when it was saved
    mean, std = [0.0], [1.0]
    if processor.get("do_normalize", True):
        try:
            mean, std = processor["image_mean"], processor["image_std"]
        except KeyError as error:
            raise BaseClassifierError(
                f"preprocessor_config.json of {repository!r} must have {error.args[0]}, with which "
                f"it says that images are normalised"
            ) from None
    return Normalize([value / scale for value in mean], [value / scale for value in std])


def input_shape_of(
    processor: Mapping[str, Any], channels: int, repository: str
) -> tuple[int, int, int]:
    """`(channels, height, width)` of the images that the processor makes.

    Raises:
        BaseClassifierError: If it does not say which size.
    """
    key = "crop_size" if processor.get("do_center_crop") else "size"
    size = processor.get(key)
    if isinstance(size, Mapping):
        size = size.get("shortest_edge", (size.get("height"), size.get("width")))
    height, width = size if isinstance(size, tuple | list) else (size, size)
    if not (isinstance(height, int) and isinstance(width, int)):
        raise BaseClassifierError(
            f"preprocessor_config.json of {repository!r} must say the size of images under "
            f"{key!r}, got {processor.get(key)!r}"
        )
    return channels, height, width
