"""ONNX files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import strategies as st

from radii.errors import BaseClassifierError
from radii.models import load_base
from tests.fuzz.oracle import answered, limits, state
from tests.fuzz.strategies import fuzzed, mutated

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def _model(rows: object = "n", weights: tuple[int, ...] = (4, 3), **external: str) -> bytes:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    count = 1
    for size in weights:
        count *= size
    if external or count > 100:
        tensor = onnx.TensorProto(name="w", data_type=kind, dims=weights)
        if external:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in external.items():
                tensor.external_data.add(key=key, value=value)
        else:
            tensor.raw_data = bytes(48)
    else:
        tensor = helper.make_tensor("w", kind, weights, [0.25] * count)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", kind, [rows, 4])],
        [helper.make_tensor_value_info("y", kind, [rows, 3])],
        initializer=[tensor],
    )
    imports = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


def test_the_model_is_one(folder: Path) -> None:
    path = folder / "good.onnx"
    path.write_bytes(_model())
    assert load_base(str(path)).num_classes == 3


@fuzzed(40, mutated(_model()) | st.binary(max_size=64))
def test_files(folder: Path, content: bytes) -> None:
    path = folder / "model.onnx"
    path.write_bytes(content)
    before = state(path)
    answered(lambda: load_base(str(path)))
    assert state(path) == before


@pytest.mark.parametrize(
    "content",
    [
        _model(rows=2**40),
        _model(weights=(10**6, 10**6)),
        _model(weights=(2**40, 2**40)),
        _model(location="../secret"),
        _model(location="/etc/passwd"),
        _model(location="model.onnx", offset="0", length=str(10**12)),
        _model(location="model.onnx", offset=str(2**70), length="48"),
        _model(location="model.onnx", offset="-1", length="48"),
    ],
    ids=["rows", "weights", "2^80", "above", "absolute", "length", "offset", "negative"],
)
def test_declared_sizes_and_places(content: bytes, folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(content)
    (folder.parent / "secret").write_bytes(bytes(48))
    with limits(), pytest.raises(BaseClassifierError):
        load_base(str(path))
