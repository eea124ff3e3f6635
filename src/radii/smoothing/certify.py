"""The algorithms, as in the papers: certify, decide, predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from scipy.special import betainc
from torch import Tensor

from radii.bounds.exact import Exact
from radii.certificates.base import Certificate
from radii.errors import PlanError
from radii.noise.base import Noise
from radii.noise.streams import Stage, Stream
from radii.records import (
    Certification,
    Claim,
    ClassBounds,
    Counts,
    FloatArray,
    IntArray,
    Prediction,
    Votes,
)
from radii.smoothing.deadline import Deadline
from radii.smoothing.looks import Looks, looks_until
from radii.smoothing.plan import SamplingPlan
from radii.smoothing.scheduler import Request, Sampler
from radii.stopping.base import Course

T = TypeVar("T")

# The relative error of SciPy's betainc at 1/2 was at most 1e-12 for n up to 1e6.
_MARGIN = 2.0**-32


@dataclass(frozen=True)
class Question(Generic[T]):
    """A request for draws, and how its votes are answered.

    Attributes:
        request: For the sampler.
        answer: From the votes that the sampler gives for this request.
    """

    request: Request
    answer: Callable[[Mapping[Stage, Votes]], T]


def answered(sampler: Sampler, questions: Iterable[Question[T]]) -> Iterator[tuple[int, T]]:
    """The answer to each question as soon as it is known, with the index of its request."""
    asked: dict[int, Question[T]] = {}

    def requests() -> Iterator[Request]:
        for question in questions:
            asked[id(question.request)] = question
            yield question.request

    for request, votes in sampler.run(requests()):
        yield request.index, asked.pop(id(request)).answer(votes)


def certify(
    sampler: Sampler,
    inputs: Iterable[tuple[int, Tensor]],
    plan: SamplingPlan,
    certificate: Certificate,
    deadline: Deadline | None = None,
) -> Iterator[tuple[int, Certification]]:
    """CERTIFY for each input: select, estimate, bound, radius.

    Selection and estimation draw from streams of their own, so both can be under way at once. A
    noise that is enumerated needs no selection: the votes on all its outcomes are exact.

    A deadline makes no claim wrong more often, however the clock and the votes may hang together.
    Whatever it is, nothing else is claimed than without one: if the number of draws is fixed, the
    claim of all of them or none, and if the plan stops early, the largest claim of a look so far,
    and with probability at least `1 - alpha` the claims of all its looks are right, those included
    that nobody takes.

    Args:
        sampler: The base classifier under noise.
        inputs: Pairs of index and `(*shape)` float32 input.
        plan: Draws, alpha, bound; for the sampler's noise, as `SamplingPlan.under` makes it.
        certificate: For the sampler's noise.
        deadline: After which no draw begins. What is not certified by then abstains.

    Yields:
        Index and certification of each input.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1.
    """
    seed, expired = sampler.seed, deadline.passed if deadline else None
    return answered(
        sampler,
        (
            certification(index, x, plan, certificate, seed=seed, expired=expired)
            for index, x in inputs
        ),
    )


def certification(
    index: int,
    x: Tensor,
    plan: SamplingPlan,
    certificate: Certificate,
    *,
    seed: int,
    expired: Callable[[], bool] | None = None,
) -> Question[Certification]:
    """`certify` for one input, as a question to a sampler; `expired` says that time is up."""
    if plan.stops_early:
        return _certification_early(index, x, plan, certificate, seed=seed, expired=expired)
    stages: dict[Stage, int] = {"selection": plan.n0, "estimation": plan.n}
    draws = {stage: count for stage, count in stages.items() if count}

    def answer(votes: Mapping[Stage, Votes]) -> Certification:
        selection, estimation = votes.get("selection"), votes["estimation"]
        if any(int(votes[stage].n) < count for stage, count in draws.items()):
            return Certification(None, 0.0, 0.0, 1.0, selection, estimation, timed_out=True)
        if isinstance(estimation, Counts):
            tie = Stream(seed, index, "bound", 0).uniform()
            estimation = replace(estimation, tie=np.array(tie))
        return decide(selection, estimation, plan, certificate)

    return Question(Request(index, x, draws, seed=seed, expired=expired), answer)


def _certification_early(
    index: int,
    x: Tensor,
    plan: SamplingPlan,
    certificate: Certificate,
    *,
    seed: int,
    expired: Callable[[], bool] | None,
) -> Question[Certification]:
    """`certification` for a plan that stops early: votes are looked at as its course says."""
    course = plan.course(certificate)
    watch = _Watch(course)
    draws: dict[Stage, int] = {"selection": plan.n0, "estimation": int(course.looks[0])}

    def answer(votes: Mapping[Stage, Votes]) -> Certification:
        selection, estimation = votes["selection"], votes["estimation"]
        result = decide(selection, estimation, plan, certificate, watch.claim)
        return result if watch.over else replace(result, timed_out=True)

    return Question(Request(index, x, draws, watch.more, seed=seed, expired=expired), answer)


class _Watch:
    """Looks at the votes of one input, and remembers the look that claimed most."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._lower = 0.0
        self.claim = Claim(0, 0)
        self.over = False

    def more(self, votes: Mapping[Stage, Votes]) -> int:
        """How many further draws are wanted."""
        selection, estimation = votes["selection"], votes["estimation"]
        assert isinstance(estimation, Counts)
        look, k = int(estimation.n), int(estimation.of(selection.top))
        lower = float(self._course.lower(look, k))
        if lower > self._lower:
            self._lower, self.claim = lower, Claim(look, k)
        self.over = bool(self._course.done(look, k, self._lower))
        if self.over:
            return 0
        return int(self._course.looks[self._course.at(look) + 1]) - look


