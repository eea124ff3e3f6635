"""What is said where an extra that an adapter needs is missing; needs none of them."""

from __future__ import annotations

import json
import sys

import pytest

import radii
from radii.errors import BaseClassifierError, RadiiError
from radii.models import MLP, initialise, load_base, save_base

DESCRIPTION = {
    **{"architecture": "mlp:hidden=4", "input_shape": [2], "num_classes": 3, "class_names": None},
    **{"mean": [0.0], "std": [1.0]},
}


def said(extra):
    return f'radii[{extra}] is not installed: pip install "radii[{extra}]".'


def test_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(RadiiError) as caught:
        load_base("timm:resnet18")
    assert str(caught.value) == said("timm")


def test_a_torchvision_for_another_torch(monkeypatch):
    def imported(module, extra):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr("radii.models.adapters.timm_models.imported", imported)
    with pytest.raises(BaseClassifierError, match=r"torchvision, which it needs, does not fit"):
        load_base("timm:resnet18")


def test_the_hub(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    save_base(tmp_path, initialise(MLP(hidden=4), (2,), 3, seed=0), DESCRIPTION)
    for ask in (
        lambda: load_base("hf:owner/name"),
        lambda: radii.from_pretrained("owner/name"),
        lambda: radii.push_to_hub(tmp_path, "owner/name"),
    ):
        with pytest.raises(RadiiError) as caught:
            ask()
        assert str(caught.value) == said("hub")


def test_transformers(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    config = {"architectures": ["ViTForImageClassification"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RadiiError) as caught:
        load_base(f"hf:{tmp_path}")
    assert str(caught.value) == said("hub")
