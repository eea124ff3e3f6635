from __future__ import annotations

import hashlib

import pytest

from radii.data import load
from radii.errors import DataError
from radii.evaluation import Ledger, Outcomes
from radii.evaluation.importers import Settings, import_results
from radii.evaluation.report import Report
from tests.unit.evaluation.importers.logs import GAUSSIAN, GOOD, HEADER, write


def imported(log, tmp_path, **settings):
    """The ledger of a log, and what was said of it."""
    given = {"noise": GAUSSIAN, "n": 1000, **settings}
    out = tmp_path / "run.sqlite"
    ((path, found),) = import_results([log], out, Settings(**given)).ledgers
    assert path == out
    return Ledger(out), found.notes


def test_rows_and_meta(tmp_path):
    log = write(tmp_path / "log", *GOOD)
    ledger, notes = imported(log, tmp_path, n=100_000)
    assert notes == ()
    right, abstained, wrong = ledger.rows()
    assert (right.index, right.label, right.prediction, right.radius) == (0, 7, 7, 0.953)
    assert (right.fits, right.samples, right.seconds) == ((100_000, 100_000), 100_100, 2.123456)
    assert right.pA_lower + right.pB_upper == pytest.approx(1)
    assert (abstained.prediction, abstained.radius, abstained.pA_lower) == (None, 0.0, 0.0)
    assert abstained.fits[0] == 0
    assert 50_000 < abstained.fits[1] < 50_600
    assert (wrong.prediction, wrong.radius, wrong.seconds) == (4, 0.0746, 3661.0)
    assert wrong.fits[0] < wrong.fits[1] < 62_500
    for row in (right, abstained, wrong):
        assert (row.n0_votes, row.n_votes, row.claim) == ({}, {}, None)
    assert ledger.unanimous() == 0
    meta = ledger.meta
    assert meta["noise"] == GAUSSIAN
    assert (meta["n0"], meta["n"], meta["alpha"], meta["norm"]) == (100, 100_000, 0.001, "l2")
    assert (meta["bound"], meta["certificate"]) == ("clopper_pearson", "gaussian_l2")
    assert not {"seed", "block", "base_sha256", "data", "base_training", "base_seed"} & set(meta)
    assert meta["imported"] == {
        "layout": "certify_tsv",
        "file": "log",
        "sha256": hashlib.sha256(log.read_bytes()).hexdigest(),
        "significant_digits": 3,
        "decimals": 4,
        "fit_no_count": 0,
    }


def test_a_report_takes_it(tmp_path):
    imported(write(tmp_path / "log", *GOOD), tmp_path, n=100_000)
    (summary,) = Report.of([tmp_path / "run.sqlite"]).summaries
    assert summary.acr == pytest.approx(0.953 / 3)
    assert summary.unanimous == 0
    assert summary.coverage == "unknown"


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("\n".join((HEADER, *GOOD)), 3),  # without the last end of line
        ("\r\n".join((HEADER, *GOOD, "")), 3),
        ("\ufeff" + "\n".join((HEADER, *GOOD, "", "")), 3),
        ("\n".join((HEADER, *GOOD[:2], HEADER, GOOD[2])), 3),  # two parts of one run
        ("\n".join(reversed(GOOD)), 3),
        ("\n".join((*GOOD[1:], GOOD[0])), 3),
    ],
)
def test_layouts_of_text(tmp_path, text, rows):
    log = tmp_path / "log"
    text = text if "idx" in text else f"{HEADER}\n{text}"
    log.write_bytes(text.encode())
    ledger, notes = imported(log, tmp_path, n=100_000)
    assert notes == ()
    assert [row.index for row in ledger.rows()] == [0, 20, 40][:rows]


