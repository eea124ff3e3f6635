"""Radii under noise with independent coordinates, and on a ball, against 40 digits.

Each exact radius is worked out from the definition in the docstring of its certificate, by
quadrature or sums in `mpmath`, and not by the formula that the certificate uses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from scipy.special import gammainccinv, gammaincinv

from radii.certificates import Certificate
from radii.certificates.iid_exponential_l1 import IidExponentialL1
from radii.certificates.laplace_l1 import LaplaceL1
from radii.certificates.laplace_l1_pixeldp import LaplaceL1Pixeldp
from radii.certificates.laplace_l1_renyi import LaplaceL1Renyi
from radii.certificates.laplace_l1_teng import LaplaceL1Teng
from radii.certificates.laplace_linf import LaplaceLinf
from radii.certificates.pareto_l1 import ParetoL1
from radii.certificates.uniform_ball_l2 import UniformBallL2
from radii.certificates.uniform_l1 import UniformL1
from radii.certificates.uniform_linf import UniformLinf
from radii.noise import IidExponential, Laplace, Pareto, Uniform, UniformBall
from radii.records import ClassBounds
from tests.reference.high_precision import CONTEXT as MP

ONE_SIDED = [
    *(0.5 + 10.0**-k for k in (9, 6, 3)),
    *(0.55, 0.7, 0.75, 0.76, 0.9),
    *(1 - 10.0**-k for k in (3, 6, 9, 12)),
]
TWO_SIDED = [(0.5, 0.1), (0.6, 0.2), (0.3, 0.2), (0.4, 1e-12), (0.9, 0.05), (0.05, 1e-20)]
LEVELS = [*((p, 1 - p) for p in ONE_SIDED), *TWO_SIDED]


def odd_quantile(tail: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """`(H(pA) - H(pB)) / 2` from `H(1 - q)`."""

    def quantile(p: Any) -> Any:
        return tail(1 - p) if p >= 0.5 else -tail(p)

    return lambda pA, pB: (quantile(pA) - quantile(pB)) / 2


def gaps(lost: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """The radius at which uniform noise has lost a share `(pA - pB) / 2` of its volume."""
    return lambda pA, pB: lost((pA - pB) / 2)


@cache
def growth_pieces(dim: int) -> list[tuple[Any, Any, Any, Any]]:
    """Psi for masses up to one half, from the sorted values of 2K - dim, K of Binomial(dim, 1/2).

    For each value its slope of Psi, the mass and Psi where it starts, and the integral of
    dp / Psi(p) from there to one half. Pieces of masses below 1e-60 are left out.
    """
    chance, pieces = MP.mpf(2) ** -dim, []
    mass, growth, half = MP.mpf(0), MP.mpf(0), MP.mpf(0.5)
    for j in range(dim, -1, -1):
        pieces.append((2 * j - dim, mass, growth))
        mass, growth = mass + chance, growth + (2 * j - dim) * chance
        if mass >= half * (1 - MP.mpf(10) ** -50):
            break
        chance = chance * j / (dim - j + 1)
    done, end, found = MP.mpf(0), half, []
    for slope, mass, growth in reversed(pieces):
        if mass > 1e-60:
            done += psi_integral(slope, mass, growth, mass, end)
        found.append((slope, mass, growth, done))
        end = mass
        if mass < 1e-60:
            break
    return found


def psi_integral(slope: Any, mass: Any, growth: Any, start: Any, end: Any) -> Any:
    """Integral of dp / (growth + slope (p - mass)) over [start, end]."""
    if not slope:
        return (end - start) / growth
    low, high = growth + slope * (start - mass), growth + slope * (end - mass)
    return MP.log(high / low) / slope


def laplace_linf(q: Any, dim: int) -> Any:
    """Integral of dp / Psi(p) over [q, 1/2]."""
    above, end = MP.mpf(0), MP.mpf(0.5)
    for slope, mass, growth, done in growth_pieces(dim):
        if q >= mass:
            return above + psi_integral(slope, mass, growth, q, end)
        above, end = done, mass
    raise AssertionError(f"no piece for {q}")


def ball(lost: Any, dim: int) -> Any:
    """2x where a share `lost` of the unit ball has `|z_1| < x`."""
    whole = MP.beta(0.5, MP.mpf(dim + 1) / 2) / 2
    width = 6 / MP.sqrt(dim)

    def short(x: Any) -> Any:
        density = lambda t: (1 - t**2) ** (MP.mpf(dim - 1) / 2)  # noqa: E731
        return MP.quad(density, [0, x / 2, x]) / whole - lost

    guess = lost * whole
    for _ in range(60):  # Newton's method; the density falls, so it climbs to the root
        step = short(guess) * whole / (1 - guess**2) ** (MP.mpf(dim - 1) / 2)
        guess = min(guess - step, (guess + min(width, 1)) / 2)
        if abs(step) < guess * MP.mpf(10) ** -30:
            break
    return 2 * guess


def pareto(q: Any, a: float) -> Any:
    """Integral of dp / Psi(p) for scale 1."""
    c = 1 + 1 / MP.mpf(a)
    u = 1 - 2 * q
    return u / a * MP.hyp2f1(1, 1 / c, 1 + 1 / c, u**c)


def iid_quantile(q: Any, k: float) -> Any:
    """The t with P(z > t) = q, by Newton's method from 0, which climbs."""
    a = 1 / MP.mpf(k)
    t, inner = MP.mpf(0), 1 - 2 * q
    for _ in range(400):
        rest = MP.gammainc(a, t**k, MP.inf, regularized=True)
        missing = inner - (1 - rest) if inner < 0.5 else rest - 2 * q
        step = missing * MP.gamma(1 + a) * MP.exp(t**k)
        t += step
        if abs(step) < t * MP.mpf(10) ** -30:
            break
    return t


