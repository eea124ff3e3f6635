"""Checkpoints: safetensors, pickles that would run code, and their descriptions; ONNX files."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from radii.errors import BaseClassifierError
from radii.models import MLP, initialise, load_base
from radii.models.checkpoint import DESCRIPTION, WEIGHTS, save_base
from radii.models.published import read_state
from tests.fuzz.oracle import answered, command, limits, state
from tests.fuzz.strategies import fuzzed, mutated, plain, texts

SHAPE, CLASSES = (1, 4, 4), 3
ARCHITECTURE = "mlp:hidden=4"
CERTIFY = ("--noise=gaussian:sigma=0.5", "--data=mnist5k", "--dry-run", "--device=cpu")


def _module() -> torch.nn.Module:
    return initialise(MLP(hidden=4), SHAPE, CLASSES, seed=0)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that training could have written."""
    folder = tmp_path_factory.mktemp("checkpoints") / "base"
    description = {
        "architecture": ARCHITECTURE,
        "input_shape": list(SHAPE),
        "num_classes": CLASSES,
        "class_names": ["a", "b", "c"],
        "mean": [0.5],
        "std": [0.5],
        "seed": 3,
    }
    module = initialise(MLP(hidden=4), SHAPE, CLASSES, mean=[0.5], std=[0.5], seed=0)
    save_base(folder, module, description)
    assert load_base(str(folder)).num_classes == CLASSES
    return folder


def _beside(base: Path, **files: bytes) -> Path:
    """A copy with these contents in place of its own."""
    folder = base.with_name("changed")
    folder.mkdir(exist_ok=True)
    for name in (WEIGHTS, DESCRIPTION):
        content = files.get(name.replace(".", "_"), (base / name).read_bytes())
        (folder / name).write_bytes(content)
    return folder


@fuzzed(30, st.data())
def test_safetensors(base: Path, data: st.DataObject) -> None:
    folder = _beside(base, model_safetensors=data.draw(mutated((base / WEIGHTS).read_bytes())))
    before = state(folder)
    answered(lambda: load_base(str(folder)))
    assert state(folder) == before


@fuzzed(40, st.data())
def test_descriptions(base: Path, data: st.DataObject) -> None:
    """Other bytes, and other values of other types."""
    content = (base / DESCRIPTION).read_bytes()
    if data.draw(st.integers(0, 3)) == 0:
        content = data.draw(mutated(content))
    else:
        described = json.loads(content)
        for _ in range(data.draw(st.integers(1, 2))):
            key = data.draw(st.sampled_from(sorted(described)))
            sizes = st.sampled_from(
                ([10**12], [1, 2**40, 2**40], [True], [0], [-1, 4, 4], [1.5], 10**12)
            )
            described[key] = data.draw(st.one_of(plain(), sizes))
        content = json.dumps(described).encode()
    folder = _beside(base, model_json=content)
    command("certify", f"--base={folder}", *CERTIFY, files=[folder])


def _saved(value: object, path: Path, *, old: bool = False) -> bytes:
    torch.save(value, path, _use_new_zipfile_serialization=not old)
    return path.read_bytes()


