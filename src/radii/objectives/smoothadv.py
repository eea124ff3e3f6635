"""Adversarial training of the smoothed classifier."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from radii.attacks import PGDL2, Attack
from radii.objectives._ascent import additive, searching
from radii.objectives.base import OBJECTIVES
from radii.objectives.copies import CopiesObjective, check_draws
from radii.smoothing import SmoothedClassifier, SoftClassifier

# Numbers in the noisy copies that a thread of a CPU attacks at once, so that the activations of a
# small network stay in the cache: 127 images of MNIST, 32 of CIFAR-10.
_NUMBERS_A_THREAD = 100_000


@OBJECTIVES.register("smoothadv")
@dataclass(frozen=True)
class SmoothAdv(CopiesObjective):
    """Cross entropy of noisy copies of inputs that attack the smoothed classifier.

    For each input x the attack looks for an x' near it that lowers the smoothed probability of the
    label, as `draws` draws of the noise estimate it; training then lowers the mean of
    `CE(base(x' + delta_i), y)` over the same draws. During the attack the base classifier is in
    evaluation mode, so that batch norm and dropout see training copies alone; it is put back into
    the mode that it was in.

    The published scripts attack and train with a batch of B in `draws` steps of B / draws inputs
    each: for their batch of 256 and 4 draws take a batch size of 64. They also keep x' in [0, 1]:
    give the attack `low=0,high=1`.

    Attributes:
        attack: The search for x'.
        draws: Draws of noise for each input; the paper's m.
        warmup: Epochs over which the radius of the attack grows in equal parts to its full size; 0
            starts with that.
        estimator: Of the smoothed probability that the attack lowers: "plug_in" is the log of the
            mean over draws, the paper's; "expectation" is the mean of the logs, which the paper
            compares it with (expectation over transformation).
        train_on: "all" noisy copies of x', or "one" of them.

    Reference:
        Salman et al. 2019, arXiv:1906.04584, Pseudocode 1.
    """

    attack: Attack = field(default_factory=lambda: PGDL2(epsilon=1.0, steps=10))
    draws: int = 4
    warmup: int = 10
    estimator: Literal["plug_in", "expectation"] = "plug_in"
    train_on: Literal["all", "one"] = "all"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"attack": "pgd_l2(epsilon=0.25,steps=2)", "draws": 2},
        {
            "attack": "ddn(steps=2,epsilon=0.25)",
            "draws": 2,
            "estimator": "expectation",
            "train_on": "one",
        },
    )

    def __post_init__(self) -> None:
        check_draws(self.draws)
        if self.warmup < 0:
            raise ValueError(f"warmup must be at least 0, got {self.warmup!r}")
        if self.estimator not in ("plug_in", "expectation"):
            raise ValueError(f"estimator must be plug_in or expectation, got {self.estimator!r}")
        if self.train_on not in ("all", "one"):
            raise ValueError(f"train_on must be all or one, got {self.train_on!r}")
        if self.warmup and self.attack.epsilon is None:
            raise ValueError(
                f"the attack must have an epsilon to grow over {self.warmup} epochs of warmup, got "
                f"{self.attack!r}; give it an epsilon, or set warmup=0"
            )

    def at(self, epoch: int) -> SmoothAdv:
        """With the attack's radius as it is in an epoch; see `Objective.at`."""
        share = min(1.0, (epoch + 1) / self.warmup) if self.warmup else 1.0
        return self if share == 1 else replace(self, attack=self.attack.scaled(share))

    @property
    def num_copies(self) -> int:
        """See `CopiesObjective.num_copies`."""
        return self.draws if self.train_on == "all" else 1

    def copies(
        self, smoothed: SmoothedClassifier, x: Tensor, y: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """Noisy copies of what the attack found; see `CopiesObjective.copies`.

        Raises:
            TrainingError: If the noise is not additive.
        """
        noise = additive(smoothed.noise, "smoothadv")
        delta = noise.draw((self.draws * len(x), *x.shape[1:]), generator=generator)
        delta = delta.reshape(self.draws, *x.shape)
        count = self._parts(x)
        parts = zip(
            torch.tensor_split(x, count),
            torch.tensor_split(y, count),
            torch.tensor_split(delta, count, dim=1),
            strict=True,
        )
        found = []
        with searching(smoothed.base, x):
            for part_x, part_y, part_delta in parts:
                soft = SoftClassifier(smoothed.base, part_delta, self.estimator)
                found.append(self.attack.perturb(soft, part_x, part_y, generator=generator))
        kept = delta if self.train_on == "all" else delta[:1]
        return (torch.cat(found) + kept).flatten(0, 1)

    def _parts(self, x: Tensor) -> int:
        """Parts to be attacked one after the other, as equal as can be.

        Each input is attacked by itself, so it changes the time alone, and with a random start
        which of the generator's numbers an input begins with.
        """
        if x.device.type != "cpu":
            return 1
        rows = _NUMBERS_A_THREAD * torch.get_num_threads() / max(1, math.prod(x.shape[1:]))
        return min(max(1, round(self.draws * len(x) / rows)), max(1, len(x)))
