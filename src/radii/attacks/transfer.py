"""Transfer: perturbations found on another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from radii.attacks._around import AroundAttack
from radii.attacks.base import ATTACKS, Attack, Found, Model, Needs


@ATTACKS.register("transfer")
@dataclass(frozen=True)
class Transfer(AroundAttack):
    """An attack on another model, whose perturbations are then tried on the one in question.

    It says which other model, and runs the inner attack on what it is handed: `search` takes the
    *source* model, and who calls builds that from `source`, `noise` and `draws`. A command that
    attacks does so; in Python, run any attack on one model and ask another about what it found.
    `queries` are those of the source.

    Attributes:
        attack: What searches on the source model.
        source: Reference of the source's base classifier, as `radii certify --base` takes it.
        noise: Spec of the noise that the source is smoothed with; empty attacks its base classifier
            alone.
        draws: Noise draws of each input for a smoothed source.

    Reference:
        Papernot, McDaniel and Goodfellow 2016, arXiv:1605.07277.

    Example:
        >>> from radii.attacks import PGDL2
        >>> def source(x):
        ...     return torch.stack([x[:, 0] + x[:, 1], -x[:, 0]], dim=1)
        >>> attack = Transfer(PGDL2(epsilon=0.5), source="runs/other")
        >>> x, y = torch.tensor([[0.2, 0.8]]), torch.tensor([0])
        >>> found = attack.perturb(source, x, y, generator=torch.Generator())
        >>> bool(found[0, 0] < 0)  # wrong for a classifier by the sign of the first coordinate
        True
    """

    source: str
    noise: str = ""
    draws: int = 64
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"attack": "pgd_l2(epsilon=0.5)", "source": "runs/other"},
        {
            "attack": "ddn(steps=60,init_norm=0.5)",
            "source": "runs/other",
            "noise": "gaussian:sigma=0.5",
            "draws": 16,
        },
    )

    def __post_init__(self) -> None:
        if not isinstance(self.attack, Attack) or isinstance(self.attack, Transfer):
            raise ValueError(f"attack of transfer must be another attack, got {self.attack!r}")
        if not self.source:
            raise ValueError("source must be a reference to a base classifier, got ''")
        if self.draws < 1:
            raise ValueError(f"draws must be at least 1, got {self.draws!r}")

    @property
    def needs(self) -> Needs:  # type: ignore[override]  # of an object, not of the class
        """What the source model must give: what the attack needs."""
        return self.attack.needs

    @property
    def minimal(self) -> bool:
        """That of the attack."""
        return self.attack.minimal

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """What the attack finds on the source model; see `Attack.search`.

        Args:
            model: The source model.
            x: `(batch, *shape)` floating point.
            y: `(batch,)` int64.
            generator: See `Attack.search`.
        """
        return self.attack.search(model, x, y, generator=generator)
