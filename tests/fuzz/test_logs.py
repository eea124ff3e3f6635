"""Published logs and arrays, and recipes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from radii.cli.recipe import settings_of
from tests.fuzz.oracle import answered, command, state
from tests.fuzz.strategies import damaged_text, fuzzed, mutated, texts

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"
LOG = f"{HEADER}\n0\t3\t3\t1.16\t1\t0:00:02.5\n20\t0\t-1\t0.0\t0\t0:00:02.5\n40\t1\t2\t0.3\t0\t9\n"
NOISE = "--noise=gaussian:sigma=0.5"
RECIPE = """data = "mnist5k"
base = "lenet"
noise = "gaussian:sigma=0.5"
epochs = 1
batch_size = 64
lr = 0.02
schedule = {name = "step", every = 30, gamma = 0.1}
optimiser = "sgd:momentum=0.9"
objective = {name = "gaussian"}
seed = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


def _imported(path: Path, *more: str) -> int:
    out = path.parent / "out"
    code, _, _ = command("import", path, "--out", out, NOISE, "--n=1000", *more, files=[path])
    assert out.exists() == (code == 0)
    out.unlink(missing_ok=True)
    left = {each for each in path.parent.iterdir() if each not in (path, out)}
    assert not left, left
    return code


def test_logs_are_read(folder: Path) -> None:
    path = folder / "log.tsv"
    path.write_text(LOG)
    assert _imported(path) == 0
    path.unlink()


@fuzzed(25, damaged_text(LOG), mutated(LOG.encode()), st.booleans())
def test_logs(folder: Path, text: str, content: bytes, as_text: bool) -> None:
    path = folder / "log.tsv"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if as_text else content)
    _imported(path)
    path.unlink()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_options_of_logs(folder: Path, norm: str) -> None:
    """Values of options, and what stands in paths."""
    path = folder / "noise_0.5_1"
    path.write_text(LOG)

    @fuzzed(
        8, damaged_text("noise_{sigma}_{seed}"), damaged_text("gaussian:sigma={sigma}"), texts()
    )
    def check(pattern: str, noise: str, n: str) -> None:
        out = folder / "out"
        command(
            *("import", path, "--out", out, f"--noise={noise}", f"--pattern={pattern}"),
            *(f"--n={n}" if n.isdecimal() and len(n) < 5 else "--n=1000", f"--norm={norm}"),
            files=[path],
        )
        out.unlink(missing_ok=True)

    check()
    path.unlink()


def _arrays() -> dict[str, np.ndarray]:
    votes = np.array([[60, 4, 0], [30, 30, 4]]) / 64
    return {
        "preds": votes.astype(np.float32),
        "labels": np.array([0, 1]),
        "prob_lb": np.array([0.99, 0.4], dtype=np.float32),
        "radius_l2": np.array([1.1, 0.0], dtype=np.float32),
    }


def _npz(arrays: dict[str, np.ndarray], packed: bool = False) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


@st.composite
def _changed(draw: st.DrawFn) -> bytes:
    """Arrays of other types, shapes and values."""
    arrays = _arrays()
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    kind = draw(st.integers(0, 5))
    if kind == 0:
        arrays[name] = array.astype(draw(st.sampled_from(("c16", "U4", "?", "S3", "f2", "i1"))))
    elif kind == 1:
        arrays[name] = array.reshape(draw(st.sampled_from(((1, *array.shape), (*array.shape, 1)))))
    elif kind == 2:
        arrays[name] = array[:0]
    elif kind == 3:
        del arrays[name]
    else:
        changed = array.astype(np.float64)
        values = (np.nan, np.inf, -np.inf, -1.0, 1e300, 2.0**63, 0.5, 1.0)
        changed.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(values))
        arrays[name] = changed
    return _npz(arrays)


@fuzzed(30, _changed() | mutated(_npz(_arrays())) | mutated(_npz(_arrays(), packed=True)))
def test_rs4a(folder: Path, content: bytes) -> None:
    path = folder / "result.npz"
    path.write_bytes(content)
    _imported(path)
    path.unlink()


@fuzzed(30, damaged_text(RECIPE), mutated(RECIPE.encode()), st.booleans())
def test_recipes(folder: Path, text: str, content: bytes, as_text: bool) -> None:
    path = folder / "recipe.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if as_text else content)
    answered(lambda: settings_of(path, {}), ValueError)
    path.unlink()


def _lines() -> st.SearchStrategy[str]:
    values = st.sampled_from(
        (
            *("nan", "-inf", "1e400", "-1", "0", "99999999999999999999", "true", "[]", "{}", '""'),
            *("[1]", '"__import__"', "1979-05-27", '{name = "adamw"}', "{name = 3}", "[[]]"),
            "{a = {b = 1}}",
        )
    )
    lines = RECIPE.splitlines()
    keys = [line.partition(" ")[0] for line in lines]

    def changed(pair: tuple[int, str]) -> str:
        at, value = pair
        return "\n".join([*lines[:at], f"{keys[at]} = {value}", *lines[at + 1 :]])

    return st.tuples(st.integers(0, len(lines) - 1), values).map(changed)


@fuzzed(30, _lines())
def test_values_of_recipes(folder: Path, text: str) -> None:
    """Nothing is trained: the run would be an impossible one, whatever else is right."""
    path, out = folder / "recipe.toml", folder / "file" / "out"
    path.write_text(text)
    (folder / "file").write_text("")
    code, _, _ = command("train", path, "--out", out, "--device=cpu", files=[path, folder / "file"])
    assert code
    (folder / "file").unlink()
    assert state(path)
