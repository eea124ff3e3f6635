from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

from radii.data import ArrayDataset
from radii.errors import DataError, LedgerError
from radii.evaluation import AttackLedger
from radii.evaluation.attack_metrics import empirical_accuracy
from radii.evaluation.metrics import certified_accuracy
from radii.evaluation.report import (
    Report,
    as_csv,
    as_html,
    as_json,
    as_latex,
    as_markdown,
    attack_pictures_of,
    figure,
)
from radii.evaluation.report.attack_pictures import choose_attacked
from radii.evaluation.report.attacks import Means
from radii.evaluation.report.envelope import envelope_of
from radii.evaluation.report.style import colour_of
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import abstained, row, write, wrong
from tests.unit.evaluation.test_report_html import Page
from tests.unit.evaluation.test_report_pictures import pixels

OURS = {"base_sha256": BASE}
CERTIFIED = [row(0, 0.3), row(1, 0.6), wrong(2, 0.5), abstained(3)]
# Accuracy .75 without attack; broken at .4, an abstention at .9, one not broken.
ATTACKED = [hit(0, 0.4), hit(1, 0.9, None), kept(2, 2.0), hit(3, 0.0, None, clean=None)]


@pytest.fixture
def pair(tmp_path):
    return (
        write(tmp_path / "certified", CERTIFIED, **OURS),
        write_attack(tmp_path / "attacked", ATTACKED),
    )


@pytest.fixture
def report(pair) -> Report:
    return Report.of(pair, [0, 0.5, 1.0])


def test_an_attack_run_in_numbers(report):
    (attack,) = report.attacks
    assert (attack.attack, attack.norm, attack.measured_norm) == ("ddn", "l2", "l2")
    assert (attack.examples, attack.expected, attack.coverage) == (4, 4, "complete")
    assert (attack.clean_accuracy, attack.successes, attack.median_norm) == (0.75, 1, 0.4)
    assert (attack.clean_abstention_rate, attack.abstention_rate_under_attack) == (0.25, 0.5)
    assert (attack.queries_per_input, attack.samples_total) == (20, 8000)
    assert [(r, left.value, silent.value) for r, left, silent in attack.accuracy] == [
        *((0.0, 0.75, 0.25), (0.5, 0.5, 0.25), (1.0, 0.25, 0.5)),
    ]
    assert attack.label == "ddn, 100 steps, 64 draws, plug_in"


def test_runs_of_both_kinds_come_in_any_order(pair):
    for paths in (pair, pair[::-1]):
        report = Report.of(paths)
        assert [s.run for s in report.summaries] == [str(pair[0])]
        assert [a.run for a in report.attacks] == [str(pair[1])]


@pytest.mark.parametrize("attack", ["unheard_of:epsilon=1", "ddn:unheard_of=1"])
def test_an_attack_that_is_not_known_here_is_reported_all_the_same(tmp_path, attack):
    path = write_attack(tmp_path / "a", ATTACKED, attack=attack)
    assert Means.of(attack) == Means()
    assert attack in as_markdown(Report.of([path])).replace("\\", "")


def test_draws_and_steps_are_those_that_counted(tmp_path):
    assert Means.of("pgd_l2:epsilon=0.5") == Means(0.5, 10, None)
    assert Means.of("stein:epsilon=0.5,sigma=0.5") == Means(0.5, 20, 1000)
    path = write_attack(
        *(tmp_path / "a", ATTACKED),
        **{"attack": "stein:epsilon=0.5,sigma=0.5", "estimator": "base", "draws": None},
    )
    report = Report.of([path])
    assert report.attacks[0].how == "20 steps, 1,000 draws"
    assert not any("weak" in said for said in report.caveats)


