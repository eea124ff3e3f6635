import hashlib
import sys
import textwrap

import pytest
import torch

from radii.errors import BaseClassifierError
from radii.models import load_base, weights_sha256

SOURCE = """
    from __future__ import annotations

    from dataclasses import dataclass

    import torch
    from torch import nn

    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    plain = nn.Flatten()

    class Net(nn.Module):
        pass

    @dataclass
    class Threshold:
        at: float

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return (x.sum(1) > self.at).long()

    threshold = Threshold(1.0)

    def scores(x):
        return torch.stack([x.sum(1), -x.sum(1)], dim=1)

    number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(SOURCE))
    return path


def source_hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_module_in_a_file(file):
    base = load_base(f"{file}:net")
    assert base.module(torch.zeros(2, 4)).shape == (2, 3)
    assert not base.module.training
    assert base.sha256 == weights_sha256(base.module)
    assert base.reference == f"{file}:net"
    assert (base.num_classes, base.input_shape, base.class_names) == (None, None, None)
    assert base.details == {}


@pytest.mark.parametrize("name", ["scores", "threshold", "plain"])
def test_what_has_no_weights_is_known_by_its_source(file, name):
    assert load_base(f"{file}:{name}").sha256 == source_hash(file)


def test_a_function_is_returned_as_it_is(file):
    scores = load_base(f"{file}:scores").module(torch.ones(2, 4))
    assert scores.tolist() == [[4, -4], [4, -4]]


def test_files_of_the_same_name_stay_apart(tmp_path):
    bases = []
    for index in (1, 2):
        (tmp_path / str(index)).mkdir()
        path = tmp_path / str(index) / "mine.py"
        path.write_text(f"VALUE = {index}\ndef f(x):\n    return x * VALUE\n")
        bases.append(load_base(f"{path}:f"))
    assert [base.module(torch.ones(1)).item() for base in bases] == [1, 2]


def test_an_edited_file_is_read_again(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def f(x):\n    return x\n")
    first = load_base(f"{path}:f")
    path.write_text("def f(x):\n    return 100 * x\n")
    second = load_base(f"{path}:f")
    assert first.sha256 != second.sha256
    assert second.module(torch.ones(1)).item() == 100


def test_a_module_in_a_package(file, monkeypatch):
    package = file.parent / "a_package_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    file.rename(package / "models.py")
    monkeypatch.syspath_prepend(file.parent)
    base = load_base("a_package_of_mine.models:net")
    assert base.sha256 == weights_sha256(base.module)
    assert not base.module.training
    scores = load_base("a_package_of_mine.models:scores")
    assert scores.sha256 == source_hash(package / "models.py")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Net", "is a class; make an object of it"),
        ("number", "is of type int"),
        ("score", r"there is no 'score' in it\. Did you mean 'scores'\?"),
    ],
)
def test_refuses_names_that_are_no_base_classifier(file, name, message):
    with pytest.raises(BaseClassifierError, match=message):
        load_base(f"{file}:{name}")


def test_refuses_files_that_cannot_be_run(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import a_package_that_nobody_has\n")
    before = set(sys.modules)
    with pytest.raises(BaseClassifierError, match="cannot be run: ModuleNotFoundError: No module"):
        load_base(f"{path}:net")
    assert set(sys.modules) == before
    with pytest.raises(BaseClassifierError, match=r"there is no file .*none\.py"):
        load_base(f"{tmp_path}/none.py:net")


def test_refuses_packages_that_cannot_be_imported():
    with pytest.raises(BaseClassifierError, match="'a_package_that_nobody_has' cannot be imported"):
        load_base("a_package_that_nobody_has:net")


def test_refuses_what_cannot_be_hashed():
    with pytest.raises(BaseClassifierError, match="no weights and no source file to hash"):
        load_base("sys:getsizeof")


@pytest.mark.parametrize("reference", ["lenet", "mlp", "mlp:hidden=8,depth=1"])
def test_an_architecture_has_no_weights_yet(reference):
    with pytest.raises(BaseClassifierError, match="no weights yet: train it first"):
        load_base(reference)


@pytest.mark.parametrize("reference", ["runs/none", "lenett", "model.ort", "mlp:width=8", "a:b:c"])
def test_other_forms_are_refused_with_the_forms_that_there_are(reference):
    message = (
        r"must be a directory written by training, FILE\.py:name\[@DIRECTORY\], "
        r"package\.module:name, FILE\.onnx, or what an adapter takes \(.*onnx:\.\.\..*\), "
    )
    with pytest.raises(BaseClassifierError, match=message + f"got '{reference}'; check that"):
        load_base(reference)


def test_a_file_without_a_name_is_told_so(file):
    with pytest.raises(BaseClassifierError, match=r"add the name .*: .*mine\.py:NAME"):
        load_base(str(file))
