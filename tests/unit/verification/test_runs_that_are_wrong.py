from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from radii.bounds import BOUNDS as BOUND_NAMES
from radii.bounds import Calibrated
from radii.data import ArrayDataset
from radii.errors import LedgerError
from radii.evaluation import Ledger
from radii.models import Base
from radii.verification import verify
from radii.verification.independent import radius_of
from tests.unit.verification.runs import (
    certified,
    check,
    constant,
    dataset,
    edited,
    material_of,
    resealed_rows,
    run_of,
    set_meta,
    status,
)

DRAW_BY_DRAW = "bounds, draw by draw"
CHECKSUMS, BOUNDS, RADII = "row checksums", "bounds, in 50 digits", "radii, in 50 digits"
VOTES, LIBRARY = "votes and labels", "what the library computes from the votes"
AGAIN, DATA, INPUTS = "votes drawn again", "data set", "inputs"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("run") / "run.sqlite")


@pytest.fixture
def path(original, tmp_path):
    copy = tmp_path / "run.sqlite"
    copy.write_bytes(original.read_bytes())
    return copy


def first_certified(path):
    return next(row for row in Ledger(path).rows() if row.prediction is not None)


@pytest.mark.parametrize("column", ["radius", "pA_lower"])
def test_a_number_that_is_one_unit_larger(path, column):
    row = first_certified(path)
    more = math.nextafter(getattr(row, column), 9)
    edited(path, f'UPDATE inputs SET {column} = ? WHERE "index" = ?', more, row.index)
    found = verify(path)
    assert status(found, CHECKSUMS) == "failed"
    assert f"input {row.index} is not what was written" in check(found, CHECKSUMS).said
    assert not found.passed


def test_a_radius_just_above_the_exact_one_though_its_checksum_is_right(path):
    row = first_certified(path)
    slack = radius_of("gaussian_l2", "gaussian:sigma=0.25", 3)
    below, above = row.radius, row.radius * 1.001
    while math.nextafter(below, 9) < above:
        middle = (below + above) / 2
        sound = slack(middle, row.pA_lower, row.pB_upper) >= 0
        below, above = (middle, above) if sound else (below, middle)
    for radius, expected in ((below, "passed"), (above, "failed")):
        edited(path, 'UPDATE inputs SET radius = ? WHERE "index" = ?', radius, row.index)
        resealed_rows(path)
        found = verify(path)
        assert status(found, CHECKSUMS) == "passed"
        assert status(found, RADII) == expected
        assert check(found, LIBRARY).notes  # it differs from what is computed here
    assert above == math.nextafter(below, 9)


def test_an_edited_vote(path):
    row = first_certified(path)
    votes = {str(label): count for label, count in row.n_votes.items()}
    votes[str(row.prediction)] -= 1
    edited(path, 'UPDATE inputs SET n_votes = ? WHERE "index" = ?', json.dumps(votes), row.index)
    resealed_rows(path)
    found = verify(path)
    assert status(found, VOTES) == "failed"
    assert status(found, BOUNDS) == "failed"  # n is 399 now, and k one less
    other = next(label for label in "012" if label != str(row.prediction))
    votes[other] = votes.get(other, 0) + 1  # so that they add up
    edited(path, 'UPDATE inputs SET n_votes = ? WHERE "index" = ?', json.dumps(votes), row.index)
    resealed_rows(path)
    found = verify(path)
    assert status(found, VOTES) == "passed"
    assert status(found, BOUNDS) == status(found, LIBRARY) == "failed"


def test_a_vote_more_is_found_by_drawing_again(path):
    """Votes, bound, radius and checksum all fit each other, and only the draws tell."""
    made = run_of()
    found = verify(path, material=material_of(made))
    assert status(found, AGAIN) == "passed"
    other = run_of(seed=4)
    forged = path.with_name("forged")
    other.certify(forged)
    set_meta(forged, "seed", 3)
    resealed_rows(forged)
    found = verify(forged, material=material_of(made))
    assert [c.name for c in found.of("failed")] == [AGAIN]


def test_a_swapped_row(path, tmp_path):
    rows = list(Ledger(path).rows())
    one, other = rows[0].index, rows[1].index
    for old, new in ((one, -1), (other, one), (-1, other)):
        edited(path, 'UPDATE inputs SET "index" = ? WHERE "index" = ?', new, old)
    found = verify(path, material=material_of(run_of()))
    assert status(found, CHECKSUMS) == status(found, AGAIN) == "failed"
    assert "2 such findings" in check(found, CHECKSUMS).said


def test_a_row_of_another_run(path, tmp_path):
    other = certified(tmp_path / "other", seed=4)
    values = list(Ledger(other).cells())[3]
    edited(path, 'DELETE FROM inputs WHERE "index" = 3')
    edited(path, f"INSERT INTO inputs VALUES ({', '.join('?' * len(values))})", *values)
    assert status(verify(path), CHECKSUMS) == "failed"


