"""What was checked of a run, and what came out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["passed", "failed", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        status: `not checked` is no failure; `said` tells why.
        said: In a sentence.
        notes: What else a reader should know.
    """

    name: str
    status: Status
    said: str
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, problems: list[str], said: str, *notes: str) -> Check:
        """Failed if there is a problem, whose first is told with how many there are; else passed.

        Args:
            name: What was checked.
            problems: A sentence each.
            said: If there are none.
            notes: In either case.
        """
        if not problems:
            return cls(name, "passed", said, notes)
        more = f"; {len(problems):,} such findings in all" if len(problems) > 1 else ""
        return cls(name, "failed", f"{problems[0]}{more}", notes)


@dataclass(frozen=True)
class Verification:
    """Everything that was checked of a run.

    Attributes:
        run: Its path.
        checks: In the order in which they were made.
    """

    run: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.of("failed")

    def of(self, status: Status) -> tuple[Check, ...]:
        """The checks with this outcome."""
        return tuple(check for check in self.checks if check.status == status)

    @property
    def verdict(self) -> str:
        """What all of it comes to, in a sentence."""
        failed, open_ = self.of("failed"), self.of("not checked")
        if failed:
            named = ", ".join(check.name for check in failed)
            return f"{self.run} FAILED {len(failed)} of {len(self.checks)} checks: {named}."
        left = f"; {len(open_)} not made: {', '.join(c.name for c in open_)}" if open_ else ""
        return f"{self.run} passed all {len(self.of('passed'))} checks that were made{left}."

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "run": self.run,
            "verdict": "passed" if self.passed else "failed",
            "sentence": self.verdict,
            "checks": [asdict(check) for check in self.checks],
        }
