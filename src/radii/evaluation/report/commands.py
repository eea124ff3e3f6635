"""The command that makes a run again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radii.noise import rng_of

_CERTIFY = (
    *("base", "data", "noise", "norm", "n0", "n", "alpha", "bound", "stop", "certificate"),
    *("subset", "seed", "rng", "block", "device", "precision", "compile", "vote"),
)
_OF_DRAWN_NOISE = ("n0", "n", "alpha", "bound", "seed", "rng")
_ATTACK = (
    *("base", "data", "noise", "attack", "n", "alpha", "draws", "estimator", "subset", "seed"),
    *("rng", "device", "precision"),
)
_IMPORT = ("noise", "n0", "n", "alpha", "norm", "certificate")
_ESTIMATORS = ("plug_in", "expectation", "logits", "margin", "base")
_NONE_AT = {"n0": 0, "rng": "auto"}


def command_of(run: str, meta: Mapping[str, Any]) -> str | None:
    """The command line that gives the same rows, with every option said that matters.

    None where the ledger does not say enough, as one made by other means.

    Args:
        run: The path of the run.
        meta: Its spec.

    Example:
        >>> spec = {"imported": {"file": "log 1"}, "noise": "gaussian:sigma=1", "n": 1000}
        >>> command_of("run.sqlite", spec)
        "radii import 'log 1' --noise gaussian:sigma=1 --n 1000 --out run.sqlite"
    """
    meta = {**meta, **meta.get("reread_of", {})}
    name = Path(meta.get("run", run)).name
    if "imported" in meta:
        file = shlex.quote(str(meta["imported"].get("file", "LOG")))
        return _joined(f"radii import {file}", meta, _IMPORT, [], name)
    if "base" not in meta or "data" not in meta:
        return None
    meta = {**meta, "rng": rng_of(str(meta.get("generator")))}
    if "attack" not in meta:
        enumerated = meta.get("bound") == "exact"
        options = [key for key in _CERTIFY if not (enumerated and key in _OF_DRAWN_NOISE)]
        return _joined("radii certify", meta, options, [], name)
    if meta.get("estimator") not in _ESTIMATORS:  # an attack that has its own way
        meta = {**meta, "estimator": None}
    more = ["--fresh"] if meta.get("fresh") else []
    more += ["--batch-inputs", str(meta["batch"])] if "batch" in meta else []
    more += ["--no-keep"] if meta.get("keep") is False else []
    return _joined("radii attack", meta, _ATTACK, more, name)


def _joined(
    command: str, meta: Mapping[str, Any], options: Sequence[str], more: list[str], out: str
) -> str:
    said: list[str] = []
    for key in options:
        value = meta.get(key)
        if value is not None and value != _NONE_AT.get(key, ()):
            said += [f"--{key}", str(value)]
    return f"{command} {shlex.join([*said, *more, '--out', out])}"
