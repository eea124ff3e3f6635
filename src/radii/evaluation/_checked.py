"""What may stand in the spec and in the rows of a run, whoever wrote its file.

Readers believe the types and the ranges that are checked here; whether the numbers are true is
another question, for `radii verify`. Sizes are bounded so that a small file cannot make a reader
ask for much memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from radii.data import Subset

MOST_CLASSES = 10**6
MOST_INPUTS = 10**8
_WHOLE = 2**53  # what a float64 holds exactly
_SHOWN = 60  # characters of a value in a message
Rule = tuple[Callable[[Any], bool], str]


def _whole(least: int, most: int) -> Rule:
    said = f"a whole number in [{least:,}, {most:,}]"
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and least <= v <= most, said


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _or_null(rule: Rule) -> Rule:
    fits, said = rule
    return lambda v: v is None or fits(v), f"{said} or null"


def _object(**keys: Rule) -> Rule:
    """A JSON object with these keys."""
    needed = f" with {', '.join(keys)}" if keys else ""

    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(
            key in value and rule[0](value[key]) for key, rule in keys.items()
        )

    return fits, f"an object{needed}"


def _one_of(*texts: str) -> Rule:
    return lambda v: isinstance(v, str) and v in texts, f"one of {', '.join(texts)}"


def _subset(value: Any) -> bool:
    try:
        Subset.parse(value)
    except (TypeError, ValueError):
        return False
    return True


def _import(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("file", ""), str) and type(value.get("fit_no_count", 0)) is int


def _sizes(value: Any) -> bool:
    whole = _whole(1, _WHOLE)[0]
    return isinstance(value, list) and all(map(whole, value)) and math.prod(value) <= _WHOLE


_TEXT: Rule = (lambda v: isinstance(v, str), "a text")
_TRUTH: Rule = (lambda v: isinstance(v, bool), "true or false")
_ALPHA: Rule = (lambda v: _number(v) and 0 <= v < 1, "a number in [0, 1)")
_NORM = _one_of("l0", "l1", "l2", "linf")
_NAMES: Rule = (
    lambda v: isinstance(v, list) and len(v) <= MOST_CLASSES and all(isinstance(t, str) for t in v),
    "a list of texts",
)
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("noise", "bound", "stop", "certificate", "attack"), _TEXT),
    **dict.fromkeys(
        (
            *("base", "base_sha256", "data", "data_fingerprint", "device", "device_name"),
            *("generator", "precision", "compile", "created", "git_revision", "domain"),
            *("estimator", "rng"),
        ),
        _or_null(_TEXT),
    ),
    **dict.fromkeys(("fresh", "keep", "minimal"), _TRUTH),
    "norm": _NORM,
    "vote": _one_of("hard", "soft"),
    "alpha": _ALPHA,
    "n": _whole(1, _WHOLE),
    "n0": _or_null(_whole(0, _WHOLE)),
    "block": _whole(1, _WHOLE),
    "draws": _or_null(_whole(0, _WHOLE)),
    "batch": _or_null(_whole(1, _WHOLE)),
    "seed": _or_null(_whole(0, 2**256 - 1)),
    "num_classes": _whole(1, MOST_CLASSES),
    "data_examples": _whole(0, MOST_INPUTS),
    "subset": (_subset, "a subset, as all or first:N"),
    "input_shape": _or_null((_sizes, "a list of sizes")),
    "class_names": _or_null(_NAMES),
    "versions": _object(),
    "base_training": _object(objective=(lambda v: isinstance(v, (str, dict)), "a spec")),
    "imported": (_import, "an object with where the run came from"),
    "reread_of": _object(
        run=_TEXT, alpha=_ALPHA, bound=_TEXT, certificate=_TEXT, norm=_NORM, claim=_TEXT
    ),
}


def check_spec(meta: Mapping[str, Any]) -> None:
    """Refuses a spec with values of another type or size than readers expect.

    Raises:
        ValueError: It says which.
    """
    for key, value in meta.items():
        if key not in _RULES:
            continue
        fits, said = _RULES[key]
        if not fits(value):
            raise ValueError(f"{key} in its spec must be {said}, got {_short(value)}")
    if "base_training" in meta:  # such runs are put into groups by these
        told = meta["imported"] if "imported" in meta else meta
        wanted = ("layout", "sha256") if "imported" in meta else ("base_sha256",)
        missing = [key for key in wanted if not isinstance(told.get(key), str)]
        if missing:
            raise ValueError(f"its spec must have {', '.join(missing)} beside base_training")


def check_row(names: Sequence[str], values: Sequence[Any]) -> None:
    """Refuses numbers of a row that are none, or are out of range.

    Args:
        names: Of the columns; those that hold no number are passed over.
        values: What stands under them; the last of them may be missing.

    Raises:
        ValueError: It says which.
    """
    for name, value in zip(names, values, strict=False):
        if name in _CELLS:
            fits, said = _CELLS[name]
            if not fits(value):
                raise ValueError(f"{name} must be {said}, got {_short(value)}")


def votes_of(text: str) -> dict[int, Any]:
    """The JSON object in a cell of votes: from class to votes, or to a pair of sums.

    Raises:
        ValueError: If it is something else.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"votes must be a JSON object, got {_short(found)}")
    votes = {}
    for key, value in found.items():
        label = int(key) if key.isascii() and key.isdigit() and len(key) < 8 else MOST_CLASSES
        pair = value if isinstance(value, list) and len(value) == 2 else [value]
        if label >= MOST_CLASSES or not all(_number(v) and 0 <= v <= _WHOLE for v in pair):
            raise ValueError(
                f"votes must be from classes below {MOST_CLASSES:,} to numbers of at least 0, got "
                f"{_short(value)} for {_short(key)}"
            )
        votes[label] = value
    return votes


def pair_of(name: str, text: str | None, least: int = 0) -> tuple[int, int] | None:
    """The JSON pair of whole numbers in a cell, or None where there is none.

    Raises:
        ValueError: If it is something else.
    """
    if not text:
        return None
    found = json.loads(text)
    whole = _whole(least, _WHOLE)[0]
    if not (isinstance(found, list) and len(found) == 2 and all(map(whole, found))):
        raise ValueError(f"{name} must be a pair of whole numbers, got {_short(found)}")
    return found[0], found[1]


def _short(value: object) -> str:
    text = "a long number" if isinstance(value, int) and abs(value) > 10**60 else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_LABEL = _whole(0, MOST_CLASSES - 1)
_LENGTH: Rule = (lambda v: _number(v) and v >= 0, "at least 0")
_FINITE: Rule = (lambda v: _number(v) and 0 <= v <= 1e300, "a finite number of at least 0")
_SHARE: Rule = (lambda v: _number(v) and 0 <= v <= 1, "a number in [0, 1]")
_CELLS: Mapping[str, Rule] = {
    "index": _whole(0, 2**63 - 1),
    "label": _LABEL,
    "prediction": _or_null(_LABEL),
    "clean": _or_null(_LABEL),
    "radius": _LENGTH,
    **dict.fromkeys(("l1", "l2", "linf"), _LENGTH),
    **dict.fromkeys(("pA_lower", "pB_upper"), _SHARE),
    **dict.fromkeys(("samples", "queries"), _whole(0, _WHOLE)),
    "seconds": _FINITE,
}
