"""Enough votes that more of them would hardly raise the radius."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from radii.bounds import Bound, Calibrated, ClopperPearson, Hybrid
from radii.bounds.calibrated import geometric_looks
from radii.certificates.base import Certificate
from radii.errors import PlanError
from radii.records import ClassBounds, FloatArray, IntArray
from radii.stopping.base import STOPS, BoolArray, Course, Stop, at_all_looks, never_certifies

_UNLIKELY = 0.05


@dataclass(frozen=True, eq=False)
class _Settled(Course):
    """Goes on while n draws could plausibly give a larger radius.

    Attributes:
        certificate: Turns bounds into radii.
        rel: Share of the radius that may be missed.
        absolute: Radius that may be missed.
    """

    certificate: Certificate
    rel: float
    absolute: float

    def done(self, look: int, k: IntArray | int, lower: FloatArray | float) -> BoolArray:
        """Whether the plausible gain is small enough; see `Course.done` and `Precision`."""
        n = int(self.looks[-1])
        if self.at(look) == len(self.looks) - 1:
            return np.full(np.shape(k), True)
        k, lower = np.asarray(k), np.asarray(lower)
        rate = ClopperPearson().upper(k, look, _UNLIKELY)
        most = k + np.ceil((n - look) * rate).astype(np.int64)
        final = np.maximum(self.bound.lower(np.minimum(most, n), n, self.alpha), lower)
        now = self.certificate.radius(ClassBounds.one_sided(lower))
        then = self.certificate.radius(ClassBounds.one_sided(final))
        return np.asarray(then <= now + np.maximum(self.rel * now, self.absolute))


@STOPS.register("precision")
@dataclass(frozen=True)
class Precision(Stop):
    """Until more draws, up to n, could not plausibly raise the radius by more than so much.

    The radius now is compared with the one that n draws would give if the other `n - t` succeeded
    at the highest plausible rate: the Clopper-Pearson bound above p, at 95 %, from the k of t so
    far. It stops if that is larger by no more than `abs`, or by no more than the share `rel` of the
    radius now. This decides when to stop, not what is claimed: it costs no alpha, and if the rate
    was higher than it seemed, the radius is smaller than it might have been, but as sound.

    The default bound is `hybrid`, which ends with nearly that of a fixed n. Most inputs have p so
    near to 1 that a radius within a few percent needs most of the n draws.

    Attributes:
        rel: Share of the radius that may be missed.
        abs: Radius that may be missed, in input units.
    """

    rel: float = 0.02
    abs: float = 0.01
    examples = ({}, {"rel": 0.1, "abs": 0.0})

    def __post_init__(self) -> None:
        """Refuses tolerances that are none."""
        for name, value in (("rel", self.rel), ("abs", self.abs)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of at least 0, got {value!r}")

    def course(
        self,
        n: int,
        alpha: float,
        bound: Bound | None,
        certificate: Certificate,
        *,
        multiple: int = 1,
    ) -> Course:
        """The rule for one run; see `Stop.course`."""
        if isinstance(bound, Calibrated):
            raise PlanError(
                "calibrated bounds pA at thresholds known in advance only, and precision has none: "
                "take hybrid or betting."
            )
        bound = at_all_looks(bound or Hybrid(), n, multiple)
        looks = geometric_looks(n, multiple=multiple)
        if not np.any(bound.lower(looks, looks, alpha) > 0.5):
            raise never_certifies(n, alpha)
        return _Settled(looks, bound, alpha, certificate, self.rel, self.abs)