def test_json_of_attacks_and_audits(report):
    content = json.loads(as_json(report))
    (attack,) = content["attacks"]
    assert set(attack) == {
        *("run", "attack", "norm", "measured_norm", "epsilon", "steps", "minimal", "estimator"),
        *("draws", "fresh", "noise", "n", "alpha", "examples", "clean_accuracy"),
        *("clean_abstention_rate", "successes", "abstention_rate_under_attack", "median_norm"),
        *("queries_per_input", "samples_total", "accuracy_under_attack"),
    }
    (share,) = empirical_accuracy(report.attacks[0].outcomes, [0.5], "l2")
    assert attack["accuracy_under_attack"][1] == {
        **{"radius": 0.5, "value": 0.5, "lower": share.lower, "upper": share.upper},
        "abstained": 0.25,
    }
    (audit,) = content["audits"]
    assert audit == {
        **{"run": report.summaries[0].run, "attack_run": report.attacks[0].run, "refused": None},
        # Input 2 was certified as class 1, and is answered 0 as it is.
        **{"norm": "l2", "inputs": 4, "inside": 0, "allowed": pytest.approx(0.012)},
        **{"p_value": pytest.approx(1 - 0.997**4), "alarm": True},
        "contradictions": [{"index": 2, "certified": 1, "radius": 0.5, "answer": 0, "norm": 0.0}],
    }
    assert "envelope" not in content


def test_nothing_is_said_beyond_the_epsilon_of_an_attack(tmp_path):
    rows = [hit(0, np.nextafter(0.5, 1)), kept(1, 0.5)]
    path = write_attack(tmp_path / "a", rows, attack="pgd_l2:epsilon=0.5,steps=3", minimal=False)
    report = Report.of([path], [0, 0.5, 0.75])
    (attack,) = json.loads(as_json(report))["attacks"]
    assert [each["value"] for each in attack["accuracy_under_attack"]] == [1.0, 0.5, None]
    assert attack["accuracy_under_attack"][2]["abstained"] is None
    assert "| 0.75 | - |" in as_markdown(report)
    assert any("no further than epsilon = 0.5" in said for said in report.caveats)
    (curve, _) = figure(report).axes[0].lines
    assert curve.get_xdata()[-1] == 0.5
    assert curve.get_marker() == "o"


def test_the_csv_of_certified_runs_is_the_same_with_attacks_beside(pair):
    alone, both = as_csv(Report.of(pair[:1], [0, 0.5])), as_csv(Report.of(pair, [0, 0.5]))
    for before, after in zip(alone.splitlines(), both.splitlines(), strict=False):
        assert after.startswith(before)
    assert "attack" not in alone
    lines = list(csv.DictReader(io.StringIO(both)))
    assert [line["attack"] for line in lines] == ["", "", "ddn", "ddn"]
    last = lines[-1]
    assert last["certified_accuracy"] == last["acr"] == last["bound"] == ""
    assert (float(last["radius"]), float(last["accuracy_under_attack"])) == (0.5, 0.5)
    assert (last["run"], last["examples"], last["runs"]) == (str(pair[1]), "4", "1")
    assert float(last["median_norm"]) == 0.4


def test_latex_has_a_table_of_attacks(report):
    text = as_latex(report)
    assert text.count(r"\begin{tabular}{lrrrr}") == text.count(r"\end{tabular}") == 2
    assert r"ddn & 75.0 & 75.0 & 50.0 & 25.0 \\" in text
    assert text.startswith("% ALARM: ")


def test_attacks_alone_are_a_report(pair):
    report = Report.of(pair[1:])
    assert report.summaries == ()
    assert report.radii == tuple(pytest.approx(step * 0.1) for step in range(10))
    for text in (as_markdown(report), as_latex(report), as_html(report)):
        assert "ACR" not in text
        assert "ertified accuracy" not in text
    assert json.loads(as_json(report))["runs"] == []
    assert len(list(csv.DictReader(io.StringIO(as_csv(report))))) == 10
    assert "Robustness under attack" in Page(as_html(report)).text


