"""The columns of the tables in which rows leave radii, as the ledgers have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radii.evaluation._layout import Layout

_KINDS = {"INTEGER": "int64", "REAL": "float64", "TEXT": "string"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: As in the ledger.
        kind: Of its cells: `int64`, `float64` or `string`.
        nullable: Whether a cell may hold nothing.
    """

    name: str
    kind: str
    nullable: bool


@dataclass(frozen=True)
class Table:
    """The columns of one kind of run.

    Attributes:
        columns: In order.
        added: How many of the last ones the first tables do not have.
    """

    columns: tuple[Column, ...]
    added: int

    @classmethod
    def of(cls, layout: Layout) -> Table:
        """The columns of a ledger up to one of bytes, which no text can hold.

        A checksum behind such a column covers the bytes, so a table without them has none.
        """
        columns = []
        for name, declared in layout.columns.items():
            kind, _, rest = declared.partition(" ")
            if kind not in _KINDS:
                break
            columns.append(Column(name, _KINDS[kind], nullable=not rest))
        return cls(tuple(columns), sum(column.name in layout.added for column in columns))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    def check(self, names: Sequence[str]) -> None:
        """Refuses columns with other names.

        Raises:
            ValueError: If they are neither these nor those of an older table.
        """
        known = [self.names[: len(self.names) - older] for older in range(self.added + 1)]
        if tuple(names) not in known:
            raise ValueError(f"its columns must be {', '.join(self.names)}, got {', '.join(names)}")
