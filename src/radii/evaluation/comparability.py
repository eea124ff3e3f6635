"""Why two runs may differ for other reasons than their classifiers, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from radii.data import Subset

_FEW = 30  # inputs, below which the normal law is a guess

_DIFFERENCES = {
    "norm": "radii in different norms are different claims and cannot be compared",
    "n": "more draws give the same classifier larger radii",
    "n0": "the draws that select the class are not as many",
    "alpha": "a larger alpha gives the same votes larger radii",
    "bound": "a tighter bound gives the same votes larger radii",
    "certificate": "a tighter certificate gives the same votes larger radii",
    "stop": "a rule that stops early decides less than all n draws would",
    "vote": "one counts labels and the other adds up scores: these are different classifiers",
    "precision": "these are different classifiers",
    "domain": "the radii are about different points of the ball",
}
_DEFAULTS = {"stop": "never", "vote": "hard", "domain": None}
_OF_CLAIMS = ("n", "n0", "alpha", "bound", "certificate", "stop")  # which move a radius alone


@dataclass(frozen=True)
class Overlap:
    """How the inputs of two runs fit together.

    Attributes:
        a: Inputs of the first.
        b: Inputs of the second.
        shared: Inputs in both, by index.
        other_labels: Shared ones whose label is not the same in both.
    """

    a: int
    b: int
    shared: int
    other_labels: int


def warnings(
    names: tuple[str, str], metas: tuple[Mapping[str, Any], Mapping[str, Any]], overlap: Overlap
) -> list[str]:
    """What a reader must know before believing the comparison, the gravest first."""
    return [
        *_of_data(metas, overlap),
        *_between(metas),
        *_of_one(names[0], metas[0], overlap.a),
        *_of_one(names[1], metas[1], overlap.b),
        *(
            [f"{overlap.shared:,} inputs are few: only McNemar's test is exact."]
            if overlap.shared < _FEW
            else []
        ),
    ]


def alike(metas: tuple[Mapping[str, Any], Mapping[str, Any]]) -> bool:
    """Whether the runs say the same of everything but the classifier, its noise and the seed."""
    return not _differing(metas)


def is_part(meta: Mapping[str, Any], examples: int) -> bool:
    """Whether so many inputs of a run are a fixed or unfinished part of its data set.

    Nothing follows from it about the others. False where the run does not say which they are.
    """
    return _is_window(meta) or examples < _expected(meta)


def _is_window(meta: Mapping[str, Any]) -> bool:
    if not _says_which(meta):
        return False
    return Subset.parse(meta["subset"]).describes(meta["data_examples"]) == "window"


def _expected(meta: Mapping[str, Any]) -> int:
    """Inputs of the finished run; 0 where it does not say."""
    if not _says_which(meta):
        return 0
    return len(Subset.parse(meta["subset"]).indices(meta["data_examples"]))


def _says_which(meta: Mapping[str, Any]) -> bool:
    return "subset" in meta and "data_examples" in meta


def _of_data(metas: tuple[Mapping[str, Any], Mapping[str, Any]], overlap: Overlap) -> list[str]:
    said = []
    fingerprints = [meta.get("data_fingerprint") for meta in metas]
    if None not in fingerprints and fingerprints[0] != fingerprints[1]:
        said.append(
            "The runs are about different data: their fingerprints differ, so that inputs of one "
            "index need not be the same input. The paired tests, the standard error of the ACR and "
            "McNemar's, then mean nothing."
        )
    if overlap.other_labels:
        said.append(
            f"{overlap.other_labels:,} of {overlap.shared:,} inputs have another label in one run "
            f"than in the other: inputs of one index are not the same input, and the paired tests "
            f"mean nothing."
        )
    if overlap.shared < max(overlap.a, overlap.b):
        said.append(
            f"The runs are not about the same inputs: {overlap.shared:,} are in both, of "
            f"{overlap.a:,} and {overlap.b:,}. Only these are compared, in every number here."
        )
    return said


def _between(metas: tuple[Mapping[str, Any], Mapping[str, Any]]) -> list[str]:
    said = []
    noises = [str(meta["noise"]) for meta in metas]
    if noises[0] != noises[1]:
        kinds = {noise.partition(":")[0] for noise in noises}
        what = "in the size of their noise" if len(kinds) == 1 else "in their noise"
        said.append(
            f"The runs differ {what} ({noises[0]} and {noises[1]}): more noise gives up accuracy "
            f"at small radii for larger ones, so that neither is better at all radii."
        )
    for key in _differing(metas):
        a, b = (_text(_value(meta, key)) for meta in metas)
        said.append(difference(key, f"{a} and {b}"))
    return said


def difference(key: str, values: str) -> str:
    """The sentence that says what runs do not share, and what follows.

    Args:
        key: Of the spec: norm, n, n0, alpha, bound, certificate, stop, vote, precision or domain.
        values: Those of the runs, as text.
    """
    sentence = f"The runs differ in {key} ({values}): {_DIFFERENCES[key]}"
    if key in _OF_CLAIMS:
        sentence += f", so that a difference between them may be one of {key} alone"
    return f"{sentence}."


def _of_one(name: str, meta: Mapping[str, Any], examples: int) -> list[str]:
    said = []
    if examples < _expected(meta):
        said.append(
            f"{name} holds {examples:,} of {_expected(meta):,} inputs: it was not finished, and "
            f"inputs are certified in the order of the data set, not in a random one."
        )
    if _is_window(meta):
        said.append(
            f"{name} covers {meta['subset']}, a fixed part of the {meta['data_examples']:,} inputs "
            f"of its data set: nothing follows from it about the others."
        )
    if _value(meta, "stop") != "never":
        said.append(
            f"{name} stopped early ({meta['stop']}): its ACR is a lower bound of the one at "
            f"n={meta['n']:,}, and so is its certified accuracy at radii that it did not decide."
        )
    if meta.get("imported"):
        said.append(
            f"{name} was imported: its radii are as they were printed, rounded, and what was not "
            f"printed is as the importer was told."
        )
    if meta.get("reread_of", {}).get("claim") == "another":
        said.append(
            f"{name} was read again with another alpha or bound than it was certified with: it "
            f"holds only if these were chosen before anybody saw the votes."
        )
    return said


def _differing(metas: tuple[Mapping[str, Any], Mapping[str, Any]]) -> list[str]:
    """What the runs say differently; what one of them does not say is not counted."""
    said = [key for key in _DIFFERENCES if all(key in {**_DEFAULTS, **meta} for meta in metas)]
    return [key for key in said if _value(metas[0], key) != _value(metas[1], key)]


def _value(meta: Mapping[str, Any], key: str) -> object:
    return meta.get(key, _DEFAULTS.get(key))


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
