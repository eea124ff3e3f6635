"""Differential radii of radial noise: the definition by quadrature, reductions, order, refusals."""

from __future__ import annotations

import itertools
import math
import typing
from dataclasses import dataclass
from functools import cached_property
from time import process_time
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import betainc, gammainccinv, gammaln, ndtri, poch

from radii.certificates import (
    Certificate,
    IidExponentialL1,
    LaplaceL1,
    LaplaceLinf,
    ParetoL1,
    RadialL1,
    RadialL2,
    RadialLinf,
    RadialPowerL1,
    RadialPowerL2,
    RadialPowerLinf,
    covering,
    find,
)
from radii.certificates._direction import coordinate, sign, sum_of_signs
from radii.certificates._functional import functional_radius
from radii.certificates._radial_law import RadialLaw
from radii.certificates._radial_slope import ExponentialSlope, PowerSlope, slope_atoms
from radii.errors import NotCoveredError
from radii.noise import IidExponential, Laplace, Pareto, Radial, RadialPower
from radii.records import ClassBounds, FloatArray, Norm

PA = np.append(
    0.5 + np.array([1e-9, 1e-7, 1e-5, 1e-3, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
    1 - np.array([0.1, 0.05, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9, 1e-12]),
)
TAILS = np.concatenate([[0.49], np.arange(9, 0, -1) / 20, 10.0 ** -np.arange(2, 13)])
DIMS = [2, 3, 784, 3072, 150_528]
KINDS: dict[type, dict[str, Any]] = {
    Radial: {"l1": RadialL1, "l2": RadialL2, "linf": RadialLinf},
    RadialPower: {"l1": RadialPowerL1, "l2": RadialPowerL2, "linf": RadialPowerLinf},
}


def certificate_of(noise: Radial | RadialPower, norm: str, dim: int) -> Certificate:
    made: Certificate = KINDS[type(noise)][norm](noise, dim)
    return made


def one_sided(certificate: Certificate, pA: FloatArray = PA) -> FloatArray:
    return certificate.radius(ClassBounds.one_sided(pA))


def crowded(nodes: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights on [0, 1] that crowd at both ends, where roots then do no harm."""
    angle, weight = np.polynomial.legendre.leggauss(nodes)
    angle = (1 + angle) * np.pi / 2
    return (1 - np.cos(angle)) / 2, np.sin(angle) * np.pi / 4 * weight


_STEP, _SHARE = crowded(40)
_FEW_STEP, _FEW_SHARE = crowded(16)


@dataclass(frozen=True)
class Definition:
    """`H(p)` of a member by quadrature over the radius and over t, from the density alone.

    With `p = P(G > t)` and `M = E[G; G > t]` it is `dp / Psi = -dM / (t M)`, so that by parts
    `H(t) = -ln(M(t)/M(0)) / t - integral_0^t ln(M(s)/M(0)) / s^2 ds`.
    """

    noise: Radial | RadialPower
    norm: str
    dim: int

    @cached_property
    def grid(self) -> FloatArray:
        """`ln rho` where the density of it is above 1e-35 of its mode, or all of a wide range."""
        log_rho = np.linspace(-80, 80, 320_001)
        log_density = self.log_density(log_rho)
        inside = log_rho[log_density > log_density.max() - 80]
        return np.linspace(inside[0], inside[-1], 4001)

    def log_density(self, log_rho: FloatArray) -> FloatArray:
        noise, power = self.noise, np.exp(np.minimum(self.noise.exponent * log_rho, 700))
        if isinstance(noise, Radial):
            return (self.dim - noise.pole) * log_rho - power
        return self.dim * log_rho - noise.a * np.log1p(power)

    def slope(self, log_rho: FloatArray) -> FloatArray:
        noise, rho, k = self.noise, np.exp(log_rho), self.noise.exponent
        if isinstance(noise, Radial):
            return noise.pole / rho + k * rho ** (k - 1)
        return noise.a * k * rho ** (k - 1) / (1 + rho**k)

    def direction(self, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`P(X > c)` and `E[X; X > c]` of the factor X of the slope, for c in [0, 1]."""
        if self.noise.norm == "l2":
            half = (self.dim - 1) / 2
            square = np.minimum(c, 1) ** 2
            log_factor = gammaln(self.dim / 2) - gammaln(half + 1) - math.log(4 * math.pi) / 2
            return betainc(half, 0.5, 1 - square) / 2, math.exp(log_factor) * (1 - square) ** half
        chance = 1 / self.dim if (self.noise.norm, self.norm) == ("linf", "l1") else 1.0
        return (c < 1) * chance / 2, (c < 1) * chance / 2

    def moments(self, t: float) -> tuple[float, float]:
        """`P(G > t)` and `E[G; G > t]`."""
        excess = self.slope(self.grid) - t
        ends = [self.grid[0], self.grid[-1]]
        for i in np.flatnonzero(np.diff(np.sign(excess)) != 0):
            low, high = self.grid[i], self.grid[i + 1]
            for _ in range(60):
                middle = (low + high) / 2
                same = (self.slope(middle) > t) == (self.slope(low) > t)
                low, high = (middle, high) if same else (low, middle)
            ends.append((low + high) / 2)
        mode = self.grid[np.argmax(self.log_density(self.grid))]
        cuts = np.unique([*ends, mode, *np.linspace(ends[0], ends[1], 9)])
        log_rho = (cuts[:-1, None] + np.diff(cuts)[:, None] * _STEP).ravel()
        weights = (np.diff(cuts)[:, None] * _SHARE).ravel()
        weights *= np.exp(self.log_density(log_rho) - self.log_density(mode))
        slope = self.slope(log_rho)
        chance, mean = self.direction(np.minimum(t / slope, 1))
        total = self.total
        return float(weights @ chance) / total, float(weights @ (slope * mean)) / total

    @cached_property
    def total(self) -> float:
        log_density = self.log_density(self.grid)
        return float(np.trapezoid(np.exp(log_density - log_density.max()), self.grid))

    def levels(self, tails: FloatArray) -> FloatArray:
        """The t at which about so much of G is left, for those that any t leaves."""
        most, high = self.moments(0.0)
        while self.moments(high)[0] > tails.min():
            high *= 2

        def excess(t: float, tail: float) -> float:
            return math.log(max(self.moments(t)[0], 1e-300) / tail)

        known = [tail for tail in tails if tail < 0.99 * most]
        return np.array([brentq(excess, 0, high, args=(tail,), rtol=1e-4) for tail in known])

    def at(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`1 - p` and `H(p)` where G passes increasing t."""
        most, start = self.moments(0.0)
        done, found, low = (0.5 - most) / start, [], 0.0
        for end in t:
            s = low + (end - low) * _FEW_STEP
            logs = [math.log(self.moments(float(each))[1] / start) / each**2 for each in s]
            done -= float(_FEW_SHARE @ np.array(logs)) * (end - low)
            q, mean = self.moments(float(end))
            found.append((q, done - math.log(mean / start) / end))
            low = float(end)
        q, h = np.array(found).T
        return q, h


# Monotone, falling and turning slopes, both factors spread or one, exponents below and above 1.
MEMBERS: list[tuple[Radial | RadialPower, str, int]] = [
    (Radial("l2", 1.0, 1.5, 0.5), "l2", 3),
    (Radial("l2", 1.0, 0.5), "l1", 2),
    (Radial("l2", 1.0, 2.0, 700.0), "linf", 784),
    (Radial("linf", 1.0, 3.0), "l1", 10),
    (Radial("linf", 1.0, 0.5), "linf", 3),
    (Radial("l1", 1.0, 1.0, 300.0), "l1", 784),
    (RadialPower("l2", 1.0, 2.0, 40.0), "l2", 2),
    (RadialPower("l2", 1.0, 8.0, 120.0), "l1", 784),
    (RadialPower("l1", 1.0, 0.5, 9.0), "l1", 3),
]


@pytest.mark.parametrize(("noise", "norm", "dim"), MEMBERS)
def test_against_the_definition(noise: Any, norm: str, dim: int) -> None:
    definition = Definition(noise, norm, dim)
    certificate = certificate_of(noise, norm, dim)
    longer = math.sqrt(dim) if (noise.norm, norm) == ("l2", "linf") else 1
    q, h = definition.at(definition.levels(TAILS))
    assert q.min() < 2e-12
    share = one_sided(certificate, 1 - q) / (h / longer)
    assert np.all(share > 1 - 1e-4)
    assert np.all(share < 1 + 1e-6)  # of which 1 - (1 - q), which is not q, takes the half
    close = 0.5 + np.array([1e-9, 1e-7])  # where Psi is constant to first order
    linear = (close - 0.5) / definition.moments(0.0)[1] / longer
    np.testing.assert_allclose(one_sided(certificate, close), linear, rtol=1e-6)


@pytest.mark.parametrize(("exponent", "dim"), [(2.0, 2), (3.0, 784)])
def test_a_rising_slope_in_high_precision(exponent: float, dim: int) -> None:
    # Noise of linf in linf: G is a sign times exponent y^(1 - 1/exponent), y of a Gamma law, and
    # the top means are incomplete gamma functions.
    certificate = RadialLinf(Radial("linf", 1.0, exponent), dim)
    pA = np.unique(PA)
    with mpmath.workdps(30):
        shape = mpmath.mpf(dim) / mpmath.mpf(exponent)
        other = shape + 1 - 1 / mpmath.mpf(exponent)
        y = 2 * shape if dim > 2 else mpmath.mpf(1)
        done, last, exact = mpmath.mpf(0), mpmath.mpf(0), []

        def rate(y: Any) -> Any:
            return y ** (shape - 1) * mpmath.exp(-y) / mpmath.gammainc(other, y) / exponent

        for tail in 2 * (1 - pA):
            start = float(gammainccinv(float(shape), tail))
            density = mpmath.exp((shape - 1) * mpmath.log(start) - start) / mpmath.gamma(shape)
            miss = mpmath.gammainc(shape, start, regularized=True) - mpmath.mpf(float(tail))
            y = start + miss / density
            done += mpmath.quad(rate, [last, y])
            last = y
            exact.append(float(done))
    share = one_sided(certificate, pA) / np.array(exact)
    assert np.all(share <= 1)
    np.testing.assert_allclose(share, 1, atol=2e-6)


@pytest.mark.parametrize("dim", DIMS)
def test_in_l2_without_a_pole_it_is_the_gaussian_radius(dim: int) -> None:
    # Cohen et al. 2019, Theorem 1: Psi is the normal density at its quantile.
    noise = Radial("l2", 0.5 * math.sqrt(2), 2.0)
    radius, exact = one_sided(RadialL2(noise, dim), PA), 0.5 * ndtri(PA)
    assert np.all(radius < exact)
    np.testing.assert_allclose(radius, exact, rtol=5e-6 if dim > 16 else 2e-5)
    np.testing.assert_allclose(one_sided(RadialL1(noise, dim)), radius, rtol=1e-15)
    linf = one_sided(RadialLinf(noise, dim)) * math.sqrt(dim)
    np.testing.assert_allclose(linf, radius, rtol=1e-15)


@pytest.mark.parametrize("dim", DIMS)
def test_without_a_pole_and_with_exponent_1_it_is_the_radius_of_laplace_noise(dim: int) -> None:
    bounds = ClassBounds(*np.array([(p, q) for p in PA for q in (0.3, 0.01, 1e-9)]).T)
    laplace, noise = Laplace(0.5), Radial("l1", 0.5, 1.0)
    for given in (ClassBounds.one_sided(PA), bounds):
        wanted = LaplaceL1(laplace).radius(given)
        np.testing.assert_allclose(RadialL1(noise, dim).radius(given), wanted, rtol=3e-9)
        # Yang et al. 2020, Table 1: -scale ln(2 (1 - pA)).
        linf = RadialLinf(Radial("linf", 0.5, 1.0), dim)
        np.testing.assert_allclose(linf.radius(given), wanted, rtol=3e-9)
        wanted = LaplaceLinf(laplace, dim).radius(given)
        np.testing.assert_allclose(RadialLinf(noise, dim).radius(given), wanted, rtol=1e-6)
    closed = -0.5 * np.log(2 * (1 - PA))
    np.testing.assert_allclose(one_sided(linf), closed, rtol=3e-9)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("exponent", [0.5, 1.0, 3.0, 8.0])
def test_noise_of_linf_in_l1_grows_evenly_in_the_middle(exponent: float, dim: int) -> None:
    # Yang et al. 2020, Table 1: Psi is E g'(rho) / (2 dim) up to a mass of 1 / (2 dim).
    pA = 0.5 + np.array([1e-9, 1e-3, 0.1, 0.2, 0.4]) * (1 - 1 / dim)
    ratio = float(poch((dim - 1) / exponent, 1 / exponent))  # Gamma(dim / k) / Gamma((dim - 1) / k)
    exact = (pA - 0.5) * 2 * dim * ratio / (dim - 1)
    radius = one_sided(RadialL1(Radial("linf", 1.0, exponent), dim), pA)
    np.testing.assert_allclose(radius, exact, rtol=2e-9)


def test_in_one_coordinate_it_is_the_radius_of_independent_coordinates() -> None:
    for exponent in (1.5, 2.0, 4.0):
        wanted = one_sided(IidExponentialL1(IidExponential(0.5, exponent)))
        for norm in ("l1", "l2", "linf"):
            radius = one_sided(RadialL1(Radial(norm, 0.5, exponent), 1))
            np.testing.assert_allclose(radius, wanted, rtol=2e-6)
    wanted = one_sided(ParetoL1(Pareto(0.5, 3.0)))
    radius = one_sided(RadialPowerLinf(RadialPower("l2", 0.5, 1.0, 4.0), 1))
    np.testing.assert_allclose(radius, wanted, rtol=2e-6)


def functional_cases() -> list[Any]:
    """Each functional certificate of radial noise that has a differential one beside it.

    With the examples of the noise in three dimensions, and `slow` with more exponents and poles.
    """
    members: list[tuple[Any, ...]] = [
        (example["norm"], example["exponent"], example.get("pole", 0.0), dim, ())
        for dim in (2, 784, 150_528)
        for example in Radial.examples
    ]
    grid = itertools.product(
        ("l1", "l2", "linf"), (0.5, 1.0, 1.5, 2.0), (0.0, 0.5, 0.9), (2, 784, 150_528)
    )
    for sphere, exponent, share, dim in grid:
        members.append((sphere, exponent, share * (dim - 1), dim, pytest.mark.slow))
    cases = []
    for sphere, exponent, pole, dim, marks in members:
        for norm in typing.get_args(Norm):
            known = covering(Radial(sphere, 1.0, exponent, pole), norm, dim)
            pair = [known.get(f"radial_{norm}"), known.get(f"radial_{norm}_functional")]
            if None not in pair:
                case = f"{norm}-{exponent}-{pole}-{dim}"
                cases.append(pytest.param(*pair, marks=marks, id=case))
    return cases


def off_the_table(functional: Any, bounds: ClassBounds) -> FloatArray:
    """The functional radius, where nothing makes up for what its table is lowered by."""
    noise = functional.noise
    law = RadialLaw(noise.exponent, noise.pole, functional.dim, functional.shape)
    return np.asarray(noise.scale * functional_radius(law, bounds))


@pytest.mark.parametrize(("differential", "functional"), functional_cases())
def test_never_more_than_the_functional_radius(
    differential: Certificate, functional: Certificate
) -> None:
    pA = np.append(PA, np.linspace(0.515, 0.985, 41))
    assert np.all(one_sided(differential, pA) <= one_sided(functional, pA))
    # The same of what is read off the table alone, which does not know of the differential one.
    # What it says that it is lowered by is allowed for: more in few dimensions for pA below 0.51.
    noise: Any = functional.noise
    few = functional.dim - noise.pole < 64  # type: ignore[attr-defined]
    pA = pA[pA >= 0.51]
    ratio = one_sided(differential, pA) / off_the_table(functional, ClassBounds.one_sided(pA))
    assert 0 < ratio.min() <= ratio.max() <= 1 + (2e-5 if few else 2e-6)
    if not few:
        close = PA[PA < 0.51]
        table = off_the_table(functional, ClassBounds.one_sided(close))
        ratio = one_sided(differential, close) / table
        assert 0.98 < ratio.min() <= ratio.max() <= 1.0102


@pytest.mark.parametrize("dim", [2, 784])
@pytest.mark.parametrize("sphere", ["l1", "l2", "linf"])
def test_never_more_than_the_functional_radius_with_two_bounds(sphere: Any, dim: int) -> None:
    known = covering(Radial(sphere, 1.0, 1.5, 0.25), sphere, dim)
    pairs = [(0.6, 0.2), (0.9, 0.01), (0.5, 0.1), (0.3, 0.2), (0.99, 1e-6)]
    bounds = ClassBounds(*np.array(pairs).T)
    radius = known[f"radial_{sphere}"].radius(bounds)
    functional = known[f"radial_{sphere}_functional"]
    assert np.all(radius <= functional.radius(bounds))
    # The table is interpolated, and lowered by 1e-3 or so for it.
    assert np.all(radius < off_the_table(functional, bounds) * 1.002)


@pytest.mark.parametrize("kind", [RadialL1, RadialL2, RadialLinf])
def test_a_bound_on_the_other_class_is_used(kind: Any) -> None:
    # Both halves of the integral from pB to pA are those of bounds that know only pB = 1 - pA.
    certificate = kind(Radial(kind.norm, 1.0, 1.5, 0.5), 784)
    pA, pB = np.array([0.6, 0.9, 0.5, 0.3]), np.array([0.2, 1e-6, 0.1, 0.05])
    top = np.where(pA < 0.5, -1, 1) * one_sided(certificate, np.maximum(pA, 1 - pA))
    other = one_sided(certificate, 1 - pB)
    radius = certificate.radius(ClassBounds(pA, pB))
    np.testing.assert_allclose(radius, (top + other) / 2, rtol=1e-7)
    assert np.all(radius > one_sided(certificate, pA))


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 8.0])
def test_no_mass_is_lost(exponent: float, dim: int) -> None:
    # Published code loses quadrature mass for a large pole. E g'(rho) is a ratio of gammas.
    for pole in (0.0, 0.9 * (dim - 1), dim - 1.5, dim - 2.0):
        if pole < 0:
            continue
        shape = (dim - pole) / exponent
        atoms = slope_atoms(ExponentialSlope(exponent, pole, dim), 500)
        with mpmath.workdps(30):
            log_ratio = mpmath.loggamma(shape - 1 / exponent) - mpmath.loggamma(shape)
            mean = float((dim - 1) * mpmath.exp(log_ratio))
        assert abs(atoms.weights.sum() - 1) < 1e-12
        assert abs(atoms.mean / mean - 1) < 1e-10
    for a in (1.1 * dim / exponent, dim / exponent + 3):
        atoms = slope_atoms(PowerSlope(exponent, a, dim), 500)
        assert abs(atoms.weights.sum() - 1) < 1e-12


@pytest.mark.parametrize("dim", DIMS)
def test_directions_have_their_mass_and_variance(dim: int) -> None:
    angle = coordinate(dim, 2000)
    assert abs(angle.weights.sum() - 0.5) < 1e-11
    assert 0 <= dim * angle.weights @ angle.values**2 - 0.5 < 1e-5
    signs = sum_of_signs(dim)
    assert abs(signs.weights @ signs.values**2 / dim - 0.5) < 1e-10
    assert sign(0.5).mean == 0.25


def test_a_spread_raises_what_is_above_a_threshold() -> None:
    t = np.linspace(0, 1, 101)
    angle = coordinate(3, 50)  # uniform on [-1, 1]
    above = angle.weights @ np.maximum(angle.values[:, None] - t, 0)
    assert np.all(above - (1 - t) ** 2 / 4 >= -1e-16)
    np.testing.assert_allclose(above, (1 - t) ** 2 / 4, atol=1e-4)


def test_refusals() -> None:
    with pytest.raises(
        ValueError, match=r"pole must be below dim - 1 .* got 2.0 with dim=3; lower"
    ):
        RadialL2(Radial("l2", 1.0, 2.0, 2.0), 3)
    with pytest.raises(ValueError, match="a times exponent must be above"):
        RadialPowerL2(RadialPower("l2", 1.0, 2.0, 2.0), 4)
    with pytest.raises(ValueError, match="dim must be a whole number"):
        RadialL2(Radial("l2", 1.0, 2.0), 0)
    for sphere in ("l1", "linf"):  # in l2 no direction is known to be the worst
        with pytest.raises(NotCoveredError, match="RadialL2 does not cover"):
            RadialL2(Radial(sphere, 1.0, 2.0), 3)
    with pytest.raises(NotCoveredError, match="RadialL1 does not cover"):
        RadialL1(Radial("l1", 1.0, 0.1), 3)
    with pytest.raises(NotCoveredError, match="RadialPowerL1 does not cover"):
        RadialPowerL1(Radial("l1", 1.0, 2.0), 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [RadialL1, RadialL2, RadialLinf])
def test_it_covers_the_exponents_that_were_tested(kind: Any) -> None:
    for exponent, tested in ((0.24, False), (0.25, True), (16.0, True), (16.5, False), (18, False)):
        assert kind.covers(Radial(kind.norm, 1.0, exponent)) == tested


def test_a_pole_beyond_dim_minus_1_is_refused() -> None:
    for pole in (2.0, 2.5, 2.9):
        with pytest.raises(ValueError, match=rf"must be below dim - 1 .* got {pole} with dim=3"):
            RadialL2(Radial("l2", 1.0, 2.0, pole), 3)
    assert RadialL2(Radial("l2", 1.0, 2.0), 1).dim == 1  # no pole, and one coordinate


def test_find_takes_the_tight_certificate_beside_it() -> None:
    noise = Radial("l2", 1.0, 2.0, 10.0)
    assert type(find(noise, "l2", dim=784)).__name__ == "RadialL2Functional"
    assert find(noise, "l2", "radial_l2", dim=784) == RadialL2(noise, 784)
    assert find(noise, "linf", dim=784) == RadialLinf(noise, 784)


@pytest.mark.parametrize("dim", [2, 784, 150_528])
def test_ten_thousand_radii_take_less_than_a_second(dim: int) -> None:
    bounds = ClassBounds.one_sided(np.linspace(0.5, 1, 10_000))
    members = [
        RadialL2(Radial("l2", 1.0, 2.5, 0.375 * dim), dim),
        RadialLinf(Radial("l1", 1.0, 2.5, 0.375 * dim), dim),
        RadialPowerLinf(RadialPower("l2", 1.0, 2.5, float(dim)), dim),
    ]
    for certificate in members:  # none of them was looked at before, so its table is made here
        start = process_time()
        certificate.radius(bounds)
        assert process_time() - start < 1
    closed = RadialLinf(Radial("linf", 3.0, 1.0), dim)
    start = process_time()
    closed.radius(bounds)
    assert process_time() - start < 0.05