@pytest.mark.parametrize(
    ("key", "value"), [("alpha", 0.5), ("noise", "gaussian:sigma=0.2525"), ("seed", 7)]
)
def test_a_changed_spec(path, key, value):
    set_meta(path, key, value)
    found = verify(path)
    assert status(found, CHECKSUMS) == "failed"
    assert "every row is of another spec" in check(found, CHECKSUMS).said


@pytest.mark.parametrize(
    ("noise", "norm", "certificate"),
    [
        ("gaussian:sigma={}", "l2", "gaussian_l2"),
        ("gaussian:sigma={}", "linf", "gaussian_linf"),
        ("gaussian:sigma={}", "l2", "gaussian_l2_renyi"),
        ("laplace:b={}", "l1", "laplace_l1"),
        ("laplace:b={}", "linf", "laplace_linf"),
        ("uniform:half_width={}", "l1", "uniform_l1"),
        ("uniform_ball:radius={}", "l2", "uniform_ball_l2"),
        ("splitting:half_width={}", "l1", "splitting_l1"),
        ("pareto:a=3.0,scale={}", "l1", "pareto_l1"),
        ("iid_exponential:exponent=1.5,scale={}", "l1", "iid_exponential_l1"),
    ],
)
def test_radii_of_a_scale_one_percent_too_large(tmp_path, noise, norm, certificate):
    path = certified(
        tmp_path / "run", noise=noise.format(0.404), norm=norm, certificate=certificate
    )
    assert any(row.radius > 0 for row in Ledger(path).rows())
    set_meta(path, "noise", noise.format(0.4))
    resealed_rows(path)
    found = verify(path)
    assert {check.name for check in found.of("failed")} == {RADII, LIBRARY}


@pytest.mark.parametrize("stop", ["at_radius:0.1", "precision:rel=0.1"])
@pytest.mark.parametrize(
    "claim", [None, "[0, 0]", "[150, 150]", "[100, 1]", "[2000, 1]", "[9999, 9000]"]
)
def test_a_claim_that_no_look_made(tmp_path, stop, claim):
    path = certified(tmp_path / "run", stop=stop, n=2000)
    row = min(
        (row for row in Ledger(path).rows() if row.prediction is not None),
        key=lambda row: max(row.n_votes.values()) / sum(row.n_votes.values()),
    )
    assert claim != str([row.claim.draws, row.claim.votes])
    edited(path, 'UPDATE inputs SET claim = ? WHERE "index" = ?', claim, row.index)
    resealed_rows(path)
    found = verify(path)
    assert not found.passed
    assert {c.name for c in found.of("failed")} & {"claims of the stopping rule", BOUNDS}


def test_other_weights(path):
    made = run_of()
    other = replace(made.base, sha256="11ff")
    found = verify(path, material=material_of(made, base=other))
    assert status(found, "weights of the base classifier") == "failed"


@pytest.mark.parametrize("exact", [True, False])
def test_another_classifier_under_the_same_hash(path, exact):
    if not exact:
        set_meta(path, "versions", {**Ledger(path).meta["versions"], "torch": "1.0"})
    made = run_of(base=constant)
    found = verify(path, material=material_of(made))
    assert status(found, "weights of the base classifier") == "passed"
    assert status(found, AGAIN) == "failed"
    assert ("come from one classifier with p = " in check(found, AGAIN).said) is not exact


@pytest.mark.parametrize("exact", [True, False])
def test_a_biased_generator(tmp_path, monkeypatch, exact):
    from radii.noise import Gaussian

    drawn = Gaussian.copies

    def biased(self, x, streams, block, generators, out):
        noisy = drawn(self, x, streams, block, generators, out)
        return noisy.add_(0.03)  # an eighth of sigma, in every coordinate

    made = run_of(base=weighted, n=10_000)
    with monkeypatch.context() as patched:
        patched.setattr(Gaussian, "copies", biased)
        made.certify(tmp_path / "run")
    if not exact:
        versions = Ledger(tmp_path / "run").meta["versions"]
        set_meta(tmp_path / "run", "versions", {**versions, "torch": "1.0"})
        resealed_rows(tmp_path / "run")
    found = verify(tmp_path / "run", material=material_of(made))
    assert [c.name for c in found.of("failed")] == [AGAIN]


def weighted(x):
    """Unlike `scores`, it tells a shift of all coordinates from none."""
    return torch.stack([4 * x.flatten(1).sum(1) - 6, 0 * x[:, 0], 0 * x[:, 0] - 9], 1)


