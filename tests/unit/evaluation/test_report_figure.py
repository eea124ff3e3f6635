from __future__ import annotations

import io
import math

import matplotlib
import numpy as np
import pytest
from PIL import Image

from radii.evaluation.metrics import certified_accuracy
from radii.evaluation.report import Report, as_png, as_svg, distribution, figure
from radii.evaluation.report.style import PALETTE, colour_of, dashes_of
from tests.unit.evaluation.ledgers import abstained, python, row, write, wrong

ROWS = [row(0, 1.3), row(1, 0.4), wrong(2, 9.0), abstained(3), row(4, 0.4), row(5, 0.0)]


@pytest.fixture
def report(tmp_path) -> Report:
    return Report.of(
        [write(tmp_path / "a", ROWS), write(tmp_path / "b", ROWS[:3], noise="gaussian:sigma=1.0")]
    )


def test_the_curve_is_the_exact_step_function(report):
    (axes,) = figure(report).axes
    for curve, summary in zip(axes.lines, report.summaries, strict=True):
        assert curve.get_drawstyle() == "steps-pre"
        x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
        # With steps-pre the height between two points is that of the right one.
        for radius in [0.0, 0.1, 0.4, np.nextafter(0.4, 1), 1.0, 1.3, np.nextafter(1.3, 2)]:
            (share,) = certified_accuracy(summary.outcomes, [radius])
            assert y[np.searchsorted(x, radius)] == 100 * share.value


def test_the_band_is_the_interval(report):
    (axes,) = figure(report).axes
    corners = {tuple(corner) for corner in axes.collections[0].get_paths()[0].vertices.tolist()}
    (share,) = certified_accuracy(report.summaries[0].outcomes, [0.4])
    # From right after 0, where an input of radius 0 drops out, until 0.4.
    for height in (100 * share.lower, 100 * share.upper):
        assert {(0.0, height), (0.4, height)} <= corners


def test_axes_and_legend_say_what_is_drawn(report):
    drawn = figure(report)
    (axes,) = drawn.axes
    assert "\N{SCRIPT SMALL L}\N{SUBSCRIPT TWO} norm" in axes.get_xlabel()
    assert "units of the input" in axes.get_xlabel()
    assert "%" in axes.get_ylabel()
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == report.labels
    assert axes.get_xlim()[1] > 1.3


def test_an_infinite_radius_keeps_the_curve_up(tmp_path):
    drawn = figure(Report.of([write(tmp_path / "a", [row(0, math.inf), row(1, 0.5)])]))
    heights = np.asarray(drawn.axes[0].lines[0].get_ydata())
    assert heights[-1] == 50
    assert math.isfinite(drawn.axes[0].get_xlim()[1])


def test_nothing_certified_right_is_drawn_as_zero(tmp_path):
    report = Report.of([write(tmp_path / "a", [abstained(0), wrong(1)])])
    assert not np.asarray(figure(report).axes[0].lines[0].get_ydata()).any()
    assert as_svg(distribution(report))


def test_the_distribution_shows_every_input_once(report):
    panels = distribution(report).axes
    assert len(panels) == 2
    for axes, summary in zip(panels, report.summaries, strict=True):
        heights = [bar.get_height() for bar in axes.patches]
        assert sum(heights) == summary.examples
        left = [bar.get_height() for bar in axes.patches if bar.get_x() + bar.get_width() <= 0]
        assert sum(left) == summary.examples * (1 - summary.standard_accuracy)


def test_the_same_report_gives_the_same_svg(report):
    for draw in (figure, distribution):
        drawn = draw(report)
        text = as_svg(drawn)
        assert as_svg(draw(report)) == text
        as_png(drawn, dpi=50)
        assert as_svg(drawn) == text
        assert "<dc:date>" not in text
        assert "matplotlib.org" not in text


@pytest.mark.parametrize("name", ["_hidden", "a $b$ c", "x & y < z"])
def test_paths_are_taken_as_they_are(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    report = Report.of([write(tmp_path / n, ROWS).relative_to(tmp_path) for n in (name, "other")])
    texts = figure(report).legends[0].get_texts()
    assert texts[0].get_text() == f"{name}: gaussian:sigma=0.5, n=1,000, alpha=0.001"
    escaped = name.replace("&", "&amp;").replace("<", "&lt;")
    assert f"{escaped}: gaussian" in as_svg(figure(report))


def test_a_long_label_is_folded_into_the_figure(tmp_path):
    names = ["consistency-" * 12 + end for end in "ab"]
    drawn = figure(Report.of([write(tmp_path / name, ROWS) for name in names]))
    for text in drawn.legends[0].get_texts():
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= drawn.bbox.width
        assert 0 <= box.y0


def test_png_has_the_resolution_asked_for(report):
    small, large = (Image.open(io.BytesIO(as_png(figure(report), dpi))) for dpi in (50, 100))
    assert large.width == 2 * small.width


def test_settings_of_the_user_are_left_alone_and_do_not_matter(report):
    text = as_svg(figure(report))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": "x"}):
        before = dict(matplotlib.rcParams.items())
        assert as_svg(figure(report)) == text
        assert dict(matplotlib.rcParams.items()) == before


def test_pyplot_is_not_imported(report):
    program = (
        "import sys\n"
        "from radii.evaluation.report import Report, as_svg, as_png, figure, distribution\n"
        "report = Report.of(sys.argv[1:])\n"
        "as_svg(figure(report)), as_png(distribution(report))\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    said, _ = python(program, *[s.run for s in report.summaries]).communicate(timeout=120)
    assert said == "False\n"


def test_many_runs_differ_in_colour_or_dashes():
    assert len(set(PALETTE)) == 6
    styles = [(colour_of(i), str(dashes_of(i))) for i in range(12)]
    assert len(set(styles)) == 12
    assert all(dashes_of(i) != dashes_of(i + 1) for i in range(12))
