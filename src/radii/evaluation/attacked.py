"""What an attack on a smoothed classifier is given to attack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from radii.attacks import Attack
from radii.attacks.base import Model, Needs
from radii.attacks.transfer import Transfer
from radii.errors import BaseClassifierError, DataError
from radii.evaluation._attack_models import LabelsAsScores, NoiseOfBatch, VotesOfBatch
from radii.models import Base, folded, load_base
from radii.noise import NOISES, AdditiveNoise, Gaussian
from radii.smoothing import SmoothedClassifier
from radii.smoothing.soft import SoftClassifier, suitable_chunk

Estimator = Literal["plug_in", "expectation", "logits", "margin", "base"]

Precision = Literal["float32", "bfloat16"]
Kind = Literal["soft", "votes", "base", "labels"]

STARTS = 2**32  # number of the stream of random starts, above those of all blocks of draws


@dataclass(frozen=True)
class Target:
    """What an attack asks.

    Attributes:
        base: The base classifier, without noise.
        smoothed: The smoothed classifier; None for a source of transfer that is not smoothed.
        num_classes: How many classes the base classifier has.
        kind: A `soft` estimate or `votes` of the smoothed classifier; the `base` classifier without
            noise, or its `labels` alone.
        estimator: Of the soft estimate.
        draws: Of the soft estimate, or votes.
        fresh: Whether each question meets new noise.
        own_noise: Whether the attack draws noise of its own.
        source: What `base` is, if it is not that of the run but a source of transfer.
    """

    base: Callable[[Tensor], Any]
    smoothed: SmoothedClassifier | None
    num_classes: int
    kind: Kind
    estimator: Estimator = "plug_in"
    draws: int = 64
    fresh: bool = False
    own_noise: bool = False
    source: Base | None = None

    @classmethod
    def of(
        cls,
        attack: Attack,
        smoothed: SmoothedClassifier,
        *,
        draws: int,
        estimator: Estimator = "plug_in",
        fresh: bool = False,
        precision: Precision = "float32",
    ) -> Target:
        """What suits the needs of an attack.

        Args:
            attack: The attack; transfer is led against its source.
            smoothed: The smoothed classifier.
            draws: Of what is attacked; transfer says its own.
            estimator: Of a soft estimate.
            fresh: Whether each question meets new noise.
            precision: Of the arithmetic of a source.

        Raises:
            BaseClassifierError: If a source cannot be loaded.
            DataError: If a source takes other inputs or has other classes.
        """
        attacked: SmoothedClassifier | None = smoothed
        base, source = smoothed.base, None
        if isinstance(attack, Transfer):
            source, base, attacked = _source_of(attack, smoothed, precision)
            draws = attack.draws
        return cls(
            base=base,
            smoothed=attacked,
            num_classes=smoothed.num_classes,
            kind=_kind(attack.needs, estimator, attacked is not None),
            estimator=estimator,
            draws=draws,
            fresh=fresh,
            own_noise=attack.needs == "base",
            source=source,
        )

    @property
    def meta(self) -> dict[str, Any]:
        """What a ledger says of it; None where there is no such thing."""
        noisy = self.kind in ("soft", "votes")
        return {
            "estimator": self.estimator if self.kind == "soft" else self.kind,
            "draws": self.draws if noisy else None,
            "fresh": self.fresh and noisy,
            **({} if self.source is None else {"source_sha256": self.source.sha256}),
        }

    def check(self, attack: Attack, x: Tensor) -> None:
        """Refuses what the attack cannot be led against.

        Args:
            attack: The attack.
            x: `(*shape)`. Any input; it is shown to the base classifier.

        Raises:
            ValueError: If draws or estimator are out of range, or the noise does not suit.
            BaseClassifierError: If the base classifier is in training mode, or the attack needs
                gradients and there are none.
        """
        if isinstance(self.base, nn.Module) and any(m.training for m in self.base.modules()):
            raise BaseClassifierError(
                "the base classifier must be in evaluation mode, got training mode; "
                "call base.eval() first."
            )
        if self.estimator not in get_args(Estimator):
            raise ValueError(
                f"estimator must be one of {', '.join(get_args(Estimator))}, got {self.estimator!r}"
            )
        if self.draws < 1 and self.kind in ("soft", "votes"):
            raise ValueError(f"draws must be at least 1, got {self.draws!r}")
        if self.kind == "votes" and self.fresh:
            raise ValueError(
                "an attack on decisions needs noise that does not change, because it asks about "
                "an input more than once; leave fresh noise out"
            )
        if self.smoothed is not None:
            _check_noise(attack, self.kind, self.smoothed)
        if attack.needs == "gradients":
            _check_gradients(self.base, x)

    def prepared(self, attack: Attack, x: Tensor) -> Target:
        """The same with a base classifier whose gradients cost less, where there is one.

        Args:
            attack: Which it is for.
            x: `(*shape)`. Any input, on the device.
        """
        if attack.needs != "gradients" or not isinstance(self.base, nn.Module):
            return self
        return replace(self, base=folded(self.base, x[None]))

    def model(self, x: Tensor, indices: Sequence[int], seed: int) -> Model:
        """What the attack is given for one batch.

        Args:
            x: `(batch, *shape)`. The inputs, on the device.
            indices: Of these in their data set; they name the noise.
            seed: Of the run.
        """
        if self.kind == "labels":
            return LabelsAsScores(self.base, self.num_classes)
        if self.kind == "base":
            return self.base
        assert self.smoothed is not None
        if self.kind == "votes":
            return VotesOfBatch(self.smoothed, indices, self.draws, seed)
        assert self.estimator != "base"
        noise = NoiseOfBatch(self.smoothed.noise, x, indices, self.draws, seed)
        delta = noise()
        return SoftClassifier(
            self.base,
            delta,
            self.estimator,
            chunk=suitable_chunk(delta),
            fresh=noise if self.fresh else None,
            frozen=True,
        )


def _innermost(attack: Attack) -> Attack:
    """The attack that does the work, if others are wrapped around it."""
    inner = getattr(attack, "attack", None)
    return _innermost(inner) if isinstance(inner, Attack) else attack


def _kind(needs: Needs, estimator: Estimator, smoothed: bool) -> Kind:
    if needs == "decisions":
        return "votes" if smoothed else "labels"
    return "soft" if needs == "gradients" and estimator != "base" and smoothed else "base"


def _source_of(
    attack: Transfer, smoothed: SmoothedClassifier, precision: Precision
) -> tuple[Base, Callable[[Tensor], Any], SmoothedClassifier | None]:
    """Where a source of transfer came from, its base classifier, and that under its noise."""
    device = smoothed.resolve_device()
    source = load_base(attack.source)
    for what, here, there in (
        ("inputs of shape", smoothed.input_shape, source.input_shape),
        ("as many classes as", smoothed.num_classes, source.num_classes),
    ):
        if here is not None and there is not None and here != there:
            raise DataError(
                f"the source {attack.source!r} must have {what} {here}, as the base classifier "
                f"that is attacked, got {there}."
            )
    module = source.prepared(device, precision)
    if not attack.noise:
        return source, module, None
    under_noise = replace(smoothed, base=module, noise=NOISES.build(attack.noise), device=device)
    return source, module, under_noise


def _check_noise(attack: Attack, kind: str, smoothed: SmoothedClassifier) -> None:
    noise = smoothed.noise
    if noise.domain is not None:
        raise ValueError(
            f"noise must stand for all inputs, since attacks find such as they like, got {noise!r} "
            f"for {noise.domain}; attack the classifier under noise that is not exact"
        )
    if kind == "soft" and not isinstance(noise, AdditiveNoise):
        raise ValueError(
            f"an attack on gradients needs noise that is added, got {noise!r}; take --attack "
            f"boundary or hopskipjump, which look at decisions alone, or --estimator base"
        )
    if attack.needs != "base":
        return
    sigma = getattr(_innermost(attack), "sigma", None)
    if not isinstance(noise, Gaussian):
        raise ValueError(
            f"this attack estimates gradients under Gaussian noise, the smoothed classifier has "
            f"{noise!r}; take --attack boundary or hopskipjump"
        )
    if sigma is not None and sigma != noise.sigma:
        raise ValueError(
            f"sigma of the attack must be {noise.sigma!r}, that of the noise, got {sigma!r}"
        )


def _check_gradients(base: Callable[[Tensor], Any], x: Tensor) -> None:
    """Refuses a base classifier without gradients, before anything is drawn."""
    with torch.no_grad():
        base(x[None])  # what fails in any case, fails here with its own error
    try:
        with torch.enable_grad():
            scores = base(x[None].detach().clone().requires_grad_())
        found = isinstance(scores, Tensor) and scores.requires_grad
    except RuntimeError:  # as tensors with gradients do not become arrays
        found = False
    if not found:
        raise BaseClassifierError(
            "this attack needs gradients, and the base classifier gives none; take stein, which "
            "needs its answers alone, or boundary or hopskipjump, which need decisions."
        )
