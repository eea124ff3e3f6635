"""Sampling plans: what they refuse."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from radii.bounds import Bound, ClopperPearson, Exact, MulticlassClopperPearson, Staged
from radii.certificates import GaussianL2
from radii.errors import PlanError
from radii.noise import Gaussian
from radii.noise.streams import Rng
from radii.smoothing import Request, Sampler, SamplingPlan, SmoothedClassifier
from radii.smoothing.deadline import Deadline
from radii.stopping import Precision


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n0": 0}, "n0 must be a whole number of at least 1, got 0"),
        ({"n": -5}, "n must be a whole number of at least 1, got -5"),
        ({"n": 1e5}, "n must be a whole number of at least 1, got 100000.0"),
        ({"block": 0}, "block must be a whole number of at least 1, got 0"),
        ({"alpha": 0.0}, r"alpha must be in \(0, 1\), got 0.0"),
        ({"alpha": 1.0}, r"alpha must be in \(0, 1\), got 1.0"),
        ({"alpha": 1.5}, r"alpha must be in \(0, 1\), got 1.5"),
        ({"alpha": -0.1}, r"alpha must be in \(0, 1\), got -0.1"),
        ({"alpha": -0.1, "n0": 0, "bound": Exact()}, "n0 and alpha must be 0 with an exact bound"),
        ({"alpha": 0.1, "n0": 0, "bound": Exact()}, "n0 and alpha must be 0 with an exact bound"),
        ({"alpha": 0, "n0": 1, "bound": Exact()}, "n0 and alpha must be 0 with an exact bound"),
        ({"alpha": float("nan")}, r"alpha must be in \(0, 1\), got nan"),
        ({"seed": -1}, r"seed must be a whole number in \[0, 2\*\*256\), got -1"),
        ({"seed": 2**256}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number .* got 1.5"),
        ({"seed": True}, "seed must be a whole number .* got True"),
        ({"seed": "7"}, "seed must be a whole number .* got '7'"),
    ],
)
def test_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SamplingPlan(), **change)


@pytest.mark.parametrize("seed", [0, 2**256 - 1, np.int64(5)])
def test_a_seed_is_a_python_integer(seed: Any) -> None:
    assert type(SamplingPlan(seed=seed).seed) is int
    assert SamplingPlan(seed=seed).seed == seed


def test_a_bound_that_takes_no_such_n_is_refused() -> None:
    bound = Staged("100/500")
    SamplingPlan(n=500, bound=bound).check(2)
    with pytest.raises(PlanError, match="n must be at most 500, the last of the stages 100/500"):
        SamplingPlan(n=1000, bound=bound).check(2)
    with pytest.raises(PlanError, match="n must be at most 500, the last of the stages 100/500"):
        SamplingPlan(n=1000, bound=bound, stop=Precision()).course(GaussianL2(Gaussian(0.5)))


@pytest.mark.parametrize(
    ("bound", "num_classes", "alpha", "least"),
    # n votes of n give pA_lower = alpha^(1/n), above 1/2 as soon as n > log2(1/alpha).
    [
        (ClopperPearson(), 2, 0.001, 10),
        (ClopperPearson(), 1000, 0.001, 10),
        (ClopperPearson(), 10, 0.3, 2),
        (MulticlassClopperPearson(), 10, 0.001, 14),
        (MulticlassClopperPearson(), 1000, 0.001, 20),
    ],
)
def test_least_n(bound: Bound, num_classes: int, alpha: float, least: int) -> None:
    plan = SamplingPlan(n=least, alpha=alpha, bound=bound)
    plan.check(num_classes)
    with pytest.raises(PlanError, match=rf"n={least - 1} draws .* take n of at least {least},"):
        replace(plan, n=least - 1).check(num_classes)


def test_seeded() -> None:
    plan = SamplingPlan(seed=5)
    assert plan.seeded() is plan
    seeds = {SamplingPlan(n=7).seeded().seed for _ in range(5)}
    assert len(seeds) == 5
    assert None not in seeds
    assert SamplingPlan(n=7).seeded().n == 7


@pytest.mark.parametrize(("rng", "bits"), [("auto", 63), ("chacha", 256)])
def test_a_seed_fits_what_it_seeds(rng: Rng, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger keeps signed numbers of 64 bits; a key of ChaCha20 has 256."""
    monkeypatch.setattr("secrets.randbits", lambda asked: 2**asked - 1)
    assert SamplingPlan().seeded(rng).seed == 2**bits - 1


@pytest.mark.parametrize("kind", [SamplingPlan, Request, Sampler, SmoothedClassifier, Deadline])
def test_what_was_checked_stays_as_it_is(kind: type) -> None:
    made = object.__new__(kind)
    with pytest.raises(FrozenInstanceError):
        made.seed = 7
