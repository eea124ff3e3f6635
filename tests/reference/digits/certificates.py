"""Every registered certificate, each against what gives its exact radius in 50 digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from radii.certificates import CERTIFICATES
from radii.certificates.base import depends_on_dimension
from radii.noise import NOISES
from radii.records import ClassBounds
from radii.verification.independent import radius_of
from tests.reference.digits import noises
from tests.reference.digits.functional import FUNCTIONAL_CHECKS
from tests.reference.digits.points import dims, levels, ordinary, shared
from tests.reference.digits.radial import RADIAL_CHECKS
from tests.reference.digits.record import Check, Finding

_FORMULA, _RADIUS = "its formula", "the inequality at the stored radius"
_SUPREMUM = "the supremum, found from below"


def compare(
    radius: float, pA: float, pB: float, slack: Callable[[float, float, float], object], at: object
) -> Finding:
    """What is found at a radius; 0 is silence where A leads."""
    if pA <= pB:
        return Finding(0.0 if radius == 0 else -1.0, (at, pA, pB, radius))
    plain = ordinary(pA, pB)
    if radius == 0:
        return Finding(None, (at, pA, pB, radius), plain)
    found = slack(radius, pA, pB)
    return Finding(float(found), (at, pA, pB, radius), plain)  # type: ignore[arg-type]


def _closed(
    name: str, draw: noises.Draw, each: int, rng: np.random.Generator, points: int
) -> Iterator[Finding]:
    """Compares with `radii verify`, for several noises and, where it matters, dimensions."""
    kind, drawn, wanted = CERTIFICATES[name], draw(rng), dims(rng)
    for i, count in enumerate(shared(points, each)):
        noise, dim = next(drawn), next(wanted)
        certificate = kind(noise, dim) if depends_on_dimension(kind) else kind(noise)  # type: ignore[call-arg]
        pA, pB = levels(rng, count, i)
        radii = certificate.radius(ClassBounds(pA, pB))
        slack = radius_of(name, NOISES.spec_of(noise), dim)
        assert slack is not None
        assert not np.isnan(radii).any()
        for r, a, b in zip(radii.tolist(), pA.tolist(), pB.tolist(), strict=True):
            yield compare(r, a, b, slack, (name, NOISES.spec_of(noise), dim))


def _check(name: str, draw: noises.Draw, against: str = _FORMULA, each: int = 250) -> Check:
    return Check("certificate", against, partial(_closed, name, draw, each))


_CLOSED = {
    name: _check(name, noises.gaussian)
    for name in (
        *("gaussian_l2", "gaussian_l1", "gaussian_linf", "gaussian_l2_lipschitz"),
        *("gaussian_l2_hockey_stick", "gaussian_l2_kl", "gaussian_l2_hellinger"),
        *("gaussian_l2_chi_square", "gaussian_l2_total_variation"),
    )
} | {
    "gaussian_l2_renyi": _check("gaussian_l2_renyi", noises.gaussian, _SUPREMUM),
    "gaussian_l2_pixeldp": _check("gaussian_l2_pixeldp", noises.gaussian, _SUPREMUM),
    "laplace_l1": _check("laplace_l1", noises.laplace),
    "laplace_l1_pixeldp": _check("laplace_l1_pixeldp", noises.laplace),
    "laplace_l1_teng": _check("laplace_l1_teng", noises.laplace),
    "laplace_l1_renyi": _check("laplace_l1_renyi", noises.laplace, _RADIUS),
    "laplace_linf": _check("laplace_linf", noises.laplace, "sums of logarithms"),
    "uniform_l1": _check("uniform_l1", noises.uniform),
    "uniform_linf": _check("uniform_linf", noises.uniform),
    "uniform_ball_l2": _check("uniform_ball_l2", noises.uniform_ball, _RADIUS),
    "splitting_l1": _check("splitting_l1", noises.splitting),
    "splitting_l1_box": _check("splitting_l1_box", noises.splitting_random, _RADIUS),
    "pareto_l1": _check("pareto_l1", noises.pareto),
    "iid_exponential_l1": _check("iid_exponential_l1", noises.iid_exponential, _FORMULA, 500),
}

CERTIFICATE_CHECKS: dict[str, Check] = {**_CLOSED, **RADIAL_CHECKS, **FUNCTIONAL_CHECKS}
