"""A data set that lies in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from radii.data.base import Dataset, IntArray, unit_interval
from radii.errors import DataError


@dataclass(frozen=True, eq=False)
class ArrayDataset(Dataset):
    """Inputs and labels in memory, checked when they come in and read-only afterwards.

    Arrays that can be written to, or whose memory can, are copied, so a later change outside cannot
    reach the data set.

    Args:
        inputs: `(examples, *input_shape)`. Either uint8, which `__getitem__` divides by 255, or
            floats, which are kept as float32 and may lie outside [0, 1] (tables of features), but
            must be finite.
        labels: `(examples,)` integers, each in [0, num_classes).
        class_names: One name a class, in the order of the labels.
        reference: What the user wrote to get it; named in error messages.

    Raises:
        DataError: If an array is not as described; the message names the example.

    Example:
        >>> pixels = np.array([[[[0, 255]]], [[[51, 0]]]], dtype=np.uint8)
        >>> dataset = ArrayDataset(pixels, np.array([1, 0]), ("cat", "dog"))
        >>> dataset[1]
        (tensor([[[0.2000, 0.0000]]]), 0)
    """

    inputs: npt.NDArray[Any] = field(repr=False)
    labels: IntArray = field(repr=False)
    class_names: tuple[str, ...]
    reference: str = "arrays"
    input_shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(self.class_names)
        if not names or len(set(names)) < len(names):
            raise DataError(f"{self.reference}: class names must be distinct and at least one")
        inputs = _inputs(self.inputs, self.reference)
        labels = _labels(self.labels, len(names), self.reference)
        if len(inputs) != len(labels):
            raise DataError(
                f"{self.reference}: every input must have one label, "
                f"got {len(inputs)} inputs and {len(labels)} labels"
            )
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "input_shape", inputs.shape[1:])

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Input `index` as a float32 tensor of `input_shape`, and its label."""
        return unit_interval(torch.from_numpy(self.inputs[index].copy())), int(self.labels[index])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of type, shape, number of classes, inputs and labels."""
        header = f"radii arrays 1\n{self.inputs.dtype}\n{self.inputs.shape}\n{self.num_classes}\n"
        digest = hashlib.sha256(header.encode())
        for array in (self.inputs, self.labels):
            digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Copies of all inputs (uint8 or float32) and labels (int64)."""
        return torch.from_numpy(self.inputs.copy()), torch.from_numpy(self.labels.copy())


def frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, to which nobody can write any more: `ArrayDataset` need not copy it then."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner.flags.writeable = False
        owner = owner.base
    return array


def _inputs(given: npt.ArrayLike, reference: str) -> npt.NDArray[Any]:
    inputs = np.asarray(given)
    if inputs.dtype != np.uint8 and inputs.dtype.kind != "f":
        raise DataError(f"{reference}: inputs must be uint8 or float, got {inputs.dtype}")
    if inputs.ndim < 2 or 0 in inputs.shape:
        raise DataError(
            f"{reference}: inputs must have the shape (examples, ...) with at least one example, "
            f"got {inputs.shape}"
        )
    if inputs.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a number too large for float32 is refused just below
            inputs = inputs.astype(np.float32, copy=False)
        finite = np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1)
        if not finite.all():
            raise DataError(
                f"{reference}: input of example {int(finite.argmin())} must be finite in float32, "
                f"got NaN or an infinity"
            )
    return _read_only(inputs, given)


def _labels(given: npt.ArrayLike, num_classes: int, reference: str) -> IntArray:
    labels = np.asarray(given)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"{reference}: labels must be integers of the shape (examples,), "
            f"got {labels.dtype} of the shape {labels.shape}"
        )
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        index = int(outside.argmax())
        raise DataError(
            f"{reference}: label of example {index} must be in [0, {num_classes}), "
            f"got {labels[index]}"
        )
    return _read_only(labels.astype(np.int64, copy=False), given)


def _read_only(array: npt.NDArray[Any], given: npt.ArrayLike) -> npt.NDArray[Any]:
    """A contiguous array that nobody can write to; a copy only if somebody could."""
    if np.may_share_memory(array, np.asarray(given)) and _can_change(array):
        array = array.copy()
    kept = np.ascontiguousarray(array)
    kept.flags.writeable = False
    return kept


def _can_change(array: npt.NDArray[Any]) -> bool:
    """Whether an array can be written to, or one that it is a view of, or who owns its memory."""
    owner: Any = array
    while isinstance(owner, (np.ndarray, memoryview)):
        if isinstance(owner, np.ndarray) and owner.flags.writeable:
            return True
        owner = owner.obj if isinstance(owner, memoryview) else owner.base
    try:
        return owner is not None and not memoryview(owner).readonly
    except TypeError:  # a tensor, say
        return True
