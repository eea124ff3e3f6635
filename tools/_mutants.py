"""Mutants of a file: where they are, what they change, and how one takes the place of the code."""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.machinery
import sys
import types
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

Place = tuple[int, int]

# An operator is replaced by one of its own kind only: `a + b` by `a - b` and not by `a << b`.
_KINDS = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitOr", "BitAnd", "BitXor"},
    {"RShift", "LShift"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
    {"In", "NotIn"},
    {"USub", "UAdd"},
    {"Delete", "Not"},
    {"Delete", "Invert"},
)


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        path: The file.
        place: Line and column of what is changed.
        change: By which operator of cosmic-ray, and which of its changes at this place.
        occurrence: Which of all that this operator could change in the file.
        lines: First and last line of the statement, or of its head if it has a body.
        function: Name and first line of the outermost function whose body it is in, if any.
        constant: Which statement of the file it is in, if that gives a value to names.
    """

    path: Path
    place: Place
    change: str
    occurrence: int
    lines: tuple[int, int]
    function: tuple[str, int] | None
    constant: int | None

    @property
    def at_import(self) -> bool:
        """Whether it changes what is only done once, when the file is imported."""
        return self.function is None and self.constant is None

    def source(self) -> str | None:
        """The whole file with the change; None where that is no Python."""
        operator = get_operator(f"core/{self.change.partition('#')[0]}")()
        found = mutate_code(self.path.read_text(), operator, self.occurrence)
        try:
            ast.parse(found or "(")
        except SyntaxError:
            return None
        return str(found)

    def apply(self, functions: dict[tuple[str, str, int], list[types.FunctionType]]) -> None:
        """Changes the functions that are in use, or the constants."""
        source = self.source() or ""
        if self.constant is not None:
            self._assign(ast.parse(source).body[self.constant :])
        elif self.function is not None:
            code = compile(source, str(self.path), "exec", dont_inherit=True)
            changed = next(each for each in _codes(code) if _key(each)[1:] == self.function)
            found = functions[str(self.path), *self.function]
            assert found, f"{self.function} is in no module"
            for function in found:
                function.__code__ = changed

    def _assign(self, body: list[ast.stmt]) -> None:
        """Carries out a statement, and those after it that depend on it; in all modules."""
        (module,) = (each for each in _modules() if each.__file__ == str(self.path))
        changed: set[str] = set()
        for statement in body:
            used = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name)}
            if _assigns(statement) and (not changed or used & changed):
                before = dict(vars(module))
                code = compile(ast.Module([statement], []), str(self.path), "exec")
                exec(code, vars(module))  # noqa: S102
                for name in [n for n in used if vars(module).get(n) is not before.get(n)]:
                    changed.add(name)
                    for other in _modules():
                        if name in before and vars(other).get(name) is before[name]:
                            setattr(other, name, vars(module)[name])


def mutants_of(path: Path) -> list[Mutant]:
    """All mutants of a file but those in annotations, in assertions and in what is raised."""
    text = path.read_text()
    tree, nodes = ast.parse(text), list(ast_nodes(get_ast(text)))
    left_out = list(_left_out(tree))
    found = []
    for name in operator_names():
        operator = get_operator(name)
        short = name.rpartition("/")[2]
        if operator.arguments() or not _of_one_kind(short):
            continue
        made: dict[Place, int] = defaultdict(int)
        places = [at for node in nodes for at, _ in operator().mutation_positions(node)]
        for occurrence, place in enumerate(places):
            made[place] += 1
            change = f"{short}#{made[place]}" if places.count(place) > 1 else short
            if not any(first <= place < last for first, last in left_out):
                lines, function = _statement(tree, place), _function(tree, place)
                constant = _constant(tree, place)
                found.append(Mutant(path, place, change, occurrence, lines, function, constant))
    return sorted(found, key=lambda mutant: (mutant.place, mutant.change))


def functions_in_use() -> dict[tuple[str, str, int], list[types.FunctionType]]:
    """Every function there is, by file, name and first line."""
    found: dict[tuple[str, str, int], list[types.FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is types.FunctionType:
            found[_key(each.__code__)].append(each)
    return found


def import_changed(mutant: Mutant, source: Path) -> None:
    """Imports the module with the change, before anything else does, from the folder `source`."""
    usual = importlib.machinery.SourceFileLoader.get_code
    text = mutant.source() or ""

    def get_code(self: importlib.machinery.SourceFileLoader, name: str) -> types.CodeType | None:
        if Path(self.path) != mutant.path:
            return usual(self, name)
        return compile(text, str(mutant.path), "exec", dont_inherit=True)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    importlib.import_module(".".join(mutant.path.relative_to(source).with_suffix("").parts))


def _modules() -> list[types.ModuleType]:
    return [each for name, each in list(sys.modules.items()) if name.startswith("radii.")]


def _assigns(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Assign, ast.AnnAssign))


def _constant(tree: ast.Module, place: Place) -> int | None:
    for index, statement in enumerate(tree.body):
        if _assigns(statement) and _span(statement)[0] <= place < _span(statement)[1]:
            return index
    return None


def _of_one_kind(operator: str) -> bool:
    words = operator.split("_")[1:]
    return not words or any(set(words) <= kind for kind in _KINDS)


def _key(code: types.CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _codes(each)


def _span(node: ast.expr | ast.stmt) -> tuple[Place, Place]:
    return (
        (node.lineno, node.col_offset),
        (node.end_lineno or node.lineno, node.end_col_offset or 0),
    )


def _left_out(tree: ast.Module) -> Iterator[tuple[Place, Place]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Raise, ast.Assert)):
            yield _span(node)
        for field in ("annotation", "returns"):
            if isinstance(each := getattr(node, field, None), ast.expr):
                yield _span(each)


def _statement(tree: ast.Module, place: Place) -> tuple[int, int]:
    """The lines of the innermost statement, without those of the statements in it."""
    first, last = place[0], place[0]
    for node in ast.walk(tree):  # the outer ones come first
        if isinstance(node, ast.stmt) and _span(node)[0] <= place < _span(node)[1]:
            first, last = node.lineno, node.end_lineno or node.lineno
            body = getattr(node, "body", None)
            if body and (body[0].lineno, body[0].col_offset) > place:
                last = max(first, body[0].lineno - 1)
    return first, last


def _function(tree: ast.AST, place: Place, above: str = "") -> tuple[str, int] | None:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            if (found := _function(node, place, f"{above}{node.name}.")) is not None:
                return found
        elif isinstance(node, ast.FunctionDef):
            body = _span(node.body[0])[0], _span(node.body[-1])[1]
            if body[0] <= place < body[1]:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                return f"{above}{node.name}", first
    return None
