from __future__ import annotations

import json

import pytest

from radii.cli.main import run
from radii.errors import DataError, LedgerError, NotCoveredError
from radii.evaluation import Ledger
from radii.evaluation.importers import Pattern, Settings, import_results
from radii.evaluation.seeds import base_of, likeness, run_of
from tests.unit.evaluation.importers.logs import GAUSSIAN, GOOD, write

PATTERN = Pattern("noise_{sigma}_{seed}")


@pytest.fixture
def tree(tmp_path):
    """Logs of two methods and two sigmas, and a file that is none."""
    logs = ("a/m/noise_0.25_1", "a/m/noise_0.25_2", "b/noise_0.25_1", "b/noise_0.50_1")
    for number, name in enumerate(logs):
        write(tmp_path / "logs" / name, *GOOD, f"60\t1\t1\t0.{number + 1}\t1\t1")
    (tmp_path / "logs" / "b" / "noise_0.25_1_acc").write_text("0.0\t0.9\n")
    (tmp_path / "logs" / ".hidden").write_text("")
    return tmp_path / "logs"


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_tree_of_ledgers(tree, tmp_path):
    started, read = [], []
    written = import_results(
        *([tree], tmp_path / "out", Settings()),
        pattern=PATTERN,
        on_start=started.append,
        on_read=lambda: read.append(1),
    )
    expected = ["a/m/noise_0.25_1", "a/m/noise_0.25_2", "b/noise_0.25_1", "b/noise_0.50_1"]
    assert names(tmp_path / "out") == expected
    assert [path for path, _ in written.ledgers] == [tmp_path / "out" / name for name in expected]
    assert written.left_out == ("b/noise_0.25_1_acc",)
    assert (started, len(read)) == ([4], 4)
    metas = [Ledger(path).meta for path, _ in written.ledgers]
    assert [meta["noise"] for meta in metas] == [GAUSSIAN] * 3 + ["gaussian:sigma=0.5"]
    assert [meta["base_seed"] for meta in metas] == [1, 2, 1, 1]
    assert [meta["base_training"]["objective"] for meta in metas] == ["a/m", "a/m", "b", "b"]
    keys = [likeness(meta) for meta in metas]
    assert None not in keys
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert base_of(metas[0]) != base_of(metas[1])
    assert run_of(metas[0]) == (metas[0]["imported"]["sha256"], None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "out"]


def test_logs_of_one_folder_are_named_after_it(tree, tmp_path):
    import_results([tree / "a" / "m"], tmp_path / "out", Settings(), pattern=PATTERN)
    assert names(tmp_path / "out") == ["noise_0.25_1", "noise_0.25_2"]
    meta = Ledger(tmp_path / "out" / "noise_0.25_1").meta
    assert meta["base_training"] == {"objective": "m"}


def test_one_log_alone_is_in_no_group(tree, tmp_path):
    log = tree / "a" / "m" / "noise_0.25_1"
    import_results([log], tmp_path / "run", Settings(), pattern=PATTERN)
    meta = Ledger(tmp_path / "run").meta
    assert (meta["base_seed"], "base_training" in meta) == (1, False)
    assert likeness(meta) is None


def test_fields_say_what_was_trained(tree, tmp_path):
    pattern = Pattern("{objective}/{kind}/noise_{sigma}_{seed}")
    written = import_results([tree], tmp_path / "out", Settings(), pattern=pattern)
    found = {path.name: Ledger(path).meta for path, _ in written.ledgers}
    # b/noise_... has one folder in the tree: the whole path gives the other.
    assert found["noise_0.25_2"]["base_training"] == {"objective": "a", "kind": "m"}
    assert all("/" not in m["base_training"]["objective"] for m in found.values())


def test_several_logs_keep_their_names(tree, tmp_path):
    logs = [tree / "a" / "m" / "noise_0.25_1", tree / "b" / "noise_0.50_1"]
    import_results(logs, tmp_path / "out", Settings(GAUSSIAN, n=100_000))
    assert names(tmp_path / "out") == ["a/m/noise_0.25_1", "b/noise_0.50_1"]


def test_fields_of_the_plan(tmp_path):
    log = write(tmp_path / "s0.25_n10000_m50_a0.01", "0\t1\t1\t0.5\t1\t1")
    pattern = Pattern("s{sigma}_n{n}_m{n0}_a{alpha}")
    import_results([log], tmp_path / "run", Settings(), pattern=pattern)
    meta = Ledger(tmp_path / "run").meta
    assert [meta[key] for key in ("n", "n0", "alpha")] == [10_000, 50, 0.01]
    assert next(Ledger(tmp_path / "run").rows()).samples == 10_050


