"""Parameters of laws: plain numbers, and scales that float32 can draw with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_LEAST, _MOST = 1e-30, 1e30  # so that what is drawn is neither 0 nor infinite in float32


def set_number(noise: Any, name: str) -> float:
    """Makes a Python float of a parameter.

    Otherwise the spec of `np.float16(0.1)` would be that of 0.1, which is another number.

    Args:
        noise: A frozen dataclass.
        name: Of the field.

    Raises:
        ValueError: If the field is no number.
    """
    given = getattr(noise, name)
    if isinstance(given, bool) or not isinstance(given, int | float | np.integer | np.floating):
        raise ValueError(f"{name} must be a number, got {given!r}")
    value = float(given)
    object.__setattr__(noise, name, value)
    return value


def set_scale(noise: Any, name: str, least: float = _LEAST, most: float = _MOST) -> None:
    """`set_number` of a scale, and no scale that float32 cannot draw with.

    Args:
        noise: A frozen dataclass.
        name: Of the field.
        least: The smallest that may be.
        most: The largest that may be.

    Raises:
        ValueError: If the field is no number between these.
    """
    value = set_number(noise, name)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    if not least <= value <= most:
        raise ValueError(
            f"{name} must be from {least:g} to {most:g}, which float32 can draw with, got {value!r}"
        )


def float32_above(value: float) -> float:
    """The smallest float32 number that is at least `value`.

    float32 holds few scales. Noise that is wider than its name says, by a share of up to 2^-23,
    certifies a larger radius than is claimed of it; narrower noise would certify a smaller one.
    """
    nearest = np.float32(value)
    # As Python numbers: NumPy would round the other to float32 before it compares.
    return float(nearest if float(nearest) >= value else np.nextafter(nearest, np.float32(np.inf)))
