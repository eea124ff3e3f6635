"""Networks that the user's Python code makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from radii.errors import BaseClassifierError
from radii.models import FromPython, LeNet, architecture_of, initialise, load_base, save_base

CODE = """
from pathlib import Path
from torch import nn

Path(__file__).with_name("ran").touch()

class Net(nn.Sequential):
    def __init__(self, num_classes):
        super().__init__(nn.Flatten(), nn.Linear(12, num_classes))

def make():
    return Net(num_classes=4)

def wrong(width):
    return Net(width)

net = Net(4)
number = 5
"""
SHAPE = (3, 2, 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(CODE)
    return path


def saved(file: Path, name: str, folder: Path, architecture: str | None = None) -> nn.Module:
    made = architecture_of(f"{file}:{name}")
    module = initialise(made, SHAPE, 4, seed=3)
    described = {"input_shape": SHAPE, "num_classes": 4, "class_names": None}
    spec = architecture or f"python:{file}:{name}"
    save_base(folder, module, {**described, "mean": [0.0], "std": [1.0], "architecture": spec})
    return module


@pytest.mark.parametrize("name", ["Net", "make", "net"])
def test_classes_functions_and_modules_make_networks_with_weights_of_the_seed(
    file: Path, name: str
) -> None:
    made = architecture_of(f"{file}:{name}")
    first, again, other = (initialise(made, SHAPE, 4, seed=seed) for seed in (3, 3, 4))
    assert first(torch.zeros(2, *SHAPE)).shape == (2, 4)
    weights = [module.state_dict()["body.1.weight"] for module in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_what_makes_no_network_is_refused(file: Path) -> None:
    for name, message in (
        ("number", "must be an nn.Module or make one, got int"),
        ("wrong", "must be callable with input_shape and num_classes, or without arguments"),
    ):
        with pytest.raises(ValueError, match=message):
            architecture_of(f"{file}:{name}").build(SHAPE, 4)
    with pytest.raises(BaseClassifierError, match=r"there is no 'Nett' in it. Did you mean 'Net'"):
        architecture_of(f"{file}:Nett").build(SHAPE, 4)
    with pytest.raises(ValueError, match=r"FILE\.py:name or package\.module:name, got 'lenet'"):
        FromPython("lenet")
    assert architecture_of("lenet") == LeNet()


def test_what_was_trained_is_loaded_with_the_code_that_is_named(file: Path, tmp_path: Path) -> None:
    module = saved(file, "Net", tmp_path / "base").eval()
    base = load_base(f"{file}:Net@{tmp_path / 'base'}")
    x = torch.rand(5, *SHAPE)
    assert torch.equal(base.module(x), module(x))
    assert base.num_classes == 4


def test_a_directory_alone_never_makes_code_run(file: Path, tmp_path: Path) -> None:
    saved(file, "Net", tmp_path / "base")
    (tmp_path / "ran").unlink()
    with pytest.raises(BaseClassifierError, match=r"write FILE.py:name@.*base \(it was .*net.py"):
        load_base(str(tmp_path / "base"))
    assert not (tmp_path / "ran").exists()
    described = json.loads((tmp_path / "base" / "model.json").read_text())
    described["architecture"] = {"name": "python", "reference": f"{file}:Net"}
    (tmp_path / "base" / "model.json").write_text(json.dumps(described))
    with pytest.raises(BaseClassifierError, match=r"write FILE\.py:name@"):
        load_base(str(tmp_path / "base"))
    assert not (tmp_path / "ran").exists()


def test_code_is_not_named_where_none_is_needed(file: Path, tmp_path: Path) -> None:
    saved(file, "Net", tmp_path / "base", architecture="mlp:hidden=4,depth=1")
    with pytest.raises(BaseClassifierError, match=r"must|lack|missing"):
        load_base(str(tmp_path / "base"))  # other weights than it says
    module = initialise(LeNet(), (1, 28, 28), 10, seed=0)
    told = {"architecture": "lenet", "input_shape": [1, 28, 28], "num_classes": 10}
    save_base(tmp_path / "le", module, {**told, "class_names": None, "mean": [0.0], "std": [1.0]})
    with pytest.raises(BaseClassifierError, match=r"is 'lenet' and not made by .*refer to"):
        load_base(f"{file}:Net@{tmp_path / 'le'}")


@pytest.mark.parametrize("script", ["import sys; sys.exit(0)", "raise SystemExit('over')"])
def test_a_file_that_ends_python_is_refused(tmp_path: Path, script: str) -> None:
    path = tmp_path / "script.py"
    path.write_text(f"def net():\n    return None\n\n{script}\n")
    with pytest.raises(BaseClassifierError, match="put what it does as a script under"):
        load_base(f"{path}:net")
