"""What audits found, as sentences, cells and JSON."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from radii.evaluation.audit import Audit, Contradiction
from radii.evaluation.report.summary import class_name
from radii.rounding import ceiled, floored

if TYPE_CHECKING:
    from radii.evaluation.report.attacks import Pair
    from radii.evaluation.report.report import Report

_MOST = 12  # indices in a sentence
HEADINGS = (
    *("Certified run", "Attack run", "Norm", "Inputs in both", "Perturbations inside the radius"),
    *("Contradictions", "Allowed by alpha, at most", "p-value"),
)


def sentences(report: Report) -> list[tuple[bool, str]]:
    """For each audit whether it is an alarm, and what it found; alarms first."""
    found = [
        (pair.audit.alarm, _sentence(report, pair, pair.audit))
        for pair in report.pairs
        if pair.audit is not None
    ]
    return sorted(found, key=lambda each: not each[0])


def table(report: Report) -> list[list[str]]:
    """A row an audit, below one that says what is in the columns."""
    rows = [[*HEADINGS]]
    for pair in report.pairs:
        if pair.audit is not None:
            rows.append([*_names(report, pair), *_cells(pair.audit)])
    return rows


def plain(report: Report) -> list[dict[str, object]]:
    """The pairs as JSON has them; what was not audited says why under `refused`."""
    listed = []
    for pair in report.pairs:
        run, attack_run = _names(report, pair)
        made: dict[str, object] = {"run": run, "attack_run": attack_run, "refused": pair.refused}
        if pair.audit is not None:
            made |= {
                "norm": pair.audit.norm,
                "inputs": pair.audit.inputs,
                "inside": pair.audit.inside,
                "allowed": pair.audit.allowed,
                "p_value": pair.audit.p_value,
                "alarm": pair.audit.alarm,
                "contradictions": [_plain(each) for each in pair.audit.contradictions],
            }
        listed.append(made)
    return listed


def contradictions(report: Report, pair: Pair) -> list[list[str]]:
    """A row a contradiction: input, class certified, radius, class answered, norm."""
    if pair.audit is None:
        return []
    named = partial(class_name, report.attacks[pair.attacked].meta.get("class_names") or ())
    return [
        [str(c.index), named(c.certified), floored(c.radius, 4), named(c.answer), ceiled(c.norm, 4)]
        for c in pair.audit.contradictions
    ]


def p_text(value: float) -> str:
    """A p-value, rounded down: an alarm never reads like none.

    Example:
        >>> p_text(0.04999), p_text(1.0), p_text(3.21e-9)
        ('0.0499', '1', '3.2e-09')
    """
    if value >= 1:
        return "1"
    return floored(value, 4) if value >= 0.001 else f"{value:.1e}"


def _sentence(report: Report, pair: Pair, audit: Audit) -> str:
    run, attack_run = _names(report, pair)
    k, chance = len(audit.contradictions), ceiled(audit.allowed, 2)
    about = f"{run} against {attack_run}"
    count = {0: "none has", 1: "1 has"}.get(k, f"{k:,} have")
    what = (
        f"of the {audit.inputs:,} inputs in both runs, {count} an answer inside the certified "
        f"radius that is not the certified class"
    )
    if not audit.alarm:
        are = "is" if audit.inside == 1 else "are"
        close = f"{audit.inside:,} of the perturbations found {are} shorter than it"
        if k:
            close = f"alpha allows for up to {chance}, so this is no more than chance explains"
        return f"{about}: {what}; {close} (p = {p_text(audit.p_value)})."
    listed = ", ".join(str(each.index) for each in audit.contradictions[:_MOST])
    more = f" and {k - _MOST:,} more" if k > _MOST else ""
    return (
        f"ALARM: {about}: {what}, where alpha allows for up to {chance} "
        f"(p = {p_text(audit.p_value)}). This is more than chance explains: the certificates, or "
        f"what these runs say of themselves, are wrong. Inputs {listed}{more}."
    )


def _names(report: Report, pair: Pair) -> tuple[str, str]:
    return report.summaries[pair.certified].run, report.attacks[pair.attacked].run


def _cells(audit: Audit) -> list[str]:
    return [
        audit.norm,
        f"{audit.inputs:,}",
        f"{audit.inside:,}",
        f"{len(audit.contradictions):,}",
        ceiled(audit.allowed, 2),
        p_text(audit.p_value),
    ]


def _plain(each: Contradiction) -> dict[str, object]:
    return {
        "index": each.index,
        "certified": each.certified,
        "radius": each.radius if math.isfinite(each.radius) else None,
        "answer": each.answer,
        "norm": each.norm,
    }
