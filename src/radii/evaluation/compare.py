"""Two runs on the same inputs, side by side: differences, and whether chance explains them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from radii.errors import LedgerError
from radii.evaluation import comparability
from radii.evaluation.comparability import Overlap
from radii.evaluation.export import Recorded
from radii.evaluation.metrics import Outcomes, radius_grid
from radii.evaluation.readings import name_of
from radii.evaluation.significance import McNemar, PairedDifference, TwoProportion, holm
from radii.records import IntArray
from radii.rounding import ceiled, exact, floored

_NEEDED = ("noise", "norm", "n", "alpha")
_LEVEL = 0.05


@dataclass(frozen=True)
class AtRadius:
    """Certified accuracy of two runs at one radius, on the inputs that they share.

    Attributes:
        radius: In input units.
        a: Share of the first.
        b: Share of the second.
        two_proportion: The unpaired test.
        mcnemar: The paired test.
    """

    radius: float
    a: float
    b: float
    two_proportion: TwoProportion
    mcnemar: McNemar


@dataclass(frozen=True)
class Comparison:
    """What two runs show on the inputs that they share. Differences are of b, less a.

    Attributes:
        a: Name of the first run.
        b: Name of the second.
        examples: Inputs in both.
        acr: The paired difference of average certified radius.
        certified_accuracy: A test of each kind for each radius, by radius.
        warnings: What a reader must know before believing it, in plain sentences.
        same_inputs: Whether data and labels agree where both say what they are, so that paired
            tests mean something.
        only_classifiers: Whether the runs say the same of everything but classifier and noise.
        some_inputs: Whether the inputs are a fixed or unfinished part of the data set.
    """

    a: str
    b: str
    examples: int
    acr: PairedDifference
    certified_accuracy: tuple[AtRadius, ...]
    warnings: tuple[str, ...]
    same_inputs: bool
    only_classifiers: bool
    some_inputs: bool

    @property
    def conclusion(self) -> str:
        """What can and what cannot be concluded, in one plain sentence; A is `a`, B is `b`."""
        if not self.same_inputs:
            return (
                "Nothing can be concluded from the paired tests, for the inputs of the two runs "
                "are not the same ones."
            )
        about = "the classifiers of these two runs"
        if not self.only_classifiers:
            about += " and all else in which they differ"
        if self.some_inputs:
            about += ", on these inputs and no others"
        return (
            f"On {self.examples:,} inputs {self._of_acr()}, and {self._of_accuracy()}; this is "
            f"about {about}, and says nothing of the methods behind them, "
            f"which takes several trainings of each."
        )

    def plain(self) -> dict[str, Any]:
        """The content of the JSON; what is infinite or has no value is None."""
        acr = {key: _finite(value) for key, value in asdict(self.acr).items()}
        return {
            "a": self.a,
            "b": self.b,
            "examples": self.examples,
            "acr": acr,
            "certified_accuracy": [asdict(each) for each in self.certified_accuracy],
            "correction": "holm",
            "conclusion": self.conclusion,
            "warnings": list(self.warnings),
        }

    def _of_acr(self) -> str:
        acr = self.acr
        if acr.difference is None or math.isinf(acr.difference):
            return "an ACR is infinite, so that the two are not compared"
        if acr.p_value is None:
            return "the difference in ACR has no standard error to judge it by"
        if acr.difference == 0 == acr.se:
            return "the two have the same radius everywhere"
        if acr.p_value > _LEVEL:
            return f"chance in the choice of inputs may explain the difference in ACR ({self._p})"
        size = floored(abs(acr.difference), 4)
        more = "larger" if acr.difference > 0 else "smaller"
        return (
            f"the ACR of B is {more} than that of A by {size}, which chance in the choice of "
            f"inputs hardly explains ({self._p})"
        )

    @property
    def _p(self) -> str:
        assert self.acr.p_value is not None
        text = p_text(self.acr.p_value)
        return f"p {text}" if text.startswith("below") else f"p = {text}"

    def _of_accuracy(self) -> str:
        radii = exact([each.radius for each in self.certified_accuracy])
        differ = [
            (radius, each.b > each.a)
            for radius, each in zip(radii, self.certified_accuracy, strict=True)
            if each.mcnemar.p_holm <= _LEVEL
        ]
        if not differ:
            return (
                "at none of the radii is either certified accuracy larger by more than chance "
                "explains (McNemar's test, corrected by Holm's method)"
            )
        parts = []
        for name, better in (("A", False), ("B", True)):
            at = [radius for radius, which in differ if which == better]
            if at:
                parts.append(f"{name} certifies more inputs at {_listed(at)}")
        return f"{' and '.join(parts)} (McNemar's test, corrected by Holm's method)"


def compare(run_a: Recorded, run_b: Recorded, radii: Sequence[float] | None = None) -> Comparison:
    """Two runs, joined by the index of their inputs; all numbers are of the inputs in both.

    The tests are about the choice of inputs: would the difference be there on other inputs of the
    same kind? They are not about the training, of which a run has one.

    Args:
        run_a: A ledger or export; where one is the baseline, this.
        run_b: Another.
        radii: Where certified accuracy is compared, finite and at least 0. By default 0, 0.25 and
            so on; see `radius_grid`.

    Raises:
        LedgerError: If a run is none of a certification, or the two have no input in common.
        ValueError: If a radius is none.
    """
    runs = (run_a, run_b)
    names = name_of(run_a.path, run_a.meta), name_of(run_b.path, run_b.meta)
    metas = run_a.meta, run_b.meta
    (index_a, all_a), (index_b, all_b) = (_outcomes(run) for run in runs)
    shared, at_a, at_b = np.intersect1d(index_a, index_b, return_indices=True)
    if not len(shared):
        raise LedgerError(
            f"{names[0]!r} and {names[1]!r} have no input in common; "
            f"compare runs of the same inputs."
        )
    a, b = all_a.where(at_a.astype(np.int64)), all_b.where(at_b.astype(np.int64))
    other = int(np.count_nonzero(a.label != b.label))
    overlap = Overlap(len(index_a), len(index_b), len(shared), other)
    chosen = radius_grid([a, b]) if radii is None else tuple(sorted({float(r) for r in radii}))
    for radius in chosen:
        if not (radius >= 0 and math.isfinite(radius)):
            raise ValueError(f"radii must be finite numbers of at least 0, got {radius!r}")
    prints = {meta["data_fingerprint"] for meta in metas if meta.get("data_fingerprint")}
    return Comparison(
        a=names[0],
        b=names[1],
        examples=len(shared),
        acr=PairedDifference.of(a.correct_radius, b.correct_radius),
        certified_accuracy=_at_radii(a, b, chosen),
        warnings=tuple(comparability.warnings(names, metas, overlap)),
        same_inputs=not other and len(prints) < 2,
        only_classifiers=comparability.alike(metas),
        some_inputs=any(
            comparability.is_part(meta, count)
            for meta, count in zip(metas, (overlap.a, overlap.b), strict=True)
        ),
    )


def p_text(p_value: float) -> str:
    """A p-value for people, rounded up."""
    return "below 0.0001" if p_value < 0.0001 else ceiled(p_value, 4)


def _at_radii(a: Outcomes, b: Outcomes, radii: Sequence[float]) -> tuple[AtRadius, ...]:
    hits = [(a.correct & (a.radius >= r), b.correct & (b.radius >= r)) for r in radii]
    counts = [(int(one.sum()), int(two.sum())) for one, two in hits]
    unpaired = [TwoProportion.test(one, two, len(a)) for one, two in counts]
    paired = [McNemar.test(*each) for each in hits]
    holm_unpaired = holm([p for _, p in unpaired])
    holm_paired = holm([p for _, _, p in paired])
    return tuple(
        AtRadius(
            radius=radius,
            a=counts[i][0] / len(a),
            b=counts[i][1] / len(a),
            two_proportion=TwoProportion(*unpaired[i], holm_unpaired[i]),
            mcnemar=McNemar(*paired[i], holm_paired[i]),
        )
        for i, radius in enumerate(radii)
    )


def _outcomes(run: Recorded) -> tuple[IntArray, Outcomes]:
    """`(inputs,)` indices, and what became of these inputs."""
    missing = [key for key in _NEEDED if key not in run.meta]
    if missing:
        raise LedgerError(
            f"a comparison needs runs of `radii certify`, but the spec in {str(run.path)!r} has no "
            f"{', '.join(missing)}; choose another file."
        )
    rows = list(run.rows(votes=False))
    return np.array([row.index for row in rows], dtype=np.int64), Outcomes.of(rows)


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _listed(texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return f"radius {texts[0]}"
    return f"radii {', '.join(texts[:-1])} and {texts[-1]}"
