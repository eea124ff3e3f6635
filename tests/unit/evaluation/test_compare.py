from __future__ import annotations

import json
import math
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # noqa: TID251 - an independent implementation

from radii.cli.main import run
from radii.errors import LedgerError
from radii.evaluation import Ledger, Row
from radii.evaluation.compare import Comparison, compare
from radii.evaluation.significance import McNemar, PairedDifference, TwoProportion, holm
from tests.unit.evaluation.ledgers import abstained, row, write, wrong

ROWS_A = [row(0, 1.0), row(1, 0.5), wrong(2, 3.0), abstained(3), row(4, 2.0)]
ROWS_B = [row(0, 1.5), row(1, 0.5), row(2, 0.25), row(3, 1.0), wrong(4, 2.0)]

tables = st.tuples(*(st.integers(0, 200) for _ in range(4))).filter(any)
radii = st.floats(0, 10, allow_subnormal=False)


def compared(folder: Path, rows_a, rows_b, at=None, a=None, b=None) -> Comparison:
    paths = [write(folder / "a", rows_a, **(a or {})), write(folder / "b", rows_b, **(b or {}))]
    found = compare(*map(Ledger, paths), at)
    for path in paths:
        path.unlink()
    return found


def test_49_against_50_percent_of_50000():
    z, p_value = TwoProportion.test(24_500, 25_000, 50_000)
    assert f"{z:.4f} {p_value:.6f}" == "3.1624 0.001565"  # printed in a rebuttal
    assert TwoProportion.test(25_000, 24_500, 50_000) == (-z, p_value)
    assert 0.7 < TwoProportion.test(245, 250, 500)[1] < 0.8


@given(tables)
def test_the_two_proportion_test_is_the_chi_square_test(table):
    a, not_a, b, not_b = table
    if not (a + not_a and b + not_b):
        return
    z, p_value = TwoProportion.test(a, b, a + not_a, b + not_b)
    if not (a + b and not_a + not_b):
        assert (z, p_value) == (0, 1)
        return
    peer = stats.chi2_contingency([[a, not_a], [b, not_b]], correction=False)
    assert z**2 == pytest.approx(peer.statistic, rel=1e-9, abs=1e-12)
    assert p_value == pytest.approx(peer.pvalue, rel=1e-9)
    assert np.sign(z) == np.sign(b * (a + not_a) - a * (b + not_b))


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 50))
def test_mcnemar_is_the_exact_sign_test(a_only, b_only, both):
    one = np.repeat([True, False, True], [a_only, b_only, both])
    other = np.repeat([False, True, True], [a_only, b_only, both])
    found = McNemar.test(one, other)
    assert found[:2] == (a_only, b_only)
    total = a_only + b_only
    peer = stats.binomtest(a_only, total, 0.5).pvalue if total else 1.0
    assert found[2] == pytest.approx(peer, rel=1e-9)
    assert McNemar.test(other, one) == (b_only, a_only, found[2])


