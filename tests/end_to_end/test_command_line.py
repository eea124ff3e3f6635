from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from radii.data import load
from tests.end_to_end.conftest import command, environment

NOISE = ("--noise", "gaussian:sigma=0.5")
SMALL = ("--n", 500, "--n0", 50, "--subset", "first:20", "--seed", 1)


@pytest.fixture(scope="module")
def ledger(radii, base, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.sqlite"
    done = radii("certify", "--base", base, "--data", "mnist5k", *NOISE, *SMALL, "--out", path)
    assert done.returncode == 0, done.stderr
    assert "ACR" in done.stdout
    assert "11,000 samples in " in done.stdout
    assert done.stderr == ""  # no bar where stdout is no terminal
    return path


def test_help_names_the_commands(radii):
    done = radii("--help")
    assert done.returncode == 0
    for name in ("list", "radius", "train", "certify", "predict", "report", "export", "demo"):
        assert name in done.stdout


def test_version(radii):
    from radii import __version__

    assert radii("--version").stdout.strip() == __version__


def test_list_knows_every_kind(radii):
    listed = json.loads(radii("list", "--json").stdout)
    names = {(entry["kind"], entry["name"]) for entry in listed}
    assert {("noise", "gaussian"), ("certificate", "gaussian_l2"), ("dataset", "mnist5k")} <= names
    assert {("stop", "never"), ("stop", "at_radius"), ("stop", "radii")} <= names
    only = json.loads(radii("list", "bound", "--json").stdout)
    assert {entry["kind"] for entry in only} == {"bound"}
    assert {entry["name"] for entry in only} == {n for kind, n in names if kind == "bound"}
    assert all(entry["reference"] for entry in only)
    assert "sigma" in radii("list", "noise").stdout


def test_radius_from_votes(radii):
    done = radii(
        *("radius", *NOISE, "--norm", "l2", "--votes", 99000, "--n", 100000),
        *("--alpha", 0.001, "--json", "--certificate", "gaussian_l2"),
    )
    answer = json.loads(done.stdout)
    assert set(answer) == {
        *("noise", "norm", "dim", "alpha", "pA_lower", "pB_upper", "certificates"),
    }
    # betaincinv(99000, 1001, 0.001) of SciPy and the exact tail sum in tests/reference
    assert answer["pA_lower"] == pytest.approx(0.98898934037747, abs=1e-11)
    assert answer["alpha"] == 0.001
    (certificate,) = answer["certificates"]
    assert certificate["name"] == "gaussian_l2"
    assert certificate["tight"] is True
    assert certificate["radius"] == pytest.approx(1.1449999776, abs=1e-9)
    assert len(repr(certificate["radius"])) > 15  # not rounded


@pytest.mark.parametrize("votes", [980, 985, 990, 995])
def test_bounds_are_shown_rounded_outwards(radii_inside, votes):
    line = ("radius", *NOISE, "--norm", "l2", "--votes", votes, "--n", 1000)
    found = json.loads(radii_inside(*line, "--json").stdout)
    _, lower, _, upper = radii_inside(*line).stdout.splitlines()[0].split()
    assert Fraction(lower) <= Fraction(found["pA_lower"]) < Fraction(lower) + Fraction(1, 10**9)
    assert Fraction(upper) - Fraction(1, 10**9) < Fraction(found["pB_upper"]) <= Fraction(upper)


def test_probabilities_are_shown_as_they_were_given(radii_inside):
    line = ("radius", *NOISE, "--norm", "l2", "--pA", 0.99)
    assert radii_inside(*line).stdout.startswith("pA_lower 0.99   pB_upper 0.01\n")
    assert radii_inside(*line, "--pB", 1e-7).stdout.startswith("pA_lower 0.99   pB_upper 0.0000001")


def test_radius_from_probabilities(radii):
    line = ("radius", *NOISE, "--norm", "l2", "--pA", 0.8)
    one = json.loads(radii(*line, "--json").stdout)
    two = json.loads(radii(*line, "--pB", 0.1, "--json").stdout)
    assert one["alpha"] is None
    assert two["pB_upper"] == 0.1
    radii_of = [{c["name"]: c["radius"] for c in answer["certificates"]} for answer in (one, two)]
    assert radii_of[1]["gaussian_l2"] > radii_of[0]["gaussian_l2"]
    for found in radii_of:  # the tight one is the largest of all
        assert max(found.values()) <= found["gaussian_l2"] * (1 + 1e-9)
    assert "0.420810" in radii(*line).stdout  # floored


def test_radius_from_votes_and_the_number_drawn_with_them(radii_inside):
    line = ("radius", *NOISE, "--norm", "l2", "--certificate", "gaussian_l2", "--json")

    def pA_lower(votes, *more):
        done = radii_inside(*line, "--votes", votes, "--n", 1000, *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["pA_lower"]

    randomized = ("--bound", "randomized_clopper_pearson")
    fixed, next_fixed = pA_lower(990), pA_lower(991)
    assert pA_lower(990, *randomized) == fixed  # without the number it is Clopper-Pearson
    found = [pA_lower(990, *randomized, "--tie", tie) for tie in (0.999999, 0.5, 0)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(fixed, abs=1e-7)
    assert fixed < found[1] < next_fixed
    assert found[2] == pytest.approx(next_fixed, abs=1e-9)  # at 0 that of one vote more
    said = " ".join(radii_inside("radius", "--help").stdout.replace("│", " ").split())
    assert "without it that bound is Clopper-Pearson" in said


def test_a_certificate_that_depends_on_the_dimension_needs_dim(radii):
    line = ("radius", *NOISE, "--norm", "linf", "--pA", 0.9)
    without = radii(*line)
    assert without.returncode == 2
    assert "--dim" in without.stderr
    small, large = (
        json.loads(radii(*line, "--dim", dim, "--json").stdout)["certificates"][0]["radius"]
        for dim in (100, 400)
    )
    assert small == pytest.approx(2 * large, rel=1e-9)


@pytest.mark.parametrize(
    "line",
    [
        *(
            ("radius", *NOISE, "--norm", norm, "--votes", 990, "--n", 1000, "--dim", 784, *form)
            for norm in ("l1", "l2", "linf")
            for form in ((), ("--json",))
        ),
        ("--help",),
        ("radius", "--noise", "laplace:b=1", "--norm", "l1", "--pA", 0.9),
        *(("list", kind) for kind in ("noise", "bound", "certificate", "stop")),
    ],
)
def test_what_needs_no_tensor_does_not_import_torch(line):
    code = (
        "import sys; from radii.cli.main import run; code = run(sys.argv[1:]); "
        "slow = {'torch', 'matplotlib', 'jinja2', 'PIL'} & sys.modules.keys(); "
        "sys.exit(f'{code} {sorted(slow)}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, line)],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.stdout
    assert done.stderr == "0 []\n"


def test_report_in_every_format(radii_inside, ledger, tmp_path):
    answer = json.loads(
        radii_inside("report", ledger, "--format", "json", "--radii", "0,0.5").stdout
    )
    (run,) = answer["runs"]
    assert [point["radius"] for point in run["certified_accuracy"]] == [0.0, 0.5]
    assert run["examples"] == 20
    assert run["standard_accuracy"] == run["certified_accuracy"][0]["value"]
    assert run["samples_total"] == 20 * 550
    lines = list(
        csv.DictReader(io.StringIO(radii_inside("report", ledger, "--format", "csv").stdout))
    )
    assert float(lines[0]["acr"]) == run["acr"]
    assert "|" in radii_inside("report", ledger, "--format", "md").stdout
    assert r"\toprule" in radii_inside("report", ledger, "--format", "latex").stdout
    for name, start in (("a.html", b"<!doctype html>"), ("a.svg", b"<?xml"), ("a.png", b"\x89PNG")):
        done = radii_inside("report", ledger, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).read_bytes().startswith(start)
    page = (tmp_path / "a.html").read_text()
    assert "data:image/png" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_an_export_stands_for_its_run(radii_inside, ledger, tmp_path):
    endings = [".csv", ".tsv"] + [".parquet"] * (find_spec("pyarrow") is not None)
    (expected,) = json.loads(radii_inside("report", ledger, "--format", "json").stdout)["runs"]
    for ending in endings:
        path = tmp_path / f"run{ending}"
        done = radii_inside("export", ledger, "--out", path)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"20 inputs in {path}; `radii report {path}` reads it\n"
        (run,) = json.loads(radii_inside("report", path, "--format", "json").stdout)["runs"]
        assert run == {**expected, "run": str(path)}
    for line in (("export", ledger), ("export", ledger, "--out", "-"), ("export", path)):
        assert radii_inside(*line).stdout == (tmp_path / "run.csv").read_text()
    page = tmp_path / "report.html"
    done = radii_inside("report", tmp_path / "run.csv", "--out", page)
    assert (done.returncode, done.stderr) == (0, "")
    assert "data:image/png" in page.read_text()  # pictures, as of the ledger


def test_a_sweep_over_seeds_is_a_group(radii_inside, tmp_path):
    train = ("train", "--data", "mnist5k", "--base", "mlp:hidden=16,depth=1", *NOISE)
    more = ("--epochs", 1, "--lr", 0.1, "--batch-size", 64, "--seeds", "0,1")
    done = radii_inside(*train, *more, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    runs = []
    for seed in (0, 1):
        runs.append(tmp_path / f"{seed}.sqlite")
        base = tmp_path / f"seed-{seed}"
        line = ("certify", "--base", base, "--data", "mnist5k", *NOISE, *SMALL, "--out", runs[-1])
        assert radii_inside(*line).returncode == 0
    answer = json.loads(radii_inside("report", *runs, "--format", "json").stdout)
    (group,) = answer["groups"]
    assert group["runs"] == [str(run) for run in runs]
    assert group["base_training"]["architecture"] == "mlp:hidden=16,depth=1"
    assert "seed" not in group["base_training"]
    one, two = (run["acr"] for run in answer["runs"])
    assert group["acr"]["mean"] == pytest.approx((one + two) / 2)
    assert group["acr"]["deviation"] == pytest.approx(abs(one - two) / 2**0.5)
    assert one != two
    shown = radii_inside("report", *runs).stdout
    assert "Mean ± standard deviation over runs" in shown
    assert "gaussian under gaussian:sigma=0.5" in shown


def test_predict_on_data_and_on_files(radii_inside, base, tmp_path):
    done = radii_inside(
        *("predict", "--base", base, "--data", "mnist5k", *NOISE, "--subset", "first:5"),
        *("--n", 200, "--seed", 0, "--json"),
    )
    by_data = json.loads(done.stdout)
    dataset = load("mnist5k")
    assert [answer["label"] for answer in by_data] == dataset.labels[:5].tolist()
    files = []
    for index in range(5):
        files.append(tmp_path / f"{index}.png")
        pixels = np.rint(dataset[index][0].numpy()[0] * 255).astype(np.uint8)
        Image.fromarray(pixels).save(files[-1])
    by_file = json.loads(
        radii_inside(
            "predict", *files, "--base", base, *NOISE, "--n", 200, "--seed", 0, "--json"
        ).stdout
    )
    assert [a["votes"] for a in by_file] == [a["votes"] for a in by_data]
    assert by_file[0]["class"] == str(by_file[0]["prediction"])
    table = radii_inside("predict", files[0], "--base", base, *NOISE, "--n", 200).stdout
    assert "1 inputs" in table


def test_what_predict_shows_is_rounded_against_it(radii_inside, base):
    line = ("predict", "--base", base, "--data", "mnist5k", *NOISE, "--n", 200, "--seed", 0)
    line = (*line, "--subset", "first:61")
    found = json.loads(radii_inside(*line, "--json").stdout)
    _, *rows, summary = radii_inside(*line).stdout.splitlines()
    shown = [row.split()[-2] for row in rows]
    assert all(Fraction(t) >= Fraction(a["p_value"]) for t, a in zip(shown, found, strict=True))
    right = sum(answer["prediction"] == answer["label"] for answer in found)
    assert f"({1000 * right // 61 / 10}% of all)" in summary


def test_a_recipe_stands_for_the_options_and_options_win(radii, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'data = "mnist5k"\nbase = "mlp:hidden=8,depth=1"\nepochs = 5\nbatch_size = 500\n'
        'objective = "gaussian"\nseed = 7\n[noise]\nname = "gaussian"\nsigma = 0.25\n'
    )
    done = radii("train", recipe, "--epochs", 1, "--out", tmp_path / "base")
    assert done.returncode == 0, done.stderr
    described = json.loads((tmp_path / "base" / "model.json").read_text())
    assert described["noise"] == "gaussian:sigma=0.25"
    assert described["epochs"] == 1
    assert described["seed"] == 7
    assert described["batch_size"] == 500


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(radii_inside, base, tmp_path):
    line = ("certify", "--base", base, "--data", "mnist5k", *NOISE, *SMALL, "--dry-run")
    done = radii_inside(*line, "--out", tmp_path / "run.sqlite")
    assert done.returncode == 0, done.stderr
    for part in ("20\n", "11,000; every input takes n0 + n draws", "samples/s", "largest radius"):
        assert part in done.stdout
    assert list(tmp_path.iterdir()) == []
    found = json.loads(radii_inside(*line, "--json", "--stop", "at_radius:0.25").stdout)
    assert found["inputs"] == 20
    assert found["samples_at_most"] == 11_000
    assert 20 * (50 + 32) <= found["samples"] <= 11_000
    assert found["rests_on"].endswith("votes of each of 20 inputs")
    assert found["largest_radius"] == pytest.approx(0.25)
    assert radii_inside(*line[:-1]).returncode == 2  # only a dry run needs no --out


def test_labels_in_bfloat16_are_compared(radii_inside, base, tmp_path):
    line = ("certify", "--base", base, "--data", "mnist5k", *NOISE, *SMALL)
    done = radii_inside(*line, "--precision", "bfloat16", "--out", tmp_path / "run.sqlite")
    assert done.returncode == 0, done.stderr
    assert "% of the labels of 1,000 noisy copies are those of the float32" in done.stderr
    page = tmp_path / "report.html"
    assert radii_inside("report", tmp_path / "run.sqlite", "--out", page).returncode == 0
    assert "label_agreement" in page.read_text()


def test_bfloat16_is_another_run(radii, base, ledger):
    done = radii(
        *("certify", "--base", base, "--data", "mnist5k", *NOISE, *SMALL, "--out", ledger),
        *("--precision", "bfloat16"),
    )
    assert done.returncode == 1
    assert "precision" in done.stderr


BROKEN = """
import torch
def nan(x):
    return torch.full((len(x), 10), float("nan"))
def label(x):
    return torch.full((len(x),), 10)
def raises(x):
    raise RuntimeError("no such luck")
def wide(x):
    return torch.zeros(len(x), 12)
class Module(torch.nn.Module):
    pass
"""

VOTES = ("--votes", 990, "--n", 1000)
RANDOMIZED = ("--bound", "randomized_clopper_pearson")
WRONG = [
    (("certify", "--noise", "gausian:sigma=0.5"), 2, "Did you mean 'gaussian'?"),
    (("certify", "--noise", "gaussian:sigma=0"), 2, "sigma must be positive"),
    (("certify", "--noise", "gaussian:sigma=x"), 2, "sigma of noise 'gaussian' must be a number"),
    (("certify", "--norm", "l0"), 2, "certified norms for it: l1, l2, linf"),
    (("certify", "--n", 5), 2, "n of at least 10"),
    (("certify", "--n", 0), 2, "n must be"),
    (("certify", "--alpha", 2), 2, "alpha must be in (0, 1)"),
    (("certify", "--subset", "some"), 2, "every:K"),
    (("certify", "--subset", "first:5000"), 2, "1000"),
    (("certify", "--base", "nowhere"), 1, "nowhere"),
    (("certify", "--base", "lenet"), 1, "train it first"),
    (("certify", "--base", "broken.py:nan"), 1, "NaN"),
    (("certify", "--base", "broken.py:label"), 1, "must be at least 0 and less than 10"),
    (("certify", "--base", "broken.py:raises"), 1, "no such luck"),
    (("certify", "--base", "broken.py:wide"), 1, "(4, 10)"),
    (("certify", "--base", "broken.py:Module"), 1, "is a class"),
    (("certify", "--base", "broken.py:missing"), 1, "missing"),
    (("certify", "--data", "mnist6k"), 2, "Did you mean 'mnist5k'?"),
    (("certify", "--data", "npz:nowhere.npz"), 1, "nowhere.npz"),
    (("certify", "--data", "npz:shape.npz"), 1, "(3, 8, 8)"),
    (("certify", "--data", "npz:labels.npz"), 1, "label of input 1 must be in [0, 10)"),
    (("certify", "--device", "tpu9"), 2, "tpu9"),
    (("certify", "--bound", "clopper"), 2, "clopper_pearson"),
    (("certify", "--certificate", "nothing"), 2, "gaussian_l2"),
    (("certify", "--batch-size", 0), 2, "batch_size"),
    (("certify", "--seed", -1), 2, "seed must be a whole number in [0, 2**256), got -1"),
    (("certify", "--bound", "staged:stages=20/50"), 2, "n must be at most 50"),
    (("certify", "--out", "."), 1, "'.' must be a file, got a folder"),
    (("certify", "--stop", "precision", "--n", 5), 2, "n=5 draws can never certify"),
    (("certify", "--stop", "radii:0", "--n", 5), 2, "n=5 draws can never certify"),
    (("certify", "--stop", "sometimes"), 2, "known: at_radius, never, precision, radii"),
    (("certify", "--stop", "at_radius:9"), 2, "radius must be at most 0.75"),
    (("certify", "--stop", "radii:5,9", "--dry-run"), 2, "got 5; take a smaller one"),
    (("certify", "--stop", "precision", "--bound", "calibrated"), 2, "take hybrid or betting"),
    (("certify", "--stop", "precision", "--bound", "clopper_pearson"), 2, "not under early stop"),
    (("certify", "--stop", "at_radius:0.1", "--vote", "soft"), 2, "leave the stopping rule out"),
    (("radius", "--pA", 0.9, "--tie", 0.5), 2, "--tie belongs to --votes"),
    (("radius", "--pA", 0.9, "--alpha", 7), 2, "--alpha belongs to --votes"),
    (("radius", "--pA", 0.9, "--bound", "nonsense"), 2, "--bound belongs to --votes"),
    (("radius", "--pA", 0.9, "--n", 100), 2, "--n belongs to --votes"),
    (("radius", *VOTES, "--tie", 0.5), 2, "_clopper_pearson), clopper_pearson has no use for it"),
    (("radius", *VOTES, *RANDOMIZED, "--tie", 1), 2, "--tie must be in [0, 1), got 1.0"),
    (("radius", *VOTES, *RANDOMIZED, "--tie", "nan"), 2, "--tie must be in [0, 1), got nan"),
    (("predict", "--data", "mnist5k", "--n", 10), 2, "n of at least 11"),
    (("predict", "--data", "mnist5k", "a.png"), 2, "either"),
    (("predict", "a.png"), 1, "a.png"),
    (("predict",), 2, "either"),
    (("predict", "large.png"), 1, "large.png must have shape (1, 28, 28)"),
    (("train", "--base", "lenett"), 2, "lenet"),
    (("train", "--epochs", 0), 2, "epochs"),
    (("train", "--schedule", "stairs"), 2, "cosine"),
    (("train", "--objective", "macar"), 2, "gaussian"),
    (("train", "nowhere.toml"), 2, "nowhere.toml"),
    (("report", "nowhere.sqlite"), 1, "nowhere.sqlite"),
    (("report", "broken.py"), 1, "not a ledger"),
    (("report", "nowhere.csv"), 1, "no run at 'nowhere.csv'"),
    (("export", "nowhere.sqlite"), 1, "no run at 'nowhere.sqlite'"),
    (("export", "nowhere.sqlite", "--out", "run.xlsx"), 2, "must end in .csv, .tsv, .parquet"),
    (("nonsense",), 2, "nonsense"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_input_gives_one_clear_sentence(
    arguments, code, said, base, tmp_path, monkeypatch, capsys
):
    from radii.cli.main import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text(BROKEN)
    Image.new("L", (30, 30)).save(tmp_path / "large.png")
    np.savez(tmp_path / "shape.npz", x=np.zeros((2, 3, 8, 8), np.uint8), y=np.array([0, 9]))
    np.savez(tmp_path / "labels.npz", x=np.zeros((2, 1, 28, 28), np.uint8), y=np.array([0, 12]))
    defaults = {
        "certify": {
            "--base": base, "--data": "mnist5k", "--noise": NOISE[1], "--n": 100, "--out": "run"
        },
        "predict": {"--base": base, "--noise": NOISE[1]},
        "radius": {"--noise": NOISE[1], "--norm": "l2"},
        "train": {
            "--data": "mnist5k", "--base": "mlp", "--noise": NOISE[1], "--epochs": 1, "--out": "new"
        },
    }  # fmt: skip
    name, *rest = map(str, arguments)
    line = [name, *rest]
    for option, value in defaults.get(name, {}).items():
        if option not in rest:
            line += [option, str(value)]
    assert run(line) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.strip().splitlines()) <= 2
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_debug_shows_the_traceback(radii):
    done = radii("report", "nowhere.sqlite", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def in_a_terminal(line):
    """Exit code and everything that a terminal would show."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        line, stdin=follower, stdout=follower, stderr=follower, env=environment()
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    return process.wait(), shown.decode()


def test_a_terminal_shows_progress(base, tmp_path):
    certify = ("certify", "--base", base, "--data", "mnist5k", *NOISE, "--out", tmp_path / "run")
    code, shown = in_a_terminal(command(*certify, "--n", 2_000, "--subset", "first:30"))
    assert code == 0, shown
    for part in ("certifying", "0/30", "/30", "samples/s", "0:00", "ACR"):
        assert part in shown
    early = ("--n", 10_000, "--subset", "first:30", "--stop", "at_radius:0.5")
    early_out = (*certify[:-1], tmp_path / "early")
    code, shown = in_a_terminal(command(*early_out, *early))
    assert code == 0, shown
    for part in ("/30", "samples/s", "% saved", "% fewer than n0 + n an input"):
        assert part in shown
    train = ("train", "--data", "mnist5k", "--base", "mlp", *NOISE, "--out", tmp_path / "base")
    code, shown = in_a_terminal(command(*train, "--epochs", 2))
    assert code == 0, shown
    for part in ("training", "0/2", "examples/s"):
        assert part in shown