def test_more_columns_in_another_order(tmp_path):
    lines = ["0.5\tx\t7\t7\t0\t1\t2.5", "nan\ty\t-1\t7\t1\t0\t3"]
    header = "radius\tnote\tpredict\tlabel\tidx\tcorrect\ttime"
    ledger, _ = imported(write(tmp_path / "log", *lines, header=header), tmp_path)
    assert [(r.index, r.label, r.prediction, r.radius) for r in ledger.rows()] == [
        (0, 7, 7, 0.5),
        (1, 7, None, 0.0),
    ]


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    log = write(tmp_path / "log", *GOOD[:2], "40\t1\t4\t0.0", end="")
    ledger, (note,) = imported(log, tmp_path, n=100_000)
    assert [row.index for row in ledger.rows()] == [0, 20]
    assert "line 4 is cut off" in note


@pytest.mark.parametrize("radius", ["0.0", "0", "nan"])
def test_nothing_certified_is_an_abstention(tmp_path, radius):
    log = write(tmp_path / "log", f"0\t7\t7\t{radius}\t1\t1", "1\t7\t7\t0.5\t1\t1")
    ledger, (note,) = imported(log, tmp_path)
    assert "has 1 answers with radius 0 or nan" in note
    found = Outcomes.of(ledger.rows())
    assert found.abstained.tolist() == [True, False]
    assert found.correct.tolist() == [False, True]


@pytest.mark.parametrize(
    ("correct", "said"),
    [
        (("1", "1", "2"), "is a running total"),
        (("1.0", "0.5", "0.667"), "is a running total"),
        (("1", "1", "0"), "differs from predict and label 2 times"),
    ],
)
def test_the_column_correct_is_not_believed(tmp_path, correct, said):
    predictions = ("7", "-1", "7")
    lines = [
        f"{i}\t7\t{p}\t{0.5 if p == '7' else 0.0}\t{c}\t1"
        for i, (p, c) in enumerate(zip(predictions, correct, strict=True))
    ]
    ledger, (note,) = imported(write(tmp_path / "log", *lines), tmp_path)
    assert said in note
    assert Outcomes.of(ledger.rows()).correct.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1\t7\t7\t0.5\t1"], r"line 2: a row must have 6 cells .* got 5"),
        (["1\t7\t7\t0.5\t1\t1\t1"], r"line 2: a row must have 6 cells .* got 7"),
        ([GOOD[0], "one\t7\t7\t0.5\t1\t1"], r"line 3: idx must be a whole number .* got 'one'"),
        ([GOOD[0], "-1\t7\t7\t0.5\t1\t1"], r"line 3: idx must be .* at least 0, got '-1'"),
        (["1\t7.0\t7\t0.5\t1\t1"], r"line 2: label must be a class, .* got '7\.0'"),
        (["1\t-1\t7\t0.5\t1\t1"], r"line 2: label must be a class, .* got '-1'"),
        (["1\t9999999999\t7\t0.5\t1\t1"], r"line 2: label must be a class"),
        (["1\t7\t-2\t0.5\t1\t1"], r"line 2: predict must be a class, or -1 .* got '-2'"),
        (["1\t7\t7\t-0.5\t1\t1"], r"line 2: radius must be a finite number .* got '-0\.5'"),
        (["1\t7\t7\tinf\t1\t1"], r"line 2: radius must be a finite number .* got 'inf'"),
        (["1\t7\t7\t0,5\t1\t1"], r"line 2: radius must be a finite number .* got '0,5'"),
        (["1\t7\t7\t1_0\t1\t1"], r"line 2: radius must be a finite number .* got '1_0'"),
        (["1\t7\t-1\t0.5\t0\t1"], r"line 2: radius must be 0 where predict is -1, .* got '0\.5'"),
        (["1\t7\t7\t0.5\tyes\t1"], r"line 2: correct must be a number, got 'yes'"),
        (["1\t7\t7\t0.5\t1\tsoon"], r"line 2: time must be seconds, .* got 'soon'"),
        (["1\t7\t7\t0.5\t1\t-1"], r"line 2: time must be seconds"),
        ([GOOD[0], GOOD[1], GOOD[0]], r"line 4: each idx must stand once, got 0 .* on line 2"),
        (
            [GOOD[0], "label\tidx\tpredict\tradius\tcorrect\ttime", GOOD[1]],
            r"line 3: a log must have one header, idx, .* got another, label, idx",
        ),
        ([], r"line 2: a row of idx, .* must follow the header"),
        (["1\t7\t7\t2.5\t1\t1"], r"line 2: radius must be one that some count of 1,000 votes "),
    ],
)
def test_a_bad_log_is_refused_and_nothing_is_written(tmp_path, lines, said):
    log = write(tmp_path / "log", *lines)
    with pytest.raises(DataError, match=said) as refused:
        imported(log, tmp_path)
    assert str(refused.value).startswith(repr(str(log)))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"must have the columns idx, .* but the file is empty"),
        (b"\n\n", r"but the file is empty"),
        (b"idx\tlabel\tpredict\tcorrect\ttime\n", r"line 1: .* lacks radius"),
        (b"idx,label,predict,radius,correct,time\n", r"line 1: .* lacks idx, label"),
        ((HEADER + "\tradius\n").encode(), r"line 1: .* names radius twice"),
        (b"0.00000\t0.99450\n", r"line 1: .* '0\.00000\\t0\.99450' lacks idx"),
        (b"idx\tlabel\xff\n", r"must be a text, .* byte 9 is none"),
    ],
)
def test_no_log_of_this_kind(tmp_path, content, said):
    log = tmp_path / "log"
    log.write_bytes(content)
    with pytest.raises(DataError, match=said):
        imported(log, tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:00:02.123456", 2.123456), ("2 days, 1:00:00", 176400), ("1 day, 0:00:01", 86401)],
)
def test_times(tmp_path, text, seconds):
    ledger, _ = imported(write(tmp_path / "log", f"0\t7\t7\t0.5\t1\t{text}"), tmp_path)
    assert next(ledger.rows()).seconds == seconds