@given(st.lists(st.tuples(radii, radii), min_size=2, max_size=60))
def test_the_paired_test_is_that_of_scipy(pairs):
    a, b = np.array(pairs).T
    found = PairedDifference.of(a, b)
    assert found.difference == pytest.approx(np.mean(b) - np.mean(a), rel=1e-9, abs=1e-12)
    if np.ptp(b - a) < 1e-6:
        return
    peer = stats.ttest_rel(b, a)
    assert found.se == pytest.approx(stats.sem(b - a), rel=1e-9)
    assert found.z == pytest.approx(peer.statistic, rel=1e-9, abs=1e-12)
    assert found.p_value == pytest.approx(peer.pvalue, rel=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    corrected = holm(p_values)
    assert all(1 >= after >= before for before, after in zip(p_values, corrected, strict=True))
    for level in (0.01, 0.05, 0.5):
        rejected = set()  # as Holm 1979 says it: from the smallest, stop at the first failure
        for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[i] * (len(p_values) - step) > level:
                break
            rejected.add(i)
        assert {i for i, p in enumerate(corrected) if p <= level} == rejected


def test_numbers_worked_by_hand(tmp_path):
    found = compared(tmp_path, ROWS_A, ROWS_B, [0.5, 0])
    # Radii of right classes: a 1, .5, 0, 0, 2 and b 1.5, .5, .25, 1, 0.
    assert (found.acr.a, found.examples) == (3.5 / 5, 5)
    assert found.acr.b == math.nextafter(3.25 / 5, 0)  # the float 0.65 is above 0.65
    assert found.acr.difference == pytest.approx(-0.05)
    differences = np.array([0.5, 0, 0.25, 1, -2])
    assert found.acr.se == pytest.approx(differences.std(ddof=1) / 5**0.5)
    assert found.acr.z == pytest.approx(-0.05 / found.acr.se)
    at_0, at_half = found.certified_accuracy
    assert (at_0.radius, at_0.a, at_0.b) == (0, 3 / 5, 4 / 5)
    assert (at_0.mcnemar.a_only, at_0.mcnemar.b_only, at_0.mcnemar.p_value) == (1, 2, 1)
    assert (at_half.radius, at_half.a, at_half.b) == (0.5, 3 / 5, 3 / 5)
    assert (at_half.mcnemar.a_only, at_half.mcnemar.b_only) == (1, 1)
    assert at_half.two_proportion.z == 0
    assert at_0.two_proportion.p_holm == min(1, 2 * at_0.two_proportion.p_value)


def test_a_run_against_itself(tmp_path):
    found = compared(tmp_path, ROWS_A, ROWS_A)
    assert (found.acr.difference, found.acr.z, found.acr.p_value) == (0, 0, 1)
    for each in found.certified_accuracy:
        assert (each.two_proportion.p_value, each.mcnemar.p_value) == (1, 1)
        assert each.mcnemar.a_only == each.mcnemar.b_only == 0
    assert [each.radius for each in found.certified_accuracy][:3] == [0, 0.25, 0.5]
    assert "the same radius everywhere" in found.conclusion


def test_only_shared_inputs_are_compared(tmp_path):
    rows_b = [*ROWS_B[1:4], row(7, 9.0)]
    found = compared(tmp_path, ROWS_A, rows_b, [0])
    assert (found.examples, found.acr.a, found.acr.b) == (3, 0.5 / 3, math.nextafter(1.75 / 3, 0))
    assert any("3 are in both, of 5 and 4" in warning for warning in found.warnings)
    with pytest.raises(LedgerError, match="no input in common"):
        compared(tmp_path, ROWS_A, [row(9)])


def test_infinite_radii(tmp_path):
    endless = [row(0, np.inf), *ROWS_B[1:]]
    found = compared(tmp_path, ROWS_A, endless, [0, 100])
    assert (found.acr.a, found.acr.b, found.acr.difference) == (0.7, np.inf, np.inf)
    assert (found.acr.se, found.acr.z, found.acr.p_value) == (None, None, None)
    assert found.certified_accuracy[1].b == 1 / 5
    assert found.plain()["acr"]["b"] is None
    json.dumps(found.plain(), allow_nan=False)
    both = compared(tmp_path, [row(0, np.inf)], [row(0, np.inf)])
    assert both.acr.difference is None
    assert "infinite" in both.conclusion


def test_a_difference_that_is_everywhere_the_same(tmp_path):
    found = compared(tmp_path, [row(0, 1.0), row(1, 2.0)], [row(0, 1.5), row(1, 2.5)])
    assert (found.acr.difference, found.acr.se, found.acr.z) == (0.5, 0, None)
    single = compared(tmp_path, [row(0, 1.0)], [row(0, 1.5)])
    assert (single.acr.difference, single.acr.se) == (0.5, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data_fingerprint": "cd" * 32}, "different data"),
        ({"n": 500}, "differ in n "),
        ({"alpha": 0.01}, "differ in alpha"),
        ({"norm": "linf"}, "cannot be compared"),
        ({"noise": "gaussian:sigma=1.0"}, "differ in the size of their noise"),
        ({"noise": "laplace:b=0.5"}, "differ in their noise"),
        ({"stop": "at_radius:radius=0.5"}, "lower bound"),
        ({"subset": "first:5", "data_examples": 50}, "first:5, a fixed part of the 50"),
        ({"data_examples": 50}, "5 of 50 inputs: it was not finished"),
        ({"imported": {"file": "log"}}, "was imported"),
        ({"bound": "hoeffding"}, "differ in bound"),
        ({"certificate": "gaussian_l2_renyi"}, "differ in certificate"),
        ({"vote": "soft"}, "different classifiers"),
    ],
)
def test_warnings(tmp_path, change, said):
    clean = compared(tmp_path, ROWS_A, ROWS_B)
    assert [warning for warning in clean.warnings if said in warning] == []
    found = compared(tmp_path, ROWS_A, ROWS_B, b=change)
    assert len([warning for warning in found.warnings if said in warning]) == 1
    assert len(compared(tmp_path, ROWS_A, ROWS_B, a=change).warnings) > len(clean.warnings)


def test_few_inputs_are_said_to_be_few(tmp_path):
    assert compared(tmp_path, ROWS_A, ROWS_B).warnings == (
        "5 inputs are few: only McNemar's test is exact.",
    )
    many = [row(i) for i in range(40)]
    assert compared(tmp_path, many, many).warnings == ()