def test_one_bad_log_and_nothing_is_written(tree, tmp_path):
    bad = write(tree / "b" / "noise_1.00_9", "0\t1\t1\thalf\t1\t1")
    with pytest.raises(DataError, match=r"noise_1\.00_9', line 2: radius must be a finite number"):
        import_results([tree], tmp_path / "out", Settings(), pattern=PATTERN)
    bad.unlink()
    with pytest.raises(DataError, match=r"noise_0\.25_1_acc', line 1: a log must have a header"):
        import_results([tree], tmp_path / "out", Settings(GAUSSIAN))
    with pytest.raises(ValueError, match=r"noise_0\.25_1': noise .* needs sigma"):
        import_results([tree / "a"], tmp_path / "out", Settings())
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_what_breaks_off_leaves_nothing(tree, tmp_path, monkeypatch):
    import radii.evaluation.importers.tree as module

    class Broken(module.LedgerWriter):
        def add(self, rows):
            if self.path.name == "noise_0.50_1":
                raise KeyboardInterrupt
            super().add(rows)

    monkeypatch.setattr(module, "LedgerWriter", Broken)
    with pytest.raises(KeyboardInterrupt):
        import_results([tree], tmp_path / "new" / "out", Settings(), pattern=PATTERN)
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_is_overwritten(tree, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    import_results([tree], out, Settings(), pattern=PATTERN)  # an empty folder is taken
    before = {name: (out / name).read_bytes() for name in names(out)}
    for sources in ([tree], [tree / "b" / "noise_0.50_1"]):
        with pytest.raises(LedgerError, match="exists, and an import goes on with nothing"):
            import_results(sources, out, Settings(), pattern=PATTERN)
    assert {name: (out / name).read_bytes() for name in names(out)} == before


def test_no_such_log(tree, tmp_path):
    with pytest.raises(DataError, match="no log at"):
        import_results([tree / "c"], tmp_path / "out", Settings(GAUSSIAN))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="must hold logs, but no file is in it"):
        import_results([tmp_path / "empty"], tmp_path / "out", Settings(GAUSSIAN))
    with pytest.raises(DataError, match="none of 5 does, the first being 'a/m/noise_0"):
        import_results([tree], tmp_path / "out", Settings(), pattern=Pattern("x_{sigma}"))
    with pytest.raises(NotCoveredError, match="no certificate covers Gaussian noise in l0"):
        import_results([tree / "a"], tmp_path / "out", Settings(GAUSSIAN, norm="l0"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"n": 0}, "n must be"), ({"n0": 0}, "n0 must be"), ({"alpha": 1.0}, "alpha must be in")],
)
def test_settings_are_checked(settings, said):
    with pytest.raises(ValueError, match=said):
        Settings(**settings)


def test_the_command(tree, tmp_path, capsys):
    out = tmp_path / "out"
    code = run(["import", str(tree), "--pattern", "noise_{sigma}_{seed}", "--out", str(out)])
    said = capsys.readouterr()
    assert code == 0
    assert said.out.startswith("4 ledgers with 16 inputs in ")
    assert "1 files do not fit the pattern and are left out: b/noise_0.25_1_acc" in said.err
    code = run(["report", *(str(out / name) for name in names(out)), "--format", "json"])
    assert code == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [each["noise"] for each in runs] == [GAUSSIAN] * 3 + ["gaussian:sigma=0.5"]


def test_the_command_in_json(tree, tmp_path, capsys):
    log = str(tree / "b" / "noise_0.50_1")
    arguments = ["import", log, "--noise", GAUSSIAN, "--out", str(tmp_path / "run"), "--json"]
    assert run([*arguments, "--data", "imagenet"]) == 0
    said = capsys.readouterr()
    (entry,) = json.loads(said.out)["runs"]
    assert (entry["run"], entry["log"], entry["examples"]) == (str(tmp_path / "run"), log, 4)
    assert "labels are not compared with those of 'imagenet'" in said.err
    assert Ledger(tmp_path / "run").meta["data"] == "imagenet"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "needs sigma"),
        (["--noise", "gausian:sigma=1"], 2, "no noise is called 'gausian'"),
        (["--noise", GAUSSIAN, "--pattern", "{"], 2, "a pattern must"),
        (["--noise", GAUSSIAN, "--n", "0"], 2, "n must be at least 1"),
        (["--noise", GAUSSIAN, "--data", "npz:missing.npz"], 1, "missing.npz"),
        (["--noise", "gaussian:sigma=0.01"], 1, "line 2: radius must be one that"),
    ],
)
def test_wrong_commands(tree, tmp_path, capsys, arguments, code, said):
    log = str(tree / "b" / "noise_0.50_1")
    assert run(["import", log, "--out", str(tmp_path / "run"), *arguments]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
