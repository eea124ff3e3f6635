"""Functional certificates at d = 784: no classifier flips inside, and 5 % more is caught.

The noise is drawn exactly, and the worst classifier follows from its density: nothing is known here
of the quadrature. At `2^16` draws five standard errors are .017 at pA = .8, and what A leads by at
1.05 times the radius is -.024, as for Gaussian noise: so that level is tried with every run of the
tests. At `2^18` draws the same holds at pA = .9, and where pB has a bound of its own.
"""

from __future__ import annotations

import numpy as np
import pytest

from radii.certificates import CERTIFICATES, find
from radii.noise import NOISES, AdditiveNoise
from radii.records import ClassBounds
from tests.falsifier import directions, likelihood_ratios, worst_answer

DIM = 784
# Noise for each certificate, with the exponents of Zhang et al. 2020. Two have closed forms: they
# are tried for comparison.
SPECS = {
    "radial_l1_functional": [
        "radial:norm=l1,scale=0.5,exponent=1,pole=100",
        "radial:norm=l1,scale=0.5,exponent=1,pole=700",
    ],
    "radial_l2_functional": [
        "radial:norm=l2,scale=0.5,exponent=2,pole=100",
        "radial:norm=l2,scale=0.5,exponent=2,pole=700",
    ],
    "radial_linf_functional": [
        "radial:norm=linf,scale=0.5,exponent=2,pole=100",
        "radial:norm=linf,scale=0.5,exponent=2,pole=700",
    ],
    "mixed_linf_functional": ["mixed_linf:sigma=0.5,pole=20"],
    "gaussian_l2": ["gaussian:sigma=0.5"],
    "laplace_l1": ["laplace:b=0.5"],
}
CASES = [(name, spec) for name in CERTIFICATES.names() for spec in SPECS.get(name, [])]

each_case = pytest.mark.parametrize(("name", "spec"), CASES, ids=[":".join(c) for c in CASES])


def test_every_functional_certificate_is_tried() -> None:
    functional = {name for name in CERTIFICATES.names() if name.endswith("_functional")}
    assert functional <= SPECS.keys()
    assert {name for name, _ in CASES} >= functional | {"gaussian_l2", "laplace_l1"}


def check(name: str, spec: str, pA: float, pB: float, draws: int) -> None:
    """No flip at .98 of the radius in any direction; one at 1.05 of it in the worst."""
    noise = NOISES.build(spec)
    assert isinstance(noise, AdditiveNoise)
    certificate = find(noise, CERTIFICATES[name].norm, name, dim=DIM)
    radius = float(certificate.radius(ClassBounds(np.array(pA), np.array(pB))))
    assert radius > 0
    axis, diagonal, random = directions(certificate.norm, 0.98 * radius, (DIM,))
    worst = diagonal if certificate.norm == "linf" else axis
    shifts = [axis, diagonal, random, worst * (1.05 / 0.98)]
    cases = [worst_answer(w, pA, pB) for w in likelihood_ratios(noise, shifts, draws=draws)]
    for case in cases[:3]:
        assert case.margin > -case.error, f"a classifier flips at .98 x {radius}: {case}"
    assert cases[3].margin < -cases[3].error, f"1.05 x {radius} is not caught: {cases[3]}"


@each_case
def test_no_flip_inside_and_a_larger_radius_is_caught(name: str, spec: str) -> None:
    check(name, spec, 0.8, 0.2, 2**16)


@pytest.mark.slow
@pytest.mark.parametrize(("pA", "pB"), [(0.9, 0.1), (0.6, 0.2), (0.7, 0.05)])
@each_case
def test_at_more_levels(name: str, spec: str, pA: float, pB: float) -> None:
    check(name, spec, pA, pB, 2**18)
