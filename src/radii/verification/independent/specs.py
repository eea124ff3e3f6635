"""Specs of noises and bounds, read by a few lines of their own."""

from __future__ import annotations

from collections.abc import Mapping


def read(spec: str) -> tuple[str, dict[str, str]]:
    """The name and the parameters of a spec without brackets.

    Raises:
        ValueError: If it is none.

    Example:
        >>> read("splitting:half_width=0.5,deterministic=true")
        ('splitting', {'half_width': '0.5', 'deterministic': 'true'})
    """
    name, colon, rest = spec.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",")] if colon else []
    if not name.isidentifier() or any(not key or not value for key, _, value in pairs):
        raise ValueError(f"a spec must be name:key=value,key=value, got {spec!r}")
    return name, {key: value for key, _, value in pairs}


def given(parameters: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str] | None:
    """The parameters with defaults filled in; None if one is unknown, so that nothing is known."""
    return {**defaults, **parameters} if parameters.keys() <= defaults.keys() else None
