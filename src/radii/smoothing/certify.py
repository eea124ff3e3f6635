"""The algorithms, as in the papers: certify, decide, predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.special import betainc
from torch import Tensor

from radii.certificates.base import Certificate
from radii.errors import PlanError
from radii.records import Certification, Counts, FloatArray, IntArray, Prediction
from radii.smoothing.plan import SamplingPlan
from radii.smoothing.scheduler import Request, Sampler

# The relative error of SciPy's betainc at 1/2 was at most 1e-12 for n up to 1e6.
_MARGIN = 2.0**-32


def certify(
    sampler: Sampler,
    inputs: Iterable[tuple[int, Tensor]],
    plan: SamplingPlan,
    certificate: Certificate,
) -> Iterator[tuple[int, Certification]]:
    """CERTIFY for each input: select, estimate, bound, radius.

    Selection and estimation draw from streams of their own, so both can be under way at once.

    Args:
        sampler: The base classifier under noise.
        inputs: Pairs of index and `(*shape)` float32 input.
        plan: Draws, alpha, bound.
        certificate: For the sampler's noise.

    Yields:
        Index and certification, in the order of the inputs.

    Reference:
        Cohen, Rosenfeld and Kolter 2019, arXiv:1902.02918, Algorithm 1.
    """
    requests = (
        Request(index, x, {"selection": plan.n0, "estimation": plan.n}) for index, x in inputs
    )
    for request, counts in sampler.run(requests):
        yield (
            request.index,
            decide(counts["selection"], counts["estimation"], plan, certificate),
        )


def decide(
    selection: Counts, estimation: Counts, plan: SamplingPlan, certificate: Certificate
) -> Certification:
    """What counts certify of one input; the live run and every later reading call this.

    Args:
        selection: `(num_classes,)` votes that select the class.
        estimation: `(num_classes,)` votes, independent of those, that bound its probability.
        plan: Alpha and bound; its n is not read.
        certificate: For the noise under which the votes were cast.
    """
    top = selection.top
    bounds = plan.bound.class_bounds(estimation, top, plan.alpha)
    radius = certificate.radius(bounds)
    certified = bounds.pA_lower > bounds.pB_upper
    return Certification(
        prediction=int(top) if certified else None,
        radius=float(radius),
        pA_lower=float(bounds.pA_lower),
        pB_upper=float(bounds.pB_upper),
        selection=selection,
        estimation=estimation,
    )


def predict(
    sampler: Sampler, inputs: Iterable[tuple[int, Tensor]], n: int, alpha: float
) -> Iterator[tuple[int, Prediction]]:
    """PREDICT for each input: the top class, if a two-sided binomial test tells it from the next.

    With probability at least `1 - alpha` the answer is the smoothed classifier's or None.

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
    check_prediction(n, alpha)
    for request, counts in sampler.run(Request(i, x, {"prediction": n}) for i, x in inputs):
        votes = counts["prediction"]
        top = votes.top
        k, other = votes.of(top), votes.runner_up_votes(top)
        p_value = float(two_sided_p_value(k, k + other))
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
