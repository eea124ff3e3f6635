"""Malformed inputs: valid ones with bytes and structure changed, and others from grammars."""

from __future__ import annotations

import math
import os
import string
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

T = TypeVar("T")
FACTOR = "RADII_FUZZ_FACTOR"

HOSTILE = (
    *("", " ", "none", "nan", "-inf", "inf", "1e999", "-0", "-1", "9" * 400, "9" * 5_000, "1_0"),
    *("\x00", "\udcff", "\u202e", "\ufeff", "🦄", "a\nb", "a\rb", "\x1b[31m", "%s%n", "{sigma}"),
    *("../../etc/passwd", "~", "/dev/zero", "__import__('os')", "${HOME}", "(" * 300, ")" * 300),
    *("<script>alert(1)</script>", "' OR 1=1 --", "٣", "0x10", "1" + "," * 300, "[link](x)"),
)
WORDS = tuple("gaussian sigma linf l2 name norm epsilon steps attack base path scale noise".split())
SIZES = (0, 1, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def fuzzed(examples: int, *given_: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """Runs a test on so many examples, or more if the environment says so; always the same."""

    def decorate(test: Any) -> Any:
        configured = settings(
            max_examples=max(1, round(examples * float(os.environ.get(FACTOR, "0.5")))),
            derandomize=True,
            deadline=None,  # the oracle has one, which also ends what hangs
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )
        return configured(given(*given_)(test))

    return decorate


def texts() -> st.SearchStrategy[str]:
    """Short texts, hostile ones among them."""
    alphabet = string.ascii_letters + string.digits + ".:,=()[]{}@/\\ \t\n'\"-_<>&#é\x00"
    return st.one_of(st.sampled_from(HOSTILE), st.text(alphabet, max_size=24))


def plain(leaves: st.SearchStrategy[Any] | None = None) -> st.SearchStrategy[Any]:
    """JSON values of any type, NaN and huge numbers among them."""
    numbers = st.sampled_from(
        (math.nan, math.inf, -math.inf, 1e308, -1.0, 0, -1, 2**63, 10**40, 0.5, True, None)
    )
    found = st.one_of(numbers, texts().map(_encodable)) if leaves is None else leaves
    return st.recursive(
        found,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(("0", "1", "-1", "a", "name", "")), inner, max_size=3),
        ),
        max_leaves=4,
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with a few changes: flipped, cut, inserted, doubled, or with another number in them."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        # Headers are at one of the ends: most changes are made there.
        end = draw(st.sampled_from((len(data), min(len(data), 64))))
        at = draw(st.integers(0, max(end - 1, 0)))
        if draw(st.integers(0, 5)) == 0:
            at = max(0, len(data) - 1 - at)
        kind = draw(st.sampled_from(("flip", "cut", "drop", "insert", "double", "number", "zero")))
        length = draw(st.integers(1, 64))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=32))
        elif kind == "double":
            data[at:at] = data[at : at + length]
        elif kind == "number":
            code = draw(st.sampled_from(("<I", ">I", "<Q", ">Q", "<H", "<d")))
            size = draw(st.sampled_from(SIZES))
            wide = 8 * struct.calcsize(code)
            number = draw(st.sampled_from((math.nan, 1e308))) if code == "<d" else size % 2**wide
            data[at : at + struct.calcsize(code)] = struct.pack(code, number)
        else:
            data[at : at + length] = bytes(len(data[at : at + length]))
    return bytes(data)


@st.composite
def damaged_text(draw: st.DrawFn, text: str) -> str:
    """A text with pieces of it replaced by hostile ones."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 8))
        text = text[:at] + draw(texts()) + text[at + length :]
    return text


@st.composite
def specs(draw: st.DrawFn, examples: Sequence[str]) -> str:
    """Specs: valid ones that are damaged, and some from the grammar, with nested brackets."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(damaged_text(draw(st.sampled_from(tuple(examples)))))
    values = st.one_of(texts(), st.sampled_from(WORDS), st.integers(-3, 10**20).map(str))
    if kind == 1:  # the names of a valid one with other values
        name, colon, rest = draw(st.sampled_from(tuple(examples))).partition(":")
        keys = [part.partition("=")[0] for part in rest.split(",")] if colon else ["sigma"]
        return f"{name}:{','.join(f'{key}={draw(values)}' for key in keys)}"
    names = st.sampled_from((*WORDS, *(each.partition(":")[0] for each in examples)))
    nested = st.recursive(
        values,
        lambda inner: st.builds(_bracketed, names, st.lists(inner, min_size=1, max_size=2)),
        max_leaves=5,
    )
    return draw(nested)


def _bracketed(name: str, values: Sequence[str]) -> str:
    pairs = zip(WORDS[1:], values, strict=False)
    return f"{name}({','.join(f'{key}={value}' for key, value in pairs)})"
