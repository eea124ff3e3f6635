"""CERTIFY that stops early: what it claims on half-spaces, and which draws it claims it from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import bdtr
from torch import Tensor, nn

from radii.bounds import Betting, Bound, ClopperPearson, MulticlassClopperPearson
from radii.certificates import GaussianL2
from radii.errors import PlanError
from radii.noise import Gaussian, Splitting
from radii.records import Certification, Claim, Counts
from radii.smoothing import SamplingPlan, SmoothedClassifier, decide
from radii.stopping import AtRadius, Precision, Radii, Stop
from tests.oracles import HalfSpace

SIGMA = 0.5
NOISE = Gaussian(SIGMA)
HALF_SPACE = HalfSpace(torch.tensor([3.0, -4.0], dtype=torch.float64), b=0.5)
STOPS: tuple[Stop, ...] = (AtRadius(0.5), Radii("0/0.25/0.5/0.75"), Precision(rel=0.2, abs=0.05))
NAMES = ("at_radius", "radii", "precision")


class Module(nn.Module):
    """The half-space as a module, which several threads may call."""

    def forward(self, x: Tensor) -> Tensor:
        return HALF_SPACE(x)


def smoothed(batch_size: int | None = None) -> SmoothedClassifier:
    return SmoothedClassifier(Module().eval(), NOISE, num_classes=2, batch_size=batch_size)


def plan(
    stop: Stop, n: int = 2_000, alpha: float = 0.05, bound: Bound | None = None
) -> SamplingPlan:
    return SamplingPlan(n0=100, n=n, alpha=alpha, stop=stop, bound=bound, seed=3)


def at(distances: Tensor) -> Tensor:
    """`(rows, 2)` inputs so far inside class 1, at random places along the boundary."""
    normal = HALF_SPACE.w / torch.linalg.vector_norm(HALF_SPACE.w)
    along = torch.stack([-normal[1], normal[0]])
    foot = -HALF_SPACE.b * normal / torch.linalg.vector_norm(HALF_SPACE.w)
    places = torch.rand(len(distances), generator=torch.Generator().manual_seed(0)).double()
    return (foot + distances.double()[:, None] * normal + places[:, None] * along).float()


def certify(
    x: Tensor, plan: SamplingPlan, batch_size: int | None = None, first: int = 0
) -> dict[int, Certification]:
    pairs = enumerate(x, start=first)
    return dict(smoothed(batch_size).certify_each(pairs, plan, certificate="gaussian_l2"))


def essence(result: Certification) -> tuple[object, ...]:
    """Everything in a certification, votes as lists."""
    selection, estimation = result.selection, result.estimation
    assert isinstance(selection, Counts)
    assert isinstance(estimation, Counts)
    return (
        *(result.prediction, result.radius, result.pA_lower, result.pB_upper, result.claim),
        *(selection.votes.tolist(), estimation.votes.tolist()),
    )


def most(n: int, p: float) -> int:
    """The count that Binomial(n, p) exceeds with probability below 1e-4."""
    return int(np.flatnonzero(bdtr(np.arange(n), n, p) > 1 - 1e-4)[0])


@pytest.mark.parametrize(
    ("stop", "radius", "spent"),
    [
        # Calibrated spends alpha where the truth is at a threshold, hybrid and betting far less.
        (AtRadius(0.5), 0.5, 0.02),
        (Radii("0/0.25/0.5/0.75"), 0.25, 0.02),
        (Precision(rel=0.05, abs=0.01), 0.5, 0.005),
    ],
    ids=NAMES,
)
def test_no_more_than_alpha_claim_above_the_exact_radius(
    stop: Stop, radius: float, spent: float
) -> None:
    """All truths lie a hair below the radius asked for, where a wrong claim is likeliest."""
    inputs = 400
    x = at(torch.full((inputs,), radius * (1 - 1e-4)))
    exact = HALF_SPACE.exact_radius(x)
    assert np.all(exact < radius)
    results = certify(x, plan(stop, n=1_000))
    assert len(results) == inputs
    wrong = sum(results[i].radius > exact[i] for i in range(inputs))
    assert wrong <= most(inputs, 0.05)
    assert wrong >= spent * inputs  # so that the test could fail


@pytest.mark.parametrize("stop", STOPS, ids=NAMES)
def test_claims_over_all_distances(stop: Stop) -> None:
    x = at(torch.linspace(-1.0, 1.5, 200))
    exact, results = HALF_SPACE.exact_radius(x), certify(x, plan(stop))
    right = HALF_SPACE.distance(x) > 0
    wrong = 0
    for i, result in results.items():
        assert isinstance(result.estimation, Counts)
        if result.prediction is None:
            assert result.radius == 0
            continue
        wrong += result.radius > exact[i] or result.prediction != right[i]
    assert wrong <= most(200, 0.05)
    draws = [int(result.estimation.n) for result in results.values()]
    assert max(draws) <= 2_000
    assert np.mean(draws) < 0.9 * 2_000
    certified = [result.prediction is not None for result in results.values()]
    assert 0.4 < np.mean(certified) < 1


@pytest.mark.parametrize("stop", STOPS, ids=NAMES)
def test_what_is_claimed_was_counted(stop: Stop) -> None:
    x = at(torch.linspace(-1.0, 1.5, 60))
    course = plan(stop).course(GaussianL2(NOISE))
    claimed = 0
    for result in certify(x, plan(stop)).values():
        claim, selection, estimation = result.claim, result.selection, result.estimation
        assert isinstance(claim, Claim)
        assert isinstance(selection, Counts)
        assert isinstance(estimation, Counts)
        assert int(estimation.n) in course.looks
        assert 0 <= claim.votes <= claim.draws <= estimation.n
        assert claim.votes <= estimation.of(selection.top)
        if claim.draws == 0:
            assert (result.prediction, result.radius, result.pA_lower) == (None, 0, 0)
            continue
        assert claim.draws in course.looks
        assert result.pA_lower == course.lower(claim.draws, claim.votes)
        claimed += 1
    assert claimed > 0


@pytest.mark.parametrize("stop", STOPS, ids=NAMES)
def test_the_votes_are_the_first_of_a_run_that_does_not_stop(stop: Stop) -> None:
    x = at(torch.linspace(-0.2, 1.5, 30))
    early = plan(stop, n=1_950)  # the last block is not whole
    lengths = set()
    for index, result in certify(x, early, first=7).items():
        estimation = result.estimation
        assert isinstance(estimation, Counts)
        fixed = SamplingPlan(n0=100, n=int(estimation.n), alpha=0.05, seed=3)
        (straight,) = certify(x[index - 7 : index - 6], fixed, first=index).values()
        assert essence(straight)[-2:] == essence(result)[-2:]
        claim = result.claim
        assert claim is not None
        if claim.draws:
            at_claim = certify(
                x[index - 7 : index - 6], replace(fixed, n=claim.draws), first=index
            )[index]
            assert isinstance(at_claim.estimation, Counts)
            assert isinstance(at_claim.selection, Counts)
            assert at_claim.estimation.of(at_claim.selection.top) == claim.votes
        lengths.add(int(estimation.n))
    assert len(lengths) > 2


@pytest.mark.parametrize("stop", STOPS, ids=NAMES)
def test_one_input_does_not_change_another(stop: Stop) -> None:
    x = at(torch.tensor([1.4, 0.51, -0.3, 0.49, 0.02, 0.8]))
    together = certify(x, plan(stop))
    for index in range(len(x)):
        (alone,) = certify(x[index : index + 1], plan(stop), first=index).values()
        assert essence(alone) == essence(together[index])
    backwards = ((index, x[index]) for index in range(5, -1, -1))
    turned = dict(smoothed().certify_each(backwards, plan(stop), certificate="gaussian_l2"))
    assert {i: essence(r) for i, r in turned.items()} == {
        i: essence(r) for i, r in together.items()
    }


@pytest.mark.parametrize("stop", STOPS, ids=NAMES)
def test_batch_size_and_threads_change_nothing(stop: Stop) -> None:
    x = at(torch.linspace(-0.5, 1.5, 16))
    threads = torch.get_num_threads()
    found = []
    try:
        for count, batch_size in ((1, None), (1, 100), (2, None), (3, 700), (2, 20_000)):
            torch.set_num_threads(count)
            results = certify(x, plan(stop), batch_size)
            found.append([essence(results[index]) for index in range(16)])
    finally:
        torch.set_num_threads(threads)
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("stop", STOPS, ids=NAMES)
@pytest.mark.parametrize("bound", [None, Betting()], ids=["default", "betting"])
def test_decide_says_it_again(stop: Stop, bound: Bound | None) -> None:
    chosen, certificate = plan(stop, bound=bound), GaussianL2(NOISE)
    radii = set()
    for result in certify(at(torch.linspace(-0.5, 1.5, 20)), chosen).values():
        again = decide(result.selection, result.estimation, chosen, certificate, result.claim)
        assert essence(again) == essence(result)
        radii.add(result.radius)
    assert len(radii) > 1


def test_decide_needs_the_claim() -> None:
    votes = Counts(np.array([1, 99]))
    with pytest.raises(ValueError, match="the claim must be given where the plan stops early"):
        decide(votes, votes, plan(AtRadius(0.5)), GaussianL2(NOISE))
    with pytest.raises(ValueError, match="look must be one of the course's looks, got 150"):
        decide(votes, votes, plan(AtRadius(0.5)), GaussianL2(NOISE), Claim(150, 140))


def test_at_radius_calls_as_the_fixed_n_does() -> None:
    """Calibration and futility cost a little power, near the radius alone."""
    x = at(torch.linspace(0.0, 1.0, 300))
    early = certify(x, plan(AtRadius(0.5), alpha=0.001))
    fixed = certify(x, SamplingPlan(n=2_000, alpha=0.001, seed=3))
    calls = [(early[i].radius >= 0.5, fixed[i].radius >= 0.5) for i in range(300)]
    differing = [i for i, (a, b) in enumerate(calls) if a != b]
    assert len(differing) <= 0.03 * 300
    assert all(0.5 < HALF_SPACE.exact_radius(x)[i] < 0.65 for i in differing)
    assert 100 < sum(a for a, _ in calls) < 150
    assert np.mean([int(result.estimation.n) for result in early.values()]) < 0.5 * 2_000


def test_radii_call_as_the_fixed_n_does() -> None:
    x = at(torch.linspace(0.0, 1.0, 300))
    early = certify(x, plan(Radii("0.25/0.5/0.75"), alpha=0.001))
    fixed = certify(x, SamplingPlan(n=2_000, alpha=0.001, seed=3))
    for radius in (0.25, 0.5, 0.75):
        calls = [(early[i].radius >= radius, fixed[i].radius >= radius) for i in range(300)]
        assert sum(a != b for a, b in calls) <= 0.03 * 300
        assert sum(a for a, _ in calls) > 30


@pytest.mark.parametrize(
    ("early", "message"),
    [
        (
            plan(AtRadius(0.5), bound=ClopperPearson()),
            r"clopper_pearson holds for a fixed n only, .* take one of betting,",
        ),
        (plan(Precision(), bound=MulticlassClopperPearson()), "holds for a fixed n only"),
        (plan(AtRadius(3.0)), r"radius must be at most 1\.\d+ for n=2000 draws at alpha=0\.05"),
        (plan(Radii("3/4")), "radius must be at most"),
        (plan(Precision(), n=4), "n=4 draws can never certify at alpha=0.05"),
        (plan(AtRadius(0.0), n=4), "n=4 draws can never certify at alpha=0.05"),
    ],
    ids=["fixed", "multiclass", "beyond", "all beyond", "too few", "too few for 0"],
)
def test_plans_that_cannot_be_are_refused_before_the_first_draw(
    early: SamplingPlan, message: str
) -> None:
    def never(x: Tensor) -> Tensor:
        raise AssertionError("a plan that cannot be was begun")

    classifier = SmoothedClassifier(never, NOISE, num_classes=2)
    with pytest.raises(PlanError, match=message):
        classifier.certify(torch.zeros(2), early, certificate="gaussian_l2")


def test_soft_votes_are_refused() -> None:
    classifier = replace(smoothed(), vote="soft")
    with pytest.raises(PlanError, match="soft votes need all n draws"):
        classifier.certify(torch.zeros(2), plan(AtRadius(0.5)), certificate="gaussian_l2")


def test_noise_that_is_enumerated_is_refused() -> None:
    noise = Splitting(half_width=0.5, deterministic=True)
    classifier = SmoothedClassifier(HALF_SPACE, noise, num_classes=2)
    with pytest.raises(PlanError, match="leave the stopping rule out"):
        classifier.certify(torch.zeros(3), plan(AtRadius(0.1)), norm="l1")
