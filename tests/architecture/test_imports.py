"""The import table: imports follow the data and never run back."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import radii

ROOT = Path(radii.__file__).parent

# Which packages of radii each package may import; its own, and those open to all, always.
TABLE: dict[str, set[str]] = {
    "_torch": set(),  # torch, imported when it is first used
    "_allocator": set(),  # memory of tensors that the process keeps
    "noise": {"_torch"},
    "bounds": set(),
    "attacks": set(),
    "executors": set(),
    "models": set(),
    "data": set(),
    "certificates": {"noise"},
    "stopping": {"bounds", "certificates"},
    "smoothing": {"noise", "bounds", "certificates", "stopping", "_allocator"},
    "interop": {"smoothing", "noise"},
    "serving": {"smoothing", "certificates", "noise"},
    "objectives": {"smoothing", "models", "noise", "attacks"},
    "training": {
        *("objectives", "smoothing", "models", "data", "noise"),
        *("provenance", "_allocator"),
    },
    "evaluation": {
        *("smoothing", "bounds", "certificates", "stopping", "noise"),
        *("attacks", "executors", "models", "data", "provenance"),
    },
    "provenance": set(),  # versions and revision, kept beside a result
    "verification": {
        *("evaluation", "smoothing", "stopping", "certificates", "bounds", "noise"),
        *("models", "data", "provenance"),
    },
}
TABLE["cli"] = {*TABLE}
TABLE["__main__"] = {"cli"}  # python -m radii
OPEN_TO_ALL = {"errors", "extras", "records", "registry", "rounding", "_version"}
NO_TORCH = {"noise", "bounds", "certificates", "stopping", "executors", "cli", "evaluation"}
NO_TORCH |= OPEN_TO_ALL
MAY_IMPORT_TORCH = {
    *("evaluation/run.py", "evaluation/attack_run.py"),
    *("evaluation/shards.py", "evaluation/_sent_base.py"),
    *("evaluation/attacked.py", "evaluation/_attack_models.py"),
}

FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
INNER = [file for file in FILES if file != "__init__.py"]
PACKAGES = sorted({file.split("/")[0] for file in FILES if "/" in file})


def part_of(file: str) -> str:
    """The package, or the module beside the packages, that a file belongs to."""
    return file.split("/")[0].removesuffix(".py")


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements, those within functions included, those only for type checkers not."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        for other in node.orelse:
            yield from statements(other)
    else:
        for child in ast.iter_child_nodes(node):
            yield from statements(child)


@cache
def imported(source: str) -> frozenset[str]:
    """Full names that a file imports: `from a import b` is `a.b`."""
    names: set[str] = set()
    for statement in statements(ast.parse(source)):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        else:
            assert statement.level == 0, "imports are absolute"
            names |= {f"{statement.module}.{alias.name}" for alias in statement.names}
    return frozenset(names)


def of_radii(file: str) -> set[str]:
    """The parts of radii that a file imports."""
    names = imported((ROOT / file).read_text(encoding="utf-8"))
    return {f"{name}.".split(".")[1] for name in names if f"{name}.".startswith("radii.")}


def test_the_reader_of_imports() -> None:
    source = """
import torch.nn as nn
from typing import TYPE_CHECKING
from radii.noise import Gaussian
if TYPE_CHECKING:
    from radii.cli import main
else:
    import os
def f():
    from radii import data
    try:
        import ray
    except ImportError:
        pass
