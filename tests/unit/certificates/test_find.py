"""Which certificate covers a noise and a norm, and how no is said."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from radii.certificates import CERTIFICATES, Certificate, GaussianL2, covering, find
from radii.errors import NotCoveredError, RadiiError
from radii.noise import Gaussian, Noise
from radii.records import Certification, ClassBounds, FloatArray, Norm
from radii.smoothing import SamplingPlan, SmoothedClassifier


class _Silence(Noise):
    """A noise that no certificate covers."""

    def apply(self, x: Tensor, *, generator: torch.Generator, out: Tensor | None = None) -> Tensor:
        return x


@dataclass(frozen=True)
class _Second(Certificate):
    """Another one for the same pair."""

    noise: Gaussian
    norm: ClassVar[Norm] = "l2"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        return np.zeros_like(bounds.pA_lower)


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second certificate for Gaussian noise in l2, for one test."""
    CERTIFICATES.names()
    monkeypatch.setattr(CERTIFICATES, "_classes", dict(CERTIFICATES._classes))
    CERTIFICATES.register("second")(_Second)


def test_find_by_name() -> None:
    assert find(Gaussian(0.5), "l2", "gaussian_l2") == GaussianL2(Gaussian(0.5))
    assert covering(Gaussian(0.5), "l2")["gaussian_l2"] == GaussianL2(Gaussian(0.5))


def test_a_noise_that_nothing_covers() -> None:
    assert covering(_Silence(), "l2") == {}
    with pytest.raises(NotCoveredError) as caught:
        find(_Silence(), "l2")
    assert str(caught.value) == (
        "no certificate covers _Silence noise in l2; certified norms for it: none."
    )
    assert isinstance(caught.value, RadiiError)


def test_a_norm_that_nothing_covers_lists_those_that_are() -> None:
    with pytest.raises(NotCoveredError, match=r"Gaussian noise in l0; .* for it: .*l2"):
        find(Gaussian(0.5), "l0")


def test_a_name_that_does_not_cover_the_pair() -> None:
    with pytest.raises(
        NotCoveredError, match=r"'laplace' does not cover .*these do: .*gaussian_l2"
    ):
        find(Gaussian(0.5), "l2", "laplace")


@pytest.mark.usefixtures("second")
def test_where_several_cover_a_pair_the_plain_tight_one_is_taken() -> None:
    assert find(Gaussian(0.5), "l2") == GaussianL2(Gaussian(0.5))
    assert find(Gaussian(0.5), "l2", "second") == _Second(Gaussian(0.5))


@pytest.mark.usefixtures("second")
def test_where_none_of_several_is_tight_one_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for certificate in covering(Gaussian(0.5), "l2", 2).values():
        monkeypatch.setattr(type(certificate), "tight", False)
    with pytest.raises(NotCoveredError, match=r"several certificates .* l2: .*second.*; name one"):
        find(Gaussian(0.5), "l2")


@dataclass(frozen=True)
class _NotTight(_Second):
    """One in a norm that nothing else certifies."""

    norm: ClassVar[Norm] = "l0"


@dataclass(frozen=True)
class _Tight(_NotTight):
    """The same, tight."""

    tight: ClassVar[bool] = True


@dataclass(frozen=True)
class _AlsoTight(_Tight):
    """Another that is."""


def test_where_no_plain_one_is_tight_the_single_tight_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    CERTIFICATES.names()
    monkeypatch.setattr(CERTIFICATES, "_classes", dict(CERTIFICATES._classes))
    CERTIFICATES.register("gaussian_l0")(_NotTight)
    CERTIFICATES.register("gaussian_l0_first")(_Tight)
    assert find(Gaussian(0.5), "l0") == _Tight(Gaussian(0.5))
    CERTIFICATES.register("gaussian_l0_second")(_AlsoTight)
    with pytest.raises(NotCoveredError, match=r"several .* l0: .*_first, gaussian_l0_second; name"):
        find(Gaussian(0.5), "l0")


@dataclass(frozen=True)
class _InDimension(Certificate):
    """One that depends on the dimension."""

    noise: Gaussian
    dim: int
    norm: ClassVar[Norm] = "l0"
    tight: ClassVar[bool] = False

    def radius(self, bounds: ClassBounds) -> FloatArray:
        return np.full_like(bounds.pA_lower, self.dim)


def test_a_certificate_that_depends_on_the_dimension_is_told_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    CERTIFICATES.names()
    monkeypatch.setattr(CERTIFICATES, "_classes", dict(CERTIFICATES._classes))
    CERTIFICATES.register("in_dimension")(_InDimension)
    noise = Gaussian(0.5)
    assert covering(noise, "l0") == {}
    assert covering(noise, "l0", 12) == {"in_dimension": _InDimension(noise, 12)}
    with pytest.raises(ValueError, match="depends on the dimension of the input; pass dim"):
        find(noise, "l0")
    assert find(noise, "l0", dim=3) == _InDimension(noise, 3)
    smoothed = SmoothedClassifier(lambda x: x, noise, 2, input_shape=(3, 4, 4))
    assert smoothed.certificate("l0") == _InDimension(noise, 48)
    with pytest.raises(NotCoveredError, match="48 coordinates"):
        smoothed.certificate("l0", _InDimension(noise, 47))
    one = SmoothedClassifier(lambda x: (x[:, 0] > -9).long(), noise, 2)
    result = one.certify(torch.zeros(7), SamplingPlan(n=100), norm="l0")
    assert isinstance(result, Certification)
    assert result.radius == 7


@pytest.mark.parametrize("name", CERTIFICATES.names())
def test_a_certificate_stays_as_it_was_checked(name: str) -> None:
    kind = CERTIFICATES[name]
    certificate = object.__new__(kind)  # without its noise, which is not what this is about
    with pytest.raises(FrozenInstanceError):
        certificate.noise = Gaussian(1.0)  # type: ignore[misc]
