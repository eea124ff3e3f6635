"""The algorithms, as in the papers: certify, decide, predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from scipy.special import betainc
from torch import Tensor

from radii.bounds.exact import Exact
from radii.certificates.base import Certificate
from radii.errors import PlanError
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
from radii.smoothing.plan import SamplingPlan
from radii.smoothing.scheduler import Request, Sampler
from radii.stopping.base import Course

# The relative error of SciPy's betainc at 1/2 was at most 1e-12 for n up to 1e6.
_MARGIN = 2.0**-32


def certify(
    sampler: Sampler,
    inputs: Iterable[tuple[int, Tensor]],
    plan: SamplingPlan,
    certificate: Certificate,
) -> Iterator[tuple[int, Certification]]:
    """CERTIFY for each input: select, estimate, bound, radius.

    Selection and estimation draw from streams of their own, so both can be under way at once. A
    noise that is enumerated needs no selection: the votes on all its outcomes are exact.

    Args:
        sampler: The base classifier under noise.
        inputs: Pairs of index and `(*shape)` float32 input.
        plan: Draws, alpha, bound; for the sampler's noise, as `SamplingPlan.under` makes it.
        certificate: For the sampler's noise.

    Yields:
        Index and certification of each input.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1.
    """
    if plan.stops_early:
        yield from _certify_early(sampler, inputs, plan, certificate)
        return
    stages: dict[Stage, int] = {"selection": plan.n0, "estimation": plan.n}
    draws = {stage: count for stage, count in stages.items() if count}
    for request, votes in sampler.run(Request(index, x, draws) for index, x in inputs):
        estimation = votes["estimation"]
        if isinstance(estimation, Counts):
            tie = Stream(sampler.seed, request.index, "bound", 0).uniform()
            estimation = replace(estimation, tie=np.array(tie))
        yield request.index, decide(votes.get("selection"), estimation, plan, certificate)


def _certify_early(
    sampler: Sampler,
    inputs: Iterable[tuple[int, Tensor]],
    plan: SamplingPlan,
    certificate: Certificate,
) -> Iterator[tuple[int, Certification]]:
    """`certify` for a plan that stops early: votes are looked at as its course says."""
    course = plan.course(certificate)
    watches: dict[int, _Watch] = {}

    def requests() -> Iterator[Request]:
        for index, x in inputs:
            watch = watches[index] = _Watch(course)
            draws: dict[Stage, int] = {"selection": plan.n0, "estimation": int(course.looks[0])}
            yield Request(index, x, draws, watch.more)

    for request, votes in sampler.run(requests()):
        watch = watches.pop(request.index)
        yield (
            request.index,
            decide(votes["selection"], votes["estimation"], plan, certificate, watch.claim),
        )


class _Watch:
    """Looks at the votes of one input, and remembers the look that claimed most."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._lower = 0.0
        self.claim = Claim(0, 0)

    def more(self, votes: Mapping[Stage, Votes]) -> int:
        """How many further draws are wanted."""
        selection, estimation = votes["selection"], votes["estimation"]
        assert isinstance(estimation, Counts)
        look, k = int(estimation.n), int(estimation.of(selection.top))
        lower = float(self._course.lower(look, k))
        if lower > self._lower:
            self._lower, self.claim = lower, Claim(look, k)
        if bool(self._course.done(look, k, self._lower)):
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
    sampler: Sampler, inputs: Iterable[tuple[int, Tensor]], n: int, alpha: float
) -> Iterator[tuple[int, Prediction]]:
    """PREDICT for each input: the top class, if a two-sided binomial test tells it from the next.

    With probability at least `1 - alpha` the answer is the smoothed classifier's or None. For noise
    that is enumerated the answer is exact, and None only where two classes are equally likely.

    Args:
        sampler: The base classifier under noise.
        inputs: Pairs of index and `(*shape)` float32 input.
        n: Draws.
        alpha: Failure probability, in (0, 1).

    Raises:
        PlanError: If n draws could never tell two classes apart.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1, and Hung and Fithian 2019.
    """
    outcomes = sampler.noise.num_outcomes
    if outcomes is None:
        check_prediction(n, alpha)
    requests = (Request(index, x, {"prediction": outcomes or n}) for index, x in inputs)
    for request, counts in sampler.run(requests):
        votes = counts["prediction"]
        assert isinstance(votes, Counts)
        top = votes.top
        k, other = votes.of(top), votes.runner_up_votes(top)
        p_value = float(k == other if outcomes else two_sided_p_value(k, k + other))
        yield (
            request.index,
            Prediction(int(top) if p_value <= alpha else None, p_value, votes),
        )


def check_prediction(n: int, alpha: float) -> None:
    """Refuses an n with which PREDICT would always abstain; see `predict`."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
    if n < 1:
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
