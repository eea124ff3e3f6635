"""`radii certify` with every noise and every certificate that covers it, on real images."""

from __future__ import annotations

import typing

import pytest
from typer.testing import CliRunner

from radii.certificates import covering
from radii.cli.main import app
from radii.evaluation import Ledger
from radii.noise import NOISES
from radii.records import Norm

DIM = 28 * 28
SPECS = [
    *({"name": kind, **example} for kind in NOISES.names() for example in NOISES[kind].examples),
    # The examples are for few coordinates; with so many this noise needs a larger power.
    *(f"radial_power:norm={norm},scale=5.0,exponent=2.0,a=600.0" for norm in ("l1", "l2", "linf")),
]
CASES = [
    (NOISES.spec_of(noise), norm, name)
    for noise in map(NOISES.build, SPECS)
    for norm in typing.get_args(Norm)
    for name in covering(noise, norm, DIM)
]


def certify(base, noise, norm, name, path, *more):
    arguments = (
        *("certify", "--base", base, "--data", "mnist5k", "--noise", noise, "--norm", norm),
        *("--certificate", name, "--n", 200, "--n0", 20, "--subset", "first:3", "--out", path),
        *more,
    )
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, (done.output, done.exception)
    return Ledger(path)


def test_every_noise_has_a_certificate_here():
    covered = {spec.partition(":")[0] for spec, _, _ in CASES}
    assert covered == set(NOISES.names())


@pytest.mark.parametrize(("noise", "norm", "name"), CASES)
def test_certifies(base, tmp_path, noise, norm, name):
    ledger = certify(base, noise, norm, name, tmp_path / "run", "--seed", 1)
    rows = list(ledger.rows())
    assert [row.index for row in rows] == [0, 1, 2]
    assert ledger.meta["certificate"] == name
    assert all((row.radius > 0) == (row.prediction is not None) for row in rows if row.radius)
    assert all(row.prediction is not None or row.radius == 0 for row in rows)


def test_deterministic_noise_gives_the_same_radii_on_every_run(base, tmp_path):
    noise = "splitting:half_width=0.5,deterministic=true"
    runs = [
        certify(base, noise, "l1", "splitting_l1", tmp_path / str(seed), "--seed", seed)
        for seed in (1, 2)
    ]
    one, other = ([(r.prediction, r.radius, r.n_votes) for r in run.rows()] for run in runs)
    assert one == other
    assert any(radius > 0 for _, radius, _ in one)
    assert all(run.meta["alpha"] == 0 and run.meta["n"] == 255 for run in runs)
    assert "multiples of 1/255" in runs[0].meta["domain"]


def test_options_that_do_nothing_with_enumerated_noise_are_named(base, tmp_path):
    for noise, named in (
        ("splitting:half_width=0.5,deterministic=true", True),
        ("splitting:half_width=0.5", False),
    ):
        given = (
            *("certify", "--base", base, "--data", "mnist5k", "--noise", noise, "--norm", "l1"),
            *("--certificate", "splitting_l1", "--n", 300, "--seed", 1, "--subset", "first:1"),
        )
        done = CliRunner().invoke(app, list(map(str, (*given, "--out", tmp_path / str(named)))))
        assert done.exit_code == 0, done.output
        assert ("note: --n, --seed without effect" in done.stderr) is named
        given = ("predict", "--base", base, "--data", "mnist5k", "--noise", noise)
        given += ("--n", 5 if named else 300)  # 5 would be too few
        done = CliRunner().invoke(app, list(map(str, (*given, "--subset", "first:1"))))
        assert done.exit_code == 0, done.output
        assert ("note: --n without effect" in done.stderr) is named
        assert ("/255" in done.stdout) is named


def test_soft_votes_certify(base, tmp_path):
    ledger = certify(
        *(base, "gaussian:sigma=0.25", "l2", "gaussian_l2_lipschitz", tmp_path / "soft"),
        *("--vote", "soft", "--bound", "empirical_bernstein", "--seed", 1),
    )
    assert ledger.meta["vote"] == "soft"
    for row in ledger.rows():
        assert sum(row.n_votes.values()) == pytest.approx(200, rel=1e-9)
        assert all(row.n_squares[label] <= row.n_votes[label] for label in row.n_votes)
