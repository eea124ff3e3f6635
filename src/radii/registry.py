"""Names to classes, specs to objects: the only place where a string becomes a class.

A *spec* is `name:key=value,key=value`, or the same as a mapping (from TOML or JSON) with the key
`name`. A class may declare `positional: ClassVar[str]`, the parameter whose value may stand first
without its name, commas included: `name:value,value,key=value`. `Registry.build` and
`Registry.spec_of` are inverse to each other.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from radii.errors import UnknownNameError, did_you_mean

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Entry:
    """What `radii list` says of one registered class."""

    kind: str
    name: str
    parameters: dict[str, str]
    summary: str
    reference: str


_REGISTRIES: dict[type, Registry[Any]] = {}


@lru_cache(maxsize=64)
def _plugins(kind: str, path: tuple[str, ...]) -> EntryPoints:
    """The entry points of a kind; looking for them reads every package installed on the path."""
    return entry_points(group=f"radii.{kind}")


class Registry(Generic[T]):
    """The classes of one kind, by name.

    Names that are missing are looked for first in the kind's own package, then among the entry
    points of the group `radii.<kind>`, so a package can add a member without an edit here.

    Args:
        kind: What a member is, in one word: `noise`, `bound`, `certificate`, ...
        package: The package whose import registers the members that come with the library.
        base: What all members inherit, if they may be parameters of other registered objects.
    """

    def __init__(self, kind: str, package: str, base: type | None = None) -> None:
        self.kind = kind
        self._package = package
        self._classes: dict[str, type[T]] = {}
        if base is not None:
            _REGISTRIES[base] = self

    def register(self, name: str) -> Callable[[type[U]], type[U]]:
        """A class decorator that files a frozen dataclass under `name`."""

        def file(cls: type[U]) -> type[U]:
            taken = self._classes.get(name)
            home = (cls.__module__, cls.__qualname__)  # the same again if a module is reloaded
            if taken is not None and (taken.__module__, taken.__qualname__) != home:
                raise ValueError(f"the {self.kind} name {name!r} is taken by {taken!r}")
            self._classes[name] = typing.cast(type[T], cls)
            return cls

        return file

    def names(self) -> tuple[str, ...]:
        """Every name, sorted, those of installed plug-ins included."""
        importlib.import_module(self._package)
        plugins = _plugins(self.kind, tuple(sys.path)).names
        return tuple(sorted(self._classes.keys() | plugins))

    def __getitem__(self, name: str) -> type[T]:
        if name not in self._classes:
            importlib.import_module(self._package)
        if name not in self._classes:
            for point in _plugins(self.kind, tuple(sys.path)).select(name=name):
                loaded = point.load()
                if isinstance(loaded, type):
                    self._classes.setdefault(name, loaded)
        if name not in self._classes:
            known = self.names()
            raise UnknownNameError(
                f"no {self.kind} is called {name!r}; known: {', '.join(known) or 'none'}."
                + did_you_mean(name, known)
            )
        return self._classes[name]

    def name_of(self, obj: T) -> str:
        """The name under which the class of `obj` is filed."""
        for name, cls in self._classes.items():
            if type(obj) is cls:
                return name
        raise UnknownNameError(
            f"{type(obj).__name__} is not a registered {self.kind}; "
            f"decorate the class with @register(name) to give it a name."
        )

    def build(self, spec: str | Mapping[str, object]) -> T:
        """The object that a spec describes.

        Raises:
            UnknownNameError: If the name or a parameter is unknown or missing.
            ValueError: If a value does not fit its parameter.
        """
        name, given, unnamed = _parse(spec)
        cls = self[name]
        if unnamed:
            key = getattr(cls, "positional", None)
            if key is None:
                raise ValueError(f"a spec must be name:key=value,key=value, got {spec!r}")
            if key in given:
                raise _twice(key, spec)
            given[key] = unnamed
        hints = typing.get_type_hints(cls)
        known = {field.name: field for field in _init_fields(cls)}
        values: dict[str, object] = {}
        for key, text in given.items():
            if key not in known:
                raise UnknownNameError(
                    f"{self.kind} {name!r} has no parameter {key!r}; "
                    f"known: {', '.join(known) or 'none'}." + did_you_mean(key, known)
                )
            values[key] = _convert(f"{key} of {self.kind} {name!r}", text, hints[key])
        missing = [key for key, field in known.items() if key not in values and _required(field)]
        if missing:
            example = ",".join(f"{key}=..." for key in missing)
            raise UnknownNameError(
                f"{self.kind} {name!r} needs {', '.join(missing)}; write {name}:{example}"
            )
        return cls(**values)

    def spec_of(self, obj: T) -> str:
        """The shortest spec that `build` turns into an equal object.

        Raises:
            UnknownNameError: If the class of the object is not registered.
            ValueError: If a value cannot stand in a spec, as a text with a comma.
        """
        name = self.name_of(obj)
        pairs = []
        for field in _init_fields(type(obj)):
            value = getattr(obj, field.name)
            if _required(field) or value != _default(field):
                if isinstance(value, str) and not _stands(value):
                    raise ValueError(
                        f"{field.name} of {self.kind} {name!r} cannot stand in a spec: it must be "
                        f"a text without a comma or a single bracket, not empty and not 'none', "
                        f"got {value!r}"
                    )
                pairs.append(f"{field.name}={_text(value)}")
        return f"{name}:{','.join(pairs)}" if pairs else name

    def entries(self) -> list[Entry]:
        """One `Entry` a name, for listings and documentation."""
        listed = []
        for name in self.names():
            cls = self[name]
            parameters = {
                field.name: "required" if _required(field) else _text(_default(field))
                for field in _init_fields(cls)
            }
            doc = inspect.getdoc(cls) or ""
            listed.append(
                Entry(self.kind, name, parameters, doc.split("\n\n")[0].strip(), reference_of(cls))
            )
        return listed


def reference_of(cls: type) -> str:
    """The `Reference:` section of a class's docstring, on one line; empty if there is none."""
    _, _, rest = (inspect.getdoc(cls) or "").partition("\nReference:\n")
    lines = []
    for line in rest.splitlines():
        if not line.startswith(" "):
            break
        lines.append(line.strip())
    return " ".join(lines)


