import os
import re

import pytest
import safetensors.torch
import torch

from radii.errors import BaseClassifierError
from radii.models import MLP, ResNet20, initialise, load_published, read_state

SHAPE = (3, 32, 32)
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2023, 0.1994, 0.2010)


def built(seed):
    return initialise(ResNet20(), SHAPE, 10, mean=MEAN, std=STD, seed=seed)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "prefix", ["", "module.", "1.", "1.module.", "module.1.", "model.", "net.", "module.model."]
)
def test_wrappers_are_stripped(prefix):
    source, target = built(0), built(1)
    assert not same(source.body.state_dict(), target.body.state_dict())
    state = {prefix + name: value for name, value in source.body.state_dict().items()}
    load_published(target, state)
    assert same(source.body.state_dict(), target.body.state_dict())


def test_a_bare_network_takes_the_same_names():
    source, target = built(0), built(1)
    load_published(target.body, {f"1.{n}": v for n, v in source.body.state_dict().items()})
    assert same(source.body.state_dict(), target.body.state_dict())


def test_our_own_names_load_too():
    source, target = built(0), built(1)
    load_published(target, source.state_dict())
    assert same(source.state_dict(), target.state_dict())


def test_names_that_begin_like_a_wrapper_are_left_alone():
    source = initialise(MLP(hidden=4, depth=1), (6,), 3, seed=0)
    target = initialise(MLP(hidden=4, depth=1), (6,), 3, seed=1)
    assert "1.weight" in source.body.state_dict()
    load_published(target, source.body.state_dict())
    assert same(source.state_dict(), target.state_dict())


def with_normalization(prefix, mean, std):
    network = {f"{prefix}1.{name}": value for name, value in built(0).body.state_dict().items()}
    return {
        f"{prefix}0.means": torch.tensor(mean),
        f"{prefix}0.sds": torch.tensor(std),
        **network,
    }


@pytest.mark.parametrize("prefix", ["", "module."])
def test_equal_normalisation_is_recognised(prefix):
    target = built(1)
    load_published(target, with_normalization(prefix, MEAN, STD))
    assert same(built(0).state_dict(), target.state_dict())


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    ("mean", "std", "name"), [((0.5,) * 3, STD, "0.means"), (MEAN, (0.2,) * 3, "0.sds")]
)
def test_another_normalisation_is_refused(prefix, mean, std, name):
    target = built(1)
    message = f"'{name}' must be the module's own normalisation"
    with pytest.raises(BaseClassifierError, match=re.escape(message)):
        load_published(target, with_normalization(prefix, mean, std))
    assert same(built(1).state_dict(), target.state_dict())


def test_a_bare_network_does_not_normalise():
    with pytest.raises(BaseClassifierError, match=r"'0.means' must be .* \[0.0\], got \[0.49"):
        load_published(built(1).body, with_normalization("", MEAN, STD))
    load_published(built(1).body, with_normalization("", (0.0,) * 3, (1.0,) * 3))


def test_old_files_without_step_counts_load():
    source, target = built(0), built(1)
    state = source.body.state_dict()
    old = {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}
    assert len(old) < len(state)
    load_published(target, old)
    assert same(state, target.body.state_dict())


def test_an_error_lists_names_and_the_first_shape_and_loads_nothing():
    target = built(1)
    state = dict(built(0).body.state_dict())
    for name in [name for name in state if name.startswith("layer3.2.bn2.")]:
        del state[name]
    state["classifier.weight"] = torch.zeros(1)
    state["conv1.weight"] = torch.zeros(16, 1, 3, 3)
    message = (
        "missing 'layer3.2.bn2.bias', 'layer3.2.bn2.running_mean', 'layer3.2.bn2.running_var' "
        "and 1 more; unexpected 'classifier.weight'; "
        "'conv1.weight' must have shape (16, 3, 3, 3), got (16, 1, 3, 3)"
    )
    with pytest.raises(BaseClassifierError, match=re.escape(message)):
        load_published(target, state)
    assert same(built(1).state_dict(), target.state_dict())


def test_a_prefix_that_only_some_names_have_is_not_stripped():
    state = {f"module.{name}": value for name, value in built(0).body.state_dict().items()}
    state["fc.bias"] = state.pop("module.fc.bias")
    with pytest.raises(BaseClassifierError, match=r"unexpected 'module\."):
        load_published(built(1), state)


def test_an_empty_state_is_refused():
    with pytest.raises(BaseClassifierError, match=r"missing .* and \d+ more"):
        load_published(built(1), {})


def test_reads_safetensors(tmp_path):
    state = built(0).body.state_dict()
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    assert same(read_state(tmp_path / "model.safetensors"), state)


@pytest.mark.parametrize("name", ["model.pt", "model.pth"])
def test_reads_a_plain_state_dict(tmp_path, name):
    state = built(0).body.state_dict()
    torch.save(state, tmp_path / name)
    assert same(read_state(tmp_path / name), dict(state))


def test_reads_a_training_checkpoint(tmp_path):
    # The layout of Cohen et al. 2019 (locuslab/smoothing, code/train.py).
    module = built(0)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    module(torch.zeros(2, *SHAPE)).sum().backward()
    optimizer.step()
    state = module.body.state_dict()
    content = {"epoch": 90, "arch": "cifar_resnet20", "state_dict": state}
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({**content, "optimizer": optimizer.state_dict()}, path)
    assert same(read_state(str(path)), dict(state))


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("inside", ["alone", "beside the state dict"])
def test_never_runs_what_is_in_a_pickle(tmp_path, inside):
    trap = Trap(str(tmp_path / "sprung"))
    state = built(0).body.state_dict()
    torch.save(trap if inside == "alone" else {"state_dict": state, "x": trap}, tmp_path / "a.pt")
    with pytest.raises(BaseClassifierError, match="never unpickled, because that can run code"):
        read_state(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "must hold a state dict, got list"),
        ({}, "must hold a state dict, got dict"),
        ({"epoch": 3}, "must map names to tensors, got int under 'epoch'"),
        ({1: torch.zeros(1)}, "must map names to tensors, got Tensor under 1"),
    ],
)
def test_refuses_what_is_no_state_dict(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(BaseClassifierError, match=message):
        read_state(tmp_path / "a.pt")


def test_refuses_missing_damaged_and_unknown_files(tmp_path):
    with pytest.raises(BaseClassifierError, match=r"there is no file .*none\.pt"):
        read_state(tmp_path / "none.pt")
    for name in ("damaged.safetensors", "damaged.pt", "model.pkl"):
        (tmp_path / name).write_bytes(b"no tensors")
    for name in ("damaged.safetensors", "damaged.pt"):
        with pytest.raises(BaseClassifierError, match="cannot be read"):
            read_state(tmp_path / name)
    with pytest.raises(BaseClassifierError, match=r"must be a \.safetensors, \.pt, \.pth or \.tar"):
        read_state(tmp_path / "model.pkl")