def test_the_curves_of_a_classifier_have_one_colour(tmp_path, pair):
    other = write(tmp_path / "b", CERTIFIED, noise="gaussian:sigma=1.0", **OURS)
    alone = write_attack(tmp_path / "c", ATTACKED, noise="gaussian:sigma=2.0")
    report = Report.of([other, *pair, alone])
    assert (report.line_of, report.attack_line_of) == ([0, 1], [1, 2])
    drawn = figure(report)
    curves = drawn.axes[0].lines
    assert [line.get_color() for line in curves] == [colour_of(i) for i in (0, 1, 1, 2, 1, 2)]
    assert [line.get_linestyle() for line in curves] == [*("-", "-", "--", "--", "-", "-")]
    labels = [" ".join(text.get_text().split()) for text in drawn.legends[0].get_texts()]
    assert labels[1] == "certified, gaussian:sigma=0.5, n=1,000, alpha=0.001"
    assert labels[2] == "under attack, gaussian:sigma=0.5, ddn, 100 steps, 64 draws, plug_in"
    assert labels[4] == "gaussian:sigma=0.5, without attack: 75.0 %"
    assert [pair.certified for pair in report.pairs] == [1]
    assert any("No certified run here is of the classifier of" in s for s in report.caveats)


def test_the_curve_under_attack_is_the_exact_step_function(report):
    curve = figure(report).axes[0].lines[1]
    assert curve.get_drawstyle() == "steps-post"
    x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    for radius in (0.0, 0.2, np.nextafter(0.4, 0), 0.4, 0.7, 0.9):
        (share,) = empirical_accuracy(report.attacks[0].outcomes, [radius], "l2")
        # With steps-post the height from a point on is that of the point.
        assert y[np.searchsorted(x, radius, side="right") - 1] == 100 * share.value


def test_perturbations_are_measured_in_the_norm_of_the_certificate(tmp_path):
    certified = write(tmp_path / "a", [row(0, 0.5), row(1, 0.5)], norm="linf", **OURS)
    attacked = write_attack(tmp_path / "b", [hit(0, 0.8), hit(1, 1.2)])  # linf .4 and .6
    report = Report.of([certified, attacked], [0.45])
    (attack,) = report.attacks
    assert (attack.norm, attack.measured_norm, attack.median_norm) == ("l2", "linf", 0.5)
    assert attack.accuracy[0][1].value == 0.5
    assert any("searched in l2" in said for said in report.caveats)
    made = report.pairs[0].audit
    assert made is not None
    assert (made.norm, [each.index for each in made.contradictions]) == ("linf", [0])
    for runs, norm in (([attacked], "l2"), ([write(tmp_path / "c", CERTIFIED, norm="l1")], "l1")):
        assert Report.of([*runs, attacked]).attacks[0].measured_norm == norm


def test_an_alarm_is_seen_and_a_calm_audit_is_a_sentence(tmp_path, pair):
    page = as_html(Report.of(pair))
    (attributes,) = (found for _, found in Page(page).elements if found.get("role") == "alert")
    assert attributes["class"] == "alarm"
    assert "ALARM" in Page(page).text
    assert "Inputs 2." in Page(page).text
    assert as_markdown(Report.of(pair)).startswith("**ALARM: ")
    calm = [write(tmp_path / "a", [row(0, 0.3)], **OURS), write_attack(tmp_path / "b", ATTACKED)]
    for text in (as_html(Report.of(calm)), as_markdown(Report.of(calm)), as_latex(Report.of(calm))):
        assert "ALARM" not in text
        assert "of the 1 inputs in both runs, none has an answer inside" in text
        assert 'role="alert"' not in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data_fingerprint": "00" * 32}, "they are about different data sets"),
        ({"domain": "a grid"}, "the certificate is about a grid"),
        ({"norm": "l0"}, "does not hold norms in l0"),
    ],
)
def test_what_cannot_be_audited_says_why(tmp_path, changes, why):
    certified = write(tmp_path / "a", CERTIFIED, **{**OURS, **changes})
    report = Report.of([certified, write_attack(tmp_path / "b", ATTACKED)])
    (found,) = report.pairs
    assert found.audit is None
    assert why in str(found.refused)
    assert any(f"not audited: {found.refused}" in said for said in report.caveats)
    assert json.loads(as_json(report))["audits"][0]["refused"] == found.refused


