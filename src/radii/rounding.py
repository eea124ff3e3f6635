"""Numbers as text, rounded against the one who shows them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

_DIGITS = 800  # no float has more significant decimal digits


def floored(value: float, decimals: int) -> str:
    """A number that is not above `value`, with that many decimals.

    The float's exact value is floored: no digit is rounded up on the way.

    Example:
        >>> floored(1.2399, 3), floored(0.3, 1), floored(float("inf"), 3)
        ('1.239', '0.2', '∞')
    """
    return _rounded(Decimal(value), decimals, ROUND_FLOOR)


def ceiled(value: float, decimals: int) -> str:
    """A number that is not below `value`, with that many decimals.

    Example:
        >>> ceiled(0.0101, 3), ceiled(0.01, 3)
        ('0.011', '0.011')
    """
    return _rounded(Decimal(value), decimals, ROUND_CEILING)


def significant_ceiled(value: float, digits: int) -> str:
    """A number that is not below `value`, with at most so many significant digits.

    Example:
        >>> significant_ceiled(1.5777e-30, 2), significant_ceiled(0.5, 2)
        ('1.6e-30', '0.5')
    """
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal(Decimal(value))
    return f"{float(rounded):.{digits}g}"


def percent_floored(share: float) -> str:
    """A share in percent, floored to one decimal.

    The float stands for a ratio of counts, so it is read as the shortest decimal that it is the
    nearest float to: 29 of 100 is shown as 29.0, although the float 0.29 is a little less.

    Example:
        >>> percent_floored(29 / 100), percent_floored(2 / 3), percent_floored(1.0)
        ('29.0', '66.6', '100.0')
    """
    return _rounded(Decimal(repr(share)).scaleb(2), 1, ROUND_FLOOR)


def percent_ceiled(share: float) -> str:
    """A share in percent, ceiled to one decimal; see `percent_floored`.

    Example:
        >>> percent_ceiled(29 / 100), percent_ceiled(2 / 3), percent_ceiled(0.0)
        ('29.0', '66.7', '0.0')
    """
    return _rounded(Decimal(repr(share)).scaleb(2), 1, ROUND_CEILING)


def exact(values: Sequence[float]) -> list[str]:
    """Numbers that somebody chose, each as it was chosen; short ones get equally many decimals.

    Example:
        >>> exact([0, 0.25, 1.5]), exact([0.001]), exact([1, 2 / 255])
        (['0.00', '0.25', '1.50'], ['0.001'], ['1', '0.00784313725490196'])
    """
    texts = [format(Decimal(repr(float(value))).normalize(), "f") for value in values]
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [f"{value:.{decimals}f}" for value in values] if decimals <= 4 else texts


def complement(alpha: float) -> str:
    """`1 - alpha` as a decimal number, without the rounding of a float's subtraction.

    Example:
        >>> complement(0.001), complement(0.05)
        ('0.999', '0.95')
    """
    return format((1 - Decimal(repr(alpha))).normalize(), "f")


def _rounded(value: Decimal, decimals: int, direction: str) -> str:
    if value.is_infinite():
        return "∞"
    step = Decimal(1).scaleb(-decimals)
    return f"{value.quantize(step, direction, Context(prec=_DIGITS)):f}"
