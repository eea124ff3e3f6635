"""Sentences and commands of a report."""

from __future__ import annotations

import shlex

import pytest
import typer.main

from radii.cli.main import app
from radii.evaluation.report import Report
from radii.evaluation.report.commands import command_of
from radii.evaluation.report.sentences import attack_sentence, sentence_of
from tests.unit.evaluation.attack_ledgers import hit, kept, write_attack
from tests.unit.evaluation.ledgers import SPEC, abstained, row, write, wrong

ROWS = [row(0, 1.3), wrong(1, 9.0), abstained(2), row(3, 0.7)]
MORE = {"base": "net.py:f g", "data": "mnist5k@test", "precision": "bfloat16", "compile": "on"}


def sentence(tmp_path, rows, radii, **changes) -> str:
    return sentence_of(Report.of([write(tmp_path / "a", rows, **changes)], radii).summaries[0])


def test_a_run_in_a_sentence(tmp_path):
    assert sentence(tmp_path, ROWS, [0, 0.5, 1], data="mnist5k@test") == (
        "Of 4 inputs of mnist5k@test, 50.0 % got a certificate for their right class and 25.0 % an "
        "abstention; the distance (\N{SCRIPT SMALL L}\N{SUBSCRIPT TWO}) up to which no change of "
        "an input can turn its right answer is certified to be 0.500 on average (ACR; an input "
        "that is wrong or abstained on counts as 0), and at least 0.5 for 50.0 % of all inputs "
        "(certified accuracy at 0.5); for each input, what is said is wrong with probability at "
        "most 0.001."
    )


def test_the_sentence_of_one_input_and_of_no_radius(tmp_path):
    said = sentence(tmp_path, [abstained(0)], [0], alpha=0)
    assert said.startswith("Of the only input, 0.0 % got")
    assert said.endswith("counts as 0).")


def test_an_attack_in_a_sentence(tmp_path):
    rows = [hit(0, 0.4), hit(1, 0.9, None), kept(2, 2.0), hit(3, 0.0, None, clean=None)]
    (attack,) = Report.of([write_attack(tmp_path / "a", rows)]).attacks
    assert attack_sentence(attack) == (
        "Of 4 inputs, 75.0 % are answered right as they are; the attack turned 1 of these answers "
        "into wrong ones by changes of median \N{SCRIPT SMALL L}\N{SUBSCRIPT TWO} norm 0.400, and "
        "1 into abstentions."
    )


def known(command: str, line: str) -> bool:
    """Whether the command line knows every option of a line."""
    found = typer.main.get_command(app).commands[command]
    options = {
        name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)
    }
    return {word for word in shlex.split(line) if word.startswith("--")} <= options


def test_the_command_of_a_run_has_every_option(tmp_path):
    line = command_of("runs/my run.sqlite", {**SPEC, **MORE})
    assert shlex.split(line)[:4] == ["radii", "certify", "--base", "net.py:f g"]
    assert line.endswith(
        "--n0 100 --n 1000 --alpha 0.001 --bound clopper_pearson --certificate gaussian_l2 "
        "--subset all --seed 7 --block 100 --device cpu --precision bfloat16 --compile on "
        "--out 'my run.sqlite'"
    )
    assert known("certify", line)


def test_the_command_of_a_run_names_another_generator():
    line = command_of("a.sqlite", {**SPEC, **MORE, "generator": "chacha20-shake256/1"})
    assert "--seed 7 --rng chacha --block 100" in line
    assert known("certify", line)
    assert "--rng" not in command_of("a.sqlite", {**SPEC, **MORE, "generator": "threefry/1"})
    attack = {**SPEC, **MORE, "attack": "ddn", "generator": "chacha20-shake256/1"}
    assert "--seed 7 --rng chacha --device cpu" in command_of("a.sqlite", attack)


def test_the_command_of_a_run_that_drew_nothing_asks_for_no_draws():
    drawn_nothing = {"n0": 0, "n": 4, "alpha": 0, "bound": "exact", "seed": 0}
    line = command_of("a.sqlite", {**SPEC, **MORE, **drawn_nothing})
    assert line.startswith("radii certify --base 'net.py:f g' --data mnist5k@test --noise ")
    for option in ("--n0", "--n ", "--alpha", "--bound", "--seed", "--rng"):
        assert option not in line


def test_the_command_of_an_attack_run():
    spec = {
        **{"base": "trained", "data": "mnist5k", "noise": "gaussian:sigma=0.5", "attack": "ddn"},
        **{"n": 1000, "alpha": 0.001, "draws": 64, "estimator": "plug_in", "fresh": True},
        **{"batch": 50, "keep": False, "seed": 3, "subset": "first:9", "device": "cpu"},
    }
    line = command_of("a.sqlite", spec)
    assert line == (
        "radii attack --base trained --data mnist5k --noise gaussian:sigma=0.5 --attack ddn "
        "--n 1000 --alpha 0.001 --draws 64 --estimator plug_in --subset first:9 --seed 3 "
        "--device cpu --fresh --batch-inputs 50 --no-keep --out a.sqlite"
    )
    assert known("attack", line)
    assert "--estimator" not in command_of("a.sqlite", {**spec, "estimator": "votes"})


def test_the_command_of_an_imported_run():
    spec = {**SPEC, "imported": {"layout": "certify_tsv", "file": "noise_0.50"}, "n0": None}
    line = command_of("a.sqlite", spec)
    assert line.startswith("radii import noise_0.50 --noise gaussian:sigma=0.5 --n 1000 --alpha")
    assert "--n0" not in line
    assert known("import", line)


@pytest.mark.parametrize("missing", ["base", "data"])
def test_a_run_that_does_not_say_enough_has_no_command(missing):
    spec = {**SPEC, **MORE}
    del spec[missing]
    assert command_of("a.sqlite", spec) is None


def test_a_run_that_was_read_again_has_the_command_of_its_parent():
    before = {"run": "a.sqlite", "alpha": 0.001, "claim": "another"}
    line = command_of("a.sqlite", {**SPEC, **MORE, "alpha": 0.05, "reread_of": before})
    assert "--alpha 0.001" in line
