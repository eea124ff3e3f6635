from __future__ import annotations

from dataclasses import replace

import pytest

from radii.certificates import covering
from radii.evaluation import Ledger, write_export
from radii.evaluation.rereading import reread
from radii.noise import NOISES
from radii.provenance import versions
from radii.verification import Check, verify
from radii.verification.independent import CERTIFICATES as KNOWN
from tests.unit.verification.runs import (
    DIM,
    certified,
    check,
    edited,
    material_of,
    run_of,
    set_meta,
    status,
)

CERTIFICATES = [
    (NOISES.spec_of(noise), norm, name)
    for noise in (
        NOISES.build({"name": kind, **NOISES[kind].examples[-1]}) for kind in NOISES.names()
    )
    for norm in ("l1", "l2", "linf")
    for name in covering(noise, norm, DIM)
]
BOUNDS = [
    *("multiclass_clopper_pearson", "randomized_clopper_pearson", "hoeffding"),
    *("empirical_bernstein", "betting", "betting:truncated=true", "hybrid:cap=400"),
    *("runner_up_clopper_pearson", "runner_up_clopper_pearson:share=0.5"),
    *(f"randomized_runner_up_clopper_pearson{share}" for share in ("", ":share=0.5")),
    *("union_clopper_pearson", "staged:stages=100/400"),
]


def not_failed(found):
    assert found.passed, found.of("failed")
    return found


@pytest.mark.parametrize(("noise", "norm", "name"), CERTIFICATES)
def test_of_every_certificate(tmp_path, noise, norm, name):
    made = run_of(noise, norm=norm, certificate=name)
    made.certify(tmp_path / "run")
    found = not_failed(verify(tmp_path / "run", material=material_of(made)))
    assert status(found, "votes drawn again") == "passed"
    assert status(found, "radii, in 50 digits") == ("passed" if name in KNOWN else "not checked")
    assert status(found, "what the library computes from the votes") == "passed"


@pytest.mark.parametrize("bound", BOUNDS)
def test_of_every_bound(tmp_path, bound):
    found = not_failed(verify(certified(tmp_path / "run", bound=bound)))
    assert status(found, "bounds, in 50 digits") == "passed"
    assert not check(found, "bounds, in 50 digits").notes


@pytest.mark.parametrize("bound", ["hoeffding", "empirical_bernstein", "betting:truncated=true"])
def test_of_soft_votes(tmp_path, bound):
    made = run_of(certificate="gaussian_l2_lipschitz", bound=bound, vote="soft")
    made.certify(tmp_path / "run")
    found = not_failed(verify(tmp_path / "run", material=material_of(made)))
    assert status(found, "bounds, in 50 digits") == "passed"
    assert status(found, "votes drawn again") == "passed"


@pytest.mark.parametrize("stop", ["at_radius:0.1", "radii:0.1,0.2", "precision:rel=0.1"])
@pytest.mark.parametrize("bound", [None, "betting", "hybrid", "union_clopper_pearson"])
def test_of_runs_that_stop_early(tmp_path, stop, bound):
    made = run_of(stop=stop, bound=bound, n=2000)
    made.certify(tmp_path / "run")
    assert any(row.samples < 2020 for row in Ledger(tmp_path / "run").rows())
    found = not_failed(verify(tmp_path / "run", material=material_of(made)))
    calibrated = bound is None and not stop.startswith("precision")
    name = "bounds, draw by draw" if calibrated else "bounds, in 50 digits"
    assert status(found, name) == "passed"
    assert status(found, "claims of the stopping rule") == "passed"
    assert status(found, "votes drawn again") == "passed"


def test_of_a_run_from_other_versions(tmp_path):
    made = run_of(n=1000)
    made.certify(tmp_path / "run")
    other = replace(made, plan=replace(made.plan, seed=99))
    other.certify(tmp_path / "other")
    for path in (tmp_path / "run", tmp_path / "other"):
        set_meta(path, "versions", {**Ledger(path).meta["versions"], "torch": "1.0"})
    found = verify(tmp_path / "other", material=material_of(made))
    votes = check(found, "votes drawn again")
    assert votes.status == "passed", votes
    assert "the least p-value is" in votes.said
    assert votes.notes == (f"the run was made with torch 1.0, and this is {versions()['torch']}",)


def test_of_exports(tmp_path):
    run = Ledger(certified(tmp_path / "run"))
    for name in ("out.csv", "out.tsv"):
        write_export(run, tmp_path / name)
        found = not_failed(verify(tmp_path / name))
        assert status(found, "row checksums") == "passed"


def test_of_a_ledger_without_checksums(tmp_path):
    path = certified(tmp_path / "run")
    edited(path, "ALTER TABLE inputs DROP COLUMN checksum")
    found = not_failed(verify(path))
    assert status(found, "row checksums") == "not checked"
    assert not list(path.parent.glob("*.lock"))[1:]


@pytest.mark.parametrize("noise", ["gaussian:sigma=0.25", "grid_gaussian:sigma=0.25"])
def test_of_a_run_from_a_cryptographic_generator(tmp_path, noise):
    made = run_of(noise, rng="chacha")
    made.certify(tmp_path / "run")
    found = not_failed(verify(tmp_path / "run", material=material_of(made)))
    assert status(found, "votes drawn again") == "passed"
    assert "to the last one" in check(found, "votes drawn again").said


def test_of_a_run_that_was_read_again(tmp_path):
    again = reread(Ledger(certified(tmp_path / "run")), certificate="gaussian_l2_kl")
    write_export(again, tmp_path / "again.csv")
    found = not_failed(verify(tmp_path / "again.csv"))
    assert status(found, "row checksums") == "not checked"
    assert status(found, "radii, in 50 digits") == "passed"


def test_of_a_run_whose_first_part_has_no_checksums(tmp_path):
    path = certified(tmp_path / "run")
    edited(path, 'DELETE FROM inputs WHERE "index" > 3')
    edited(path, "ALTER TABLE inputs DROP COLUMN checksum")
    certified(path)
    found = not_failed(verify(path))
    assert check(found, "row checksums").notes == ("4 rows have no checksum",)
    assert check(found, "row checksums").status == "passed"


def test_further_checks_are_made(tmp_path):
    path = certified(tmp_path / "run")
    found = verify(path, further=[lambda stored: [Check("mine", "failed", str(len(stored.rows)))]])
    assert check(found, "mine").said == "8"
    assert not found.passed
    assert "FAILED 1 of" in found.verdict