def decide(
    selection: Votes | None,
    estimation: Votes,
    plan: SamplingPlan,
    certificate: Certificate,
    claim: Claim | None = None,
) -> Certification:
    """What votes certify of one input; the live run and every later reading call this.

    Args:
        selection: `(num_classes,)` votes that select the class; None if the bound is exact.
        estimation: `(num_classes,)` votes, independent of those, that bound its probability.
        plan: Alpha and bound; its n is read only if it stops early.
        certificate: For the noise under which the votes were cast.
        claim: The look that claimed most, if the plan stops early.
    """
    if selection is None and not isinstance(plan.bound, Exact):
        raise ValueError("votes that select the class must be given, unless the bound is exact")
    top = (estimation if selection is None else selection).top
    if not plan.stops_early:
        bounds = plan.fixed_bound.class_bounds(estimation, top, plan.alpha)
    elif claim is None:
        raise ValueError("the claim must be given where the plan stops early")
    else:
        lower = plan.course(certificate).lower(claim.draws, claim.votes) if claim.draws else 0.0
        bounds = ClassBounds.one_sided(lower)
    radius = certificate.radius(bounds)
    certified = bounds.pA_lower > bounds.pB_upper
    return Certification(
        prediction=int(top) if certified else None,
        radius=float(radius),
        pA_lower=float(bounds.pA_lower),
        pB_upper=float(bounds.pB_upper),
        selection=selection,
        estimation=estimation,
        claim=claim,
    )


