"""The smallest inputs that once led to something else than a sentence."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from radii.data import load
from radii.errors import RadiiError
from radii.evaluation import Ledger, LedgerWriter, open_run, write_export
from radii.evaluation.report import read
from radii.models import load_base
from radii.models.published import read_state
from tests.fuzz.oracle import command, limits
from tests.unit.evaluation.ledgers import SPEC, row, write

SAVED = b"\x80\x02."  # a pickle that takes from an empty stack


def _ledger(folder: Path, statement: str, *values: object) -> Path:
    path = write(folder / "run", [row(0)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)
    return path


def _saved(folder: Path, value: object) -> Path:
    torch.save(value, folder / "model.pt")
    return folder / "model.pt"


FOUND: dict[str, Callable[[Path], object]] = {
    # IndexError, KeyError, TypeError, AssertionError of torch.load
    "pickle": lambda f: ((f / "a.pt").write_bytes(SAVED), read_state(f / "a.pt")),
    # NotImplementedError: no storage
    "sparse": lambda f: load_base(
        f"published:{_saved(f, {'a': torch.ones(2).to_sparse()})},architecture=mlp,"
        "normalize=none,input_shape=1x2x2,num_classes=3"
    ),
    # OSError: file name too long
    "long name": lambda f: load_base("9" * 5_000),
    # BadZipFile, MemoryError or what else np.load raised
    "npz of no array": lambda f: ((f / "a.npz").write_bytes(b"PK"), load(f"npz:{f / 'a.npz'}")),
    # json.loads raised ValueError, TypeError or RecursionError
    "spec that is no JSON": lambda f: Ledger(_ledger(f, "REPLACE INTO meta VALUES ('n', '{')")),
    "deep spec": lambda f: Ledger(_ledger(f, "REPLACE INTO meta VALUES ('n', ?)", "[" * 9_999)),
    # TypeError in a format string
    "n that is a list": lambda f: Ledger(_ledger(f, "REPLACE INTO meta VALUES ('n', '[]')")),
    # numpy asked for 8 TB
    "10^12 inputs": lambda f: read(
        _ledger(f, "REPLACE INTO meta VALUES ('data_examples', '1000000000000')")
    ),
    "votes of class 10^11": lambda f: list(
        Ledger(_ledger(f, "UPDATE inputs SET n_votes = '{\"99999999999\": 1}'")).rows()
    ),
    "negative radius": lambda f: read(_ledger(f, "UPDATE inputs SET radius = -1.0")),
    "radius that is a text": lambda f: read(_ledger(f, "UPDATE inputs SET radius = 'x'")),
    "label that is half": lambda f: read(_ledger(f, "UPDATE inputs SET label = 0.5")),
    # a query without an end
    "view": lambda f: Ledger(_endless(f)),
    # TypeError in a format string
    "rows of an export": lambda f: list(open_run(_export(f, rows=[])).rows()),
}


def _endless(folder: Path) -> Path:
    path = folder / "run"
    with LedgerWriter(path, {**SPEC}, {}):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE inputs")
        connection.execute(
            'CREATE VIEW inputs AS WITH RECURSIVE n("index") AS '
            '(SELECT 1 UNION ALL SELECT "index" + 1 FROM n) SELECT * FROM n'
        )
    return path


def _export(folder: Path, **header: object) -> Path:
    path = folder / "run.csv"
    write_export(open_run(write(folder / "run", [row(0)])), path)
    beside = path.with_name("run.csv.meta.json")
    beside.write_text(json.dumps({**json.loads(beside.read_text()), **header}))
    return path


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str, tmp_path: Path) -> None:
    with limits(), pytest.raises(RadiiError) as caught:
        FOUND[name](tmp_path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("line", ["data = nan", "noise = 3", "base = []"])
def test_recipes(line: str, tmp_path: Path) -> None:
    """A TypeError, outside of what tells usage."""
    recipe = tmp_path / "recipe.toml"
    lines = {"data": 'data = "mnist5k"', "base": 'base = "lenet"', "noise": 'noise = "uniform"'}
    lines[line.split()[0]] = line
    recipe.write_text("\n".join([*lines.values(), "epochs = 1"]))
    code, _, said = command("train", recipe, "--out", tmp_path / "out", files=[recipe])
    assert code == 2
    assert line.split()[0] in said


def test_complex_numbers(tmp_path: Path) -> None:
    """The imaginary part was dropped."""
    path = tmp_path / "result.npz"
    np.savez(path, preds=np.ones((1, 2), "c16"), labels=np.zeros(1), prob_lb=np.zeros(1))
    code, _, said = command(
        "import", path, "--out", tmp_path / "out", "--noise=gaussian:sigma=0.5", files=[path]
    )
    assert code == 1
    assert "complex128" in said


def test_archive_that_is_none(tmp_path: Path) -> None:
    """The message had five lines."""
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"")
    with pytest.raises(RadiiError) as caught:
        load("cifar10", root=tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_control_characters_are_shown(tmp_path: Path) -> None:
    code, _, said = command("report", tmp_path / "\x1b[31mred")
    assert code == 1
    assert "\x1b" not in said
    assert "\\x1b" in said


def test_a_tiff_with_a_broken_tag(tmp_path: Path) -> None:
    """pillow warned, or raised what it raises."""
    from PIL import Image

    path = tmp_path / "cat" / "one.tiff"
    path.parent.mkdir()
    Image.new("RGB", (4, 4)).save(path)
    content = bytearray(path.read_bytes())
    at = struct.unpack("<I", content[4:8])[0] + 2
    content[at + 4 : at + 8] = struct.pack("<I", 2**31)  # how many values the first tag has
    path.write_bytes(content)
    with pytest.raises(RadiiError):
        load(f"folder:{tmp_path}")[0]
