"""What is written in an ONNX file, and what makes it no base classifier."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radii.errors import BaseClassifierError
from radii.extras import imported

# Of ONNX itself, and of onnxruntime itself; all other operators come from somebody's library.
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_OF_THE_BATCH = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
_EXTERNAL = 1  # TensorProto.DataLocation


def checked_graph(path: Path) -> str:
    """The SHA-256 of an ONNX file, once its operators were looked through.

    Returns:
        That of the file; where its weights are in other files, that of all of them, one after the
        other, in the order of their names.

    Raises:
        RadiiError: If onnx is not installed.
        BaseClassifierError: If a file is missing or cannot be read, or the model is in training
            mode, needs a library of operators, or looks at its batch as a whole.
    """
    onnx = imported("onnx", "onnx")
    try:
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
    except (FileNotFoundError, IsADirectoryError):
        raise BaseClassifierError(f"there is no file {str(path)!r}; give an ONNX file") from None
    except Exception as error:  # DecodeError, of a library that onnx imports
        why = " ".join(str(error).split())[:200]
        raise _refused(path, f"cannot be read as an ONNX file: {why}") from None
    if not model.graph.node:
        raise _refused(path, "must be an ONNX file with a graph, got none in it")
    graphs = list(_graphs(model.graph))
    bodies = [*graphs, *(inner for body in model.functions for inner in _graphs(body))]
    own = {(function.domain, function.name) for function in model.functions}
    constants = _constants(bodies, onnx)
    for body in bodies:
        for node in body.node:
            _check(node, constants, own, path)
    digest = hashlib.sha256(content)
    for file in sorted(_files_of_weights(graphs)):
        digest.update(_beside(path, file).read_bytes())
    return digest.hexdigest()


def _graphs(body: Any) -> Iterator[Any]:
    """A graph or function, and all graphs in its branches and loops."""
    yield body
    for node in body.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _constants(bodies: list[Any], onnx: Any) -> dict[str, Any]:
    """Single values that are written in the file, by name."""
    tensors = [tensor for body in bodies for tensor in getattr(body, "initializer", ())]
    named = [(tensor.name, tensor) for tensor in tensors]
    for body in bodies:
        for node in body.node:
            if node.op_type == "Constant":
                named += [
                    (node.output[0], part.t) for part in node.attribute if part.name == "value"
                ]
    return {
        name: onnx.numpy_helper.to_array(tensor)
        for name, tensor in named
        if not tensor.dims and tensor.data_location != _EXTERNAL
    }


def _check(node: Any, constants: dict[str, Any], own: set[tuple[str, str]], path: Path) -> None:
    if node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
        raise _refused(
            path,
            f"must do with operators of onnxruntime itself, but needs {node.op_type!r} of "
            f"{node.domain!r}; libraries of operators are never loaded.",
        )
    if node.op_type in _OF_THE_BATCH:
        raise _refused(
            path,
            f"must look at each row by itself, or no certificate holds, but {node.op_type} "
            f"quantises by the extremes of the whole batch; quantise it statically.",
        )
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    norm = node.op_type == "BatchNormalization" and attributes.get("training_mode")
    mode = node.input[2] if node.op_type == "Dropout" and len(node.input) > 2 else ""
    if norm or (mode and constants.get(mode, True)):
        raise _refused(
            path,
            f"must be in evaluation mode, but its {node.op_type} is in training mode; call eval() "
            f"on the module before it is exported.",
        )


def _files_of_weights(graphs: list[Any]) -> set[str]:
    tensors = [tensor for graph in graphs for tensor in graph.initializer]
    for graph in graphs:
        for node in graph.node:
            tensors += [part.t for part in node.attribute if part.HasField("t")]
    return {
        entry.value
        for tensor in tensors
        if tensor.data_location == _EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _beside(path: Path, file: str) -> Path:
    folder = path.resolve().parent
    found = (folder / file).resolve()
    if not found.is_relative_to(folder):
        raise _refused(path, f"must have its weights in files beside it, got {file!r}")
    if not found.is_file():
        raise _refused(path, f"has weights in the file {file!r}, which is not beside it; copy it")
    return found


def _refused(path: Path, reason: str) -> BaseClassifierError:
    return BaseClassifierError(f"{str(path)!r} {reason}")
