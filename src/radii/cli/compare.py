"""`radii compare`: whether two runs differ by more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radii.cli.console import print_json, print_line, print_table
from radii.cli.options import RadiiOption, arguments, radii_of
from radii.rounding import ceiled, exact, floored, percent_floored

if TYPE_CHECKING:
    from radii.evaluation.compare import Comparison


def compare(
    run_a: Annotated[Path, typer.Argument(help="A ledger, or an export of one: the baseline.")],
    run_b: Annotated[Path, typer.Argument(help="Another, on the same inputs.")],
    radii: RadiiOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every digit.")] = False,
) -> None:
    """Paired and unpaired tests of two runs; differences are RUN_B less RUN_A."""
    from radii.evaluation import open_run
    from radii.evaluation.compare import compare as compared

    with arguments():
        grid = None if radii is None else radii_of(radii)
    found = compared(open_run(run_a), open_run(run_b), grid)
    if as_json:
        print_json(found.plain())
    else:
        _print(found)


def _print(found: Comparison) -> None:
    from radii.evaluation.compare import p_text

    acr = found.acr
    print_line(f"A is {found.a}")
    print_line(f"B is {found.b}")
    print_line("")
    columns = [">inputs", ">ACR of A", ">ACR of B", ">B - A", ">paired SE", ">z", ">p"]
    row = [
        f"{found.examples:,}",
        floored(acr.a, 4),
        floored(acr.b, 4),
        "-" if acr.difference is None else _signed(acr.difference, 4),
        "-" if acr.se is None else ceiled(acr.se, 4),
        "-" if acr.z is None else _signed(acr.z, 2),
        "-" if acr.p_value is None else p_text(acr.p_value),
    ]
    print_table(columns, [row], "Average certified radius")
    print_line("")
    columns = [
        *(">radius", ">A", ">B", ">only A", ">only B", ">McNemar p", ">Holm"),
        *(">two-proportion z", ">p", ">Holm"),
    ]
    rows = [
        [
            radius,
            percent_floored(each.a),
            percent_floored(each.b),
            f"{each.mcnemar.a_only:,}",
            f"{each.mcnemar.b_only:,}",
            p_text(each.mcnemar.p_value),
            p_text(each.mcnemar.p_holm),
            _signed(each.two_proportion.z, 2),
            p_text(each.two_proportion.p_value),
            p_text(each.two_proportion.p_holm),
        ]
        for radius, each in zip(
            exact([each.radius for each in found.certified_accuracy]),
            found.certified_accuracy,
            strict=True,
        )
    ]
    print_table(columns, rows, "Certified accuracy in %, and tests of no difference")
    print_line("")
    print_line(found.conclusion)
    for warning in found.warnings:
        print_line(f"note: {warning}")


def _signed(value: float, decimals: int) -> str:
    """A difference, rounded towards 0."""
    text = floored(abs(value), decimals)
    return f"-{text}" if value < 0 and float(text.replace("∞", "inf")) else text
