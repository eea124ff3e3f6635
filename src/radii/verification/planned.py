"""Whether a run's spec is one that could be run: what it says of itself, held against the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from radii.bounds import BOUNDS
from radii.certificates import CERTIFICATES, Certificate, find
from radii.certificates.base import depends_on_dimension
from radii.errors import NotCoveredError, PlanError
from radii.evaluation.rereading import plan_of
from radii.noise import NOISES, Noise
from radii.registry import Registry
from radii.stopping import STOPS
from radii.verification.result import Check
from radii.verification.stored import Stored

_THEOREM = "noise, norm and certificate"
_PLAN = "plan"


def planned(stored: Stored) -> Iterator[Check]:
    """All checks of this kind.

    A file can say that its radii are in a norm which its certificate is not about, that votes of
    drawn noise count every outcome, or that a bound for one n held wherever somebody stopped. Its
    numbers then agree with each other, and prove nothing.
    """
    unknown = _unknown(stored)
    if unknown is not None:
        yield Check(_THEOREM, "not checked", unknown)
        yield Check(_PLAN, "not checked", unknown)
        return
    noise = NOISES.build(stored.meta["noise"])
    yield _theorem(stored, noise)
    if not stored.imported:
        yield _plan(stored, noise)


def _unknown(stored: Stored) -> str | None:
    """Which member of the spec this installation does not have; None if it has all of them."""
    meta = stored.meta
    named: list[tuple[Registry[Any], object]] = [
        (NOISES, meta["noise"]),
        (CERTIFICATES, meta["certificate"]),
        (BOUNDS, meta["bound"]),
        (STOPS, meta.get("stop", "never")),
    ]
    for registry, spec in named:
        name = str(spec).partition(":")[0]
        if name not in registry.names():
            return f"no {registry.kind} is called {name!r} here; install what provides it"
    return None


def _theorem(stored: Stored, noise: Noise) -> Check:
    meta = stored.meta
    if stored.dim is None and depends_on_dimension(CERTIFICATES[meta["certificate"]]):
        said = f"{meta['certificate']} depends on the shape of the inputs, which the run lacks"
        return Check(_THEOREM, "not checked", said)
    try:
        certificate = _certificate(stored, noise)
    except NotCoveredError as error:
        return Check(_THEOREM, "failed", str(error))
    if certificate.domain != meta.get("domain"):
        wanted = certificate.domain or "every point of the ball"
        return Check(
            _THEOREM,
            "failed",
            f"the certificate is about {wanted}, and the run says {meta.get('domain')!r}",
        )
    return Check(
        _THEOREM, "passed", f"{meta['certificate']} is about this noise in {certificate.norm}"
    )


def _plan(stored: Stored, noise: Noise) -> Check:
    meta = stored.meta
    try:
        plan = plan_of(stored.run)
        ought = plan.under(noise)
        for name in ("n0", "n", "alpha"):
            is_, must = getattr(plan, name), getattr(ought, name)
            if is_ != must:
                said = f"noise that is enumerated takes {name}={must!r}, and the run says {is_!r}"
                return Check(_PLAN, "failed", said)
        plan.check(meta["num_classes"], meta.get("vote", "hard"))
        if plan.stops_early:
            plan.course(_certificate(stored, noise))
    except NotCoveredError as error:
        return Check(_PLAN, "not checked", str(error))
    except (PlanError, ValueError) as error:
        return Check(_PLAN, "failed", str(error))
    return Check(_PLAN, "passed", "its bound holds for such draws, wherever it stops")


def _certificate(stored: Stored, noise: Noise) -> Certificate:
    meta = stored.meta
    return find(noise, cast(Any, meta["norm"]), meta["certificate"], dim=stored.dim)
