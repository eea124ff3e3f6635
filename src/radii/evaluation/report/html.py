"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from radii import rounding
from radii._version import __version__
from radii.evaluation.metrics import Share
from radii.evaluation.report.figure import as_svg, distribution, figure
from radii.evaluation.report.group_text import percents, radius_of
from radii.evaluation.report.norms import symbol
from radii.evaluation.report.pictures import Picture
from radii.evaluation.report.style import PALETTE
from radii.evaluation.report.summary import Report, Summary
from radii.evaluation.report.svg import inline


def as_html(report: Report, pictures: Mapping[str, Sequence[Picture]] | None = None) -> str:
    """The report as a page: style, figures and pictures are inside, and there is no script.

    Args:
        report: At least one run.
        pictures: From a run's path, as in `Summary.run`, to what `pictures_of` gave for it.
    """
    environment = jinja2.Environment(
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
        breakable,
        duration,
        percents,
        radius_of,
        spec_text,
    ):
        environment.filters[function.__name__] = function
    template = environment.from_string(_resource("template.html.j2"))
    curves = inline(as_svg(figure(report)), "curves", "Certified accuracy against radius")
    spread = inline(as_svg(distribution(report)), "spread", "Inputs by certified radius")
    return template.render(
        version=__version__,
        style=Markup(_resource("style.css")),  # noqa: S704
        curves=Markup(curves),  # noqa: S704
        spread=Markup(spread),  # noqa: S704
        caveats=report.caveats,
        claims=_claims(report),
        colours=len(PALETTE),
        groups=list(zip(report.groups, report.group_names, strict=True)),
        line_of=report.line_of,
        radii=rounding.exact(report.radii),
        runs=list(zip(report.summaries, report.names, strict=True)),
        table=_table(report),
        strips=[
            (position, run.meta.get("device"), (pictures or {})[run.run])
            for position, run in enumerate(report.summaries)
            if (pictures or {}).get(run.run)
        ],
    )


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
    return list(zip(rounding.exact(report.radii), rows, strict=True))


def _resource(name: str) -> str:
    return files("radii.evaluation.report").joinpath(name).read_text(encoding="utf-8")
