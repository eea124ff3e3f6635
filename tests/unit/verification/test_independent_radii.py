from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from radii.certificates import covering
from radii.noise import NOISES
from radii.records import ClassBounds
from radii.verification.independent import CERTIFICATES as KNOWN
from radii.verification.independent import radius_of
from radii.verification.independent.numbers import MP, number, quantile

DIM = 784
PAIRS = [(0.5000001, None), (0.6, None), (0.9999, None), (0.8, 0.05), (0.3, 0.2999), (0.05, 1e-5)]
CASES = [
    (name, NOISES.spec_of(noise), certificate)
    for kind in NOISES.names()
    for noise in [NOISES.build({"name": kind, **example}) for example in NOISES[kind].examples]
    for norm in ("l1", "l2", "linf")
    for name, certificate in covering(noise, norm, DIM).items()
    if name in KNOWN
]


def test_every_certificate_that_is_known_is_tried():
    assert {name for name, _, _ in CASES} == set(KNOWN)


@pytest.mark.parametrize(("name", "noise", "certificate"), CASES)
def test_radii_are_on_the_safe_side_and_one_percent_more_is_found(name, noise, certificate):
    slack = radius_of(name, noise, DIM)
    for pA, pB in PAIRS:
        bounds = ClassBounds.one_sided(pA)
        if pB is not None:
            bounds = ClassBounds(np.array(pA), np.array(pB))
        radius = float(certificate.radius(bounds))
        given = float(bounds.pA_lower), float(bounds.pB_upper)
        found = slack(radius, *given)
        assert 0 <= found < 1e-5, (pA, pB)
        if radius > 0:
            assert slack(radius * 1.01, *given) < 0


def test_a_gaussian_radius_one_unit_too_large_is_found():
    slack = radius_of("gaussian_l2", "gaussian:sigma=0.5", None)
    for pA in (0.6, 0.99, 0.99993):
        p = number(pA)
        exact = quantile(p, 1 - p) / 2
        radius = float(exact)  # to nearest
        below, above = (
            (radius, math.nextafter(radius, 9))
            if number(radius) <= exact
            else (math.nextafter(radius, 0), radius)
        )
        assert slack(below, pA, 1 - pA) >= 0
        assert slack(above, pA, 1 - pA) < 0


def test_quantiles_have_their_digits():
    # Phi^-1(0.975), from the OEIS, A220510
    known = Decimal("1.95996398454005423552459443052055152795555")
    found = quantile(number("0.975"), number("0.025"))
    assert abs(found - MP.mpf(str(known))) < MP.mpf(10) ** -40


def test_an_infinite_radius_needs_a_bound_of_zero():
    slack = radius_of("gaussian_l2", "gaussian:sigma=0.5", None)
    assert slack(math.inf, 0.9, 0.0) == 0
    assert slack(math.inf, 0.9, 0.1) < 0
    assert slack(1.0, 0.4, 0.6) < 0
    assert slack(0.0, 0.4, 0.6) == 0


def test_what_is_not_worked_out_is_said():
    assert radius_of("radial_l2_functional", "radial:norm=l2", 3) is None
    assert radius_of("gaussian_linf", "gaussian:sigma=0.5", None) is None  # no dimension
    assert radius_of("gaussian_l2", "laplace:b=1", None) is None
    assert radius_of("gaussian_l2", "gaussian:sigma=0.5,skew=1", None) is None