@pytest.mark.parametrize(
    "changes", [{"precision": "bfloat16"}, {"noise": "gaussian:sigma=1.0"}, {"base_sha256": "00"}]
)
def test_runs_of_other_classifiers_are_not_audited(tmp_path, pair, changes):
    other = write_attack(tmp_path / "other", ATTACKED, **changes)
    assert Report.of([pair[0], other]).pairs == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"draws": 16}, "averaged over 16 draws of noise: fewer than 64"),
        ({"estimator": "base", "draws": None}, "searched with a base classifier"),
        ({"data_examples": 9}, "holds 4 of 9 inputs"),
        ({"data_examples": 9, "subset": "first:4"}, "covers first:4, a fixed part"),
        ({"subset": None}, "does not say which inputs"),
        ({}, "an upper bound of robust accuracy"),
    ],
)
def test_caveats_of_an_attack_run(tmp_path, changes, sentence):
    plain = Report.of([write_attack(tmp_path / "a", ATTACKED)])
    assert (sentence in "\n".join(plain.caveats)) == (not changes)
    report = Report.of([write_attack(tmp_path / "b", ATTACKED, **changes)])
    assert sentence in "\n".join(report.caveats)


def test_other_inputs_than_those_certified_are_said(tmp_path, pair):
    part = write_attack(tmp_path / "a", ATTACKED[:3], data_examples=4, subset="random:3,seed=1")
    said = "\n".join(Report.of([pair[0], part]).caveats)
    assert "cover different inputs, 4 and 3 with 3 in common" in said
    assert "cover different inputs" not in "\n".join(Report.of(pair).caveats)


def test_the_envelope_is_the_best_classifier_at_each_radius(tmp_path):
    strong = {"noise": "gaussian:sigma=1.0", **OURS}
    runs = [
        write(tmp_path / "a", [row(0, 0.5), row(1, 0.5)], **OURS),
        write(tmp_path / "b", [row(0, 2.0), wrong(1)], **strong),
        write_attack(tmp_path / "c", [hit(0, 0.9), kept(1)]),
        write_attack(tmp_path / "d", [kept(0), hit(1, 0.6)], attack="fgsm:epsilon=1.0"),
        write_attack(tmp_path / "e", [hit(0, 3.0), hit(1, 0.0, clean=1)], **strong),
    ]
    report = Report.of(runs, [0.0, 0.5, 1.0, 2.5], envelope=True)
    best = envelope_of(report)
    assert best.certified is not None
    assert best.empirical is not None
    assert best.certified.tolist() == [1.0, 1.0, 0.5, 0.0]
    # Each attack on the first leaves one half at 1, another one each, and the worse one counts.
    assert best.empirical.tolist() == [1.0, 1.0, 0.5, 0.5]
    points = json.loads(as_json(report))["envelope"]
    assert points[2] == {"radius": 1.0, "certified": 0.5, "empirical": 0.5}
    assert "| 1.0 | 50.0 | 50.0 |" in as_markdown(report)
    assert "optimistic" in "\n".join(report.caveats)
    assert "Envelope of all runs" in as_html(report)
    curve = figure(report).axes[0].lines[-2]
    x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    for radius in (0.0, 0.5, np.nextafter(0.5, 1), 2.0, np.nextafter(2.0, 3)):
        shares = [certified_accuracy(s.outcomes, [radius])[0].value for s in report.summaries]
        assert y[np.searchsorted(x, radius)] == 100 * max(shares)
    alone = envelope_of(Report.of(runs[:2], [0.0], envelope=True))
    assert alone.empirical is None