def predict(
    sampler: Sampler,
    inputs: Iterable[tuple[int, Tensor]],
    n: int,
    alpha: float,
    deadline: Deadline | None = None,
) -> Iterator[tuple[int, Prediction]]:
    """PREDICT for each input: the top class, if a two-sided binomial test tells it from the next.

    With probability at least `1 - alpha` the answer is the smoothed classifier's or None. For noise
    that is enumerated the answer is exact, and None only where two classes are equally likely.

    With a deadline, the votes are looked at after so many draws as `looks_until` says, J times at
    most, each time with the test at `alpha / J`; the first answer found is given, and None where
    time is up before. Proof that an answer is wrong with probability at most alpha, whatever the
    clock does: let W_j be the event that the test at look j, carried out or not, answers a class
    that is not the smoothed classifier's. The number of draws at look j is fixed beforehand, so
    `P(W_j) <= alpha / J` (Hung and Fithian 2019). W_j is about the draws alone. Each answer is that
    of a look, so if it is wrong one of W_1, ..., W_J has happened, and this has probability at most
    alpha. Which look is the last, and whether that depends on the clock, on the votes or on other
    inputs, does not enter.

    Args:
        sampler: The base classifier under noise.
        inputs: Pairs of index and `(*shape)` float32 input.
        n: Draws, at most.
        alpha: Failure probability, in (0, 1).
        deadline: After which no draw begins.

    Raises:
        PlanError: If n draws could never tell two classes apart.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1, and Hung and Fithian 2019.
    """
    noise, seed = sampler.noise, sampler.seed
    looks = looks_of(noise, n, alpha, sampler.block if deadline else None)
    exact, expired = noise.num_outcomes is not None, deadline.passed if deadline else None
    yield from answered(
        sampler,
        (
            prediction(index, x, looks, alpha, exact=exact, seed=seed, expired=expired)
            for index, x in inputs
        ),
    )


def looks_of(noise: Noise, n: int, alpha: float, block: int | None) -> tuple[int, ...]:
    """After how many draws PREDICT looks at the votes; at the end only, unless a block is given.

    Raises:
        PlanError: If n draws could never tell two classes apart.
    """
    if noise.num_outcomes is not None:
        return (noise.num_outcomes,)
    check_prediction(n, alpha)
    if block is None:
        return (n,)
    looks = looks_until(n, block)
    check_prediction(n, alpha / len(looks))
    return looks


def prediction(
    index: int,
    x: Tensor,
    looks: tuple[int, ...],
    alpha: float,
    *,
    exact: bool,
    seed: int,
    expired: Callable[[], bool] | None = None,
) -> Question[Prediction]:
    """`predict` for one input, as a question to a sampler; `expired` says that time is up.

    The looks are those of `looks_of`; `exact` says that they meet all outcomes of the noise.
    """

    def test(counts: Counts) -> Prediction:
        top = counts.top
        k, other = counts.of(top), counts.runner_up_votes(top)
        p_value = float(k == other if exact else two_sided_p_value(k, k + other))
        p_value = min(1.0, len(looks) * p_value)  # each look has its share of alpha
        return Prediction(int(top) if p_value <= alpha else None, p_value, counts)

    watch = Looks(looks, test)
    more = watch.more if len(looks) > 1 else None
    draws: dict[Stage, int] = {"prediction": looks[0]}
    return Question(Request(index, x, draws, more, seed, expired), watch.answer)


def check_prediction(n: int, alpha: float) -> None:
    """Refuses an n with which PREDICT would always abstain; see `predict`."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1, got {n!r}")
    least = 1
    while two_sided_p_value(np.array(least), np.array(least)) > alpha:
        least += 1
    if n < least:
        raise PlanError(
            f"n={n} draws can never predict at alpha={alpha:g}: "
            f"take n of at least {least}, or a larger alpha."
        )


def two_sided_p_value(k: IntArray, n: IntArray) -> FloatArray:
    """Of the hypothesis that successes are as likely as failures, given `k >= n/2` of n.

    `min(1, 2 P(K >= k))` for K ~ Binomial(n, 1/2), the doubled tail of a symmetric law, rounded up
    by a share of 2^-32, more than the error of the function that it is computed with.
    """
    k, n = np.asarray(k), np.asarray(n)
    tail = betainc(np.maximum(k, 1), n - np.maximum(k, 1) + 1, 0.5) * (1 + _MARGIN)
    return np.asarray(np.where(k == 0, 1.0, np.minimum(2 * tail, 1.0)))
