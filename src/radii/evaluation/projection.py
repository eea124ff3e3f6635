"""What a run would have shown with fewer draws, expected from the votes that it has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammaln

from radii.bounds import BOUNDS, Bound, Exact
from radii.certificates import Certificate, find
from radii.errors import LedgerError, PlanError
from radii.evaluation.export import Recorded
from radii.evaluation.metrics import BoolArray
from radii.evaluation.rereading import (
    check_total,
    dimension_of,
    plan_of,
    refuse_imported,
)
from radii.noise import NOISES
from radii.records import ClassBounds, Counts, FloatArray, IntArray
from radii.smoothing import SamplingPlan

_CHUNK = 2**21  # probabilities that are in memory at once
# The votes of m draws without replacement are off their mean by `sqrt(40 m)` or more with
# probability at most `2 exp(-80)`, 4e-35: Hoeffding 1963, JASA 58, theorem 1 and section 6.
_FAR = 40


@dataclass(frozen=True)
class Projection:
    """Expected metrics of a run with fewer draws; wrong and abstained inputs count as 0.

    Attributes:
        n: Draws that bound the probability of an input.
        examples: Inputs.
        acr: Average certified radius.
        standard_accuracy: Share of inputs with the right class certified within some radius.
        abstention_rate: Share of inputs without a certified class.
        certified_accuracy: Radius, and share of inputs certified right within it.
    """

    n: int
    examples: int
    acr: float
    standard_accuracy: float
    abstention_rate: float
    certified_accuracy: tuple[tuple[float, float], ...]


def project(run: Recorded, n: int, radii: Sequence[float], *, dim: int | None = None) -> Projection:
    """The metrics that are expected if only so many draws had been made for each input.

    The draws of an input come in no order, so any n of them might have been the first. Of n drawn
    without replacement, the class selected has a hypergeometric number of votes. Each number gives
    a radius, at the alpha and with the bound and certificate of the run, and the expectation is
    their sum, each times its probability: nothing is simulated. For the run's own n it is the run.
    The selection, of n0 draws, stays as it was.

    It is the mean over all runs of n draws with these votes; one such run would be off by chance.

    Args:
        run: A ledger with hard votes that did not stop early, or an export of one.
        n: At least 1, and at most the n of the run.
        radii: Each at least 0.
        dim: Number of coordinates of an input, for certificates that depend on it; by default what
            the run says under `input_shape`.

    Raises:
        LedgerError: If the run has no votes, or holds no input.
        PlanError: If it stopped early, has soft votes, or a bound that needs more than the votes of
            the class selected, or if n draws could never certify anything.
        ValueError: If n is more than the run has.
    """
    refuse_imported(run)
    plan, meta = plan_of(run), run.meta
    _check(run, plan, n)
    dim = dimension_of(run) if dim is None else dim
    certificate = find(NOISES.build(meta["noise"]), meta["norm"], meta["certificate"], dim=dim)
    right, k = _votes_of_selected(run, plan.n)
    distinct, where = np.unique(k, return_inverse=True)
    certified, radius = _radii(plan.fixed_bound, certificate, n, plan.alpha, meta["num_classes"])
    enough = [_least(certified), *(_least(certified & (radius >= each)) for each in radii)]
    means, tails = np.empty(len(distinct)), np.empty((len(enough), len(distinct)))
    for part, votes, chances in _chances(distinct, plan.n, n):
        means[part] = (chances * radius[votes]).sum(axis=1)
        rest = np.zeros((len(votes), votes.shape[1] + 1))  # the chance of this many or more
        rest[:, :-1] = np.cumsum(chances[:, ::-1], axis=1)[:, ::-1]
        at = np.clip(np.array(enough)[:, None] - votes[:, 0], 0, votes.shape[1])
        tails[:, part] = np.minimum(rest[np.arange(len(votes)), at], 1.0)
    of_inputs = tails[:, where]
    shares = (of_inputs * right).mean(axis=1).tolist()
    return Projection(
        n=n,
        examples=len(k),
        acr=float((means[where] * right).mean()),
        standard_accuracy=shares[0],
        abstention_rate=float(1 - of_inputs[0].mean()),
        certified_accuracy=tuple(zip(map(float, radii), shares[1:], strict=True)),
    )


def _check(run: Recorded, plan: SamplingPlan, n: int) -> None:
    """Refuses what cannot be projected."""
    if not 1 <= n <= plan.n:
        raise ValueError(f"n must be from 1 to the run's {plan.n:,}, got {n!r}")
    where = repr(str(run.path))
    if plan.stops_early:
        raise PlanError(
            f"{where} stopped early, so that its inputs have different numbers of draws: "
            f"project a run with stop=never."
        )
    if run.meta.get("vote", "hard") == "soft":
        raise PlanError(
            f"{where} has sums of scores, which do not say what part of the draws would have "
            f"given: project a run with hard votes."
        )
    bound, classes = plan.fixed_bound, run.meta["num_classes"]
    if isinstance(bound, Exact):
        raise PlanError(f"the noise of {where} was enumerated: with fewer draws there is no run.")
    if not _needs_only_top(bound, n, classes, plan.alpha):
        raise PlanError(
            f"{BOUNDS.spec_of(bound)} needs more of {where} than the votes of the class selected: "
            f"read the run again with another bound, such as clopper_pearson, and project that."
        )
    replace(plan, n=n).check(classes)


def _needs_only_top(bound: Bound, n: int, classes: int, alpha: float) -> bool:
    """Whether bounds are the same however the other votes fall, and whatever the tie."""
    k = np.unique(np.linspace(n // 2, n, 9).astype(np.int64))
    together = np.zeros((len(k), classes), dtype=np.int64)
    together[:, 0], together[:, 1] = k, n - k
    apart = together.copy()
    apart[:, 1] = (n - k + 1) // 2
    apart[:, -1] += n - k - apart[:, 1]
    top, tie = np.zeros(len(k), dtype=np.int64), np.full(len(k), 0.25)
    one = bound.class_bounds(Counts(together, tie), top, alpha)
    other = bound.class_bounds(Counts(apart, 3 * tie), top, alpha)
    return bool(
        np.array_equal(one.pA_lower, other.pA_lower)
        and np.array_equal(one.pB_upper, other.pB_upper)
    )


def _votes_of_selected(run: Recorded, total: int) -> tuple[BoolArray, IntArray]:
    """`(inputs,)` whether the class selected is the true one, and its votes."""
    right, votes = [], []
    for row in run.rows():
        check_total(run, row, total)
        top = max(row.n0_votes, key=lambda label: (row.n0_votes[label], -label))
        right.append(top == row.label)
        votes.append(int(row.n_votes.get(top, 0)))
    if not votes:
        raise LedgerError(
            f"a run must hold at least one input to be projected, {str(run.path)!r} holds none; "
            f"run `radii certify` with the same --out to go on with it."
        )
    return np.array(right), np.array(votes, dtype=np.int64)


def _radii(
    bound: Bound, certificate: Certificate, n: int, alpha: float, classes: int
) -> tuple[BoolArray, FloatArray]:
    """`(n + 1,)` whether so many votes certify, and within which radius."""
    certified, radius = np.zeros(n + 1, dtype=bool), np.zeros(n + 1)
    size = max(1, _CHUNK // classes)
    for start in range(0, n + 1, size):
        k = np.arange(start, min(start + size, n + 1))
        votes = np.zeros((len(k), classes), dtype=np.int64)
        votes[:, 0], votes[:, 1] = k, n - k
        bounds = bound.class_bounds(Counts(votes), np.zeros(len(k), dtype=np.int64), alpha)
        yes = bounds.pA_lower > bounds.pB_upper
        certified[k] = yes
        radius[k[yes]] = certificate.radius(ClassBounds(bounds.pA_lower[yes], bounds.pB_upper[yes]))
    return certified, radius


def _least(enough: BoolArray) -> int:
    """The first number of votes that is enough; one more than all if none is.

    More votes never give less, which conformance tests hold bounds and certificates to.
    """
    return int(np.argmax(enough)) if enough.any() else len(enough)


def _chances(k: IntArray, total: int, n: int) -> Iterator[tuple[slice, IntArray, FloatArray]]:
    """The law of the votes among n of `total` draws, for each number k of votes among all.

    Args:
        k: `(m,)` in [0, total].
        total: Draws.
        n: Of them, drawn without replacement.

    Yields:
        Which of k; `(part, width)` numbers of votes; `(part, width)` their probabilities, with a
        sum of 1. Numbers that together are rarer than 4e-35 are left out.
    """
    log_factorial = gammaln(np.arange(total + 1) + 1.0)
    least = np.maximum(0, k - (total - n))
    most = np.minimum(k, n)
    centre, far = k * (n / total), math.sqrt(_FAR * n) + 1
    first = np.maximum(least, np.floor(centre - far).astype(np.int64))
    last = np.minimum(most, np.ceil(centre + far).astype(np.int64))
    width = int((last - first).max()) + 1
    size = max(1, _CHUNK // width)
    for start in range(0, len(k), size):
        part = slice(start, start + size)
        end, all_votes = last[part, None], k[part, None]
        votes = np.minimum(first[part, None] + np.arange(width), end)
        log_chance = (
            -log_factorial[votes]
            - log_factorial[all_votes - votes]
            - log_factorial[n - votes]
            - log_factorial[total - all_votes - (n - votes)]
        )
        log_chance -= log_chance.max(axis=1, keepdims=True)
        chance = np.exp(log_chance)
        chance[first[part, None] + np.arange(width) > end] = 0.0
        yield part, votes, chance / chance.sum(axis=1, keepdims=True)
