"""A report as text that other programs and papers take in."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence

from radii.evaluation.metrics import Share
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
    return json.dumps({"runs": runs}, indent=2, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """One line a run and radius, floats unrounded; what has no value is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_FIELDS, "radius", "certified_accuracy", "lower", "upper"])
    for summary in report.summaries:
        of_run = [getattr(summary, name) for name in _FIELDS]
        for radius, share in summary.certified_accuracy:
            writer.writerow([*of_run, radius, share.value, share.lower, share.upper])
    return out.getvalue()


def as_markdown(report: Report) -> str:
    """Two tables and the caveats; radii and accuracies are floored."""
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
        "\n".join(f"- {_markdown(caveat)}" for caveat in report.caveats),
    ]
    return "\n\n".join(parts) + "\n"


def as_latex(report: Report) -> str:
    """A `tabular` for the package booktabs, a run a line; radii and accuracies are floored.

    Under each accuracy stands its 95 % interval. The caveats are comments above the table.
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
        lines.append(" & ".join(first).replace("∞", r"$\infty$") + r" \\")
        lines.append(" & ".join(["", *(rf"{{\scriptsize {cell}}}" for cell in second)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


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