def test_another_order_of_the_data(path):
    made, data = run_of(), dataset()
    order = np.roll(np.arange(8), 1)
    shuffled = ArrayDataset(
        np.stack([data[i][0].numpy() for i in order]),
        data.labels[order],
        data.class_names,
        data.reference,
    )
    found = verify(path, material=material_of(made, dataset=shuffled))
    assert status(found, DATA) == status(found, AGAIN) == "failed"
    assert "fingerprint" in check(found, DATA).said
    found = verify(path, material=material_of(made, base=None, dataset=shuffled))
    assert status(found, DATA) == "failed"
    assert status(found, AGAIN) == "not checked"


def test_gaps_duplicates_and_inputs_of_no_subset(path):
    edited(path, 'DELETE FROM inputs WHERE "index" = 5')
    found = verify(path)
    assert status(found, INPUTS) == "not checked"
    assert "1 of 8 inputs" in check(found, INPUTS).said
    edited(path, 'UPDATE inputs SET "index" = 70 WHERE "index" = 7')
    assert status(verify(path), INPUTS) == "failed"


@pytest.mark.parametrize(
    ("change", "values", "name"),
    [
        ("label = 3", (), VOTES),
        ("n0_votes = '{\"7\": 20}'", (), VOTES),
        ("n_votes = '{\"0\": 400.5}'", (), VOTES),
        ("samples = 7", (), VOTES),
        ("prediction = 1 - prediction", (), "predictions"),
        ("prediction = NULL", (), "predictions"),
        ("n_votes = 'x'", (), "file and format"),
        ("radius = 'long'", (), "file and format"),
        ("radius = -1.0", (), "file and format"),
        ("pA_lower = 1.5", (), "file and format"),
        ("pA_lower = 1.0, pB_upper = 0.0", (), BOUNDS),
        ("radius = ?", (math.inf,), RADII),
    ],
)
def test_rows_that_cannot_be(path, change, values, name):
    row = first_certified(path)
    edited(path, f'UPDATE inputs SET {change} WHERE "index" = ?', *values, row.index)
    found = verify(path)
    assert status(found, CHECKSUMS) == "failed"
    assert status(found, name) == "failed"
    resealable = name != "file and format"
    if resealable:
        resealed_rows(path)
        assert status(verify(path), name) == "failed"


