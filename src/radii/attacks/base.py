"""What an attack is: a search, near each input, for one that a model gets wrong."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from radii.records import Norm
from radii.registry import Registry

Model = Callable[[Tensor], Tensor]
Needs = Literal["gradients", "decisions", "base"]


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    Attributes:
        x: `(batch, *shape)`. Perturbed inputs, of the type of those given, detached.
        queries: `(batch,)` int64. How often the model was asked about each input, with its gradient
            or without.
        facts: What else the search has to say of each input: name to `(batch,)` floating point.
    """

    x: Tensor
    queries: Tensor
    facts: Mapping[str, Tensor] = field(default_factory=dict)


class Attack(ABC):
    """A search for perturbed inputs, configured by the fields of a frozen dataclass.

    An attack knows nothing of smoothing: its model may be a base classifier, or one that averages
    over noise. It differentiates with respect to the input alone and changes nothing of the model,
    its mode of training or evaluation included: who calls chooses it.

    By default coordinates are unbounded. With `low` and `high`, which come together, inputs must
    lie in that interval and so does what is found: each step is cut off there before it is brought
    back into the ball.

    Attributes:
        epsilon: The largest norm of a perturbation, up to the rounding of `x + delta`; None where
            the search has no such bound.
        needs: What the model must give. "gradients": scores that can be differentiated.
            "decisions": only the class with the largest score matters. "base": scores or labels
            without gradients; the attack averages them over noise of its own, so a smoothed
            classifier is attacked by handing over its base classifier.
        examples: Parameters that documentation and conformance tests use.
    """

    needs: ClassVar[Needs] = "gradients"
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ()
    epsilon: float | None

    @property
    @abstractmethod
    def norm(self) -> Norm:
        """In which perturbations are measured."""

    @property
    @abstractmethod
    def low(self) -> float | None:
        """The smallest value of a coordinate, or None."""

    @property
    @abstractmethod
    def high(self) -> float | None:
        """The largest value of a coordinate, or None."""

    @property
    def minimal(self) -> bool:
        """Whether it looks for the smallest perturbation that changes the answer.

        Otherwise it looks for the worst one in the ball.
        """
        return False

    @abstractmethod
    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """Perturbed inputs on which the model's score of the label is low, and what they took.

        Args:
            model: From `(batch, *shape)` to scores or log-probabilities `(batch, num_classes)`,
                each row of which depends on the same row of the input only. If it has a method
                `attack_loss`, from these and labels to `(batch,)` losses, that is what is
                raised; else it is their cross entropy.
            x: `(batch, *shape)` floating point.
            y: `(batch,)` int64. Labels to be driven away from.
            generator: Where random starts come from; on the device of `x`. Others leave it alone.

        Raises:
            ValueError: If inputs are outside [`low`, `high`].
        """

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Tensor:
        """`(batch, *shape)`. The perturbed inputs of `search`."""
        return self.search(model, x, y, generator=generator).x

    @abstractmethod
    def scaled(self, share: float) -> Self:
        """The same attack in a ball of that share of the radius, as training warms it up.

        Args:
            share: In (0, 1].

        Raises:
            ValueError: If the attack has no ball.
        """


class BallAttack(Attack):
    """A search for the worst perturbation in a ball whose radius may differ between inputs."""

    epsilon: float

    def search(self, model: Model, x: Tensor, y: Tensor, *, generator: torch.Generator) -> Found:
        """The worst point found in the ball; see `Attack.search`."""
        check_inputs(x, y, self.low, self.high)
        return self.search_within(model, x.detach(), y, self.epsilon, generator=generator)

    @abstractmethod
    def search_within(
        self,
        model: Model,
        x: Tensor,
        y: Tensor,
        epsilon: float | Tensor,
        *,
        generator: torch.Generator,
    ) -> Found:
        """`search` in balls of other radii, for inputs that were checked and detached.

        All lengths of the search are scaled as `scaled` does.

        Args:
            model: See `Attack.search`.
            x: `(batch, *shape)` floating point.
            y: `(batch,)` int64.
            epsilon: The radius, or `(batch, 1, ..., 1)` of them, of the type of `x`; not above that
                of the attack. Where it is 0 the input stays where it is.
            generator: See `Attack.search`.
        """


ATTACKS: Registry[Attack] = Registry("attack", "radii.attacks", Attack)