def test_no_envelope_over_norms(tmp_path):
    runs = [write(tmp_path / "a", CERTIFIED), write(tmp_path / "b", CERTIFIED, norm="l1")]
    with pytest.raises(ValueError, match="runs of one norm, got l1, l2"):
        envelope_of(Report.of(runs, envelope=True))


def test_an_attack_ledger_that_lacks_something_is_refused(tmp_path):
    with pytest.raises(LedgerError, match=r"has no attack, alpha"):
        Report.of([write_attack(tmp_path / "a", ATTACKED, attack=None, alpha=None)])
    with pytest.raises(LedgerError, match=r"holds none; run `radii attack` with the same --out"):
        Report.of([write_attack(tmp_path / "b", [])])


def test_one_input_a_role():
    rows = [
        *(hit(0, 0.0, 1, clean=1), hit(1, 0.9), hit(2, 0.3), hit(3, 0.5), hit(4, 0.3)),
        *(hit(5, 0.8, None), hit(6, 0.7, None), hit(7, 0.1, None, clean=None), kept(8), kept(9)),
    ]
    assert [(role, each.index) for role, each in choose_attacked(rows, "l2")] == [
        ("smallest that broke it", 2),
        ("median that broke it", 4),
        ("largest that broke it", 1),
        ("led to an abstention", 6),
        ("not broken", 8),
    ]
    assert [each.index for _, each in choose_attacked(rows[:2], "l2")] == [1]


def test_pictures_are_input_perturbation_and_both(tmp_path):
    inputs = np.linspace(0.2, 0.6, 8, dtype=np.float32).reshape(2, 1, 2, 2)
    data = ArrayDataset(inputs, np.array([0, 0]), reference="a@test", class_names=("no", "yes"))
    delta = np.array([[[0.0, 0.11], [-0.02, 0.05]]], dtype=np.float32)
    changes = {"data_fingerprint": data.fingerprint}
    path = write_attack(tmp_path / "a", [hit(0, x=inputs[0] + delta), kept(1)], **changes)
    (picture,) = attack_pictures_of(AttackLedger(path), data, "l2")  # the other was not kept
    assert (picture.before, picture.after, picture.broken) == ("no", "yes", True)
    assert (picture.norm, picture.factor) == ("1.0000", "4.5")  # of 4.545
    stored = [pixels(uri)[::56, ::56] for uri in (picture.clean, picture.delta, picture.perturbed)]
    for shown, expected in zip(
        stored, (inputs[0], 0.5 + 4.5 * delta, inputs[0] + delta), strict=True
    ):
        assert np.abs(shown - 255 * expected[0]).max() <= 0.51
    assert [bar.votes for bar in picture.votes_before] == [990, 10]
    assert [(bar.name, bar.votes) for bar in picture.votes_after] == [("yes", 900), ("no", 100)]
    html = as_html(Report.of([path]), attacked={str(path): [picture]})
    text = Page(html).text
    assert "change \N{MULTIPLICATION SIGN} 4.5" in text
    assert "Answered no, then yes ." in text
    assert sum(tag == "img" for tag, _ in Page(html).elements) == 3
    with pytest.raises(DataError, match="is not the data set of"):
        attack_pictures_of(AttackLedger(write_attack(tmp_path / "b", ATTACKED)), data, "l2")


def test_the_page_needs_nothing_else_and_escapes(tmp_path):
    evil = "<script>alert(1)</script>"
    path = write_attack(tmp_path / "a", ATTACKED, attack=evil, base=evil, data=evil)
    certified = write(tmp_path / "b", CERTIFIED, **OURS)
    html = as_html(Report.of([path, certified], envelope=True))
    assert html.count("<script") == 1
    assert not re.search(r"https?:|//\w", html)
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
