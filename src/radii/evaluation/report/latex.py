"""A report as tables for LaTeX, with the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

from radii.evaluation.metrics import Share
from radii.evaluation.report import attack_text, audit_text, group_text
from radii.evaluation.report.report import Report
from radii.evaluation.report.summary import Summary
from radii.rounding import ceiled, exact, floored, percent_ceiled, percent_floored


def as_latex(report: Report) -> str:
    """A `tabular` for the package booktabs, a run a line; radii and accuracies are floored.

    Under each accuracy stands its 95 % interval. Below a rule of their own stand groups, a mean
    with its standard deviation as a subscript. The best of each column is bold, among runs that can
    be compared: of one norm, n, alpha, stopping rule and kind of votes, on the same inputs. Attack
    runs are in a second `tabular`. The caveats and what audits found are comments above the tables.
    """
    said = [sentence for _, sentence in audit_text.sentences(report)]
    lines = [f"% {' '.join(each.split())}" for each in [*said, *report.caveats]]
    return "\n".join([*lines, *_runs(report), *_attacks(report)]) + "\n"


def _runs(report: Report) -> list[str]:
    if not report.summaries:
        return []
    lines = [
        "% Certified accuracy in percent with its 95 % interval, and ACR with its standard error;",
        "% bold: the best of runs that can be compared. Needs \\usepackage{booktabs}.",
        *_head(report, "Run", "ACR", "Certified accuracy"),
    ]
    runs = report.summaries
    shown = [
        [
            floored(run.acr, 3),
            *(percent_floored(share.value) for _, share in run.certified_accuracy),
        ]
        for run in runs
    ]
    best = best_of(shown, [_claim(run) for run in runs])
    for label, run, cells, bold in zip(report.names, runs, shown, best, strict=True):
        error = "" if run.acr_se is None else rf"$\pm$ {ceiled(run.acr_se, 3)}"
        marked = [rf"\textbf{{{c}}}" if b else c for c, b in zip(cells, bold, strict=True)]
        below = [error, *(f"[{_interval(share)}]" for _, share in run.certified_accuracy)]
        lines += _pair([_escaped(label), *marked], below)
    lines += _groups(report)
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _groups(report: Report) -> list[str]:
    if not report.groups:
        return []
    lines = [r"\midrule", "% Mean and standard deviation over runs that differ only in seeds."]
    stacked = [group_text.stacked(group) for group in report.groups]
    best = best_of([above for above, _ in stacked], [_claim(g.first) for g in report.groups])
    for name, group, (above, below), bold in zip(
        report.group_names, report.groups, stacked, best, strict=True
    ):
        cells = [_with_deviation(*each) for each in zip(above, below, bold, strict=True)]
        first = f"{_escaped(name)}, mean of {len(group.runs)} runs"
        lines.append(" & ".join([first, *cells]).replace("∞", r"$\infty$") + r" \\")
    return lines


def _attacks(report: Report) -> list[str]:
    if not report.attacks:
        return []
    lines = [
        "% Accuracy in percent without attack and under attack, with its 95 % interval.",
        *_head(report, "Attack", "Clean", "Accuracy under attack"),
    ]
    for name, attack in zip(report.attack_names, report.attacks, strict=True):
        above, below = attack_text.stacked(attack)
        lines += _pair([_escaped(name), *above], below)
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def best_of(rows: Sequence[Sequence[str]], kinds: Sequence[Hashable]) -> list[list[bool]]:
    """Which cells are the largest of their column, as shown, among rows of their kind.

    None is where all of these are equal, and so none where a row is alone.

    Example:
        >>> best_of([["1.0", "5"], ["2.0", "5"], ["9.0", "9"]], ["a", "a", "b"])
        [[False, False], [True, False], [False, False]]
    """
    numbers = [[float(cell.replace("∞", "inf")) for cell in row] for row in rows]
    found = []
    for row, kind in zip(numbers, kinds, strict=True):
        rivals = [each for each, other in zip(numbers, kinds, strict=True) if other == kind]
        columns = list(zip(*rivals, strict=True))
        found.append([v == max(c) and min(c) < max(c) for v, c in zip(row, columns, strict=True)])
    return found


def _claim(run: Summary) -> Hashable:
    """What two runs must have in common to be compared."""
    return (
        *(run.norm, run.n, run.alpha, run.stop, run.meta.get("vote", "hard")),
        *(run.meta.get("data_fingerprint"), run.indices),
    )


def _with_deviation(above: str, below: str, bold: bool) -> str:
    if not below:
        return rf"\textbf{{{above}}}" if bold else above
    value = rf"\mathbf{{{above}}}" if bold else above
    return rf"${value}_{{\pm {below}}}$"


def _head(report: Report, first: str, second: str, rest: str) -> list[str]:
    radii = exact(report.radii)
    return [
        rf"\begin{{tabular}}{{l{'r' * (len(radii) + 1)}}}",
        r"\toprule",
        rf" & & \multicolumn{{{len(radii)}}}{{c}}{{{rest} (\%) at radius}} \\",
        rf"\cmidrule(l){{3-{len(radii) + 2}}}",
        rf"{first} & {second} & {' & '.join(radii)} \\",
        r"\midrule",
    ]


def _pair(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Two lines of a table, the second in small print and one column to the right."""
    return [
        " & ".join(first).replace("∞", r"$\infty$") + r" \\",
        " & ".join(["", *(rf"{{\scriptsize {cell}}}" for cell in second)]) + r" \\",
    ]


def _interval(share: Share) -> str:
    return f"{percent_floored(share.lower)}, {percent_ceiled(share.upper)}"


def _escaped(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "[": "{[}",  # after a line's end it would begin an option
    }
    line = " ".join(text.split())
    return re.sub(r"[\\~^&%$#_{}\[]", lambda found: special.get(found[0], rf"\{found[0]}"), line)
