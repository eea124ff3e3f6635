"""What `radii` raises about matters of the domain.

Wrong arguments raise `ValueError` or `TypeError`; everything here is a `RadiiError` and carries a
sentence that says what is wrong, what would be right and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RadiiError(Exception):
    """The parent of every error about the domain."""


class UnknownNameError(RadiiError, ValueError):
    """A spec names something that is not registered, or gives it a parameter it does not have."""


class NotCoveredError(RadiiError):
    """No certificate covers the pair of noise and norm, or several do and none was named."""


class PlanError(RadiiError):
    """A sampling plan that can never give an answer, or that asks for a claim it cannot make."""


class BaseClassifierError(RadiiError):
    """The base classifier cannot be used: wrong mode, wrong output, NaN."""


class DataError(RadiiError):
    """A data set is missing, unreadable or does not fit the base classifier."""


class LedgerError(RadiiError):
    """A ledger of another spec, of another format, or one that somebody else is writing."""


class TrainingError(RadiiError):
    """Training cannot start, cannot resume, or diverged."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence: ` Did you mean 'x'?` when a known name is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
