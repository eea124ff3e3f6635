"""MATLAB files, in which some data sets are published.

Read here and not by SciPy, whose reader trusts the numbers in a file: a byte changed in the type of
an element ends the process by a segmentation fault.

Reference:
    MathWorks, MAT-File Format, level 5.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from radii.errors import DataError

_HEADER = 128  # bytes before the first element
_DEPTH = 4  # structures within structures
_MATRIX, _COMPRESSED = 14, 15  # types of elements that are no plain numbers
_STORED = dict(enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "f4"), start=1))
_STORED |= {9: "f8", 12: "i8", 13: "u8"}
_CODED = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_STRUCTURE, _TEXT = 2, 4  # classes of arrays
_INTEGERS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
_NUMBERS = dict(enumerate(("f8", "f4", *_INTEGERS), start=6))
_COMPLEX = 0x800  # among the flags of an array


def read_mat(path: Path, *names: str) -> list[npt.NDArray[Any]]:
    """Arrays of a file of MATLAB 5, by name: real numbers, text, and structures of such.

    Text comes as an array of its rows, structures as arrays whose fields hold arrays.

    Raises:
        DataError: If the file cannot be read, or lacks an array.
    """
    try:
        found = _read(memoryview(path.read_bytes()), names)
    except (OSError, ValueError, zlib.error, MemoryError) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(f"{path} cannot be read ({why}); download it again") from error
    for name in names:
        if name not in found:
            raise DataError(f"{path} must hold an array {name!r}, and does not; download it again")
    return [found[name] for name in names]


def _read(content: memoryview, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[_HEADER - 2 : _HEADER]))
    if order is None:
        raise ValueError("it is not a file of MATLAB 5")
    found = {}
    for kind, packed in _elements(content[_HEADER:], order):
        kind, body = _unpacked(packed, order) if kind == _COMPRESSED else (kind, packed)
        if kind != _MATRIX:
            raise ValueError(f"an element of the type {kind} where an array must be")
        array = _Array(body, order)
        if array.name in names:
            found[array.name] = array.value()
    return found


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of each element, of which small ones share their first word with the size."""
    at = 0
    while at < len(content):
        if len(content) - at < 8:
            raise ValueError("it ends within an element")
        kind, size = struct.unpack_from(order + "II", content, at)
        start = at + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
        if len(content) - start < size:
            raise ValueError(f"an element declares {size} bytes, {len(content) - start} are there")
        yield kind, content[start : start + size]
        # all but packed ones end at a multiple of 8 bytes
        at = start + size if kind == _COMPRESSED else at + 8 * math.ceil((start + size - at) / 8)


def _unpacked(packed: memoryview, order: str) -> tuple[int, memoryview]:
    """Type and bytes of a packed element; never more bytes than it declares."""
    stream = zlib.decompressobj()
    head = stream.decompress(packed, 8)
    if len(head) < 8:
        raise ValueError("a packed element of no content")
    kind, size = struct.unpack(order + "II", head)
    body = stream.decompress(stream.unconsumed_tail, size) if size else b""
    if len(body) < size:
        raise ValueError(f"a packed element declares {size} bytes, {len(body)} are there")
    # Its checksum is read with what comes after the last byte, which is nothing.
    if stream.decompress(stream.unconsumed_tail, 1) or not stream.eof:
        raise ValueError(f"a packed element declares {size} bytes and does not end after them")
    return kind, memoryview(body)


class _Array:
    """An array whose head was read."""

    def __init__(self, body: memoryview, order: str, depth: int = 0) -> None:
        self._order, self._depth = order, depth
        self._parts = _elements(body, order)
        flags = self._numbers("u4") if len(body) else np.array([6, 0])  # nothing is numbers, none
        shape = self._numbers("i4").tolist() if len(body) else [0, 0]
        if len(flags) != 2 or not 2 <= len(shape) <= 32 or min(shape) < 0:
            raise ValueError("an array without flags and shape")
        self.shape = tuple(shape)
        self._kind, self._complex = int(flags[0]) & 0xFF, bool(int(flags[0]) & _COMPLEX)
        self.name = bytes(self._part()[1]).decode("latin-1") if len(body) else ""

    def _part(self) -> tuple[int, memoryview]:
        try:
            return next(self._parts)
        except StopIteration:
            raise ValueError("it ends within an array") from None

    def _numbers(self, wanted: str | None = None) -> npt.NDArray[Any]:
        kind, content = self._part()
        stored = _STORED.get(kind)
        if stored is None or (wanted and stored != wanted):
            raise ValueError(f"an element of the type {kind} where numbers must be")
        dtype = np.dtype(self._order + stored)
        if len(content) % dtype.itemsize:
            raise ValueError(f"{len(content)} bytes of numbers of {dtype.itemsize} bytes each")
        return np.frombuffer(content, dtype)

    def value(self) -> npt.NDArray[Any]:
        """The array itself."""
        if self._kind == _STRUCTURE:
            return self._structure()
        if self._kind == _TEXT:
            return self._text()
        if self._kind not in _NUMBERS or self._complex:
            raise ValueError(f"an array of a kind that is not read here, {self._kind}")
        values = self._numbers() if math.prod(self.shape) else np.zeros(0)
        with np.errstate(all="ignore"):
            held = values.astype(_NUMBERS[self._kind], copy=False)
        if held is not values and not np.array_equal(held, values, equal_nan=True):
            raise ValueError(f"an array of numbers that {held.dtype} cannot hold")
        return self._shaped(held)

    def _shaped(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if len(values) != math.prod(self.shape):
            raise ValueError(f"{len(values)} entries in an array of the shape {self.shape}")
        return values.reshape(self.shape, order="F")

    def _text(self) -> npt.NDArray[Any]:
        if math.prod(self.shape) == 0:
            return np.empty(0, dtype=np.str_)
        kind, content = self._part()
        if kind not in _CODED:
            raise ValueError(f"an element of the type {kind} where text must be")
        code = _CODED[kind]
        if code == "utf-16":
            code += "-le" if self._order == "<" else "-be"
        letters = self._shaped(np.array(list(bytes(content).decode(code)), dtype="<U1"))
        rows = letters.reshape(self.shape[0], -1)
        return np.array(["".join(row) for row in rows.tolist()], dtype=np.str_)

    def _structure(self) -> npt.NDArray[Any]:
        if self._depth == _DEPTH:
            raise ValueError(f"structures more than {_DEPTH} deep")
        width = self._numbers("i4")
        text = bytes(self._part()[1])
        if len(width) != 1 or not 1 <= width[0] <= len(text):
            raise ValueError("a structure without names of its fields")
        step = int(width[0])
        fields = [
            text[at : at + step].split(b"\0")[0].decode("latin-1")
            for at in range(0, len(text), step)
        ]
        if len(set(fields)) < len(fields) or "" in fields:
            raise ValueError("fields of a structure with the same name, or none")
        rows = []
        for _ in range(math.prod(self.shape)):
            cells = [self._part() for _ in fields]
            if any(kind != _MATRIX for kind, _ in cells):
                raise ValueError("a field that is no array")
            rows.append(
                tuple(_Array(body, self._order, self._depth + 1).value() for _, body in cells)
            )
        table = np.empty(len(rows), dtype=[(field, object) for field in fields])
        for index, row in enumerate(rows):
            table[index] = row
        return self._shaped(table)
