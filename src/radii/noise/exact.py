"""From a noise to the one that draws it exactly, for inputs on a grid."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from radii.noise.base import NOISES, Noise


def exact_form(noise: Noise) -> Noise:
    """The noise that is drawn as whole numbers, for 8-bit images; itself if it is one already.

    So is noise that is enumerated.

    Raises:
        ValueError: If there is none, or none with these parameters.

    Example:
        >>> from radii.noise import Gaussian
        >>> exact_form(Gaussian(sigma=0.5))
        GridGaussian(sigma=0.5, levels=255)
    """
    if noise.domain is not None or noise.num_outcomes is not None:
        return noise
    name = NOISES.name_of(noise)
    if noise.exact_name is None:
        exact = [each for each in NOISES.names() if NOISES[each].exact_name is not None]
        raise ValueError(f"noise must be one of {', '.join(exact)} to be drawn exactly, got {name}")
    kind: Any = NOISES[noise.exact_name]
    given = [field.name for field in fields(kind) if hasattr(noise, field.name)]
    made: Noise = kind(**{name: getattr(noise, name) for name in given})
    return made