def losses_of(model: Model, scores: Tensor, y: Tensor) -> Tensor:
    """`(batch,)` losses of labels, float32 or float64: the model's own, or cross entropies."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    own = getattr(model, "attack_loss", None)
    found: Tensor = cross_entropy(scores, y, reduction="none") if own is None else own(scores, y)
    return found


def scores_and_gradient(model: Model, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of inputs, and the gradient of each one's loss with respect to itself.

    Only what leads from the loss to the input is computed: no gradient of a parameter is, and no
    `.grad` is written to.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        scores = model(leaf)
        (gradient,) = torch.autograd.grad(losses_of(model, scores, y).sum(), [leaf])
    return scores.detach(), gradient


def row_norms(delta: Tensor) -> Tensor:
    """`(batch, 1, ..., 1)` l2 norms of `(batch, *shape)`."""
    norms: Tensor = torch.linalg.vector_norm(delta.flatten(1), dim=1)
    return norms.reshape(-1, *(1,) * (delta.ndim - 1))


def normalised(gradient: Tensor) -> Tensor:
    """Each row with l2 norm 1; a row of zeros stays one, so its input stays where it is."""
    norms = row_norms(gradient)
    return gradient / torch.where(norms > 0, norms, 1.0)


def into_l2_ball(delta: Tensor, epsilon: float | Tensor) -> Tensor:
    """Each row scaled down to an l2 norm of at most `epsilon`."""
    norms = row_norms(delta)
    return delta * torch.where(norms > epsilon, epsilon / norms, 1.0)


def uniform_in_l2_ball(x: Tensor, generator: torch.Generator, radius: float = 1.0) -> Tensor:
    """Points drawn uniformly from the l2 ball, of the shape of `x`."""
    direction = torch.empty_like(x).normal_(generator=generator)
    share = x.new_empty(len(x), *(1,) * (x.ndim - 1)).uniform_(generator=generator)
    length = radius * share ** (1 / max(1, math.prod(x.shape[1:])))
    return normalised(direction) * length


def into_linf_ball(delta: Tensor, epsilon: float | Tensor) -> Tensor:
    """Each coordinate cut off at `epsilon` on both sides."""
    return delta.clamp(-epsilon, epsilon)  # type: ignore[arg-type]  # both are of one type


def into_box(delta: Tensor, x: Tensor, low: float | None, high: float | None) -> Tensor:
    """`delta` with `x + delta` cut off at `low` and `high`, where these are given."""
    return delta if low is None else (x + delta).clamp(low, high) - x


def perturbed(x: Tensor, delta: Tensor, low: float | None, high: float | None) -> Tensor:
    """`x + delta`, which after rounding lies between `low` and `high`, too."""
    return x + delta if low is None else (x + delta).clamp(low, high)


def check_numbers(**values: float | None) -> None:
    """Refuses what is not positive and finite; None passes."""
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, got {value!r}")


def check_steps(steps: int) -> None:
    """Refuses an attack that does not move."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps!r}")


def check_restarts(restarts: int) -> None:
    """Refuses an attack that does not start."""
    if restarts < 1:
        raise ValueError(f"restarts must be at least 1, got {restarts!r}")


def check_share(share: float) -> None:
    """Refuses what is no share of a radius."""
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share!r}")


def check_bounds(low: float | None, high: float | None) -> None:
    """Refuses one bound without the other, and bounds in the wrong order."""
    if (low is None) != (high is None):
        raise ValueError(f"low and high must be given together, got {low!r} and {high!r}")
    if low is not None and high is not None and not -math.inf < low < high < math.inf:
        raise ValueError(f"low must be below high, both finite, got {low!r} and {high!r}")


def check_inputs(x: Tensor, y: Tensor, low: float | None, high: float | None) -> None:
    """Refuses inputs without labels, and inputs outside the bounds."""
    if y.shape != x.shape[:1]:
        raise ValueError(f"y must have shape {tuple(x.shape[:1])}, got {tuple(y.shape)}")
    if low is not None and high is not None and x.numel():
        least, most = (float(value) for value in x.aminmax())
        lowest, highest = x.new_tensor([low, high]).tolist()  # as inputs of their type can be
        if not (lowest <= least and most <= highest):
            raise ValueError(
                f"x must be in [{low:g}, {high:g}], got values from {least:g} to {most:g}; "
                f"scale the inputs, or change low and high of the attack"
            )
