"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from radii import rounding
from radii._version import __version__
from radii.evaluation.metrics import Share
from radii.evaluation.report import audit_text
from radii.evaluation.report.added import added
from radii.evaluation.report.attack_pictures import AttackPicture
from radii.evaluation.report.attack_text import envelope, norm_of, within_reach
from radii.evaluation.report.attacks import AttackSummary
from radii.evaluation.report.columns import columns_of
from radii.evaluation.report.commands import command_of
from radii.evaluation.report.group_text import percents, radius_of
from radii.evaluation.report.norms import symbol
from radii.evaluation.report.pictures import Picture
from radii.evaluation.report.plot import curves_plot, radii_plot
from radii.evaluation.report.report import Report
from radii.evaluation.report.sentences import attack_sentence, sentence_of
from radii.evaluation.report.style import PALETTE
from radii.evaluation.report.summary import Summary


def as_html(
    report: Report,
    pictures: Mapping[str, Sequence[Picture]] | None = None,
    attacked: Mapping[str, Sequence[AttackPicture]] | None = None,
    *,
    home: str | None = None,
) -> str:
    """The report as a page: style, script, figures and pictures are inside.

    The script sorts tables and tells the values of the curves where one points; without it the page
    says the same.

    Args:
        report: At least one run.
        pictures: From a run's path, as in `Summary.run`, to what `pictures_of` gave for it.
        attacked: From an attack run's path to what `attack_pictures_of` gave for it.
        home: Address of the index that the page belongs to.
    """
    columns = columns_of(report)
    return page(
        "template.html.j2",
        home=home,
        version=__version__,
        curves=curves_plot(report),
        radii_plot=radii_plot,
        columns=columns,
        column_radii=[report.radii[at] for at, _ in columns],
        caveats=report.caveats,
        claims=_claims(report),
        colours=len(PALETTE),
        groups=list(zip(report.groups, report.group_names, strict=True)),
        line_of=report.line_of,
        radii=rounding.exact(report.radii),
        runs=list(zip(report.summaries, report.names, strict=True)),
        table=_table(report),
        attacks=list(zip(report.attacks, report.attack_names, strict=True)),
        attack_line_of=report.attack_line_of,
        left=_left(report),
        added=added(report),
        audits=audit_text.sentences(report),
        audit_table=list(zip(*audit_text.table(report), strict=True)),
        offending=[
            rows for pair in report.pairs if (rows := audit_text.contradictions(report, pair))
        ],
        envelope=envelope(report) if report.envelope else [],
        galleries=[
            (position, attack, (attacked or {})[attack.run])
            for position, attack in enumerate(report.attacks)
            if (attacked or {}).get(attack.run)
        ],
        strips=[
            (position, run.meta.get("device"), (pictures or {})[run.run])
            for position, run in enumerate(report.summaries)
            if (pictures or {}).get(run.run)
        ],
    )


def page(template: str, **content: Any) -> str:
    """A page from a template of this package, with the style and the script that all pages have."""
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(_resource("style.css") + _resource("plot.css")),  # noqa: S704
            script=Markup(_resource("script.js")),  # noqa: S704
            **content,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        rounding.ceiled,
        rounding.complement,
        rounding.floored,
        rounding.percent_ceiled,
        rounding.percent_floored,
        symbol,
        attack_sentence,
        breakable,
        command,
        draws,
        duration,
        norm_of,
        percents,
        radius_of,
        sentence,
        spec_text,
        thousands,
    ):
        environment.filters[function.__name__] = function
    return environment


def sentence(run: Summary) -> str:
    """What a run shows, in a sentence."""
    return sentence_of(run)


def command(run: Summary | AttackSummary) -> str | None:
    """The command that makes a run again, if the run says enough."""
    return command_of(run.run, run.meta)


def draws(run: Summary) -> str:
    """Draws of the selection and the estimation, as far as the run says them."""
    return f"{run.n:,}" if run.n0 is None else f"{run.n0:,} + {run.n:,}"


def thousands(number: int) -> str:
    """A whole number with commas."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(0.26), duration(75), duration(4 * 3600 + 59)
        ('0.3 s', '1 min 15 s', '4 h 0 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def breakable(text: str) -> Markup:
    """A spec or a path that a narrow column may break where its parts meet.

    Example:
        >>> breakable("gaussian:sigma=1")
        Markup('gaussian:<wbr>sigma=1')
    """
    parts = re.split(r"(?<=[:,/_])|(?=\.[a-z])", text)
    return Markup("<wbr>").join(parts)


def spec_text(value: Any) -> str:
    """A value of a ledger's spec: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _claims(report: Report) -> list[tuple[Summary, list[int]]]:
    """Runs of which the same can be claimed, and their positions."""
    groups: dict[tuple[str, float], list[int]] = {}
    for position, run in enumerate(report.summaries):
        groups.setdefault((run.norm, run.alpha), []).append(position)
    return [(report.summaries[positions[0]], positions) for positions in groups.values()]


def _table(report: Report) -> list[tuple[str, list[Share]]]:
    """A line a radius, with the share of each run."""
    columns = [[share for _, share in run.certified_accuracy] for run in report.summaries]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return list(zip(rounding.exact(report.radii), rows, strict=True)) if rows else []


def _left(report: Report) -> list[tuple[str, list[tuple[Share | None, Share | None]]]]:
    """A line a radius, with accuracy and abstentions of each attack run."""
    columns = [[point[1:] for point in within_reach(attack)] for attack in report.attacks]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return list(zip(rounding.exact(report.radii), rows, strict=True)) if rows else []


@cache
def _resource(name: str) -> str:
    return files("radii.evaluation.report").joinpath(name).read_text(encoding="utf-8")
