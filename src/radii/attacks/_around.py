"""What attacks that are built around another one have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from radii.attacks.base import Attack, check_share
from radii.records import Norm


@dataclass(frozen=True)
class AroundAttack(Attack):
    """An attack whose ball and bounds are those of another.

    Attributes:
        attack: The other one.
    """

    attack: Attack

    @property
    def epsilon(self) -> float | None:  # type: ignore[override]  # never set
        """The largest norm of a perturbation: the attack's."""
        return self.attack.epsilon

    @property
    def norm(self) -> Norm:
        """That of the attack."""
        return self.attack.norm

    @property
    def low(self) -> float | None:
        """That of the attack."""
        return self.attack.low

    @property
    def high(self) -> float | None:
        """That of the attack."""
        return self.attack.high

    def scaled(self, share: float) -> Self:
        """With the attack scaled; see `Attack.scaled`."""
        check_share(share)
        return replace(self, attack=self.attack.scaled(share))
