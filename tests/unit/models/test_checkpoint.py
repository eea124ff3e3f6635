import json
import os

import pytest
import safetensors.torch
import torch

from radii.errors import BaseClassifierError
from radii.models import LeNet, initialise, load_base, save_base, weights_sha256

DESCRIPTION = {
    "architecture": "lenet",
    "input_shape": [1, 28, 28],
    "num_classes": 3,
    "class_names": ["a", "b", "c"],
    "mean": [0.5],
    "std": [0.25],
    "epochs": 2,
}


def module(seed=0):
    return initialise(LeNet(), (1, 28, 28), 3, mean=(0.5,), std=(0.25,), seed=seed)


@pytest.fixture
def saved(tmp_path):
    save_base(tmp_path / "model", module(), DESCRIPTION)
    return tmp_path / "model"


def edit(directory, **changes):
    path = directory / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_writes_two_files_and_nothing_else(saved):
    assert {path.name for path in saved.iterdir()} == {"model.json", "model.safetensors"}
    described = json.loads((saved / "model.json").read_text())
    assert described == {**DESCRIPTION, "sha256": weights_sha256(module())}
    weights = safetensors.torch.load_file(saved / "model.safetensors")
    assert weights.keys() == module().state_dict().keys()


def test_reads_back_what_was_written(saved):
    base = load_base(str(saved))
    assert base.reference == str(saved)
    assert base.sha256 == weights_sha256(base.module) == weights_sha256(module())
    assert (base.num_classes, base.input_shape) == (3, (1, 28, 28))
    assert base.class_names == ("a", "b", "c")
    assert base.details["epochs"] == 2
    assert not base.module.training
    assert base.module.body.conv2.weight.is_contiguous(memory_format=torch.channels_last)


def test_loading_leaves_the_global_generator_alone(saved):
    before = torch.get_rng_state()
    load_base(str(saved))
    assert torch.equal(torch.get_rng_state(), before)


def test_saving_leaves_the_module_as_it_is(tmp_path):
    given = module().to(memory_format=torch.channels_last)
    save_base(tmp_path, given, DESCRIPTION)
    assert given.training
    assert given.body.conv2.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_later_save_replaces_the_earlier_one(saved):
    save_base(saved, module(seed=1), {**DESCRIPTION, "class_names": None})
    base = load_base(str(saved))
    assert base.sha256 == weights_sha256(module(seed=1))
    assert base.class_names is None


def test_a_save_that_fails_leaves_the_earlier_one(saved, monkeypatch):
    def full(handle):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save_base(saved, module(seed=1), DESCRIPTION)
    assert load_base(str(saved)).sha256 == weights_sha256(module())
    assert len(list(saved.iterdir())) == 2


def test_a_save_cut_off_between_the_files_is_noticed(saved, tmp_path):
    save_base(tmp_path / "later", module(seed=1), DESCRIPTION)
    os.replace(tmp_path / "later" / "model.safetensors", saved / "model.safetensors")
    with pytest.raises(BaseClassifierError, match=r"must have the SHA-256 .* was interrupted"):
        load_base(str(saved))


def test_the_architecture_may_be_a_mapping(tmp_path):
    save_base(tmp_path, module(), {**DESCRIPTION, "architecture": {"name": "lenet"}})
    assert load_base(str(tmp_path)).num_classes == 3


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        (module(), {"drop": "mean"}, "lacks mean"),
        (module(), {"accuracy": float("nan")}, "not JSON compliant"),
        (module().bfloat16(), {}, r"must be float32, got torch\.bfloat16 under"),
    ],
)
def test_refuses_to_save(tmp_path, given, changes, message):
    description = {**DESCRIPTION, **changes}
    description.pop(description.get("drop"), None)
    with pytest.raises(ValueError, match=message):
        save_base(tmp_path / "model", given, description)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "lenett"}, "describes no base classifier: no architecture is called"),
        ({"architecture": 3}, "describes no base classifier: architecture must be a spec"),
        ({"input_shape": [1, 20, 20]}, "describes no base classifier: lenet needs inputs"),
        ({"num_classes": "3"}, "describes no base classifier"),
        ({"num_classes": 4, "class_names": None}, r"'body\.fc2\.bias' must have shape \(4,\), got"),
        ({"class_names": ["a", "b"]}, "class_names must be 3 names, got 2"),
        ({"mean": [0.4]}, r"must state the normalisation of the weights, mean \[0\.5\]"),
        ({"std": [0.5]}, r"must state the normalisation of the weights"),
    ],
)
def test_refuses_a_description_that_does_not_fit(saved, changes, message):
    edit(saved, **changes)
    with pytest.raises(BaseClassifierError, match=message):
        load_base(str(saved))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "must hold architecture, input_shape"),
        ('{"architecture": "lenet"}', "it lacks input_shape, num_classes"),
    ],
)
def test_refuses_a_damaged_description(saved, content, message):
    (saved / "model.json").write_text(content)
    with pytest.raises(BaseClassifierError, match=message):
        load_base(str(saved))


def test_refuses_a_directory_without_the_files(saved, tmp_path):
    (saved / "model.safetensors").unlink()
    with pytest.raises(BaseClassifierError, match=r"there is no file .*model\.safetensors"):
        load_base(str(saved))
    with pytest.raises(BaseClassifierError, match=r"holds no model\.json; give the directory"):
        load_base(str(tmp_path))
