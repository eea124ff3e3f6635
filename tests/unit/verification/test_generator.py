"""The generator of a run, as `radii verify` tests it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from radii.noise import Gaussian, Generators, Splitting
from radii.verification import generator
from radii.verification.generator import generator_tested

NAME = Gaussian(0.5).generator_name(Generators(torch.device("cpu")))


@dataclass
class Stored:
    """What the check reads of a run."""

    imported: bool = False
    meta: dict = field(
        default_factory=lambda: {
            "noise": "gaussian:sigma=0.5",
            "generator": NAME,
            "device": "cpu",
            "seed": 7,
            "input_shape": [1, 28, 28],
        }
    )


@pytest.fixture(autouse=True)
def _forget():
    generator._tested.cache_clear()
    yield
    generator._tested.cache_clear()


def test_a_good_generator_passes():
    (check,) = generator_tested(Stored())
    assert check.status == "passed"
    assert check.said.startswith(f"{NAME} passed all ")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda drawn: drawn.mul_(1.02),
        lambda drawn: drawn.add_(0.02),
        lambda drawn: drawn.copy_(drawn[:1].expand_as(drawn)),
    ],
    ids=["wider", "shifted", "repeated"],
)
def test_a_bad_one_fails(monkeypatch, spoil):
    honest = Gaussian.copies

    def copies(self, *args):
        return spoil(honest(self, *args))

    monkeypatch.setattr(Gaussian, "copies", copies)
    (check,) = generator_tested(Stored())
    assert check.status == "failed"
    assert "which has probability" in check.said


def test_what_is_not_this_machine_s_is_not_checked():
    other = Stored()
    other.meta["generator"] = "philox4x32_10-shake128/1"
    silent = Stored()
    del silent.meta["generator"]
    enumerated = Stored()
    enumerated.meta["noise"] = "splitting:half_width=0.5,deterministic=true"
    assert Splitting(0.5, deterministic=True).num_outcomes
    for stored, why in (
        (other, "this machine has"),
        (silent, "does not say"),
        (Stored(imported=True), "does not say"),
        (enumerated, "it has none"),
    ):
        (check,) = generator_tested(stored)
        assert (check.status, why in check.said) == ("not checked", True)