def _parse(spec: str | Mapping[str, object]) -> tuple[str, dict[str, object], str]:
    """Name, named values, and the text that stands before these without a name."""
    if isinstance(spec, Mapping):
        given = dict(spec)
        name = given.pop("name", None)
        if not isinstance(name, str):
            raise ValueError(f"a spec must be a mapping with a text under 'name', got {spec!r}")
        return name, given, ""
    if spec.endswith(")") and ":" not in spec.partition("(")[0]:
        name, colon, rest = spec[:-1].partition("(")
    else:
        name, colon, rest = spec.partition(":")
    if not name or (colon and not rest):
        raise ValueError(f"a spec must be name:key=value,key=value, got {spec!r}")
    if "(" in name:
        raise ValueError(f"a spec must close each bracket that it opens, got {spec!r}")
    given = {}
    pairs = _split(rest) if rest else []
    unnamed = list(itertools.takewhile(lambda pair: pair and "=" not in pair, pairs))
    for pair in pairs[len(unnamed) :]:
        key, equals, value = pair.partition("=")
        if not key or not equals or not value:
            raise ValueError(f"a spec must be name:key=value,key=value, got {spec!r}")
        if key in given:
            raise _twice(key, spec)
        given[key] = value
    return name, given, ",".join(unnamed)


def _split(text: str) -> list[str]:
    """The parts between commas that no pair of brackets encloses."""
    if not _balanced(text):
        return text.split(",")
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _balanced(text: str) -> bool:
    depths = itertools.accumulate((c == "(") - (c == ")") for c in text)
    return min(depths, default=0) >= 0 and text.count("(") == text.count(")")


def _stands(text: str) -> bool:
    """Whether a text can be a value in a spec."""
    return bool(text) and "," not in text and _balanced(text) and text != "none"


def _twice(key: str, spec: object) -> ValueError:
    return ValueError(f"a spec must name each parameter once, got {key!r} twice in {spec!r}")


def _init_fields(cls: type) -> list[Field[Any]]:
    assert is_dataclass(cls), f"{cls!r} must be a dataclass to be registered"
    return [field for field in fields(cls) if field.init]


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _text(value: object) -> str:
    registry = _registry_of(type(value))
    if registry is not None:
        name, colon, rest = registry.spec_of(value).partition(":")
        return f"{name}({rest})" if colon else name
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _registry_of(cls: object) -> Registry[Any] | None:
    for base, registry in _REGISTRIES.items():
        if isinstance(cls, type) and issubclass(cls, base):
            return registry
    return None


def _convert(what: str, value: object, hint: Any) -> object:
    """`value` (text from a spec, or a TOML value) as the type that the annotation names."""
    options = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if type(None) in options and value in (None, "none"):
        return None
    (hint,) = [option for option in options if option is not type(None)]
    registry = _registry_of(hint)
    if registry is not None and isinstance(value, (str, Mapping)):
        built = registry.build(value)
        if isinstance(built, hint):
            return built
        fitting = [name for name in registry.names() if issubclass(registry[name], hint)]
        raise ValueError(f"{what} must be one of {', '.join(fitting)}, got {value!r}")
    if get_origin(hint) is Literal:
        choices = {_text(choice): choice for choice in get_args(hint)}
        if _text(value) in choices:
            return choices[_text(value)]
        raise ValueError(f"{what} must be one of {', '.join(choices)}, got {value!r}")
    try:
        if hint is bool and _text(value) in ("true", "false"):
            return _text(value) == "true"
        if hint is int and not isinstance(value, (bool, float)):
            return int(value)  # type: ignore[call-overload]
        if hint is float and not isinstance(value, bool):
            number = float(value)  # type: ignore[arg-type]
            if not math.isnan(number):
                return number
        if hint is str and isinstance(value, str):
            return value
    except (TypeError, ValueError):
        pass
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    raise ValueError(f"{what} must be {wanted.get(hint, hint)}, got {value!r}")
