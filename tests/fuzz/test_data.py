"""Data sets: IDX, CIFAR, MATLAB, npz and pictures."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from radii.data import load
from radii.data.mat import read_mat
from radii.errors import DataError
from tests.fuzz.oracle import answered, state
from tests.fuzz.strategies import fuzzed, mutated
from tests.unit.data.published_files import cifar_bytes, idx_bytes, pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def _read(reference: str, root: Path, *paths: Path) -> None:
    """Everything of a data set; the files stay as they are."""
    before = [state(path) for path in paths]

    def work() -> None:
        dataset = load(reference, root=root)
        for index in range(min(len(dataset), 3)):
            x, label = dataset[index]
            assert tuple(x.shape) == dataset.input_shape
            assert 0 <= label < dataset.num_classes
        assert dataset.fingerprint

    answered(work)
    assert [state(path) for path in paths] == before


IMAGES, LABELS = idx_bytes(pixels(3, 4, 4)), idx_bytes(np.array([1, 0, 9], dtype=np.uint8))


@fuzzed(25, mutated(IMAGES) | mutated(gzip.compress(IMAGES)), mutated(LABELS) | st.just(LABELS))
def test_idx(folder: Path, images: bytes, labels: bytes) -> None:
    root = folder / "idx"
    root.mkdir(exist_ok=True)
    files = [root / "t10k-images-idx3-ubyte", root / "t10k-labels-idx1-ubyte"]
    for path, content in zip(files, (images, labels), strict=True):
        path.write_bytes(content)
    _read("mnist", root, *files)


RECORDS = cifar_bytes(pixels(2, 3, 32, 32), [3, 9])


def _packed(content: bytes, *, name: str = "cifar-10-batches-bin/test_batch.bin") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@fuzzed(15, mutated(RECORDS))
def test_cifar(folder: Path, content: bytes) -> None:
    root = folder / "cifar"
    root.mkdir(exist_ok=True)
    path = root / "test_batch.bin"
    path.write_bytes(content)
    _read("cifar10", root, path)


@fuzzed(20, mutated(_packed(RECORDS)) | mutated(gzip.decompress(_packed(RECORDS))))
def test_cifar_archives(folder: Path, content: bytes) -> None:
    root = folder / "packed"
    root.mkdir(exist_ok=True)
    path = root / "cifar-10-binary.tar.gz"
    path.write_bytes(content)
    _read("cifar10", root, path)


def _mat(packed: bool) -> bytes:
    file = io.BytesIO()
    arrays = {"X": pixels(4, 4, 3, 2), "y": np.array([[10], [1]], dtype=np.uint8)}
    savemat(file, arrays, do_compression=packed)
    return file.getvalue()


@fuzzed(40, mutated(_mat(packed=False)) | mutated(_mat(packed=True)))
def test_mat(folder: Path, content: bytes) -> None:
    root = folder / "svhn"
    root.mkdir(exist_ok=True)
    path = root / "test_32x32.mat"
    path.write_bytes(content)
    _read("svhn", root, path)


def _structure(packed: bool) -> bytes:
    file = io.BytesIO()
    kinds = np.dtype([("number", object), ("text", object)])
    savemat(file, {"s": np.array([[(1, "n01")], [(2, "")]], kinds)}, do_compression=packed)
    return file.getvalue()


@fuzzed(25, mutated(_structure(packed=False)) | mutated(_structure(packed=True)))
def test_mat_structures(folder: Path, content: bytes) -> None:
    path = folder / "meta.mat"
    path.write_bytes(content)
    answered(lambda: read_mat(path, "s"))
    assert path.read_bytes() == content


def _npz(packed: bool, **arrays: object) -> bytes:
    file = io.BytesIO()
    given = {"x": pixels(2, 3, 4, 4), "y": np.array([0, 1]), **arrays}
    (np.savez_compressed if packed else np.savez)(file, **given)
    return file.getvalue()


@st.composite
def _odd_npz(draw: st.DrawFn) -> bytes:
    arrays = {
        draw(st.sampled_from(("x", "y", "class_names", "x_test", "y_test"))): draw(
            st.sampled_from(
                (
                    *(
                        np.array(["a", "a"]),
                        np.array([2**62, 0]),
                        np.array([1.5, np.nan]),
                        np.array(3),
                    ),
                    *(
                        np.zeros((2, 0)),
                        np.array([b"x"]),
                        np.array([True, False]),
                        np.array([-1, 0]),
                    ),
                    *(
                        np.full((2, 4), 1e300),
                        np.array([1 + 2j, 0]),
                        np.zeros((0, 3, 4, 4), np.uint8),
                    ),
                    *(np.array(["2020-01-01"], "M8[D]"), np.zeros((2, 3), [("a", "i4")])),
                    *(np.array([object(), None]), np.full((2, 3), 7, dtype=">u2")),
                )
            )
        )
        for _ in range(2)
    }
    return _npz(draw(st.booleans()), **arrays)


@fuzzed(40, mutated(_npz(packed=False)) | mutated(_npz(packed=True)) | _odd_npz())
def test_npz(folder: Path, content: bytes) -> None:
    path = folder / "arrays.npz"
    path.write_bytes(content)
    _read(f"npz:{path}", folder, path)


def _picture(kind: str, mode: str) -> bytes:
    file = io.BytesIO()
    base = Image.fromarray(pixels(8, 8, 3))
    image = (
        Image.fromarray(pixels(8, 8).astype(np.uint16)) if mode == "I;16" else base.convert(mode)
    )
    image.save(file, kind)
    return file.getvalue()


PICTURES = [
    *(_picture("PNG", mode) for mode in ("RGB", "L", "P", "RGBA", "1", "I;16", "LA")),
    *(_picture("JPEG", mode) for mode in ("RGB", "L", "CMYK")),
    *(_picture("TIFF", mode) for mode in ("RGB", "P", "I;16", "CMYK")),
    *(_picture("BMP", mode) for mode in ("RGB", "P", "1")),
    *(_picture("PPM", mode) for mode in ("RGB", "L")),
]
PICTURES += [_picture("WEBP", "RGB")]
ENDINGS = (".png", ".jpg", ".tiff", ".bmp", ".ppm", ".webp")


@fuzzed(
    60,
    st.sampled_from(PICTURES).flatmap(lambda content: st.just(content) | mutated(content)),
    st.sampled_from(ENDINGS),
)
def test_pictures(folder: Path, content: bytes, ending: str) -> None:
    """Also with the ending of another format."""
    home = folder / "pictures"
    for name, each in (("cat", content), ("dog", PICTURES[0])):
        (home / name).mkdir(parents=True, exist_ok=True)
        (home / name / f"one{ending}").write_bytes(each)
    _read(f"folder:{home}", folder, home)
    for path in home.rglob(f"*{ending}"):
        path.unlink()


@fuzzed(20, st.sampled_from(PICTURES[7:10]).flatmap(mutated), st.booleans())
def test_imagenet(folder: Path, content: bytes, train: bool) -> None:
    home = folder / "imagenet"
    path = home / ("train" if train else "val") / "n01440764" / "one.JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    _read(f"imagenet@{'train' if train else 'test'}", home, home)


# What follows declares more than it holds, or holds more than it seems.


def _bomb(start: bytes, megabytes: int) -> bytes:
    """A gzip file that begins so, and goes on with zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    once = packer.compress(bytes(10**6)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + megabytes * once


def _png_of(width: int, height: int) -> bytes:
    """A PNG whose header declares a size, with next to nothing in it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def _header_of_npy(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    line = text.ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(line)) + line


def _zip_of(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _idx_of(sizes: tuple[int, ...]) -> bytes:
    return bytes((0, 0, 8, len(sizes))) + struct.pack(f">{len(sizes)}I", *sizes) + bytes(16)


HUGE = {
    "npz of 10^12 numbers": ("arrays.npz", "npz:{0}",
                             lambda: _zip_of(x=_header_of_npy("(1000000000000,)"),
                                             y=_header_of_npy("(1,)", "<i8"))),
    "npz of 10^25 numbers": ("arrays.npz", "npz:{0}",
                            lambda: _zip_of(x=_header_of_npy(f"({10**25},)"), y=b"")),
    "npz of nothing, often": ("arrays.npz", "npz:{0}",
                              lambda: _zip_of(x=_header_of_npy("(1000000000000, 0)"),
                                              y=_header_of_npy("(0,)", "<i8"))),
    "idx of 2^96 numbers": ("t10k-images-idx3-ubyte", "mnist",
                            lambda: _idx_of((2**32 - 1,) * 3)),
    "gzip bomb": ("t10k-images-idx3-ubyte.gz", "mnist",
                  lambda: _bomb(_idx_of((1, 28, 28)), 1000)),
    "tar of 10^12 bytes": ("cifar-10-binary.tar.gz", "cifar10",
                           lambda: _tar_of(10**12)),
    "tar bomb": ("cifar-10-binary.tar.gz", "cifar10",
                 lambda: gzip.compress(_header_of_tar(3 * 10**9) + bytes(10**7))),
    "picture of 10^10 pixels": ("pictures/cat/one.png", "folder:{1}/pictures",
                                lambda: _png_of(100_000, 100_000)),
    "picture of 2^62 pixels": ("pictures/cat/one.png", "folder:{1}/pictures",
                               lambda: _png_of(2**31 - 1, 2**31 - 1)),
    "mat of 10^12 numbers": ("test_32x32.mat", "svhn",
                             lambda: _mat_of(1_000_000, 1_000_000)),
}  # fmt: skip


def _header_of_tar(size: int) -> bytes:
    member = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _tar_of(size: int) -> bytes:
    return gzip.compress(_header_of_tar(size) + bytes(1024))


def _mat_of(rows: int, columns: int) -> bytes:
    """A MATLAB file whose arrays declare sizes far beyond its end."""
    content = bytearray(_mat(packed=False))
    at = content.index(struct.pack("<4i", 4, 4, 3, 2))
    content[at : at + 16] = struct.pack("<4i", rows, columns, 1, 1)
    return bytes(content)


@pytest.mark.parametrize("case", HUGE)
def test_declared_sizes(case: str, tmp_path: Path) -> None:
    name, reference, content = HUGE[case]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make: Callable[[], bytes] = content
    path.write_bytes(make())
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(LABELS)
    with pytest.raises(DataError):
        _unsparing(reference.format(path, tmp_path), tmp_path)


def _unsparing(reference: str, root: Path) -> None:
    """Reads it in a memory of at most 512 MiB more than there is in use."""
    from tests.fuzz import oracle

    before = oracle.BYTES
    oracle.BYTES = 2**29
    try:
        with oracle.limits():
            dataset = load(reference, root=root)
            dataset[0]
    finally:
        oracle.BYTES = before