def test_labels_are_those_of_the_data_set(tmp_path):
    dataset = load("mnist5k@test")
    lines = [f"{i}\t{dataset.labels[i]}\t-1\t0.0\t0\t1" for i in range(0, 1000, 50)]
    settings = Settings(GAUSSIAN, n=1000)
    log = write(tmp_path / "log", *lines)
    import_results([log], tmp_path / "run", settings, dataset=dataset)
    meta = Ledger(tmp_path / "run").meta
    assert (meta["data"], meta["data_fingerprint"]) == ("mnist5k@test", dataset.fingerprint)
    assert (meta["subset"], meta["data_examples"]) == ("every:50", 1000)
    (summary,) = Report.of([tmp_path / "run"]).summaries
    assert (summary.expected, summary.coverage) == (20, "window")

    for line, said in [
        (f"7\t{(dataset.labels[7] + 1) % 10}\t-1\t0.0\t0\t1", r"line 22: input 7 of .* have label"),
        ("1000\t0\t-1\t0.0\t0\t1", r"line 22: the index must be below 1,000"),
        (f"7\t{dataset.labels[7]}\t10\t0.5\t0\t1", r"line 22: predict must be below 10"),
    ]:
        write(log, *lines, line)
        with pytest.raises(DataError, match=said):
            import_results([log], tmp_path / "other", settings, dataset=dataset)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("indices", "subset"),
    [
        (range(1000), "all"),
        (range(30), "first:30"),
        (range(0, 500, 20), "every:20"),  # its start
        ([0, 3, 5], None),
        (range(5, 1000, 5), None),
    ],
)
def test_which_inputs_they_are(tmp_path, indices, subset):
    dataset = load("mnist5k@test")
    log = write(tmp_path / "log", *(f"{i}\t{dataset.labels[i]}\t-1\t0\t0\t1" for i in indices))
    import_results([log], tmp_path / "run", Settings(GAUSSIAN, n=100), dataset=dataset)
    assert Ledger(tmp_path / "run").meta.get("subset") == subset