def test_a_damaged_file(path):
    content = bytearray(path.read_bytes())
    at = content.index(b'{"0"')  # within the rows
    content[at - 200 : at + 200] = bytes(400)
    path.write_bytes(bytes(content))
    found = verify(path)
    assert status(found, "file and format") == "failed"
    path.write_bytes(bytes(content[: len(content) // 2]))
    try:
        found = verify(path)
    except LedgerError:
        return
    assert status(found, "file and format") == "failed"


def test_a_spec_that_lacks_what_is_needed(path):
    edited(path, "DELETE FROM meta WHERE key = 'bound'")
    found = verify(path)
    assert status(found, "spec") == "failed"
    assert "bound" in found.checks[0].said


def test_a_base_for_other_inputs_leaves_votes_unchecked(path):
    made = run_of()

    def wrong(x):
        raise ValueError("wrong shape")

    other = replace(made.smoothed, base=wrong)
    described = Base(wrong, "x", "00ff", None, None, None, {})
    found = verify(path, material=material_of(made, smoothed=other, base=described))
    assert status(found, AGAIN) == "not checked"


def test_the_sample_is_as_asked():
    made = run_of()
    indices = list(range(100))
    assert len(material_of(made, sample=0.021).chosen(indices)) == 3
    assert len(material_of(made, sample=5).chosen(indices)) == 5
    assert material_of(made, sample=500).chosen(indices) == indices
    assert material_of(made, sample=7, seed=1).chosen(indices) == (
        material_of(made, sample=7, seed=1).chosen(indices)
    )
    drawn = {tuple(material_of(made, sample=7).chosen(indices)) for _ in range(5)}
    assert len(drawn) > 1
    for wrong in (0, 0.0, 1.5, -1):
        with pytest.raises(ValueError, match="sample must be a share"):
            material_of(made, sample=wrong)


def test_a_threshold_that_was_not_claimed(tmp_path):
    """Bounds, radius and checksum fit each other, and only the boundary tells."""
    path = certified(tmp_path / "run", stop="radii:0.1,0.2", n=2000)
    low, high = BOUND_NAMES.build(Ledger(path).meta["bound"]).values[:2]
    row = next(row for row in Ledger(path).rows() if row.pA_lower == low)
    change = 'UPDATE inputs SET pA_lower = ?, pB_upper = ? WHERE "index" = ?'
    for pA, pB in ((high, 1 - high), (low, math.nextafter(1 - low, 0))):
        edited(path, change, pA, pB, row.index)
        resealed_rows(path)
        found = verify(path)
        assert status(found, CHECKSUMS) == "passed"
        assert status(found, DRAW_BY_DRAW) == "failed"
        assert f"of input {row.index} say more than" in check(found, DRAW_BY_DRAW).said
    edited(path, change, 0.0, 1.0, row.index)
    resealed_rows(path)
    assert status(verify(path), DRAW_BY_DRAW) == "passed"


def test_a_boundary_that_is_lower_by_one_vote(tmp_path, monkeypatch):
    path = certified(tmp_path / "run", stop="radii:0.1,0.2", n=2000)
    assert status(verify(path), DRAW_BY_DRAW) == "passed"
    right = Calibrated.boundaries
    monkeypatch.setattr(Calibrated, "boundaries", lambda *given: right(*given) - 1)
    found = check(verify(path), DRAW_BY_DRAW)
    assert found.status == "failed"
    assert "is reached with probability 0.001" in found.said
    monkeypatch.setattr(Calibrated, "boundaries", lambda *given: np.add(right(*given), [[50], [0]]))
    assert "a larger threshold needs fewer votes" in check(verify(path), DRAW_BY_DRAW).said


def test_a_bound_that_cannot_be_followed_draw_by_draw(tmp_path):
    path = certified(tmp_path / "run", stop="at_radius:0.1", n=2000)
    spec = Ledger(path).meta["bound"]
    for other in (spec.replace("cap=2000", "cap=2000000000"), "calibrated:cap=-1"):
        set_meta(path, "bound", other)
        assert status(verify(path), DRAW_BY_DRAW) == "not checked"


# A spec whose numbers agree with each other, and prove nothing.

THEOREM, PLAN = "noise, norm and certificate", "plan"


@pytest.mark.parametrize("norm", ["linf", "l1", "l0"])
def test_radii_of_another_norm(path, norm):
    set_meta(path, "norm", norm)
    resealed_rows(path)
    assert check(verify(path), THEOREM).status == "failed"


def test_a_shape_with_fewer_coordinates(tmp_path):
    made = run_of(norm="linf")
    path = tmp_path / "run.sqlite"
    made.certify(path)
    set_meta(path, "input_shape", [1])
    larger = math.sqrt(3) * (1 - 1e-9)  # the radius in linf is that in l2 over sqrt(dim)
    edited(path, "UPDATE inputs SET radius = radius * ?", larger)
    resealed_rows(path)
    assert status(verify(path), RADII) == "passed"  # the file alone cannot tell
    found = verify(path, material=material_of(made))
    assert "of shape [3], the run is about [1]" in check(found, DATA).said
    for name in (DATA, RADII, AGAIN):
        assert status(found, name) == "failed"


def test_a_domain_that_was_left_out(tmp_path):
    path = certified(tmp_path / "run.sqlite", noise="grid_gaussian:sigma=0.25")
    assert status(verify(path), THEOREM) == "passed"
    set_meta(path, "domain", None)
    resealed_rows(path)
    found = check(verify(path), THEOREM)
    assert found.status == "failed"
    assert "inputs whose coordinates are all multiples of 1/255" in found.said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bound": "exact", "n0": 0, "alpha": 0}, "an exact bound needs noise that is enumerated"),
        ({"n0": 0}, "n0 must be a whole number of at least 1, got 0"),
        ({"alpha": 0}, "alpha must be in (0, 1), got 0"),
        ({"stop": "at_radius:radius=0.1"}, "clopper_pearson holds for a fixed n only"),
        ({"vote": "soft"}, "clopper_pearson bounds hard votes only"),
        ({"n": 3, "n0": 3}, "n=3 draws can never certify"),
    ],
)
def test_plans_that_prove_nothing(path, changes, said):
    for key, value in changes.items():
        if key in Ledger(path).meta:
            set_meta(path, key, value)
        else:
            edited(path, "INSERT INTO meta VALUES (?, ?)", key, json.dumps(value))
    resealed_rows(path)
    found = check(verify(path), PLAN)
    assert found.status == "failed"
    assert said in found.said


def test_drawn_noise_in_place_of_the_enumerated_one(tmp_path):
    noise = "splitting:half_width=0.5,deterministic=true"
    path = certified(tmp_path / "run.sqlite", noise=noise, norm="l1")
    assert status(verify(path), PLAN) == "passed"
    for key, value in (("bound", "clopper_pearson"), ("n0", 20), ("alpha", 0.001)):
        set_meta(path, key, value)
    resealed_rows(path)
    assert "noise that is enumerated takes n0=0" in check(verify(path), PLAN).said


def test_what_is_not_installed_is_not_judged(path):
    set_meta(path, "bound", "of_a_plugin:share=0.3")
    resealed_rows(path)
    found = verify(path)
    assert check(found, PLAN).said.startswith("no bound is called 'of_a_plugin' here")
    assert status(found, PLAN) == status(found, THEOREM) == "not checked"
