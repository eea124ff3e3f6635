from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from radii.evaluation.metrics import certified_accuracy
from radii.evaluation.report import Report
from radii.evaluation.report.curves import curves_of, end_of, steps_of
from radii.evaluation.report.plot import curves_plot, radii_plot
from radii.rounding import percent_ceiled, percent_floored
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import abstained, row, write, wrong

ROWS = [row(0, 1.3), row(1, 0.4), wrong(2, 9.0), abstained(3), row(4, 0.4), row(5, 0.0)]


def report_of(tmp_path, rows=ROWS) -> Report:
    return Report.of([write(tmp_path / "a", rows)])


def heights(path: str) -> list[tuple[float, float]]:
    """Pairs of where a step ends, and the share up to there."""
    start = re.match(r"M0 ([\d.]+)", path)
    y, found = float(start[1]), []
    for command, number in re.findall(r"([HV])([\d.]+)", path):
        if command == "H":
            found.append((float(number) / 1000, 1 - y / 1000))
        else:
            y = float(number)
    return found


def test_the_path_is_the_step_function(tmp_path):
    report = report_of(tmp_path)
    end = end_of(report)
    (curve,) = [shape for shape in curves_plot(report).shapes if shape.kind == "curve"]
    drawn = heights(curve.path)
    for at in np.linspace(0.01, 0.99, 40) * end:
        height = next(share for place, share in drawn if place * end >= at)
        (share,) = certified_accuracy(report.summaries[0].outcomes, [at])
        assert height == pytest.approx(share.value, abs=1e-3)
    assert drawn[-1][0] == 1


def test_readings_are_exact_and_rounded_as_the_tables_are(tmp_path):
    report = report_of(tmp_path)
    readings = json.loads(curves_plot(report).readings)
    (curve,) = readings["curves"]
    assert 80 <= len(readings["radii"]) <= 210
    assert readings["radii"][0] == "0.00"
    radii = [float(text) for text in readings["radii"]]
    assert 0.4 in radii
    for at, share in enumerate(certified_accuracy(report.summaries[0].outcomes, radii)):
        assert curve["value"][at] == round(10 * float(percent_floored(share.value)))
        assert curve["lower"][at] == round(10 * float(percent_floored(share.lower)))
        assert curve["upper"][at] == round(10 * float(percent_ceiled(share.upper)))


def test_nothing_is_read_beyond_the_epsilon_of_an_attack(tmp_path):
    paths = [
        write(tmp_path / "a", [row(0, 2.0), row(1, 0.6)], base_sha256=BASE),
        write_attack(tmp_path / "b", [hit(0, 0.4), kept(1)], attack="pgd_l2:epsilon=1.0"),
    ]
    plot = curves_plot(Report.of(paths))
    readings = json.loads(plot.readings)
    attacked = readings["curves"][1]
    at = {text: value for text, value in zip(readings["radii"], attacked["value"], strict=True)}
    assert (at["0.00"], at["0.40"], at["1.00"], at["1.02"]) == (1000, 500, 500, None)
    assert sum(shape.kind == "dot" for shape in plot.shapes) == 1
    assert [shape.kind for shape, _ in plot.legend] == ["curve", "curve", "thin"]


def test_curves_of_very_many_steps_are_never_above_the_true_ones(tmp_path):
    generator = np.random.default_rng(0)
    rows = [row(i, float(r)) for i, r in enumerate(generator.uniform(0, 2, 6000))]
    report = report_of(tmp_path, rows)
    (summary,) = report.summaries
    end = end_of(report)
    assert len(steps_of(summary, end)) == 4000
    (shape,) = [s for s in curves_plot(report).shapes if s.kind == "curve"]
    drawn = heights(shape.path)
    assert len(shape.path) < 20_000
    radii = np.linspace(0.01, 0.99, 200) * end
    for at, share in zip(radii, certified_accuracy(summary.outcomes, radii.tolist()), strict=True):
        height = next(share for place, share in drawn if place * end >= at)
        assert share.value - 0.005 <= height <= share.value + 1e-3


def test_the_description_has_numbers(tmp_path):
    about = curves_plot(Report.of([write(tmp_path / "a", ROWS)], [0, 0.4, 1])).about
    assert about == (
        "Certified accuracy against radius; gaussian:sigma=0.5, n=1,000, alpha=0.001: "
        "66.6 % at 0.0, 50.0 % at 0.4, 16.6 % at 1.0"
    )


def test_many_curves_have_no_bands_and_a_short_description(tmp_path):
    paths = [write(tmp_path / str(i), ROWS, noise=f"gaussian:sigma={i}") for i in range(1, 11)]
    plot = curves_plot(Report.of(paths))
    assert {shape.kind for shape in plot.shapes} == {"curve"}
    assert len(plot.shapes) == 10
    assert "and 2 more curves" in plot.about


def test_every_input_is_in_the_histogram(tmp_path):
    report = report_of(tmp_path)
    plot = radii_plot(report.summaries[0], 0)
    assert plot.about.startswith("Certified radii of 4 right inputs")
    assert "1 wrong, 1 abstained" in plot.about
    top = float(plot.y_ticks[-1][1])
    bars = [
        1 - float(y) / 1000 for s in plot.shapes for y in re.findall(r"M\S+ 1000V(\S+?)h", s.path)
    ]
    assert sum(top * share for share in bars) == pytest.approx(6, abs=0.02)


@pytest.mark.parametrize("rows", [[abstained(0)], [row(0, math.inf)], [row(0, 0.0)], [wrong(0)]])
def test_a_run_of_one_input_has_its_figures(tmp_path, rows):
    report = report_of(tmp_path, rows)
    assert math.isfinite(end_of(report))
    assert len(curves_of(report, end_of(report))) == 1
    for plot in (curves_plot(report), radii_plot(report.summaries[0], 0)):
        assert "nan" not in repr(plot)
        assert plot.x_ticks
