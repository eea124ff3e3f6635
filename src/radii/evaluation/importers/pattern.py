"""What the path of a log says of it, by a pattern that the user writes.

    noise_{sigma}_{seed}
    {objective}/num_{draws}/noise_{sigma}_{seed}
    certify/*/noise_{trained}/test/sigma_{sigma}

A pattern is matched against the end of a path, from the start of a folder or file name on. `{name}`
is a piece of a name without a slash, and `*` is one that is not kept; `...` or `**` at the start
stands for the folders before, as nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

_WHOLE, _NUMBER = r"[0-9]+", r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?"
_KINDS = {"seed": _WHOLE, "n": _WHOLE, "n0": _WHOLE, "alpha": _NUMBER, "sigma": _NUMBER}
_PIECE = re.compile(r"\{([^{}]*)\}|(\*)|([{}])")


@dataclass(frozen=True)
class Found:
    """What a pattern found in a path.

    Attributes:
        fields: Text by name.
        folder: The folders of the path before what was matched; empty if there are none.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""


@dataclass(frozen=True)
class Pattern:
    """A pattern for the end of paths.

    `sigma` and `alpha` are numbers; `seed`, `n` and `n0` are whole numbers; any other field is a
    text that is not empty.

    Args:
        text: As the user wrote it.

    Raises:
        ValueError: If a field has no name or stands twice, or a bracket is single.

    Example:
        >>> found = Pattern("noise_{sigma}_{seed}").match("stab/lbd_2/noise_0.25_4654")
        >>> found.fields, found.folder
        ({'sigma': '0.25', 'seed': '4654'}, 'stab/lbd_2')
        >>> Pattern("noise_{sigma}_{seed}").match("noise_0.25_4654_acc") is None
        True
    """

    text: str

    def __post_init__(self) -> None:
        if not re.sub(r"^(\.\.\.|\*\*)", "", self.text).strip("/"):
            raise ValueError(
                f"a pattern must be a text like noise_{{sigma}}_{{seed}}, got {self.text!r}"
            )
        _ = self._regex  # raises for a text that is none

    @property
    def names(self) -> tuple[str, ...]:
        """The fields, in their order."""
        return tuple(self._regex.groupindex)

    def match(self, path: str) -> Found | None:
        """What the end of a path says, if it fits.

        Args:
            path: With slashes between folders.
        """
        found = self._regex.search(path)
        if found is None:
            return None
        return Found(found.groupdict(), path[: found.start()].rstrip("/"))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        tail = re.sub(r"^(\.\.\.|\*\*)?/?", "", self.text)
        made, at = r"(?:(?<=/)|^)", 0
        seen: set[str] = set()
        for piece in _PIECE.finditer(tail):
            made += re.escape(tail[at : piece.start()])
            name, star, bracket = piece.groups()
            if bracket or (name is not None and (not name.isidentifier() or name in seen)):
                raise ValueError(
                    f"a pattern must have brackets only as {{name}}, each name once, "
                    f"got {piece[0]!r} in {self.text!r}"
                )
            if star:
                made += r"[^/]*"
            else:
                made += f"(?P<{name}>{_KINDS.get(name, '[^/]+?')})"
                seen.add(name)
            at = piece.end()
        return re.compile(made + re.escape(tail[at:]) + r"\Z")


def filled(template: str, fields: Mapping[str, str]) -> str:
    """A text with the fields that stand in it replaced.

    Raises:
        ValueError: If a field is not there; it says which.

    Example:
        >>> filled("gaussian:sigma={sigma}", {"sigma": "0.25"})
        'gaussian:sigma=0.25'
    """

    def value(piece: re.Match[str]) -> str:
        if piece[1] not in fields:
            raise ValueError(
                f"noise {template!r} needs {piece[1]}: write its value there, as "
                f"gaussian:sigma=0.5 does, or {{{piece[1]}}} into the pattern of paths, "
                f"whose fields are {', '.join(fields) or 'none'}"
            )
        return fields[piece[1]]

    return re.sub(r"\{([^{}]*)\}", value, template)