def test_other_labels_are_noticed(tmp_path):
    rows_b = [row(0, label=3), *ROWS_B[1:]]
    found = compared(tmp_path, ROWS_A, rows_b)
    assert any("1 of 5 inputs have another label" in warning for warning in found.warnings)
    assert found.conclusion.startswith("Nothing can be concluded")


def test_conclusions(tmp_path):
    generator = np.random.default_rng(0)
    easy = generator.exponential(size=200)
    rows_a = [row(i, float(r)) for i, r in enumerate(easy)]
    rows_b = [row(i, float(r + 0.2 + x)) for i, (r, x) in enumerate(zip(easy, easy, strict=True))]
    better = compared(tmp_path, rows_a, rows_b, [0, 0.5, 1])
    assert "the ACR of B is larger than that of A by" in better.conclusion
    assert "B certifies more inputs at radii 0.5 and 1.0" in better.conclusion
    assert "takes several trainings of each" in better.conclusion
    worse = compared(tmp_path, rows_b, rows_a, [0, 0.5, 1])
    assert "the ACR of B is smaller than that of A by" in worse.conclusion
    assert "A certifies more inputs" in worse.conclusion
    moved = [row(i, float(r)) for i, r in enumerate(np.roll(easy, 1))]
    same = compared(tmp_path, rows_a, moved, [0.5], b={"subset": "first:200", "n": 500})
    assert "chance in the choice of inputs may explain the difference in ACR" in same.conclusion
    assert "at none of the radii" in same.conclusion
    assert "all else in which they differ, on these inputs and no others" not in same.conclusion
    window = {"subset": "first:200", "data_examples": 900}
    part = compared(tmp_path, rows_a, moved, [0.5], a=window, b={**window, "n": 500})
    assert "all else in which they differ, on these inputs and no others" in part.conclusion


@pytest.mark.parametrize("at", [[-1.0], [np.inf], [np.nan]])
def test_radii_must_be_radii(tmp_path, at):
    with pytest.raises(ValueError, match="radii must be finite"):
        compared(tmp_path, ROWS_A, ROWS_B, at)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(LedgerError, match="has no noise, alpha; choose another"):
        compared(tmp_path, ROWS_A, ROWS_B, b={"noise": None, "alpha": None})


def test_the_command_prints_json_and_a_table(tmp_path, capsys):
    a, b = write(tmp_path / "a", ROWS_A), write(tmp_path / "b", ROWS_B)
    assert run(["compare", str(a), str(b), "--radii", "0,0.5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"a", "b", "examples", "acr", "certified_accuracy"} <= set(found)
    assert (found["a"], found["b"], found["examples"]) == (str(a), str(b), 5)
    assert set(found["acr"]) == {"a", "b", "difference", "se", "z", "p_value"}
    at_0 = found["certified_accuracy"][0]
    assert set(at_0) == {"radius", "a", "b", "two_proportion", "mcnemar"}
    assert set(at_0["two_proportion"]) == {"z", "p_value", "p_holm"}
    assert set(at_0["mcnemar"]) == {"a_only", "b_only", "p_value", "p_holm"}
    assert found["correction"] == "holm"
    assert run(["compare", str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    assert "On 5 inputs" in shown
    assert "note: 5 inputs are few" in shown
    assert "0.6999    0.6499  -0.0500" in shown  # of 0.7 and 0.65, floats a little below them
    assert run(["compare", str(a), str(b), "--radii", "0,x"]) == 2
    assert run(["compare", str(a), str(tmp_path / "none")]) == 1


def log_rows(member) -> list[Row]:
    lines = member.read().decode().splitlines()[1:]
    found = []
    for line in lines:
        index, label, predict, radius = line.split("\t")[:4]
        said = int(predict)
        found.append(
            row(int(index), float(radius), label=int(label), prediction=None if said < 0 else said)
        )
    return found


def test_pairing_published_logs_is_twice_as_sharp(shared_data, tmp_path):
    """Two objectives of Jeong and Shin 2020 on the same 10,000 images of MNIST."""
    names = (
        "mnist/cohen/noise_0.50_1801",
        "mnist/consistency/cohen/num_2/lbd_5.0/eta_0.5/noise_0.50_1",
    )
    with tarfile.open(shared_data / "logs" / "jeong2020-mnist.tar.gz") as archive:
        rows = [log_rows(archive.extractfile(name)) for name in names]
    found = compared(tmp_path, *rows, [0.5, 1.0])
    alone = [
        np.std([r.radius if r.prediction == r.label else 0 for r in each], ddof=1) / 100
        for each in rows
    ]
    assert found.examples == 10_000
    assert found.acr.se < np.hypot(*alone) / 2
    assert found.acr.p_value < 1e-6
