"""Groups of runs as numbers and cells; how these stand in a table is in `text.py`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from radii.evaluation.report.groups import Group, Mean
from radii.evaluation.report.report import Report
from radii.rounding import ceiled, exact, floored, percent_ceiled, percent_floored

_CLAIM = ("noise", "norm", "n0", "n", "alpha", "bound", "stop", "certificate", "examples")
_MEANS = ("standard_accuracy", "abstention_rate", "acr")
DEVIATIONS = tuple(f"{name}_deviation" for name in (*_MEANS, "certified_accuracy"))


def radius_of(mean: Mean) -> str:
    """A mean radius, floored, and its deviation, rounded up.

    Example:
        >>> radius_of(Mean.of([0.25, 0.5])), radius_of(Mean.of([1.0, math.inf]))
        ('0.375 ± 0.177', '∞')
    """
    error = "" if mean.deviation is None else f" ± {ceiled(mean.deviation, 3)}"
    return floored(mean.value, 3) + error


def percents(mean: Mean, *, up: bool = False) -> str:
    """A mean share in percent, floored unless `up`, and its deviation, rounded up.

    Example:
        >>> percents(Mean.of_shares([2 / 3, 1.0], 3)), percents(Mean.of_shares([0.5, 0.5], 2))
        ('83.3 ± 23.6', '50.0 ± 0.0')
    """
    value = percent_ceiled(mean.value) if up else percent_floored(mean.value)
    return value if mean.deviation is None else f"{value} ± {percent_ceiled(mean.deviation)}"


def plain(report: Report) -> list[dict[str, object]]:
    """The groups as JSON has them, unrounded."""
    return [
        {
            "name": name,
            "runs": [run.run for run in group.runs],
            "base_classifiers": group.bases,
            **{key: getattr(group.first, key) for key in _CLAIM},
            "base_training": _strict(group.first.meta["base_training"]),
            **{key: _plain(getattr(group, key)) for key in _MEANS},
            "certified_accuracy": [
                {"radius": radius, **_plain(mean)} for radius, mean in group.certified_accuracy
            ],
        }
        for name, group in zip(report.group_names, report.groups, strict=True)
    ]


def records(report: Report) -> Iterator[dict[str, object]]:
    """A record a group and radius, unrounded, by the names of the columns of the CSV."""
    for name, group in zip(report.group_names, report.groups, strict=True):
        means = {key: getattr(group, key) for key in _MEANS}
        common = {
            **{key: getattr(group.first, key) for key in _CLAIM},
            **{key: mean.value for key, mean in means.items()},
            **{f"{key}_deviation": mean.deviation for key, mean in means.items()},
            "run": name,
            "runs": len(group.runs),
            "samples_total": sum(run.samples_total for run in group.runs),
        }
        for radius, mean in group.certified_accuracy:
            yield {
                **common,
                "radius": radius,
                "certified_accuracy": mean.value,
                "certified_accuracy_deviation": mean.deviation,
            }


def table(report: Report) -> list[list[str]]:
    """A column a group, after one that says what is in the rows; the first row names them."""
    groups = report.groups
    rows = [
        ["Runs that differ only in their seeds", *report.group_names],
        ["Runs", *(str(len(group.runs)) for group in groups)],
        ["Standard accuracy (%)", *(percents(group.standard_accuracy) for group in groups)],
        ["Abstained (%)", *(percents(group.abstention_rate, up=True) for group in groups)],
        ["ACR", *(radius_of(group.acr) for group in groups)],
    ]
    for position, radius in enumerate(exact(report.radii)):
        means = [group.certified_accuracy[position][1] for group in groups]
        rows.append([f"Certified at {radius} (%)", *map(percents, means)])
    return rows


def stacked(group: Group) -> tuple[list[str], list[str]]:
    """ACR and certified accuracy at each radius, and the deviations that stand under them."""
    means = [mean for _, mean in group.certified_accuracy]
    deviation = group.acr.deviation
    above = [floored(group.acr.value, 3), *(percent_floored(mean.value) for mean in means)]
    below = [
        "" if deviation is None else ceiled(deviation, 3),
        *(percent_ceiled(mean.deviation or 0.0) for mean in means),
    ]
    return above, below


def _plain(mean: Mean) -> dict[str, float | None]:
    value = mean.value if math.isfinite(mean.value) else None
    return {"mean": value, "deviation": mean.deviation}


def _strict(value: Any) -> Any:
    """What stands in a spec, with null for numbers that strict JSON does not have."""
    if isinstance(value, dict):
        return {key: _strict(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_strict(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
