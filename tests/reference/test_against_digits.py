"""A few points of each name against 50 digits; `tools/against_digits.py` does it at 10,000."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from radii.bounds import BOUNDS
from radii.certificates import CERTIFICATES
from radii.certificates.iid_exponential_l1 import IidExponentialL1
from radii.certificates.laplace_linf import LaplaceLinf
from radii.certificates.radial_l1_functional import RadialL1Functional
from radii.certificates.uniform_ball_l2 import UniformBallL2
from radii.noise import IidExponential, Laplace, Radial, UniformBall
from radii.records import ClassBounds
from radii.verification.independent.numbers import MP, number
from tests.reference.digits import CHECKS, figures
from tests.reference.digits.radial import COORDINATE, slope_of
from tests.reference.digits.slopes import Coordinate
from tools.against_digits import stated, table

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "digits" / "digits.json"
POINTS = 40
# Whose exact values take seconds: the conformance and unit tests of these run by default.
DEAR = {
    name
    for name in CHECKS
    if name.startswith("radial") and name not in ("radial_l1_functional", "radial_linf_functional")
}
CATCHING = [
    *("gaussian_l2", "gaussian_linf", "gaussian_l2_renyi", "laplace_l1", "laplace_l1_teng"),
    *("uniform_ball_l2", "splitting_l1_box", "pareto_l1", "iid_exponential_l1", "laplace_linf"),
]


@pytest.fixture(scope="module")
def kept() -> dict:
    return json.loads(KEPT.read_text())


def each(names):
    marks = [pytest.mark.slow]
    return [pytest.param(name, marks=marks if name in DEAR else []) for name in names]


@pytest.mark.parametrize("name", each(CHECKS))
def test_none_is_on_the_wrong_side_and_none_loses_more_than_is_stated(name: str, kept) -> None:
    points = 4 if "other laws" in name else POINTS
    found = figures(name, CHECKS[name], np.random.default_rng(7), points)
    assert found.wrong == 0, found.examples
    if found.kind != "function":
        assert found.largest <= float(stated(kept["rows"][name]))


def test_every_bound_and_every_certificate_is_compared() -> None:
    assert set(BOUNDS.names()) <= set(CHECKS)
    assert set(CERTIFICATES.names()) <= set(CHECKS)


@pytest.mark.parametrize("name", CATCHING)
def test_a_radius_that_is_one_in_a_million_too_large_is_found(name: str, monkeypatch) -> None:
    kind = CERTIFICATES[name]
    right = kind.radius
    monkeypatch.setattr(kind, "radius", lambda self, bounds: right(self, bounds) * (1 + 1e-6))
    found = figures(name, CHECKS[name], np.random.default_rng(7), 20)
    assert found.wrong > 0


@pytest.mark.parametrize("name", ["clopper_pearson", "betting", "staged", "hoeffding"])
def test_a_bound_that_is_one_in_a_thousand_too_tight_is_found(name: str, monkeypatch) -> None:
    kind = BOUNDS[name]
    right = kind.lower

    def tighter(self, k, n, alpha):
        return np.minimum(right(self, k, n, alpha) * 1.001, 1)

    monkeypatch.setattr(kind, "lower", tighter)
    assert figures(name, CHECKS[name], np.random.default_rng(7), POINTS).wrong > 0


def test_the_kept_figures_are_those_of_every_name_and_of_the_documentation(kept) -> None:
    assert set(kept["rows"]) == set(CHECKS)
    assert all(row["wrong"] == 0 for row in kept["rows"].values())
    page = (ROOT / "docs" / "soundness.md").read_text(encoding="utf-8")
    for line in table(kept).splitlines():
        assert line in page, "make the tables anew: python tools/against_digits.py --table ..."
    assert re.search(r"against_digits\.py --points 10000", page)


def test_few_points_are_stated(kept) -> None:
    few = {name for name, row in kept["rows"].items() if row["points"] < 10_000}
    assert all("other laws" in name for name in few)


@pytest.mark.parametrize(("noise", "dim"), COORDINATE)
def test_densities_in_floats_have_ten_digits(noise, dim: int) -> None:
    law = Coordinate(slope_of(noise, dim))
    for z in (-1.0, 0.5):
        exact = law.exactly(number(z))
        assert abs(law.density(number(z)) / exact - 1) < 1e-10


def test_noise_of_a_large_exponent_next_to_a_tie() -> None:
    # Where t^k is no normal float the density is flat: t = (2p - 1) Gamma(1 + 1/k), to all digits.
    for k, far in ((71.0, 1.5e-5), (27.8, 1.4e-12), (100.0, 3.5e-4)):
        bounds = ClassBounds.one_sided(0.5 + far)
        exact = (2 * number(float(bounds.pA_lower)) - 1) * MP.gamma(1 + 1 / number(k))
        radius = number(float(IidExponentialL1(IidExponential(1.0, k)).radius(bounds)))
        assert exact * (1 - number(2e-12)) < radius <= exact


def test_laplace_noise_next_to_a_tie() -> None:
    pA, pB = 0.3, math.nextafter(0.3, 0)
    exact = MP.log(number(pA) / number(pB)) / 2
    certificate = RadialL1Functional(Radial("l1", 1.0, 1.0), 784)
    assert float(certificate.radius(ClassBounds(np.array(pA), np.array(pB)))) <= exact


def test_a_subnormal_bound_on_the_other_class_gives_no_infinite_radius() -> None:
    bounds = ClassBounds(np.array([0.9, 0.9]), np.array([1e-310, 5e-324]))
    radius = LaplaceLinf(Laplace(1.0), 3).radius(bounds)
    assert np.all(radius < np.inf)
    assert radius[1] > radius[0]


def test_a_ball_of_which_next_to_nothing_is_lost() -> None:
    # In one dimension the ball is an interval, and the radius its half length times pA - pB.
    bounds = ClassBounds(np.array([1e-200, 1e-290]), np.array([0.0, 0.0]))
    radius = UniformBallL2(UniformBall(1.0), 1).radius(bounds)
    assert np.all(radius <= bounds.pA_lower)
    np.testing.assert_allclose(radius, bounds.pA_lower, rtol=2e-9)
