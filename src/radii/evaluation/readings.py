"""What is said of a run that was read again, as far as its spec tells; `rereading.py` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

READ = ("alpha", "bound", "certificate", "norm")


def changes_of(meta: Mapping[str, Any]) -> list[str]:
    """Which of alpha, bound, certificate and norm are not those of the run; none if not reread."""
    before = meta.get("reread_of")
    return [] if before is None else [key for key in READ if meta[key] != before[key]]


def name_of(path: object, meta: Mapping[str, Any]) -> str:
    """The name of a run: its path, and what it was read again with if it was."""
    changes = ", ".join(f"{key}={meta[key]}" for key in changes_of(meta))
    return f"{path} (read with {changes})" if changes else str(path)


def remark_of(meta: Mapping[str, Any]) -> str:
    """What a label says of a run: nothing, if it was not read again."""
    if not changes_of(meta):
        return ""
    return "read again" if meta["reread_of"]["claim"] == "same" else "read again, another claim"


def sentences(metas: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a reader must know of runs that were read again; runs read alike share a sentence.

    Args:
        metas: Their specs; runs that were not read again are left out.
    """
    found = []
    runs: dict[tuple[str, str], list[str]] = {}
    for meta in metas:
        changes = changes_of(meta)
        if changes:
            before = meta["reread_of"]
            listed = [f"{key}={meta[key]} in place of {before[key]}" for key in changes]
            runs.setdefault((", ".join(listed), before["claim"]), []).append(before["run"])
    changed: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (what, claim), names in runs.items():
        changed.setdefault((tuple(names), claim), []).append(what)
    for (paths, claim), whats in changed.items():
        verb, run = ("was", "run") if len(paths) == 1 else ("were", "runs")
        said = f"{', '.join(paths)} {verb} read again, with {'; with '.join(whats)}."
        one = len(whats) == 1
        if claim == "same":
            together = "both" if one else "all"
            said += f" The bounds are those of the {run}, so that {together} hold together."
        elif one:
            said += (
                f" This is another claim than that of the {run}: it holds only if it was chosen "
                f"before anybody saw the votes, and the two do not hold together."
            )
        else:
            said += (
                f" These are other claims than that of the {run}: one of them holds only if it was "
                f"chosen before anybody saw the votes, and they do not hold together."
            )
        found.append(said)
    return found
