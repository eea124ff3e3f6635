"""A report as text that other programs and papers take in."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence

from radii.evaluation.metrics import Share
from radii.evaluation.report import (
    attack_text,
    audit_text,
    group_text,
    guarantee_text,
    projection_text,
    run_text,
)
from radii.evaluation.report.added import added
from radii.evaluation.report.columns import columns_of
from radii.evaluation.report.report import Report
from radii.evaluation.report.sentences import sentence_of
from radii.rounding import exact, percent_ceiled, percent_floored


def encoded(content: str) -> bytes:
    r"""A report in UTF-8; a byte of a file name that is no UTF-8 becomes a `\udcff`."""
    return content.encode("utf-8", "backslashreplace")


def as_json(report: Report) -> str:
    """Strict JSON, floats unrounded; a number that is infinite is null.

    The keys are `runs`, and in each of them `run`, `noise`, `norm`, `n0`, `n`, `alpha`, `bound`,
    `stop`, `certificate`, `examples`, `standard_accuracy`, `abstention_rate`, `acr`, `acr_se`,
    `samples_total` and `certified_accuracy`, a list of `radius`, `value`, `lower` and `upper`; then
    `sentence`, `expected`, `coverage`, `acr_interval`, `median_radius`, `radius_quantiles`,
    `pA_lower`, `per_class`, `unanimous` and `seconds_total`.

    Beside `runs` stands `groups`: in each `name`, `runs` (paths), `base_classifiers` (how many),
    the common `noise` to `examples`, `base_training`, and `mean` and `deviation` of
    `standard_accuracy`, `abstention_rate`, `acr` and at each radius of `certified_accuracy`.

    `attacks` has an entry an attack run, and `audits` one a pair of runs of one classifier; both
    are empty without attack runs. `envelope`, `guarantees` and `projections` are there if the
    report was asked for them, and a run that was read again has `reread_of`. Their keys are in the
    documentation.
    """
    runs = []
    for summary in report.summaries:
        run = run_text.plain(summary)
        if "reread_of" in summary.meta:
            run["reread_of"] = summary.meta["reread_of"]
        runs.append(run)
    content: dict[str, object] = {
        "runs": runs,
        "groups": group_text.plain(report),
        "attacks": attack_text.plain(report),
        "audits": audit_text.plain(report),
    }
    if report.guarantees:
        content["guarantees"] = guarantee_text.plain(report)
    if report.projections:
        content["projections"] = projection_text.plain(report)
    if report.envelope:
        content["envelope"] = attack_text.plain_envelope(report)
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def as_csv(report: Report) -> str:
    """One line a run and radius, floats unrounded; what has no value is empty.

    Then one line a group and radius: means over its runs, of which `runs` says how many there are,
    and their standard deviations.

    Where there are attack runs, columns of their own stand at the right, filled in one line an
    attack run and radius after all others; in these the columns of certification are empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    deviations = group_text.DEVIATIONS
    of_share = ("radius", "certified_accuracy", "lower", "upper", "runs")
    columns = (*run_text.FIELDS, *of_share, *deviations, *run_text.MORE)
    more = attack_text.COLUMNS if report.attacks else ()
    writer.writerow([*columns, *more])
    for summary in report.summaries:
        of_run = [getattr(summary, name) for name in run_text.FIELDS]
        right_of_it = [*run_text.more(summary), *([""] * len(more))]
        for radius, share in summary.certified_accuracy:
            interval = (share.value, share.lower, share.upper)
            empty = [""] * len(deviations)
            writer.writerow([*of_run, radius, *interval, 1, *empty, *right_of_it])
    for record in (*group_text.records(report), *attack_text.records(report)):
        writer.writerow([record.get(column) for column in (*columns, *more)])
    return out.getvalue()


def as_markdown(report: Report) -> str:
    """Tables of runs, groups, attack runs and audits, as far as there are any, and the caveats.

    Radii and accuracies are floored.
    """
    parts = [
        *(f"**{_markdown(said)}**" for alarm, said in audit_text.sentences(report) if alarm),
        *(f"{_markdown(run.run)}: {_markdown(sentence_of(run))}" for run in report.summaries),
        *_markdown_runs(report),
        *_markdown_groups(report),
        *_markdown_added(report),
        *_markdown_attacks(report),
        *_markdown_spread(report),
        "\n".join(f"- {_markdown(caveat)}" for caveat in report.caveats),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown_runs(report: Report) -> list[str]:
    if not report.summaries:
        return []
    overview = [[row[0], *map(_markdown, row[1:])] for row in run_text.overview(report)]
    accuracy = [["Radius", *map(_markdown, report.names)]]
    for position, radius in enumerate(exact(report.radii)):
        shares = [summary.certified_accuracy[position][1] for summary in report.summaries]
        accuracy.append([radius, *(f"{_value(share)} [{_interval(share)}]" for share in shares)])
    return [
        _pipes(overview),
        "Certified accuracy in percent, with its 95 % interval:",
        _pipes(accuracy),
    ]


def _markdown_spread(report: Report) -> list[str]:
    if not report.summaries:
        return []
    (first, *names), *body = run_text.probabilities(report)
    parts = [
        "Lower bounds of pA, each to the next one: inputs right / wrong / abstained:",
        _pipes([[first, *map(_markdown, names)], *body]),
    ]
    columns = columns_of(report)
    for name, run in zip(report.names, report.summaries, strict=True):
        head, *rows = run_text.classes(run, columns)
        parts += [
            f"{_markdown(name)} by true class:",
            _pipes([head, *([_markdown(row[0]), *row[1:]] for row in rows)]),
        ]
    return parts


def _markdown_attacks(report: Report) -> list[str]:
    parts = []
    if report.attacks:
        overview, (head, *body) = attack_text.overview(report), attack_text.accuracies(report)
        parts += [
            _pipes([[row[0], *map(_markdown, row[1:])] for row in overview]),
            "Accuracy under attack in percent, with its 95 % interval, and the share abstained on:",
            _pipes([[head[0], *map(_markdown, head[1:])], *body]),
        ]
    said = audit_text.sentences(report)
    if said:
        head, *body = audit_text.table(report)
        parts += [
            "Audit, certified radii against attacks:",
            _pipes([head, *(list(map(_markdown, row)) for row in body)]),
            "\n".join(f"- {_markdown(sentence)}" for _, sentence in said),
        ]
    if report.envelope:
        parts += ["Envelope of all runs:", _pipes(attack_text.envelope(report))]
    return parts


def _markdown_groups(report: Report) -> list[str]:
    if not report.groups:
        return []
    head, *body = group_text.table(report)
    rows = [[head[0], *map(_markdown, head[1:])], *body]
    return ["Mean ± standard deviation over the runs of a group:", _pipes(rows)]


def _markdown_added(report: Report) -> list[str]:
    parts = []
    for each in added(report):
        (first, *names), *body = each.table
        parts.append(_pipes([[first, *map(_markdown, names)], *body]))
    return parts


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
    """A text as it is: on one line, and nothing in it is markup or becomes a link."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
    return re.sub(r":(?=//)|(?<=www)\.", r"\\\g<0>", escaped, flags=re.IGNORECASE)
