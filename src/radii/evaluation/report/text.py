"""A report as text that other programs and papers take in."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence

from radii.evaluation.metrics import Share
from radii.evaluation.report import group_text
from radii.evaluation.report.summary import Report, Summary
from radii.rounding import (
    ceiled,
    exact,
    floored,
    percent_ceiled,
    percent_floored,
)

_FIELDS = (
    *("run", "noise", "norm", "n0", "n", "alpha", "bound", "stop", "certificate", "examples"),
    *("standard_accuracy", "abstention_rate", "acr", "acr_se", "samples_total"),
)
_HEADINGS = (
    *("Run", "Noise", "Norm", "n0", "n", "alpha", "Bound", "Stop", "Certificate", "Inputs"),
    *("Standard accuracy (%)", "Abstained (%)", "ACR", "SE of ACR", "Draws"),
)


def as_json(report: Report) -> str:
    """Strict JSON, floats unrounded; a number that is infinite is null.

    The keys are `runs`, and in each of them `run`, `noise`, `norm`, `n0`, `n`, `alpha`, `bound`,
    `stop`, `certificate`, `examples`, `standard_accuracy`, `abstention_rate`, `acr`, `acr_se`,
    `samples_total` and `certified_accuracy`, a list of `radius`, `value`, `lower` and `upper`.

    Beside `runs` stands `groups`: in each `name`, `runs` (paths), `base_classifiers` (how many),
    the common `noise` to `examples`, `base_training`, and `mean` and `deviation` of
    `standard_accuracy`, `abstention_rate`, `acr` and at each radius of `certified_accuracy`.
    """
    runs = []
    for summary in report.summaries:
        run = {name: getattr(summary, name) for name in _FIELDS}
        run["acr"] = summary.acr if math.isfinite(summary.acr) else None
        run["certified_accuracy"] = [
            {"radius": radius, "value": share.value, "lower": share.lower, "upper": share.upper}
            for radius, share in summary.certified_accuracy
        ]
        runs.append(run)
    content = {"runs": runs, "groups": group_text.plain(report)}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """One line a run and radius, floats unrounded; what has no value is empty.

    Then one line a group and radius: means over its runs, of which `runs` says how many there are,
    and their standard deviations.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    deviations = group_text.DEVIATIONS
    columns = (*_FIELDS, "radius", "certified_accuracy", "lower", "upper", "runs", *deviations)
    writer.writerow(columns)
    for summary in report.summaries:
        of_run = [getattr(summary, name) for name in _FIELDS]
        for radius, share in summary.certified_accuracy:
            interval = (share.value, share.lower, share.upper)
            writer.writerow([*of_run, radius, *interval, 1, *("" for _ in deviations)])
    for record in group_text.records(report):
        writer.writerow([record.get(column) for column in columns])
    return out.getvalue()


def as_markdown(report: Report) -> str:
    """Two tables, one more if there are groups, and the caveats; radii and accuracies floored."""
    numbers = [_numbers(summary) for summary in report.summaries]
    columns = [_HEADINGS, *numbers]
    overview = [[row[0], *map(_markdown, row[1:])] for row in zip(*columns, strict=True)]
    accuracy = [["Radius", *map(_markdown, report.names)]]
    for position, radius in enumerate(exact(report.radii)):
        shares = [summary.certified_accuracy[position][1] for summary in report.summaries]
        accuracy.append([radius, *(f"{_value(share)} [{_interval(share)}]" for share in shares)])
    parts = [
        _pipes(overview),
        "Certified accuracy in percent, with its 95 % interval:",
        _pipes(accuracy),
        *_markdown_groups(report),
        "\n".join(f"- {_markdown(caveat)}" for caveat in report.caveats),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown_groups(report: Report) -> list[str]:
    if not report.groups:
        return []
    head, *body = group_text.table(report)
    rows = [[head[0], *map(_markdown, head[1:])], *body]
    return ["Mean ± standard deviation over the runs of a group:", _pipes(rows)]


def as_latex(report: Report) -> str:
    """A `tabular` for the package booktabs, a run a line; radii and accuracies are floored.

    Under each accuracy stands its 95 % interval. Below a rule of their own stand groups, a mean
    with its standard deviation under it. The caveats are comments above the table.
    """
    radii = exact(report.radii)
    lines = [f"% {' '.join(caveat.split())}" for caveat in report.caveats]
    lines += [
        "% Certified accuracy in percent with its 95 % interval, and ACR with its standard error.",
        rf"\begin{{tabular}}{{l{'r' * (len(radii) + 1)}}}",
        r"\toprule",
        rf" & & \multicolumn{{{len(radii)}}}{{c}}{{Certified accuracy (\%) at radius}} \\",
        rf"\cmidrule(l){{3-{len(radii) + 2}}}",
        rf"Run & ACR & {' & '.join(radii)} \\",
        r"\midrule",
    ]
    for label, summary in zip(report.names, report.summaries, strict=True):
        shares = [share for _, share in summary.certified_accuracy]
        error = "" if summary.acr_se is None else rf"$\pm$ {ceiled(summary.acr_se, 3)}"
        first = [_latex(label), floored(summary.acr, 3), *map(_value, shares)]
        second = [error, *(f"[{_interval(share)}]" for share in shares)]
        lines += _pair(first, second)
    if report.groups:
        lines += [r"\midrule", "% Mean and standard deviation over runs that differ only in seeds."]
    for name, group in zip(report.group_names, report.groups, strict=True):
        above, below = group_text.stacked(group)
        first = [f"{_latex(name)}, mean of {len(group.runs)} runs", *above]
        second = [rf"$\pm$ {cell}" if cell else "" for cell in below]
        lines += _pair(first, second)
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _pair(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Two lines of a table in LaTeX, the second in small print and one column to the right."""
    return [
        " & ".join(first).replace("∞", r"$\infty$") + r" \\",
        " & ".join(["", *(rf"{{\scriptsize {cell}}}" for cell in second)]) + r" \\",
    ]


def _numbers(summary: Summary) -> list[str]:
    """What stands under `_HEADINGS`."""
    return [
        summary.run,
        summary.noise,
        summary.norm,
        f"{summary.n0:,}",
        f"{summary.n:,}",
        str(summary.alpha),
        summary.bound,
        summary.stop,
        summary.certificate,
        f"{summary.examples:,}",
        percent_floored(summary.standard_accuracy),
        percent_ceiled(summary.abstention_rate),
        floored(summary.acr, 3),
        "-" if summary.acr_se is None else ceiled(summary.acr_se, 3),
        f"{summary.samples_total:,}",
    ]


def _value(share: Share) -> str:
    return percent_floored(share.value)


def _interval(share: Share) -> str:
    return f"{percent_floored(share.lower)}, {percent_ceiled(share.upper)}"


def _pipes(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, whose first row is its head and whose numbers are at the right."""
    head, *body = rows
    rule = [":--", *("--:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)


def _latex(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "[": "{[}",  # after a line's end it would begin an option
    }
    return re.sub(r"[\\~^&%$#_{}\[]", lambda found: special.get(found[0], rf"\{found[0]}"), text)
