"""An ONNX file as a module: onnxruntime computes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from radii.errors import BaseClassifierError
from radii.extras import imported
from radii.models.adapters._onnx_graph import checked_graph

Layout = Literal["channels_first", "channels_last"]
_INPUTS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_SCORES = {"tensor(float)", "tensor(float16)", "tensor(double)"}
_LABELS = {f"tensor({sign}int{bits})" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_ERRORS_ONLY = 3


class OnnxModule(nn.Module):
    """The model in an ONNX file, as a module on a device, in the types of the file.

    It may be called from several threads. Each call computes on one core, so the scores do not
    depend on the number of threads. It can be copied and pickled: the copy reads the file again,
    and refuses one that has changed. There is no gradient in its inputs.

    Args:
        path: The file.
        layout: Where the model wants the channels; inputs always come with the channels first.
        output: The name of the scores or labels, where the model has several outputs.

    Attributes:
        sha256: See `checked_graph`.
        input_shape: Of one input, channels first; None where it is not written down.
        num_classes: None where it is not written down, and for labels.
        batch: Rows that the model takes; None for any number.
    """

    computed_by: ClassVar[str] = "onnxruntime"
    where: Tensor

    def __init__(self, path: str | Path, layout: Layout, output: str | None) -> None:
        super().__init__()
        self.path = Path(path)
        self.layout = layout
        self.output = output
        self.sha256 = checked_graph(self.path)
        self.register_buffer("where", torch.empty(0, dtype=torch.uint8), persistent=False)
        self.training = False
        self._lock = threading.Lock()
        self._session = self._open()
        self._read(self._session)

    def forward(self, x: Tensor) -> Tensor:
        """Scores, float32 or float64, or labels of `(rows, *shape)` float32."""
        if x.dtype != torch.float32:
            raise TypeError(f"inputs of an ONNX model must be float32, got {x.dtype}")
        if self.input_shape is not None and x.shape[1:] != self.input_shape:
            raise BaseClassifierError(
                f"inputs of {str(self.path)!r} must have shape {self.input_shape}, got "
                f"{tuple(x.shape[1:])}; see whether the layout of the model is {self.layout}."
            )
        moved = x.detach().movedim(1, -1) if self._turned(x.ndim) else x.detach()
        rows = np.ascontiguousarray(moved.cpu().numpy().astype(self._type, copy=False))
        size = self.batch or max(len(rows), 1)
        parts = [self._answered(rows[at : at + size]) for at in range(0, len(rows), size)]
        return torch.from_numpy(np.concatenate(parts)).to(x.device)

    def _answered(self, rows: Any) -> Any:
        """Answers to as many rows as the model takes, or fewer."""
        missing = (self.batch or len(rows)) - len(rows)
        if missing:
            rows = np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
        (answer,) = self._ready().run([self.output], {self._input: rows})
        wider = np.int64 if answer.dtype.kind in "iu" else np.promote_types(answer.dtype, "f4")
        return answer[: len(rows) - missing].astype(wider)

    def _turned(self, axes: int) -> bool:
        return self.layout == "channels_last" and axes > 2

    def _read(self, session: Any) -> None:
        """What is written in the file of input and output.

        Raises:
            BaseClassifierError: If it is no classifier of one input.
        """
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1:
            names = ", ".join(given.name for given in inputs)
            raise self._refused(f"must have one input, got {len(inputs)}: {names or 'none'}")
        (given,) = inputs
        if given.type not in _INPUTS:
            raise self._refused(
                f"must take {', '.join(_INPUTS)}, got {given.type} for {given.name!r}; noisy "
                f"inputs are no whole numbers: export the part that comes after the conversion."
            )
        named = {answer.name: answer for answer in outputs}
        if (self.output is None and len(named) > 1) or self.output not in (None, *named):
            raise self._refused(
                f"has the outputs {', '.join(named)}: name the scores or labels, output=NAME"
            )
        answer = named[self.output or outputs[0].name]
        axes = {1} if answer.type in _LABELS else {2} if answer.type in _SCORES else set()
        if not axes or len(answer.shape) not in {0, *axes}:
            raise self._refused(
                f"must answer scores (rows, classes) or labels (rows), got {answer.type} of shape "
                f"{answer.shape} for {answer.name!r}"
            )
        if len(answer.shape) == 2 and answer.shape[1] == 1:
            raise self._refused(
                f"must answer a score for each class, got one score in {answer.name!r}; export "
                f"both classes, as [-score, score]"
            )
        self.output = answer.name
        self._input, self._type = given.name, _INPUTS[given.type]
        self.batch: int | None = _number(given.shape[:1])
        self.input_shape = self._shape(given.shape[1:])
        self.num_classes: int | None = _number(answer.shape[1:])

    def _shape(self, written: Sequence[object]) -> tuple[int, ...] | None:
        """The shape of one input, channels first."""
        if not written or not all(isinstance(size, int) for size in written):
            return None
        shape = tuple(size for size in written if isinstance(size, int))
        return (shape[-1], *shape[:-1]) if self._turned(1 + len(shape)) else shape

    def _open(self) -> Any:
        """A session on the device where this module is."""
        runtime = imported("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = _ERRORS_ONLY
        providers: list[Any] = ["CPUExecutionProvider"]
        device = self.where.device
        if device.type == "cuda":
            if "CUDAExecutionProvider" not in runtime.get_available_providers():
                raise BaseClassifierError(
                    "this onnxruntime has no CUDA: install onnxruntime-gpu in its place, or pass "
                    "--device cpu."
                )
            settings = {"device_id": device.index or 0, "use_tf32": 0}
            providers.insert(0, ("CUDAExecutionProvider", settings))
        elif device.type != "cpu":
            raise BaseClassifierError(
                f"ONNX models run on cpu or cuda, got {device.type!r}; pass --device cpu."
            )
        try:
            session = runtime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # of a class of its own for each error code
            why = " ".join(str(error).split())[:300]
            raise self._refused(f"cannot be used by onnxruntime: {why}") from None
        if device.type == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
            raise BaseClassifierError(
                "onnxruntime could not start CUDA; see that its version of CUDA is installed, or "
                "pass --device cpu."
            )
        return session

    def _ready(self) -> Any:
        session = self._session
        if session is None:
            with self._lock:
                if self._session is None:
                    if checked_graph(self.path) != self.sha256:
                        raise self._refused("has changed since it was loaded; load it again")
                    self._session = self._open()
                session = self._session
        return session

    def _refused(self, reason: str) -> BaseClassifierError:
        return BaseClassifierError(f"{str(self.path)!r} {reason}")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = self.where.device
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.where.device != before:
            self._session = self._open()
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_session": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()


def _number(sizes: Sequence[object]) -> int | None:
    return next((size for size in sizes if isinstance(size, int)), None)