"""
    assert imported(source) == {
        *("torch.nn", "typing.TYPE_CHECKING", "radii.noise.Gaussian"),
        *("os", "radii.data", "ray"),
    }


def test_every_package_is_in_the_table() -> None:
    assert set(PACKAGES) <= set(TABLE)
    assert {part_of(file) for file in INNER} <= set(TABLE) | OPEN_TO_ALL


each_part = pytest.mark.parametrize("part", sorted({part_of(file) for file in INNER}))


def of_part(part: str) -> list[str]:
    """Its files."""
    return [file for file in INNER if part_of(file) == part]


@each_part
def test_imports_follow_the_table(part: str) -> None:
    allowed = TABLE.get(part, set()) | OPEN_TO_ALL | {part, "__version__"}
    assert not {file: wrong for file in of_part(part) if (wrong := of_radii(file) - allowed)}


INDEPENDENT = [file for file in INNER if file.startswith("verification/independent/")]


@pytest.mark.parametrize("file", INDEPENDENT)
def test_what_recomputes_independently_shares_no_code(file: str) -> None:
    names = {name for name in imported((ROOT / file).read_text(encoding="utf-8"))}
    own = {name for name in names if name.startswith("radii.verification.independent.")}
    assert not {name for name in names - own if name.startswith("radii")}
    assert {"verification/independent/bounds.py", "verification/independent/radii.py"} <= set(
        INDEPENDENT
    )


def test_nobody_imports_the_command_line() -> None:
    users = {file for file in FILES if "cli" in of_radii(file)}
    assert {part_of(file) for file in users} == {"cli", "__main__"}


@each_part
def test_no_torch_where_none_belongs(part: str) -> None:
    users = {
        file
        for file in of_part(part)
        if any(
            name.split(".")[0] == "torch"
            for name in imported((ROOT / file).read_text(encoding="utf-8"))
        )
    }
    assert part not in NO_TORCH or users <= MAY_IMPORT_TORCH


# One after the other in one process, each with what may have been imported by then.
LIGHT = {
    "radii": set(),
    "radii.rounding": set(),
    "radii.executors": set(),
    "radii.records": {"numpy"},
    "radii.bounds": {"numpy", "scipy"},
    "radii.noise": {"numpy", "scipy"},
    "radii.certificates": {"numpy", "scipy"},
    "radii.smoothing": {"numpy", "scipy", "torch"},
}
HEAVY = {"torch", "numpy", "scipy", "scipy.interpolate", "ray", "typer", "rich", "matplotlib"}


def test_what_an_import_leaves_alone() -> None:
    code = f"""
import importlib, sys
for module in {list(LIGHT)!r}:
    importlib.import_module(module)
    print(module, *({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {module: set(names) for module, *names in map(str.split, done.stdout.splitlines())}
    assert list(found) == list(LIGHT)
    assert not {m: extra for m, names in found.items() if (extra := names - LIGHT[m])}


def registers(path: Path) -> bool:
    """Whether a file files a class in a registry: a decorator `@KIND.register(name)`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr == "register"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
    )


MEMBERS = [
    f"{package}.{module.name}"
    for package in PACKAGES
    for module in pkgutil.iter_modules([str(ROOT / package)])
    if not module.ispkg and registers(ROOT / package / f"{module.name}.py")
]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_is_exported_by_its_package(member: str) -> None:
    package = member.split(".")[0]
    exported = imported((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    assert any(name.startswith(f"radii.{member}.") for name in exported), (
        f"add `from radii.{member} import ... as ...` to {package}/__init__.py"
    )


def test_members_are_found() -> None:
    assert {"noise.gaussian", "bounds.clopper_pearson", "certificates.gaussian_l2"} <= set(MEMBERS)


def test_the_public_names_exist() -> None:
    for name in radii.__all__:
        assert getattr(radii, name) is not None
    assert set(radii.__all__) == set(dir(radii))
    with pytest.raises(AttributeError, match="module 'radii' has no attribute 'Gausian'"):
        _ = radii.Gausian
    for name in radii._PACKAGES:
        assert getattr(radii, name) is importlib.import_module(f"radii.{name}")


def test_every_package_and_every_noise_is_public() -> None:
    assert set(radii._PACKAGES) == set(PACKAGES) - {"cli"}
    noises = importlib.import_module("radii.noise").NOISES
    assert {noises[name].__name__ for name in noises.names()} <= set(radii.__all__)


def test_what_type_checkers_see_is_what_there_is() -> None:
    source = (ROOT / "__init__.py").read_text(encoding="utf-8")
    seen = re.findall(r"^    from (\S+) import (\w+) as \2$", source, re.MULTILINE)
    homes = {name: home for home, name in seen if home != "radii"}
    assert homes == radii._HOMES
    assert tuple(name for home, name in seen if home == "radii") == radii._PACKAGES
    assert list(radii._HOMES) == sorted(radii._HOMES)
    for name, home in homes.items():
        assert getattr(radii, name) is getattr(importlib.import_module(home), name)
