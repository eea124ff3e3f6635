"""Models of timm with weights from files that these tests write; nothing is downloaded."""

from __future__ import annotations

import re

import pytest
import safetensors.torch
import torch

from radii.errors import BaseClassifierError
from radii.models import load_base
from radii.models.adapters import ADAPTERS, TimmModel
from tests.unit.models.adapters.torchvision_here import make_importable

make_importable()
timm = pytest.importorskip("timm", reason="radii[timm] is not installed")


def untrained(name="test_resnet", **more):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return timm.create_model(name, pretrained=False, **more).eval()


@pytest.fixture
def file(tmp_path):
    safetensors.torch.save_file(untrained(num_classes=5).state_dict(), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_a_model_answers_as_behind_its_own_normalisation(file):
    reference = f"timm:test_resnet,checkpoint={file},num_classes=5"
    base = load_base(reference)
    assert base.reference == reference
    assert (base.num_classes, base.input_shape) == (5, (3, 160, 160))
    assert not any(part.training for part in base.module.modules())

    model = untrained(num_classes=5)
    config = model.pretrained_cfg
    assert config["mean"] != (0.0, 0.0, 0.0)
    x = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = model((x - mean) / std)
        torch.testing.assert_close(base.module(x), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(x), expected, rtol=1e-2)  # the normalisation matters


def test_a_file_of_training_is_read_without_its_wrapper(tmp_path):
    state = {f"module.{name}": value for name, value in untrained().state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.pth.tar")
    base = load_base(f"timm:test_resnet,checkpoint={tmp_path / 'last.pth.tar'}")
    assert base.num_classes == 1000


def test_nothing_of_it_is_random(file):
    before = torch.random.get_rng_state()
    found = [load_base(f"timm:test_resnet,checkpoint={file},num_classes=5") for _ in range(2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found[0].sha256 == found[1].sha256


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("test_resnett,checkpoint={file}", "has no model 'test_resnett'"),
        ("test_resnett,checkpoint={file}", "Did you mean 'test_resnet'?"),
        ("test_resnet,checkpoint={file}", "must have shape (1000,"),
        ("test_vit,checkpoint={file},num_classes=5", "do not fit the architecture"),
        ("test_resnet,checkpoint={file}.gone", "there is no file"),
        ("test_resnet,num_classes=5", "num_classes must go with checkpoint"),
        ("test_resnet,num_classes=1,checkpoint={file}", "num_classes must be at least 2"),
    ],
)
def test_what_does_not_fit_is_refused(file, spec, message):
    with pytest.raises(BaseClassifierError, match=re.escape(message)):
        load_base(f"timm:{spec.format(file=file)}")


def test_weights_that_are_not_there_offline_are_said(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants", reason="timm's own dependency")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BaseClassifierError) as caught:
        load_base("timm:test_resnet")
    assert str(caught.value).startswith("the weights of 'test_resnet' are not in timm's cache")
    assert "checkpoint=FILE" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    state = untrained().state_dict()
    state["fc.bias"].fill_(torch.nan)
    safetensors.torch.save_file(state, tmp_path / "m.safetensors")
    with pytest.raises(BaseClassifierError, match="NaN"):
        load_base(f"timm:test_resnet,checkpoint={tmp_path / 'm.safetensors'}")


def test_a_spec_and_its_object():
    adapter = TimmModel("resnet18.a1_in1k")
    assert ADAPTERS.build("timm:resnet18.a1_in1k") == adapter
    assert ADAPTERS.build(ADAPTERS.spec_of(adapter)) == adapter