class Trap:
    """Unpickling it would make a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("old", [False, True], ids=["zip", "stream"])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a state dict"])
def test_pickles_run_nothing(tmp_path: Path, old: bool, inside: bool) -> None:
    place, path = tmp_path / "made by a pickle", tmp_path / "model.pt"
    trap = Trap(place)
    _saved({"weight": torch.zeros(2), "more": trap} if inside else trap, path, old=old)
    with pytest.raises(BaseClassifierError, match="never unpickled"):
        read_state(path)
    assert not place.exists()
    with path.open("wb") as file:
        pickle.dump(trap, file)
    with pytest.raises(BaseClassifierError, match="never unpickled"):
        read_state(path)
    assert not place.exists()


def test_pickles_under_other_endings_run_nothing(tmp_path: Path) -> None:
    place = tmp_path / "made by a pickle"
    for name in ("model.safetensors", "model.onnx", "model.npz", "run.sqlite", "run.parquet"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap(place)))
    said = [
        command("certify", f"--base=published:{tmp_path}/model.safetensors,architecture=mlp,"
                "normalize=none,input_shape=1x28x28,num_classes=10", *CERTIFY),
        command("certify", f"--base={tmp_path}/model.onnx", *CERTIFY),
        command("certify", "--base=nothing", f"--data=npz:{tmp_path}/model.npz", *CERTIFY[::2]),
        command("report", tmp_path / "run.sqlite"),
        command("report", tmp_path / "run.parquet"),
    ]  # fmt: skip
    assert all(code for code, _, _ in said)
    assert not place.exists()


@fuzzed(40, st.data(), st.booleans(), st.sampled_from((".pt", ".pth", ".tar")))
def test_checkpoints(base: Path, data: st.DataObject, old: bool, ending: str) -> None:
    path = base.with_name(f"published{ending}")
    tensors = {"module.1.weight": torch.ones(2, 3), "module.1.bias": torch.zeros(2)}
    content = _saved({"state_dict": tensors, "epoch": 3}, path, old=old)
    path.write_bytes(data.draw(mutated(content)))
    before = state(path)
    answered(lambda: read_state(path))
    assert state(path) == before
    path.unlink()


@fuzzed(20, st.recursive(
    st.sampled_from((None, 1, "a", float("nan"), torch.ones(2), torch.zeros(0), torch.tensor(1.5),
                     torch.ones(2, dtype=torch.complex64), torch.ones(2, 3).to_sparse())),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(("state_dict", "net", "model", "weight", "1.")), inner,
                        max_size=2)),
    max_leaves=4,
))  # fmt: skip
def test_other_contents_of_checkpoints(base: Path, content: object) -> None:
    path = base.with_name("content.pt")
    _saved(content, path)
    reference = f"published:{path},architecture={ARCHITECTURE},normalize=none"
    answered(lambda: load_base(f"{reference},input_shape=1x4x4,num_classes=3"))


def _safetensors(header: object, rest: bytes = bytes(64)) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


HUGE = {
    "header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
    "header of 10^12 bytes": struct.pack("<Q", 10**12) + b"{}" + bytes(100),
    "tensor of 10^12 bytes": _safetensors(
        {"w": {"dtype": "F32", "shape": [250_000_000_000], "data_offsets": [0, 10**12]}}
    ),
    "tensor of 2^80 numbers": _safetensors(
        {"w": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 64]}}
    ),
    "tensors that overlap": _safetensors(
        {
            "v": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]},
            "w": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]},
        }
    ),
}


@pytest.mark.parametrize("case", HUGE)
def test_declared_sizes_of_safetensors(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(HUGE[case])
    with limits(), pytest.raises(BaseClassifierError):
        read_state(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_classes", 10**12),
        ("input_shape", [1, 2**20, 2**20]),
        ("architecture", f"mlp:hidden={10**12}"),
        ("architecture", f"resnet110:width={10**9}"),
    ],
)
def test_declared_sizes_of_networks(base: Path, key: str, value: object) -> None:
    """The weights in the file are small, so no network of another size is built."""
    described = {**json.loads((base / DESCRIPTION).read_text()), key: value}
    if key == "num_classes":
        described["class_names"] = None
    folder = _beside(base, model_json=json.dumps(described).encode())
    with limits(), pytest.raises(BaseClassifierError):
        load_base(str(folder))


def test_a_tensor_that_is_one_number_often(tmp_path: Path) -> None:
    """Strides of 0 let a small file declare 10^12 numbers."""
    path = tmp_path / "wide.pt"
    torch.save({"weight": torch.zeros(1).expand(10**12)}, path)
    assert path.stat().st_size < 2**20
    assert zipfile.is_zipfile(path)
    with limits(), pytest.raises(BaseClassifierError):
        load_base(
            f"published:{path},architecture=mlp,normalize=none,input_shape=1x4x4,num_classes=3"
        )


@fuzzed(30, texts(), texts())
def test_references(first: str, second: str) -> None:
    answered(lambda: load_base(first))
    answered(lambda: load_base(f"{first}:{second}"))
    answered(lambda: load_base(f"onnx:{first},layout={second}"))
    answered(lambda: load_base(f"published:{first},architecture={second},normalize=none"))
