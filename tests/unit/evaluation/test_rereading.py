from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radii.bounds import BOUNDS
from radii.certificates.base import covering, find
from radii.data import ArrayDataset, Subset
from radii.errors import LedgerError, NotCoveredError, PlanError
from radii.evaluation import Ledger, Run, open_run, read_export, write_export
from radii.evaluation.metrics import Outcomes, average_certified_radius
from radii.evaluation.readings import name_of, remark_of, sentences
from radii.evaluation.rereading import readings_of, reread
from radii.models import Base
from radii.noise import NOISES
from radii.records import Counts
from radii.smoothing import SamplingPlan, SmoothedClassifier, decide
from radii.stopping import STOPS
from tests.oracles import HalfSpace
from tests.unit.evaluation.ledgers import row, write

# Bounds that a plan which never stops may have, the exact one left out.
FIXED = [name for name in BOUNDS.names() if name != "exact"]


def certified(path, noise="gaussian:sigma=0.2", vote="hard", norm="l2", **plan) -> Ledger:
    """A real run of the half-space, whose inputs lie on both sides of it and near to it."""
    inputs = np.random.default_rng(0).integers(0, 256, size=(16, 3)).astype(np.float32) / 255
    labels = (inputs[:, 0] > 0.5).astype(np.int64)
    half_space = HalfSpace(torch.tensor([1.0, 0.2, 0.0], dtype=torch.float64), b=-0.6)
    base = half_space if vote == "hard" else Scores(half_space)
    built = {"bound": BOUNDS, "stop": STOPS}
    options = {key: built[key].build(v) if key in built else v for key, v in plan.items()}
    distribution = NOISES.build(noise)
    return Run(
        SmoothedClassifier(base, distribution, 2, input_shape=(3,), vote=vote),
        Base(base, "toy.py:base", "00ff", None, None, None, {}),
        ArrayDataset(inputs, labels, ("0", "1"), "toy@test"),
        Subset.parse("all"),
        SamplingPlan(**{"n0": 20, "n": 500, "seed": 3, **options}),
        norm=norm,
    ).certify(path)


class Scores:
    """Scores in place of labels."""

    def __init__(self, half_space: HalfSpace) -> None:
        self.half_space = half_space

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        margin = (x.double() @ self.half_space.w + self.half_space.b).float()
        return torch.stack([-margin, margin], dim=1) * 5


def floats(rows) -> list[tuple]:
    return [(r.prediction, r.radius, r.pA_lower, r.pB_upper) for r in rows]


