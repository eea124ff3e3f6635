"""A missing library is one sentence that names the extra."""

from __future__ import annotations

import sys

import pytest

import radii.interop
from radii.errors import RadiiError
from tests.unit.interop.planes import SMOOTHED


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_art(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "art")
    with pytest.raises(RadiiError, match=r'^radii\[art\] is not installed: pip install "radii'):
        radii.interop.to_art(SMOOTHED)


def test_foolbox(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "foolbox")
    with pytest.raises(RadiiError, match=r'^radii\[attacks\] is not installed: pip install "radii'):
        radii.interop.to_foolbox(SMOOTHED, bounds=(0, 1))


def test_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "sklearn", "sklearn.base")
    monkeypatch.delitem(sys.modules, "radii.interop.sklearn_estimator", raising=False)
    with pytest.raises(RadiiError, match=r'^radii\[sklearn\] is not installed: pip install "radii'):
        _ = radii.interop.SmoothedEstimator
    with pytest.raises(AttributeError, match="has no attribute 'SmothedEstimator'"):
        _ = radii.interop.SmothedEstimator
