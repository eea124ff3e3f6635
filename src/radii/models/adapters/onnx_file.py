"""Classifiers in ONNX files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radii.models.adapters._onnx_module import Layout, OnnxModule
from radii.models.adapters.base import ADAPTERS, Adapter
from radii.models.loaded import Base
from radii.models.probe import check_answers


@ADAPTERS.register("onnx")
@dataclass(frozen=True)
class OnnxFile(Adapter):
    """A classifier in an ONNX file, computed by onnxruntime, in the types of the file.

    It takes one float input and answers scores or labels. A fixed number of rows is filled up with
    zeros. Operators of libraries are never loaded.

    Attributes:
        path: The file.
        layout: Where the model wants the channels; the data always has them first.
        output: The name of the scores or labels, where the model has several outputs.

    Reference:
        Open Neural Network Exchange, https://onnx.ai.
    """

    path: str
    layout: Layout = "channels_first"
    output: str | None = None
    positional: ClassVar[str] = "path"
    examples: ClassVar[tuple[dict[str, object], ...]] = (
        {"path": "model.onnx"},
        {"path": "model.onnx", "layout": "channels_last", "output": "scores"},
    )

    def load(self) -> Base:
        """The model, with the shape and the classes that the file states; see `Adapter.load`."""
        module = OnnxModule(self.path, self.layout, self.output)
        if module.input_shape is not None:
            check_answers(module, module.input_shape, module.num_classes)
        return Base(
            module=module,
            reference=f"onnx:{self.path}",
            sha256=module.sha256,
            num_classes=module.num_classes,
            input_shape=module.input_shape,
            class_names=None,
            details={},
        )
