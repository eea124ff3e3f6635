"""`radii radius`: the calculator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import print_json, print_line, print_table
from radii.cli.options import (
    AlphaOption,
    BoundOption,
    JsonOption,
    NoiseOption,
    NormOption,
    arguments,
    was_given,
)

if TYPE_CHECKING:
    from radii.records import ClassBounds


def radius(
    context: typer.Context,
    noise: NoiseOption,
    norm: NormOption,
    pA: Annotated[
        float | None, typer.Option("--pA", help="Lower bound on the top class's probability.")
    ] = None,
    pB: Annotated[
        float | None,
        typer.Option("--pB", help="Upper bound on every other class's; by default 1 - pA."),
    ] = None,
    votes: Annotated[int | None, typer.Option("--votes", help="Votes for the top class.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="Draws, fixed before looking.")] = None,
    alpha: AlphaOption = 0.001,
    bound: BoundOption = "clopper_pearson",
    tie: Annotated[
        float | None,
        typer.Option(
            "--tie",
            help="The uniform number drawn with the votes, for a randomised bound; "
            "without it that bound is Clopper-Pearson.",
        ),
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option("--dim", help="Input dimension, for certificates that depend on it."),
    ] = None,
    certificate: Annotated[
        str, typer.Option("--certificate", help="A certificate's name, or all that apply.")
    ] = "all",
    as_json: JsonOption = False,
) -> None:
    """Turns probabilities or votes into certified radii; no classifier is needed."""
    from radii.certificates import CERTIFICATES, covering, find
    from radii.noise import NOISES
    from radii.registry import reference_of
    from radii.rounding import ceiled, complement, exact, floored

    with arguments():
        distribution = NOISES.build(noise)
        for option in ("alpha", "bound"):
            if pA is not None and was_given(context, option):
                raise ValueError(f"--{option} belongs to --votes; with --pA leave it out")
        bounds, spent = _bounds(pA, pB, votes, n, alpha, bound, tie)
        if dim is not None and dim < 1:
            raise ValueError(f"--dim must be at least 1, got {dim}")
        applying = covering(distribution, norm.value, dim)
        if certificate != "all" or not applying:
            name = None if certificate == "all" else certificate
            chosen = find(distribution, norm.value, name, dim=dim)
            applying = {CERTIFICATES.name_of(chosen): chosen}
    found = {name: float(each.radius(bounds)) for name, each in applying.items()}
    if as_json:
        print_json(
            {
                "noise": NOISES.spec_of(distribution),
                "norm": norm.value,
                "dim": dim,
                "alpha": spent,
                "pA_lower": float(bounds.pA_lower),
                "pB_upper": float(bounds.pB_upper),
                "certificates": [
                    {
                        "name": name,
                        "radius": found[name] if math.isfinite(found[name]) else None,
                        "tight": each.tight,
                        "reference": reference_of(type(each)),
                    }
                    for name, each in applying.items()
                ],
            }
        )
        return
    if pA is None:
        lower, upper = floored(float(bounds.pA_lower), 9), ceiled(float(bounds.pB_upper), 9)
    else:
        lower, upper = exact([pA])[0], complement(pA) if pB is None else exact([pB])[0]
    print_line(f"pA_lower {lower}   pB_upper {upper}")
    rows = [
        [
            name,
            floored(found[name], 6),
            "yes" if each.tight else "no",
            reference_of(type(each)),
        ]
        for name, each in applying.items()
    ]
    print_table(["certificate", f">{norm.value} radius", "tight", "reference"], rows)
    for name, each in applying.items():
        if each.domain is not None:
            print_line(f"note: {name} is about {each.domain}.")


def _bounds(
    pA: float | None,
    pB: float | None,
    votes: int | None,
    n: int | None,
    alpha: float,
    bound: str,
    tie: float | None,
) -> tuple[ClassBounds, float | None]:
    """Bounds on the class probabilities, and the alpha that was spent on them."""
    import numpy as np

    from radii.bounds import BOUNDS
    from radii.records import ClassBounds, Counts

    if (pA is None) == (votes is None):
        raise ValueError("give either --pA, or --votes and --n")
    if pA is not None:
        if n is not None:
            raise ValueError("--n belongs to --votes; with --pA leave it out")
        if tie is not None:
            raise ValueError("--tie belongs to --votes; with --pA leave it out")
        if pB is None:
            return ClassBounds.one_sided(pA), None
        return ClassBounds(np.array(pA), np.array(pB)), None
    if pB is not None:
        raise ValueError("--pB belongs to --pA; with --votes leave it out")
    if n is None:
        raise ValueError("--votes needs --n, the number of draws")
    if not 0 <= (votes or 0) <= n:
        raise ValueError(f"--votes must be in [0, n], got {votes} with --n {n}")
    chosen = BOUNDS.build(bound)
    if tie is not None and not chosen.randomized:
        taking = ", ".join(name for name in BOUNDS.names() if BOUNDS[name].randomized)
        raise ValueError(
            f"--tie is for a randomised bound ({taking}), {bound} has no use for it; leave it out"
        )
    if tie is not None and not 0 <= tie < 1:
        raise ValueError(f"--tie must be in [0, 1), got {tie}")
    counts = Counts(  # all other classes as one
        np.array([votes, n - (votes or 0)]), tie=None if tie is None else np.array(tie)
    )
    return chosen.class_bounds(counts, np.array(0), alpha), alpha
