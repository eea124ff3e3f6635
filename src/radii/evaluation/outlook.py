"""What a run will cost and can reach, before it starts."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from radii.certificates import Certificate
from radii.records import ClassBounds, Counts, FloatArray, IntArray, SoftVotes, Votes
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.stopping import Course

if TYPE_CHECKING:
    from torch import Tensor

PILOT = 20  # inputs that are tried, at most
_FEWEST = 5  # fewer than that, where votes are slow, say nothing of the others
_SECONDS = 1.5
_PATHS = 100


@dataclass(frozen=True)
class Outlook:
    """The price of a run.

    Attributes:
        inputs: Of the run.
        inputs_done: In the ledger already; all else is about those that are left.
        samples_at_most: If every input takes n0 + n draws.
        samples: Expected.
        samples_error: One standard error of `samples`, from how the inputs of the pilot differ;
            None where nothing is estimated.
        rests_on: What `samples` is known from, in words.
        samples_per_second: Measured on a few inputs, without the time to get started.
        start_seconds: Until the first votes, compilation included.
        seconds: Expected, from both.
        compiled: Whether the base classifier is.
        device: The kind of device.
        norm: The norm of `largest_radius`.
        largest_radius: That any input can get, if all draws agree.
    """

    inputs: int
    inputs_done: int
    samples_at_most: int
    samples: int
    samples_error: int | None
    rests_on: str
    samples_per_second: float
    start_seconds: float
    seconds: float
    compiled: bool
    device: str
    norm: str
    largest_radius: float


@dataclass(frozen=True)
class Probe:
    """A few inputs, tried.

    Attributes:
        votes: Of each input.
        draws: That each of them got.
        samples_per_second: While these were drawn.
        start_seconds: Until the first votes.
    """

    votes: list[Votes]
    draws: int
    samples_per_second: float
    start_seconds: float


def probe(
    smoothed: SmoothedClassifier, inputs: Sequence[tuple[int, Tensor]], plan: SamplingPlan
) -> Probe:
    """Measures the engine on some inputs, for a second or two where votes are fast enough.

    The draws are those of predictions, of which the run uses none. A plan that stops early takes at
    least n0 of them, of 5 inputs at least.

    Args:
        smoothed: The smoothed classifier.
        inputs: Pairs of index and input, at least one.
        plan: For the noise of `smoothed`.
    """
    cpu = smoothed.resolve_device().type == "cpu"
    least = plan.n0 if plan.stops_early else min(plan.block, plan.n)
    fewest = min(_FEWEST if plan.stops_early else 2, len(inputs))

    def timed(count: int, draws: int) -> tuple[list[Votes], float]:
        chosen = [inputs[at] for at in spread(len(inputs), count)]
        started = time.monotonic()
        votes = [found for _, found in smoothed.votes_each(chosen, draws, plan)]
        return votes, max(time.monotonic() - started, 1e-6)

    draws = min(8 if cpu else smoothed.round_rows(inputs[0][1], plan), plan.n)
    start = timed(1, draws)[1]  # whatever is compiled is compiled here
    rate = draws / timed(1, draws)[1]
    for _ in range(4):
        draws = min(max(math.ceil(rate * _SECONDS / len(inputs)), least), plan.n)
        count = min(max(round(rate * _SECONDS / draws), fewest), len(inputs))
        votes, seconds = timed(count, draws)
        rate = count * draws / seconds
        if seconds > _SECONDS / 2 or draws == plan.n:
            break
    return Probe(votes, draws, rate, start)


def outlook(
    smoothed: SmoothedClassifier,
    some: Sequence[tuple[int, Tensor]],
    plan: SamplingPlan,
    certificate: Certificate,
    *,
    inputs: int,
    inputs_done: int,
    compiled: bool,
) -> Outlook:
    """The price of a run.

    Args:
        smoothed: The smoothed classifier.
        some: Pairs of index and input, at least one and at most `PILOT`, spread over the run.
        plan: For the noise of `smoothed`.
        certificate: For that noise, too.
        inputs: Of the run.
        inputs_done: In the ledger already.
        compiled: Whether the base classifier is.
    """
    tried = probe(smoothed, some, plan)
    each, left = plan.n0 + plan.n, inputs - inputs_done
    samples, error = float(left * each), None
    rests_on = "every input takes n0 + n draws"
    if plan.stops_early:
        votes = [int(found.votes.max()) for found in tried.votes if isinstance(found, Counts)]
        means = expected_draws(plan.course(certificate), np.array(votes), tried.draws)
        samples = left * (plan.n0 + float(means.mean()))
        if len(means) > 1:
            error = round(left * float(means.std(ddof=1)) / math.sqrt(len(means)))
        rests_on = f"estimated from {tried.draws:,} votes of each of {len(votes):,} inputs"
    return Outlook(
        inputs=inputs,
        inputs_done=inputs_done,
        samples_at_most=left * each,
        samples=round(samples),
        samples_error=error,
        rests_on=rests_on,
        samples_per_second=tried.samples_per_second,
        start_seconds=tried.start_seconds,
        seconds=tried.start_seconds + samples / tried.samples_per_second,
        compiled=compiled,
        device=smoothed.resolve_device().type,
        norm=certificate.norm,
        largest_radius=largest_radius(plan, certificate, smoothed.num_classes, smoothed.vote),
    )


def spread(total: int, count: int) -> list[int]:
    """So many of `total` positions, at even distances.

    Example:
        >>> spread(100, 4), spread(3, 5)
        ([12, 37, 62, 87], [0, 1, 2])
    """
    if count >= total:
        return list(range(total))
    return [(2 * at + 1) * total // (2 * count) for at in range(count)]


def expected_draws(course: Course, votes: IntArray, draws: int) -> FloatArray:
    """Draws until a course stops, on average, for inputs of which some votes are known.

    Of each input, probabilities are drawn from the posterior of its votes under Jeffreys' prior,
    and of each probability one path of votes, with a seed of its own.

    Args:
        course: The stopping rule.
        votes: `(inputs,)` for the class with the most.
        draws: How many votes there were in all.

    Returns:
        `(inputs,)` float64.
    """
    random = np.random.default_rng(0)
    shape = (len(votes), _PATHS)
    p = random.beta(votes[:, None] + 0.5, draws - votes[:, None] + 0.5, shape).ravel()
    k, spent, lower = np.zeros(len(p), np.int64), np.zeros(len(p), np.int64), np.zeros(len(p))
    going, before = np.arange(len(p)), 0
    for look in course.looks.tolist():
        k[going] += random.binomial(look - before, p[going])
        known, back = np.unique(k[going], return_inverse=True)
        lower[going] = np.maximum(lower[going], course.lower(look, known)[back])
        done = course.done(look, k[going], lower[going])
        spent[going[done]] = look
        going, before = going[~done], look
    return np.asarray(spent.reshape(shape).mean(axis=1))


def largest_radius(
    plan: SamplingPlan, certificate: Certificate, num_classes: int, vote: str
) -> float:
    """The radius of an input for which all n draws agree.

    A plan that stops early may claim less at the end than on the way, so all its looks are tried.
    Under a randomised bound the luckiest tie is taken.
    """
    if plan.stops_early:
        course = plan.course(certificate)
        lower = max(float(course.lower(look, look)) for look in course.looks.tolist())
        return float(certificate.radius(ClassBounds.one_sided(lower)))
    unanimous = np.array([plan.n] + [0] * (num_classes - 1))
    votes: Votes = Counts(unanimous, tie=np.array(0.0))
    if vote == "soft":
        votes = SoftVotes(unanimous, unanimous, np.array(plan.n))
    return float(certificate.radius(plan.fixed_bound.class_bounds(votes, votes.top, plan.alpha)))
