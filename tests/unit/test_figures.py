"""What the figures of the documentation show, on a coarse grid."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from radii.noise import NOISES

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
PA = np.array([0.55, 0.8, 0.99, 0.9999])
FEW = {
    "iid_exponential": [{"exponent": 2.0}],
    "mixed_linf": [{"pole": 100.0}],
    "pareto": [{"a": 2.0}, {"a": 2.5}],
    "radial": [{"norm": "l2", "exponent": 2.0, "pole": k} for k in (100.0, 1000.0)],
    "radial_power": [{"norm": "l2", "exponent": 2.0, "a": 1540.0}],
    "splitting": [{}],
}
EXACT = {NOISES[name].exact_name for name in NOISES.names()} - {None}


@pytest.fixture
def equal_energy(monkeypatch):
    monkeypatch.syspath_prepend(FIGURES)
    module = importlib.import_module("equal_energy")
    monkeypatch.setattr(module, "SHAPES", FEW)
    return module


@pytest.fixture
def pole_tradeoff(monkeypatch):
    monkeypatch.syspath_prepend(FIGURES)
    return importlib.import_module("pole_tradeoff")


def test_every_noise_is_drawn_and_every_curve_rises(equal_energy):
    found = [curve for norm in ("l1", "l2", "linf") for curve in equal_energy.curves(norm, PA)]
    assert {curve.name for curve in found} == set(NOISES.names()) - EXACT
    for curve in found:
        assert np.all(np.diff(curve.radius) > 0), curve


def test_gaussian_is_the_best_of_l2_but_for_little(equal_energy):
    gaussian, *others = equal_energy.curves("l2", PA)
    assert gaussian.name == "gaussian"
    gain = {
        (curve.name, curve.shape.get("pole")): curve.radius / gaussian.radius - 1
        for curve in others
    }
    assert all(np.all(each <= 3e-4) for each in gain.values())
    assert np.abs(gain["radial", 100.0]).max() <= 1e-4
    assert gain["uniform_ball", None].max() < -1e-3


def test_which_l1_family_is_best_depends_on_the_probability(equal_energy):
    radius = {curve.name: curve.radius for curve in equal_energy.curves("l1", PA)}
    best = [max(radius, key=lambda name: radius[name][place]) for place in (1, 3)]
    assert best[0] in ("uniform", "splitting")
    assert best[1] == "laplace"
    np.testing.assert_allclose(radius["splitting"], radius["uniform"], rtol=1e-9)


@pytest.mark.parametrize("name", sorted(set(NOISES.names()) - EXACT))
def test_energies_are_equal_or_there_is_none(equal_energy, name):
    for shape in equal_energy.shapes(name):
        noise = equal_energy.scaled(name, shape)
        if shape.get("a") == 2.0:
            assert noise is None  # no second moment
        elif name == "splitting":
            assert noise.half_width == equal_energy.scaled("uniform", {}).half_width
        else:
            assert noise.energy(equal_energy.DIM) == pytest.approx(0.25, rel=1e-9)


def test_curves_that_agree_share_a_line(equal_energy):
    groups = equal_energy.groups(equal_energy.curves("l1", PA))
    leaders = [group[0].name for group in groups]
    assert leaders == ["laplace", "gaussian", "radial_power", "uniform", "pareto"]
    assert equal_energy.label(groups[3]) == "uniform\n   ≈ splitting"


@pytest.mark.parametrize(("name", "step"), [("PureL2", 150), ("Mixed", 50)])
def test_the_best_pole_is_inside_the_range(pole_tradeoff, name, step):
    family = getattr(pole_tradeoff, name)()
    found = pole_tradeoff.tradeoff(family, np.arange(0.0, family.largest + 1, step))
    assert np.allclose(found.pA[:, 0], pole_tradeoff.STARTS)
    assert np.all(np.diff(found.pA) >= 0)
    assert np.all(np.diff(found.fixed) < 0)
    assert np.all(found.best() > 0)
    assert np.all(found.best() < family.largest)
    assert found.radius[0, 0] == 0  # less than half are right without a pole


@pytest.mark.parametrize(("name", "pole"), [("PureL2", 80.0), ("PureLinf", 80.0), ("Mixed", 15.0)])
def test_the_accuracy_is_that_of_the_noise(pole_tradeoff, name, pole):
    family = getattr(pole_tradeoff, name)()
    threshold = family.threshold(0.4)
    z = family.noise(pole).draw(
        (2000, pole_tradeoff.DIM), generator=torch.Generator().manual_seed(0)
    )
    order = {"l2": 2, "linf": torch.inf}[family.norm]
    share = (torch.linalg.vector_norm(z.double(), order, dim=1) < threshold).double().mean().item()
    expected = family.below(threshold, pole)
    assert 0.6 < expected < 0.95
    assert abs(share - expected) < 4 * (expected * (1 - expected) / 2000) ** 0.5


def test_pictures_carry_no_date():
    pictures = sorted(FIGURES.glob("*.svg"))
    assert len(pictures) >= 4
    assert not [each.name for each in pictures if "<dc:date>" in each.read_text()]
