"""`radii list`: what is registered."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radii.cli.console import print_json, print_table
from radii.cli.options import JsonOption

if TYPE_CHECKING:
    from radii.registry import Registry


class Kind(StrEnum):
    """What can be listed."""

    NOISE = "noise"
    BOUND = "bound"
    CERTIFICATE = "certificate"
    OBJECTIVE = "objective"
    SCHEDULE = "schedule"
    ARCHITECTURE = "architecture"
    DATASET = "dataset"


def list_members(
    kind: Annotated[Kind | None, typer.Argument(help="Only of this kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Every noise, bound, certificate, objective, architecture and data set."""
    entries = [
        entry
        for registry in _registries()
        if kind is None or registry.kind == kind
        for entry in registry.entries()
    ]
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    rows = [
        [
            entry.kind,
            entry.name,
            ", ".join(
                key if value == "required" else f"{key}={value}"
                for key, value in entry.parameters.items()
            ),
            entry.reference or entry.summary,
        ]
        for entry in entries
    ]
    print_table(["kind", "name", "parameters", "reference"], rows)


def _registries() -> tuple[Registry[Any], ...]:
    from radii.bounds import BOUNDS
    from radii.certificates import CERTIFICATES
    from radii.data import DATASETS
    from radii.models import ARCHITECTURES
    from radii.noise import NOISES
    from radii.objectives import OBJECTIVES
    from radii.training import SCHEDULES

    return (NOISES, BOUNDS, CERTIFICATES, OBJECTIVES, SCHEDULES, ARCHITECTURES, DATASETS)