def iid_slabs(q: Any, k: float) -> Any:
    """Integral of dt / (exp(t^k) - 1) from where a slab has mass q; t = s^(1/k)."""
    a = 1 / MP.mpf(k)
    if q == 0.5:
        return MP.mpf(0)
    inner = float(1 - 2 * q)
    start = gammainccinv(1 / k, inner) if inner < 0.5 else gammaincinv(1 / k, float(2 * q))
    s = MP.mpf(float(start))
    for _ in range(3):  # three steps of Newton, each of which doubles the digits of SciPy's value
        rest = MP.gammainc(a, s, MP.inf, regularized=True)
        s += (rest - (1 - 2 * q)) * MP.gamma(a) * MP.exp(s) / s ** (a - 1)
    s = MP.log(s)
    density = lambda x: MP.exp(a * x) / MP.expm1(MP.exp(x)) / k  # noqa: E731 x = ln s
    steps = [s + i * (MP.log(300) - s) / 12 for i in range(13)]
    return MP.quad(density, steps)


def renyi(pA: Any, pB: Any) -> Any:
    """The best of many orders, each by bisection."""

    def root(share: Any) -> Any:
        a = 1 / MP.mpf(share)
        mean = ((pA ** (1 - a) + pB ** (1 - a)) / 2) ** (1 / (1 - a))
        reach = -MP.log(1 - pA - pB + 2 * mean)
        low, high = reach, reach + 1
        for _ in range(70):
            t = (low + high) / 2
            moment = a * MP.exp((a - 1) * t) + (a - 1) * MP.exp(-a * t)
            below = MP.log(moment / (2 * a - 1)) / (a - 1) < reach
            low, high = (t, high) if below else (low, t)
        return low

    low, high = MP.mpf("1e-6"), 1 - MP.mpf("1e-6")
    for _ in range(30):
        shares = [low + (high - low) * i / 6 for i in range(7)]
        values = [root(share) for share in shares]
        i = values.index(max(values))
        low, high = shares[max(i - 1, 0)], shares[min(i + 1, 6)]
        if high - low < 1e-8:
            break
    return max(max(values), -MP.log(1 - pA + pB))


def laplace(q: Any) -> Any:
    return -MP.log(2 * q)


def shrunk(dim: int) -> Callable[[Any], Any]:
    """2x where the corner of a cube shifted by 2x half widths is lost."""
    return lambda lost: 2 - 2 * (1 - lost) ** (MP.mpf(1) / dim)


Exact = Callable[[Any, Any], Any]
CASES: list[tuple[Certificate, Exact, float]] = [
    (LaplaceL1(Laplace(1.0)), odd_quantile(laplace), 1e-14),
    (LaplaceL1Pixeldp(Laplace(1.0)), lambda pA, pB: MP.log(pA / pB) / 2, 1e-14),
    (
        LaplaceL1Teng(Laplace(1.0)),
        lambda pA, pB: max(MP.log(pA / pB) / 2, -MP.log(1 - pA + pB)),
        1e-14,
    ),
    (LaplaceL1Renyi(Laplace(1.0)), renyi, 1e-10),
    (UniformL1(Uniform(1.0)), lambda pA, pB: pA - pB, 1e-14),
]
for dim in (1, 3, 784, 150_528):
    CASES.append((UniformLinf(Uniform(1.0), dim), gaps(shrunk(dim)), 1e-14))
for dim in (1, 2, 784, 150_528):
    CASES.append((UniformBallL2(UniformBall(1.0), dim), gaps(partial(ball, dim=dim)), 1e-11))
for dim in (1, 2, 3, 10, 784, 150_528):
    exact = odd_quantile(partial(laplace_linf, dim=dim))
    CASES.append((LaplaceLinf(Laplace(1.0), dim), exact, 1e-10))
for a in (0.5, 1.5, 3.0, 40.0):
    CASES.append((ParetoL1(Pareto(1.0, a)), odd_quantile(partial(pareto, a=a)), 1e-12))
for k in (0.1, 0.5, 0.999, 1.0, 1.5, 4.0, 100.0):
    tail = iid_quantile if k >= 1 else iid_slabs
    CASES.append((IidExponentialL1(IidExponential(1.0, k)), odd_quantile(partial(tail, k=k)), 1e-9))


@pytest.mark.slow  # test_against_digits.py looks at fewer points by default
@pytest.mark.parametrize(
    ("certificate", "exact", "loss"), CASES, ids=[str(case[0]) for case in CASES]
)
def test_radius(certificate: Certificate, exact: Exact, loss: float) -> None:
    pA, pB = (np.array(side) for side in zip(*LEVELS, strict=True))
    radii = certificate.radius(ClassBounds(pA, pB))
    for a, b, radius in zip(pA.tolist(), pB.tolist(), radii.tolist(), strict=True):
        truth = exact(MP.mpf(a), MP.mpf(b))
        short = float(1 - radius / truth)
        assert short >= 0, f"more than is certified at pA={a}, pB={b}: by a share {-short}"
        assert short <= loss, f"loose at pA={a}, pB={b}: by a share {short}"
