from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from radii.data.mat import read_mat
from radii.errors import DataError
from tests.unit.data.published_files import pixels

PAIR = np.dtype([("number", object), ("text", object)])
ARRAYS = {
    "bytes": pixels(3, 4, 5, 2),
    "small": np.array([[10], [1]], dtype=np.uint8),
    "wide": np.array([[-3, 70_000, 2**40]]),
    "float": np.linspace(-1, 1, 15).reshape(3, 5),
    "single": np.float32([[0.1, np.inf]]),
    "none": np.zeros((0, 3)),
    "text": "tench, größe",
    "rows": np.array(["ab", "cd"]),
    "blank": "",
    "table": np.array([[(1.5, "n01")], [(np.eye(2), "")]], dtype=PAIR),
    "nested": np.array([[(np.array([[(2, "in")]], dtype=PAIR), "out")]], dtype=PAIR),
}


def _saved(path: Path, packed: bool) -> Path:
    savemat(path, ARRAYS, do_compression=packed)
    return path


def _same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    if theirs.dtype.names is None:
        return ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    return (
        ours.shape == theirs.shape
        and ours.dtype == theirs.dtype
        and all(
            _same(one[field], other[field])
            for one, other in zip(ours.reshape(-1), theirs.reshape(-1), strict=True)
            for field in theirs.dtype.names
        )
    )


@pytest.mark.parametrize("packed", [False, True])
def test_reads_what_scipy_reads(tmp_path, packed):
    path = _saved(tmp_path / "a.mat", packed)
    theirs = loadmat(path)
    for name, ours in zip(ARRAYS, read_mat(path, *ARRAYS), strict=True):
        assert _same(ours, theirs[name]), name


def _element(order: str, kind: int, content: bytes) -> bytes:
    return struct.pack(order + "II", kind, len(content)) + content + bytes(-len(content) % 8)


def _array(
    order: str, flags: int, shape: tuple[int, ...], *elements: bytes, name: bytes = b"a"
) -> bytes:
    """An array with its head, in either order of bytes."""
    body = _element(order, 6, struct.pack(order + "II", flags, 0))
    body += _element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape))
    return _element(order, 14, body + _element(order, 1, name) + b"".join(elements))


def _file(path: Path, order: str, *elements: bytes) -> Path:
    mark = b"IM" if order == "<" else b"MI"
    path.write_bytes(b" " * 124 + struct.pack(order + "H", 0x100) + mark + b"".join(elements))
    return path


def test_the_other_order_of_bytes_and_numbers_stored_narrow(tmp_path):
    shorts = _element(">", 3, struct.pack(">4h", 1, -2, 3, 400))
    path = _file(tmp_path / "a.mat", ">", _array(">", 6, (2, 2), shorts))
    (ours,) = read_mat(path, "a")
    np.testing.assert_array_equal(ours, loadmat(path)["a"])
    assert ours.dtype == np.float64
    assert ours.tolist() == [[1, 3], [-2, 400]]


