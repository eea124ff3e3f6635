"""How a norm is written for readers."""

from __future__ import annotations

_SUBSCRIPTS = {
    "0": "\N{SUBSCRIPT ZERO}",
    "1": "\N{SUBSCRIPT ONE}",
    "2": "\N{SUBSCRIPT TWO}",
    "inf": "\N{INFINITY}",
}


def symbol(norm: str) -> str:
    """The norm as people write it.

    Example:
        >>> symbol("l2") == "\N{SCRIPT SMALL L}\N{SUBSCRIPT TWO}"
        True
    """
    return "\N{SCRIPT SMALL L}" + _SUBSCRIPTS[norm.removeprefix("l")]
