"""The smoothed classifier: a base classifier and a noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from radii.certificates.base import Certificate, find
from radii.errors import BaseClassifierError, NotCoveredError, PlanError
from radii.noise.base import Noise
from radii.noise.streams import Rng, Stage, check_rng
from radii.records import Certification, Norm, Prediction, Votes
from radii.smoothing import certify as algorithms
from radii.smoothing._draws import Draws
from radii.smoothing.deadline import Deadline
from radii.smoothing.estimators import Estimator
from radii.smoothing.plan import SamplingPlan
from radii.smoothing.scheduler import Request, Sampler
from radii.smoothing.soft import SoftClassifier, suitable_chunk
from radii.smoothing.tally import Vote

Inputs = Tensor | npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class SmoothedClassifier:
    """`g(x) = argmax_c P(base(x + delta) = c)`, with `delta` drawn from `noise`.

    Noise is added to what the caller passes, before any normalisation; the scale of the noise is in
    these units. Inputs of another precision are rounded to float32 first, and everything said is
    about the rounded ones. The base classifier is used as it is: it must be in evaluation mode
    already.

    Attributes:
        base: From `(rows, *shape)` float32 to scores `(rows, num_classes)` or whole-number labels
            `(rows,)`.
        noise: The smoothing distribution.
        num_classes: How many classes the base classifier has.
        input_shape: Shape of one input. If None, an array with an odd number of axes (a vector, an
            image) is one input and one with an even number is a batch.
        device: Where noise is drawn; by default the device of the base classifier's parameters.
        batch_size: Draws that the device works on at once; by default as many as suit the inputs.
        vote: "hard" counts the label of each draw. "soft" adds up the softmax of its scores, so
            that `P(base(x + delta) = c)` becomes the mean score of class c: another classifier.
        rng: The random generator: "auto" takes the fastest on the device, "chacha" a cryptographic
            one, for `gaussian`, `uniform` and their variants on a grid.

    Example:
        >>> import numpy as np
        >>> from radii.noise import Gaussian
        >>> def right_half(x):
        ...     return (x[:, 0] > 0).long()
        >>> smoothed = SmoothedClassifier(right_half, Gaussian(sigma=1.0), num_classes=2)
        >>> result = smoothed.certify(np.float32([0.8, 0.0]), SamplingPlan(n=10_000, seed=1))
        >>> result.prediction, round(result.radius, 2) <= 0.8
        (1, True)
    """

    base: Callable[[Tensor], Any]
    noise: Noise
    num_classes: int
    _: KW_ONLY
    input_shape: tuple[int, ...] | None = None
    device: torch.device | str | None = None
    batch_size: int | None = None
    vote: Vote = "hard"
    rng: Rng = "auto"

    def __post_init__(self) -> None:
        check_rng(self.rng, self.noise)
        if self.num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {self.num_classes!r}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size!r}")

    def certify(
        self,
        x: Inputs,
        plan: SamplingPlan | None = None,
        *,
        norm: Norm = "l2",
        certificate: Certificate | str | None = None,
        budget: float | None = None,
    ) -> Certification | list[Certification]:
        """The class and radius certified of one input, or a list of them for a batch.

        Args:
            x: `(*shape)` or `(inputs, *shape)` floating point.
            plan: Draws, alpha, bound; the default is that of the papers.
            norm: The norm of the ball.
            certificate: A certificate or its name; needed where several cover the noise and norm.
            budget: Seconds for the whole call, a batch included; None takes as long as it takes.
                Under a plan that stops early an input is certified as far as its votes go by then;
                under `never` it abstains unless all its draws are in. See `Certification.timed_out`
                and, why no claim is wrong more often, `radii.smoothing.certify.certify`.

        Raises:
            NotCoveredError: If no certificate covers the noise in this norm.
            PlanError: If the plan could never certify anything.
            BaseClassifierError: If the base classifier is in training mode or its answers are off.
        """
        inputs, single = self._batch(x)
        chosen = self.certificate(norm, certificate, dim=math.prod(inputs.shape[1:]))
        found = dict(
            self.certify_each(
                enumerate(inputs),
                plan or SamplingPlan(),
                norm=norm,
                certificate=chosen,
                budget=budget,
            )
        )
        return found[0] if single else [found[index] for index in range(len(inputs))]

    def certify_each(
        self,
        inputs: Iterable[tuple[int, Tensor]],
        plan: SamplingPlan,
        *,
        norm: Norm = "l2",
        certificate: Certificate | str | None = None,
        on_draws: Callable[[int], object] | None = None,
        budget: float | None = None,
    ) -> Iterator[tuple[int, Certification]]:
        """`certify` for a stream of `(index, input)`; inputs are taken as the device needs them.

        Each result comes as soon as it is known, so not always in the order of the inputs.
        A certificate that depends on the dimension of the input needs `input_shape`.
        The index names the random streams of its input, so each must occur once. `on_draws` is told
        the number of draws of each batch. The budget runs from this call on.
        """
        deadline = Deadline.within(budget)
        chosen = self.certificate(norm, certificate)
        plan = plan.under(self.noise).seeded(self.rng)
        plan.check(self.num_classes, self.vote)
        return algorithms.certify(
            self.sampler(plan, on_draws), self._moved(inputs, chosen), plan, chosen, deadline
        )

    def votes_each(
        self,
        inputs: Iterable[tuple[int, Tensor]],
        draws: int,
        plan: SamplingPlan,
        *,
        stage: Stage = "prediction",
    ) -> Iterator[tuple[int, Votes]]:
        """The votes of so many draws, for a stream of `(index, input)`; nothing is concluded.

        Args:
            inputs: See `certify_each`.
            draws: For each input.
            plan: Its seed and block name the noise.
            stage: Names it, too; that of predictions shares no noise with certification.
        """
        requests = (Request(index, x, {stage: draws}) for index, x in self._moved(inputs))
        for request, votes in self.sampler(plan.seeded(self.rng)).run(requests):
            yield request.index, votes[stage]

    def round_rows(self, x: Tensor, plan: SamplingPlan) -> int:
        """Draws that the device works on at once, with inputs like `x`."""
        return self.sampler(plan.seeded(self.rng)).round_rows(x)

    def predict(
        self,
        x: Inputs,
        n: int = 1_000,
        alpha: float = 0.001,
        *,
        seed: int | None = None,
        budget: float | None = None,
    ) -> Prediction | list[Prediction]:
        """The smoothed prediction of one input, or a list of them for a batch; it may abstain.

        Args:
            x: `(*shape)` or `(inputs, *shape)` floating point.
            n: Draws for each input.
            alpha: Probability that an answer which is not None is not the smoothed classifier's.
            seed: Of the random streams; None asks the operating system for one.
            budget: Seconds for the whole call, a batch included; None makes all n draws. Within a
                budget, an input is answered at the first of a few looks that tells its top two
                apart, and abstains when time is up. See `Prediction.timed_out` and, why an answer
                is wrong no more often, `radii.smoothing.certify.predict`.

        Raises:
            PlanError: If n draws could never give an answer at this alpha.
            BaseClassifierError: If the base classifier is in training mode or its answers are off.
        """
        inputs, single = self._batch(x)
        found = dict(self.predict_each(enumerate(inputs), n, alpha, seed=seed, budget=budget))
        return found[0] if single else [found[index] for index in range(len(inputs))]

    def predict_each(
        self,
        inputs: Iterable[tuple[int, Tensor]],
        n: int = 1_000,
        alpha: float = 0.001,
        *,
        seed: int | None = None,
        on_draws: Callable[[int], object] | None = None,
        budget: float | None = None,
    ) -> Iterator[tuple[int, Prediction]]:
        """`predict` for a stream of `(index, input)`; see `certify_each`."""
        deadline = Deadline.within(budget)
        self.check_votes_are_tested(n, alpha)
        sampler = self.sampler(SamplingPlan(seed=seed).seeded(self.rng), on_draws)
        return algorithms.predict(sampler, self._moved(inputs), n, alpha, deadline)

    def check_votes_are_tested(self, n: int, alpha: float) -> None:
        """Refuses what PREDICT could not answer.

        Raises:
            PlanError: If n draws could never give an answer at this alpha, or votes are soft.
        """
        if self.noise.num_outcomes is None:
            algorithms.check_prediction(n, alpha)
        if self.vote == "soft":
            raise PlanError(
                "predict tests votes, and soft votes are none: certify, or take hard votes."
            )

    def soft(
        self,
        x: Inputs,
        draws: int = 64,
        *,
        generator: torch.Generator | None = None,
        estimator: Estimator = "plug_in",
        fresh: bool = False,
        chunk: int | None = None,
    ) -> SoftClassifier:
        """A differentiable model of this classifier near some inputs, for attacks to run on.

        It takes perturbed copies of these inputs, on the device of the base classifier, as a batch:
        `(inputs, *shape)`, also for a single one. Its gradient is that in the input alone; the
        parameters of the base classifier count as constants and get none.

        Args:
            x: `(*shape)` or `(inputs, *shape)` floating point.
            draws: Of the noise, for each input. The whole noise is kept in memory.
            generator: Where the noise comes from, on the device where it is drawn; None takes one
                that the operating system seeds.
            estimator: What is averaged; see `SoftClassifier`.
            fresh: Whether each forward pass draws other noise.
            chunk: Rows of the base in one pass, at most; None takes all where these are few and
                small, else as many as 2,097,152 numbers make up: 13 images of 3 x 224 x 224.

        Raises:
            ValueError: If the noise is not additive, the generator on another device, or the inputs
                are not finite.
            BaseClassifierError: If the base classifier is in training mode.
        """
        self._check_mode()
        inputs, _ = self._batch(x)
        list(self._moved(enumerate(inputs)))  # refuses what `certify` refuses
        draw = Draws.of(self.noise, (draws, *inputs.shape), generator, self.resolve_device())
        delta = draw()
        return SoftClassifier(
            self.base,
            delta,
            estimator,
            chunk=suitable_chunk(delta) if chunk is None else chunk,
            fresh=draw if fresh else None,
            frozen=True,
        )

    def certificate(
        self, norm: Norm, wanted: Certificate | str | None = None, *, dim: int | None = None
    ) -> Certificate:
        """The certificate that applies to this classifier.

        Args:
            norm: The norm of the ball.
            wanted: A certificate or its name, where several apply.
            dim: Number of coordinates of an input; by default that of `input_shape`.

        Raises:
            NotCoveredError: If none does, or the one given is about another noise, norm or
                dimension.
        """
        if dim is None and self.input_shape is not None:
            dim = math.prod(self.input_shape)
        if not isinstance(wanted, Certificate):
            return find(self.noise, norm, wanted, dim=dim)
        if wanted.noise != self.noise or wanted.norm != norm:
            raise NotCoveredError(
                f"the certificate must be about {self.noise!r} in {norm}, "
                f"got one about {wanted.noise!r} in {wanted.norm}."
            )
        if dim is not None and getattr(wanted, "dim", dim) != dim:
            raise NotCoveredError(
                f"the certificate must be about inputs of {dim} coordinates, got {wanted!r}."
            )
        return wanted

    def resolve_device(self) -> torch.device:
        """Where noise is drawn."""
        if self.device is not None:
            return torch.device(self.device)
        if isinstance(self.base, nn.Module):
            for tensor in (*self.base.parameters(), *self.base.buffers()):
                return tensor.device
        return torch.device("cpu")

    def sampler(
        self, plan: SamplingPlan, on_draws: Callable[[int], object] | None = None
    ) -> Sampler:
        """What draws and counts the votes, with the seed and the block of a plan that is seeded.

        Raises:
            BaseClassifierError: If the base classifier is in training mode.
        """
        self._check_mode()
        assert plan.seed is not None
        return Sampler(
            base=self.base,
            noise=self.noise,
            num_classes=self.num_classes,
            seed=plan.seed,
            block=plan.block,
            device=self.resolve_device(),
            batch_size=self.batch_size,
            vote=self.vote,
            on_draws=on_draws,
            rng=self.rng,
        )

    def _check_mode(self) -> None:
        if isinstance(self.base, nn.Module) and any(m.training for m in self.base.modules()):
            raise BaseClassifierError(
                "the base classifier must be in evaluation mode, got training mode; "
                "call base.eval() first."
            )

    def _batch(self, x: Inputs) -> tuple[Tensor, bool]:
        """`x` as a batch, and whether it was one input."""
        # torch warns of arrays that are read-only; these are copied.
        tensor = torch.as_tensor(x if isinstance(x, Tensor) else np.require(x, requirements="W"))
        if self.input_shape is None:
            single = tensor.ndim % 2 == 1
        else:
            single = tensor.shape == self.input_shape
            if not single and tensor.shape[1:] != self.input_shape:
                raise ValueError(
                    f"x must have shape {self.input_shape} or (inputs, *{self.input_shape}), "
                    f"got {tuple(tensor.shape)}"
                )
        return (tensor[None] if single else tensor), single

    def _moved(
        self, inputs: Iterable[tuple[int, Tensor]], *about: Certificate
    ) -> Iterator[tuple[int, Tensor]]:
        """Inputs as float32 on the device, checked, also for what is to be said about them."""
        device = self.resolve_device()
        shape = self.input_shape
        for index, x in inputs:
            shape = shape or tuple(x.shape)
            yield index, checked(f"input {index}", x, shape, device, self.noise, *about)


def checked(
    what: str,
    x: Tensor,
    shape: tuple[int, ...],
    device: torch.device,
    *about: Noise | Certificate,
) -> Tensor:
    """An input as float32 on the device, to which none of what is to be said of it objects.

    Raises:
        TypeError: If it is not floating point.
        ValueError: If it has another shape, no elements, or elements that are not finite, or if
            there is an objection.
    """
    if not x.is_floating_point():
        raise TypeError(
            f"inputs must be floating point, in the units of the noise, got {x.dtype}; "
            f"divide 8-bit images by 255."
        )
    if x.shape != shape:
        raise ValueError(f"{what} must have shape {tuple(shape)}, got {tuple(x.shape)}")
    if not x.numel():
        raise ValueError(f"{what} must have elements, got shape {tuple(x.shape)}")
    moved = x.detach().to(device, torch.float32)
    if not bool(moved.isfinite().all()):
        raise ValueError(f"{what} must be finite, got NaN or infinity in it")
    for each in about:
        objection = each.objection(moved)
        if objection is not None:
            raise ValueError(f"{what} {objection}")
    return moved