BYTES = _element("<", 2, b"\1\2\3\4")
MALFORMED = {
    "not of MATLAB": (b"no matrix" * 30, "not a file of MATLAB 5"),
    "of nothing": (b"", "not a file of MATLAB 5"),
    "complex": (_array("<", 6 | 0x800, (2, 2), BYTES, BYTES), "a kind that is not read here, 6"),
    "sparse": (_array("<", 5, (2, 2), BYTES), "a kind that is not read here, 5"),
    "of too few numbers": (_array("<", 9, (2, 3), BYTES), r"4 entries in .* \(2, 3\)"),
    "of no numbers": (_array("<", 9, (2, 2)), "ends within an array"),
    "of numbers of type 0": (
        _array("<", 9, (2, 2), _element("<", 0, b"\1\2\3\4")),
        "type 0 where numbers must be",
    ),
    "of half a number": (
        _array("<", 9, (1, 1), _element("<", 9, b"\1\2\3\4")),
        "4 bytes of numbers of 8 bytes each",
    ),
    "of a number too large for its kind": (
        _array("<", 9, (1, 1), _element("<", 3, b"\0\1")),
        "numbers that uint8 cannot hold",
    ),
    "of one axis": (_array("<", 9, (4,), BYTES), "without flags and shape"),
    "of a negative size": (_array("<", 9, (-2, -2), BYTES), "without flags and shape"),
    "of text of type 9": (_array("<", 4, (1, 4), _element("<", 9, b"abcd" * 2)), "text must be"),
    "of text that is no UTF-8": (_array("<", 4, (1, 2), _element("<", 16, b"\xff\xfe")), "decode"),
    "a structure without fields": (
        _array("<", 2, (1, 1), _element("<", 5, bytes(4)), _element("<", 1, b"")),
        "without names of its fields",
    ),
    "a structure of numbers": (
        _array("<", 2, (1, 1), _element("<", 5, b"\4\0\0\0"), _element("<", 1, b"abc\0"), BYTES),
        "a field that is no array",
    ),
    "a structure of twins": (
        _array("<", 2, (1, 1), _element("<", 5, b"\2\0\0\0"), _element("<", 1, b"a\0a\0")),
        "the same name",
    ),
    "a structure of 2^60 entries": (
        _array(
            "<", 2, (2**30, 2**30), _element("<", 5, b"\2\0\0\0"), _element("<", 1, b"a\0")
        ),
        "ends within an array",
    ),
    "numbers alone": (BYTES, "type 2 where an array must be"),
    "cut": (_array("<", 9, (2, 2), BYTES)[:-9], "declares 64 bytes, 55 are there"),
    "packed, of nothing": (_element("<", 15, zlib.compress(b"")), "no content"),
    "packed, of less than declared": (
        _element("<", 15, zlib.compress(struct.pack("<II", 14, 2**32 - 1) + BYTES)),
        "declares 4294967295 bytes, 16 are there",
    ),
    "packed, of more than declared": (
        _element("<", 15, zlib.compress(struct.pack("<II", 14, 8) + BYTES)),
        "declares 8 bytes and does not end after them",
    ),
    "packed, with another checksum": (
        _element("<", 15, zlib.compress(struct.pack("<II", 14, 16) + BYTES)[:-1] + b"?"),
        "incorrect data check",
    ),
    "packed, without its end": (
        _element("<", 15, zlib.compress(struct.pack("<II", 14, 16) + BYTES)[:-4]),
        "does not end after them",
    ),
    "packed by something else": (_element("<", 15, b"not packed at all"), "incorrect header"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(tmp_path, case):
    content, message = MALFORMED[case]
    path = tmp_path / "a.mat"
    if "MATLAB" in message:
        path.write_bytes(content)
    else:
        _file(path, "<", content)
    with pytest.raises(DataError, match=rf"a\.mat cannot be read .*{message}"):
        read_mat(path, "a")


def test_structures_end(tmp_path):
    inner = _array("<", 9, (1, 1), _element("<", 2, b"\7"), name=b"")
    fields = (_element("<", 5, b"\2\0\0\0"), _element("<", 1, b"a\0"))
    for _ in range(5):
        inner = _array("<", 2, (1, 1), *fields, inner)
    with pytest.raises(DataError, match="deep"):
        read_mat(_file(tmp_path / "a.mat", "<", inner), "a")


def test_no_changed_byte_ends_the_process(tmp_path):
    # SciPy's reader dies of a segmentation fault for some hundred of these.
    path = tmp_path / "a.mat"
    names = ("small", "text", "table")
    savemat(path, {name: ARRAYS[name] for name in names})
    whole = path.read_bytes()
    for at in range(124, len(whole)):
        for value in (0, 127):
            path.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                read_mat(path, *names)
            except DataError:
                pass
