"""What every registered certificate owes: above all that no classifier flips inside the radius."""

from __future__ import annotations

import dataclasses
import math
import pickle
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from radii.certificates import CERTIFICATES, Certificate, covering
from radii.noise import NOISES, AdditiveNoise, Generators, Noise, Stream
from radii.records import ClassBounds, FloatArray, Norm
from tests.falsifier import SHAPE, assert_no_flip, assert_tight

NORMS: tuple[Norm, ...] = typing.get_args(Norm)
DIM = math.prod(SHAPE)  # the falsifier tries a certificate on inputs of the dimension it was told
CASES = [
    certificate
    for name in NOISES.names()
    for example in NOISES[name].examples
    for norm in NORMS
    for certificate in covering(NOISES.build({"name": name, **example}), norm, DIM).values()
]
FALSIFIABLE = [case for case in CASES if isinstance(case.noise, AdditiveNoise)]
TIGHT = [case for case in FALSIFIABLE if case.tight]


def name_of(certificate: Certificate) -> str:
    return f"{CERTIFICATES.name_of(certificate)}-{NOISES.spec_of(certificate.noise)}"


each_certificate = pytest.mark.parametrize("certificate", CASES, ids=name_of)
each_tight = pytest.mark.parametrize("certificate", TIGHT, ids=name_of)


def one_of_each() -> list[Any]:
    """The first example of each tight certificate; the others, and long searches, are slow."""
    found: dict[type[Certificate], Any] = {}
    params = []
    for case in TIGHT:
        first = found.setdefault(type(case), case) is case
        quick = first and "functional" not in CERTIFICATES.name_of(case)
        params.append(pytest.param(case, marks=() if quick else pytest.mark.slow))
    return params


P = np.concatenate([[0.0, 1e-300, 1e-12], np.linspace(0.01, 0.99, 99), [1 - 1e-12, 1.0]])


def bounds(pA: FloatArray | float, pB: FloatArray | float) -> ClassBounds:
    lower, upper = np.broadcast_arrays(np.asarray(pA, np.float64), np.asarray(pB, np.float64))
    return ClassBounds(lower, upper)


def assert_zero_without_a_lead(certificate: Certificate) -> None:
    """Radius 0 at a tie and below, and only numbers of at least 0 anywhere."""
    pA, pB = np.meshgrid(P, P)
    radius = certificate.radius(bounds(pA, pB))
    assert radius.shape == pA.shape
    assert radius.dtype == np.float64
    assert not np.isnan(radius).any()
    assert np.all(radius >= 0)
    assert np.all(radius[pA <= pB] == 0)
    assert certificate.radius(ClassBounds.one_sided(0.5)) == 0


def assert_monotone(certificate: Certificate) -> None:
    """Larger for a larger pA, smaller for a larger pB, and not constant."""
    for pB in (0.01, 0.1, 0.3, 0.5):
        radius = certificate.radius(bounds(P[P < 1], pB))
        assert np.all(np.diff(radius) >= 0)
        assert radius[-1] > 0
    for pA in (0.1, 0.5, 0.9, 0.99):
        radius = certificate.radius(bounds(pA, P[P > 0]))
        assert np.all(np.diff(radius) <= 0)
    one_sided = certificate.radius(ClassBounds.one_sided(np.array([0.6, 0.7, 0.9, 0.99, 0.999])))
    assert np.all(np.diff(one_sided) > 0)


@pytest.mark.parametrize("name", CERTIFICATES.names())
def test_covers_the_examples_of_some_noise(name: str) -> None:
    assert any(isinstance(case, CERTIFICATES[name]) for case in CASES)


@each_certificate
def test_zero_without_a_lead(certificate: Certificate) -> None:
    assert_zero_without_a_lead(certificate)


@each_certificate
def test_monotone(certificate: Certificate) -> None:
    assert_monotone(certificate)


@each_certificate
def test_vectorised_is_scalar(certificate: Certificate) -> None:
    pA, pB = np.meshgrid(P[::9], P[::9])
    radius = certificate.radius(bounds(pA, pB))
    singly = [certificate.radius(bounds(a, b)) for a, b in zip(pA.flat, pB.flat, strict=True)]
    assert all(one.shape == () for one in singly)
    assert np.array_equal(radius.ravel(), np.array(singly))


