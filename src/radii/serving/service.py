"""A smoothed classifier that many callers ask at once."""

from __future__ import annotations

import math
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from radii.certificates.base import Certificate
from radii.records import Certification, Norm, Prediction
from radii.serving.desk import Desk, Job
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.smoothing.certify import Question, certification, looks_of, prediction
from radii.smoothing.classifier import Inputs, checked
from radii.smoothing.deadline import Deadline


class Service:
    """Predictions and certificates for many callers, whose draws share the batches of one device.

    Callers submit single inputs from any thread and get a `Future`. A thread of the service fills
    each round on the device with draws of the oldest requests first, and takes up new ones between
    rounds. The noise of a request depends on its seed and on `block` alone, so its certificate is
    that of `SmoothedClassifier.certify` with the same plan and seed, whoever shares the round, and
    with the default `block` its prediction is that of `predict`, which takes blocks of 100.

    If the base classifier fails, each request that was under way is asked again by itself, and
    only those fail that fail alone.

    Args:
        smoothed: With its `input_shape`. A smaller `batch_size` makes rounds shorter, so that new
            requests wait less; a larger one does more draws a second.
        queue: Requests that may wait until the device has room; one more is refused.
        block: Draws in one block of the random streams; plans must have the same. With another
            than 100 predictions are of other draws than those of `SmoothedClassifier.predict`.

    Raises:
        BaseClassifierError: If the base classifier is in training mode.

    Example:
        >>> import numpy as np
        >>> from radii.noise import Gaussian
        >>> right_half = lambda x: (x[:, 0] > 0).long()
        >>> smoothed = SmoothedClassifier(right_half, Gaussian(1.0), 2, input_shape=(2,))
        >>> with Service(smoothed) as service:
        ...     futures = [service.submit(np.float32([x, 0]), seed=1) for x in (-2, 0, 2)]
        ...     print([future.result().prediction for future in futures])
        [0, None, 1]
    """

    def __init__(self, smoothed: SmoothedClassifier, *, queue: int = 256, block: int = 100) -> None:
        if smoothed.input_shape is None:
            raise ValueError(
                "a service must know the shape of its inputs: give SmoothedClassifier input_shape"
            )
        if queue < 1:
            raise ValueError(f"queue must be at least 1, got {queue!r}")
        self._smoothed = smoothed
        self._shape = smoothed.input_shape
        self._device = smoothed.resolve_device()
        self._block = block
        self._desk = Desk(smoothed.sampler(SamplingPlan(block=block, seed=0)), queue)

    def submit(
        self,
        x: Inputs,
        n: int = 1_000,
        alpha: float = 0.001,
        *,
        seed: int | None = None,
        budget: float | None = None,
    ) -> Future[Prediction]:
        """Asks for what `SmoothedClassifier.predict` answers for one input.

        Args:
            x: `(*shape)` floating point.
            n: Draws, at most.
            alpha: Probability that an answer which is not None is wrong.
            seed: Of its random streams; None asks the operating system for one.
            budget: Seconds from now, waiting included, after which it abstains: at the end of the
                round under way.

        Raises:
            BusyError: If the queue is full.
            RuntimeError: If the service is closed.
            TypeError: If the input is not floating point.
            ValueError: If the input has another shape or is not finite, n is no whole number of at
                least 1, or alpha is not in (0, 1).
            PlanError: If n draws could never give an answer at this alpha.
        """
        deadline = Deadline.within(budget)
        self._smoothed.check_votes_are_tested(n, alpha)
        noise = self._smoothed.noise
        looks = looks_of(noise, n, alpha, None if deadline is None else self._block)
        exact, inputs = noise.num_outcomes is not None, self._taken(x)
        expired = None if deadline is None else deadline.passed
        named = SamplingPlan(seed=seed).seeded(self._smoothed.rng).seed
        assert named is not None

        def make() -> Question[Prediction]:
            x = inputs.to(self._device)
            return prediction(0, x, looks, alpha, exact=exact, seed=named, expired=expired)

        job = Job(make, expired)
        self._desk.put(job)
        return job.future

    def submit_certify(
        self,
        x: Inputs,
        plan: SamplingPlan | None = None,
        *,
        norm: Norm = "l2",
        certificate: Certificate | str | None = None,
        budget: float | None = None,
    ) -> Future[Certification]:
        """Asks for what `SmoothedClassifier.certify` answers for one input; see `submit`.

        Raises:
            NotCoveredError: If no certificate covers the noise in this norm.
            PlanError: If the plan could never certify anything.
        """
        deadline = Deadline.within(budget)
        chosen = self._smoothed.certificate(norm, certificate, dim=math.prod(self._shape))
        plan = plan or SamplingPlan(block=self._block)
        if plan.block != self._block:
            raise ValueError(
                f"plan.block must be {self._block}, as the service has it, got {plan.block!r}"
            )
        final = plan.under(self._smoothed.noise).seeded(self._smoothed.rng)
        final.check(self._smoothed.num_classes, self._smoothed.vote)
        if final.stops_early:
            final.course(chosen)  # refuses what could claim nothing, and is kept
        assert final.seed is not None
        inputs, seed = self._taken(x, chosen), final.seed
        expired = None if deadline is None else deadline.passed

        def make() -> Question[Certification]:
            x = inputs.to(self._device)
            return certification(0, x, final, chosen, seed=seed, expired=expired)

        job = Job(make, expired)
        self._desk.put(job)
        return job.future

    @property
    def load(self) -> tuple[int, int]:
        """How many requests wait, and how many are under way."""
        return self._desk.load

    def close(self, *, cancel: bool = False) -> None:
        """Takes no more requests, answers those that it has, and ends.

        Args:
            cancel: Whether requests that still wait are cancelled in place of answered.
        """
        self._desk.close(cancel=cancel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(cancel=error is not None)

    def _taken(self, x: Inputs, *about: Certificate) -> Tensor:
        """A checked copy of an input, which the caller's later changes do not reach."""
        tensor = x if isinstance(x, Tensor) else torch.as_tensor(np.array(x))
        noise = self._smoothed.noise
        return checked("the input", tensor, self._shape, tensor.device, noise, *about).clone()