RUNS = {
    **{bound: {"bound": bound} for bound in FIXED},
    "soft": {"vote": "soft", "bound": "empirical_bernstein"},
    "at_radius": {"stop": "at_radius:0.1"},
    "radii": {"stop": "radii:0.05,0.2"},
    "precision": {"stop": "precision"},
    "betting, stopped": {"stop": "at_radius:0.1", "bound": "betting"},
    "laplace": {"noise": "laplace:b=0.15", "norm": "l1"},
    "enumerated": {"noise": "splitting:half_width=0.5,deterministic=true", "norm": "l1"},
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_reading_a_run_as_it_is_changes_nothing(tmp_path, options):
    ledger = certified(tmp_path / "run", **options)
    again = reread(ledger)
    assert len(again) == len(ledger) == 16
    assert list(again.rows()) == list(ledger.rows())  # every float, votes, claim and seconds
    assert list(again.rows(votes=False)) == list(ledger.rows(votes=False))
    assert len({radius for _, radius, *_ in floats(ledger.rows())}) > 1
    assert again.unanimous() == ledger.unanimous()
    assert again.meta["reread_of"]["claim"] == "same"
    left = {k: v for k, v in again.meta.items() if k != "reread_of"}
    assert left == ledger.meta
    assert "nothing is changed" in again.sentence


@pytest.mark.parametrize("bound", FIXED)
def test_reading_is_what_decide_says_of_each_input(tmp_path, bound):
    """Many rows at once, against the algorithm of the live run, one input at a time."""
    ledger = certified(tmp_path / "run", bound="randomized_clopper_pearson")
    found = list(reread(ledger, bound=bound, alpha=0.02, certificate="gaussian_l2_kl").rows())
    plan = SamplingPlan(n0=20, n=500, alpha=0.02, bound=BOUNDS.build(bound), seed=3)
    certificate = find(NOISES.build(ledger.meta["noise"]), "l2", "gaussian_l2_kl")
    for old, new in zip(ledger.rows(), found, strict=True):
        votes = [
            Counts(np.array([v.get(c, 0) for c in (0, 1)])) for v in (old.n0_votes, old.n_votes)
        ]
        tie = np.array(tie_of(old.index))
        result = decide(votes[0], replace(votes[1], tie=tie), plan, certificate)
        assert (new.prediction, new.radius) == (result.prediction, result.radius)
        assert (new.pA_lower, new.pB_upper) == (result.pA_lower, result.pB_upper)


def tie_of(index: int) -> float:
    from radii.noise import Stream

    return Stream(3, index, "bound", 0).uniform()


def test_every_certificate_is_read_off_the_same_bounds(tmp_path):
    ledger = certified(tmp_path / "run")
    rows = list(ledger.rows())
    for norm in ("l1", "l2", "linf"):
        for name, certificate in covering(NOISES.build(ledger.meta["noise"]), norm, dim=3).items():
            again = reread(ledger, certificate=name, dim=3)
            assert (again.meta["norm"], again.meta["certificate"]) == (norm, name)
            assert again.meta["reread_of"]["claim"] == "same"
            assert again.meta["domain"] == certificate.domain
            for old, new in zip(rows, again.rows(), strict=True):
                assert (new.pA_lower, new.pB_upper) == (old.pA_lower, old.pB_upper)
                assert new.prediction == old.prediction
                assert new.n_votes == old.n_votes
                if name != "gaussian_l2":
                    assert norm != "l2" or new.radius <= old.radius * (1 + 1e-9)  # Cohen is tight


def test_a_run_that_stopped_early_through_another_certificate(tmp_path):
    ledger = certified(tmp_path / "run", stop="radii:0.05,0.2")
    again = reread(ledger, certificate="gaussian_l2_renyi")
    assert again.meta["reread_of"]["claim"] == "same"
    for old, new in zip(ledger.rows(), again.rows(), strict=True):
        assert (new.pA_lower, new.claim, new.samples) == (old.pA_lower, old.claim, old.samples)
        assert new.radius <= old.radius
    assert max(r.radius for r in again.rows()) > 0
    assert list(reread(ledger, bound="calibrated").rows()) == list(ledger.rows())


@pytest.mark.parametrize("change", [{"alpha": 0.01}, {"bound": "betting"}])
def test_a_run_that_stopped_early_has_its_own_alpha_and_bound(tmp_path, change):
    ledger = certified(tmp_path / "run", stop="at_radius:0.1")
    with pytest.raises(PlanError, match="stopped early"):
        reread(ledger, **change)


def test_another_alpha_is_another_claim_and_says_so(tmp_path):
    ledger = certified(tmp_path / "run")
    again = reread(ledger, alpha=0.05)
    assert again.meta["alpha"] == 0.05
    before = again.meta["reread_of"]
    assert (before["claim"], before["alpha"]) == ("another", 0.001)
    assert before["run"] == str(tmp_path / "run")
    assert "alpha=0.05 in place of 0.001" in again.sentence
    assert "do not hold together" in again.sentence
    fresh = certified(tmp_path / "fresh", alpha=0.05)
    assert floats(again.rows()) == floats(fresh.rows())
    acr = [average_certified_radius(Outcomes.of(run.rows())) for run in (ledger, again)]
    assert acr[1] > acr[0]


def test_another_bound_is_what_a_run_with_it_would_have_had(tmp_path):
    ledger = certified(tmp_path / "run")
    for bound in FIXED:
        again = reread(ledger, bound=bound)
        fresh = certified(tmp_path / bound, bound=bound)
        assert floats(again.rows()) == floats(fresh.rows())
        assert again.meta["bound"] == fresh.meta["bound"]
    assert reread(ledger, bound=BOUNDS.build("hoeffding")).meta["bound"] == "hoeffding"


def test_soft_votes(tmp_path):
    ledger = certified(tmp_path / "run", vote="soft", bound="hoeffding")
    again = reread(ledger, bound="empirical_bernstein", alpha=0.01)
    fresh = certified(tmp_path / "fresh", vote="soft", bound="empirical_bernstein", alpha=0.01)
    assert floats(again.rows()) == floats(fresh.rows())
    assert max(radius for _, radius, *_ in floats(again.rows())) > 0
    with pytest.raises(PlanError, match="bounds hard votes only"):
        reread(ledger, bound="clopper_pearson")


def test_enumerated_noise_has_one_bound(tmp_path):
    ledger = certified(
        tmp_path / "run", noise="splitting:half_width=0.5,deterministic=true", norm="l1"
    )
    for change in ({"alpha": 0.01}, {"bound": "clopper_pearson"}):
        with pytest.raises(PlanError, match="bound is exact"):
            reread(ledger, **change)


def test_a_certificate_about_a_part_of_the_ball_says_so(tmp_path):
    ledger = certified(tmp_path / "run", noise="splitting:half_width=0.5", norm="l1")
    again = reread(ledger, certificate="splitting_l1_box")
    assert again.meta["domain"]
    assert not ledger.meta["domain"]
    assert [r.radius for r in again.rows()] != [r.radius for r in ledger.rows()]


def test_what_cannot_be_read_again(tmp_path):
    ledger = certified(tmp_path / "run")
    with pytest.raises(NotCoveredError, match="no certificate covers"):
        reread(ledger, norm="l0")
    with pytest.raises(NotCoveredError, match="does not cover"):
        reread(ledger, certificate="laplace_l1")
    with pytest.raises(ValueError, match="alpha must be in"):
        reread(ledger, alpha=1.5)
    with pytest.raises(ValueError, match="exact bound"):
        reread(ledger, bound="exact")
    with pytest.raises(PlanError, match="alpha must be at least 1e-240"):
        reread(ledger, alpha=1e-300)
    with pytest.raises(PlanError, match="can never certify"):
        reread(Ledger(write(tmp_path / "few", [row(0)], n=20, num_classes=3)), alpha=1e-9)
    shapeless = Ledger(write(tmp_path / "old", [row(0)], num_classes=3))
    with pytest.raises(ValueError, match="pass dim"):
        reread(shapeless, certificate="gaussian_linf")
    imported = Ledger(write(tmp_path / "log", [row(0)], imported={"file": "log"}))
    with pytest.raises(LedgerError, match="was imported"):
        reread(imported)
    bare = Ledger(write(tmp_path / "bare", [row(0)]))
    with pytest.raises(LedgerError, match="has no num_classes; choose another"):
        reread(bare)
    short = replace(row(0), n_votes={0: 9})
    cut = Ledger(write(tmp_path / "short", [short], num_classes=3))
    with pytest.raises(LedgerError, match=r"input 0 .* must have 1,000 votes, .* got 9"):
        reread(cut)
    unclaimed = write(
        tmp_path / "claim", [row(0)], num_classes=3, stop="at_radius:0.1", bound="betting"
    )
    with pytest.raises(LedgerError, match=r"input 0 .* must have a claim"):
        reread(Ledger(unclaimed))


def test_a_reading_is_a_run_like_others(tmp_path):
    ledger = certified(tmp_path / "run")
    again = reread(ledger, alpha=0.02)
    assert again.row(4) == list(again.rows())[4]
    with pytest.raises(KeyError):
        again.row(99)
    write_export(again, tmp_path / "read.csv")
    back = read_export(tmp_path / "read.csv")
    assert list(back.rows()) == list(again.rows())
    assert back.meta["reread_of"]["run"] == str(tmp_path / "run")
    write_export(ledger, tmp_path / "run.csv")
    exported = reread(open_run(tmp_path / "run.csv"), alpha=0.02)
    assert list(exported.rows()) == list(again.rows())


def test_a_reading_of_a_reading_is_about_the_run(tmp_path):
    ledger = certified(tmp_path / "run")
    write_export(reread(ledger, alpha=0.02), tmp_path / "read.csv")
    for first in (reread(ledger, alpha=0.02), read_export(tmp_path / "read.csv")):
        again = reread(first, certificate="gaussian_l2_renyi")
        assert again.changes == ["alpha", "certificate"]
        before = again.meta["reread_of"]
        assert (before["run"], before["alpha"]) == (str(ledger.path), 0.001)
        assert before["claim"] == "another"  # though this step changed the certificate alone
        straight = reread(ledger, alpha=0.02, certificate="gaussian_l2_renyi")
        assert list(again.rows()) == list(straight.rows())
        assert again.sentence == straight.sentence
        back = reread(first, alpha=0.001)
        assert (back.changes, back.meta["reread_of"]["claim"]) == ([], "same")
        assert list(back.rows()) == list(ledger.rows())


def test_several_certificates_of_one_run(tmp_path):
    ledger = certified(tmp_path / "run")
    names = ["gaussian_l2_renyi", "gaussian_l2", "gaussian_l2_renyi", "gaussian_linf"]
    found = readings_of(ledger, certificates=names)
    assert [run.meta["certificate"] for run in found] == [names[0], names[1], names[3]]
    assert found[1] is ledger  # its own certificate: nothing is read again
    assert list(found[0].rows()) == list(reread(ledger, certificate=names[0]).rows())
    assert found[2].meta["norm"] == "linf"
    (loose,) = readings_of(ledger, alpha=0.01)
    assert loose.meta["reread_of"]["claim"] == "another"
    assert readings_of(ledger, alpha=0.001, bound="clopper_pearson", norm="l2") == [ledger]


def test_readings_are_named_by_what_is_changed(tmp_path):
    ledger = certified(tmp_path / "run")
    renyi, loose = reread(ledger, certificate="gaussian_l2_renyi"), reread(ledger, alpha=0.01)
    assert name_of(ledger.path, ledger.meta) == str(ledger.path)
    assert name_of("x", renyi.meta) == "x (read with certificate=gaussian_l2_renyi)"
    assert name_of("x", reread(ledger).meta) == "x"
    assert [remark_of(run.meta) for run in (ledger, renyi, loose)] == [
        *("", "read again", "read again, another claim"),
    ]
    said = sentences([renyi.meta, ledger.meta, loose.meta, renyi.meta])
    assert len(said) == 2
    assert said[0].startswith(f"{ledger.path}, {ledger.path} were read again, with certificate=")
    assert "bounds are those of the runs" in said[0]
    assert "another claim than that of the run:" in said[1]
    (both,) = sentences([renyi.meta, reread(ledger, certificate="gaussian_l2_kl").meta])
    assert "certificate=gaussian_l2_renyi in place of gaussian_l2; with certificate=" in both
    assert both.endswith("The bounds are those of the run, so that all hold together.")
    (claims,) = sentences([loose.meta, reread(ledger, alpha=0.05).meta])
    assert "These are other claims than that of the run" in claims


def test_the_dimension_is_that_of_the_run_if_it_says_so(tmp_path):
    assert certified(tmp_path / "new").meta["input_shape"] == [3]
    path = write(tmp_path / "run", [row(0)], num_classes=3, input_shape=[1, 4, 4])
    found = list(reread(Ledger(path), certificate="gaussian_linf").rows())
    (flat,) = reread(Ledger(path)).rows()
    assert found[0].radius == pytest.approx(flat.radius / 4, rel=1e-12)


rows_of_votes = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 1000), st.integers(0, 2)), min_size=1, max_size=9
)


@settings(max_examples=30)
@given(rows=rows_of_votes, alphas=st.tuples(st.floats(1e-6, 0.3), st.floats(1e-6, 0.3)))
def test_a_larger_alpha_never_gives_smaller_radii(tmp_path_factory, rows, alphas):
    ledger = Ledger(
        write(
            tmp_path_factory.mktemp("votes") / "run",
            [
                replace(
                    row(i, label=label),
                    n0_votes={0: votes, 1: 100 - votes},
                    n_votes={0: top, 2: 1000 - top},
                )
                for i, (votes, top, label) in enumerate(rows)
            ],
            num_classes=3,
        )
    )
    small, large = (list(reread(ledger, alpha=alpha).rows()) for alpha in sorted(alphas))
    for one, other, (votes, *_) in zip(small, large, rows, strict=True):
        assert one.radius <= other.radius
        assert one.prediction in (None, int(votes < 50))
        assert (one.prediction is None) == (one.radius == 0) or one.pA_lower > 0.5