@each_certificate
def test_leaves_its_bounds(certificate: Certificate) -> None:
    given = bounds(np.array([0.2, 0.9]), np.array([0.5, 0.1]))
    certificate.radius(given)
    assert given.pA_lower.tolist() == [0.2, 0.9]
    assert given.pB_upper.tolist() == [0.5, 0.1]


@each_certificate
def test_an_infinite_radius_is_documented(certificate: Certificate) -> None:
    extreme = certificate.radius(bounds(np.array([0.6, 1.0]), np.array([0.0, 0.0])))
    documented = "nfinite" in (type(certificate).__doc__ or "")
    assert documented == bool(np.isinf(extreme).any())


def scaled(noise: Noise, name: str, factor: float) -> Noise:
    """The noise with one of its parameters multiplied."""
    changed: Any = noise
    replaced: Noise = dataclasses.replace(changed, **{name: factor * getattr(noise, name)})
    return replaced


def is_scale(noise: AdditiveNoise, name: str) -> bool:
    """Whether doubling this parameter doubles the noise, as its density tells."""
    wider = scaled(noise, name, 2)
    assert isinstance(wider, AdditiveNoise)
    stream = Generators(torch.device("cpu"))(Stream(0, 0, "estimation", 0))
    z = noise.draw((100, 3), generator=stream).double()
    gap = wider.log_density(2 * z) - noise.log_density(z) + 3 * math.log(2)
    return bool(gap.abs().max() < 1e-9)


@pytest.mark.parametrize("certificate", FALSIFIABLE, ids=name_of)
def test_linear_in_the_scale_of_the_noise(certificate: Certificate) -> None:
    noise: Any = certificate.noise
    names = [f.name for f in dataclasses.fields(noise) if isinstance(getattr(noise, f.name), float)]
    scales = [name for name in names if is_scale(noise, name)]
    given = bounds(np.array([0.5, 0.7, 0.99, 0.9]), np.array([0.1, 0.3, 0.01, 0.0]))
    for name in scales:
        wider = dataclasses.replace(certificate, noise=scaled(noise, name, 2))
        np.testing.assert_allclose(
            wider.radius(given), 2 * certificate.radius(given), rtol=1e-9, atol=0
        )


@pytest.mark.parametrize("certificate", FALSIFIABLE, ids=name_of)
def test_no_classifier_flips_inside_the_radius(certificate: Certificate) -> None:
    assert_no_flip(certificate)


@each_tight
def test_a_radius_that_is_too_large_is_caught(certificate: Certificate) -> None:
    assert_tight(certificate)


def mutant(certificate: Certificate, radius: Callable[[ClassBounds], FloatArray]) -> Certificate:
    """The same certificate with another formula."""
    kind = type(certificate)
    changed = type(f"Mutant{kind.__name__}", (kind,), {"radius": lambda self, given: radius(given)})
    made: Certificate = changed(
        **{field.name: getattr(certificate, field.name) for field in dataclasses.fields(kind)}
    )
    return made


def remembered(radius: Callable[[ClassBounds], FloatArray]) -> Callable[[ClassBounds], FloatArray]:
    """The same, worked out once for equal bounds: some radii are found by long searches."""
    found: dict[bytes, FloatArray] = {}

    def of(given: ClassBounds) -> FloatArray:
        key = pickle.dumps((given.pA_lower, given.pB_upper))
        if key not in found:
            found[key] = radius(given)
        return found[key].copy()

    return of


def swap(given: ClassBounds) -> ClassBounds:
    return ClassBounds(given.pB_upper, given.pA_lower)


@pytest.mark.parametrize("certificate", one_of_each(), ids=name_of)
def test_the_checks_catch_wrong_formulas(certificate: Certificate) -> None:
    right = remembered(certificate.radius)
    assert_no_flip(mutant(certificate, right))
    with pytest.raises(AssertionError, match="a classifier flips"):
        assert_no_flip(mutant(certificate, lambda given: 1.05 * right(given)))
    with pytest.raises(
        AssertionError, match="a classifier flips"
    ):  # sigma where sigma / 2 is right
        assert_no_flip(mutant(certificate, lambda given: 2 * right(given)))
    with pytest.raises(AssertionError, match="no classifier flips"):
        assert_tight(mutant(certificate, lambda given: right(given) / 1.1))
    swapped = mutant(certificate, lambda given: right(swap(given)))
    for check in (assert_zero_without_a_lead, assert_monotone):
        with pytest.raises(AssertionError):
            check(swapped)
    with pytest.raises(AssertionError, match="no radius at any level"):
        assert_no_flip(swapped)
