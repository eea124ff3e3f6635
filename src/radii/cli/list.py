"""`radii list`: what is registered."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
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
    STOP = "stop"
    ATTACK = "attack"
    OBJECTIVE = "objective"
    OPTIMISER = "optimiser"
    SCHEDULE = "schedule"
    AUGMENTATION = "augmentation"
    ARCHITECTURE = "architecture"
    DENOISER = "denoiser"
    DATASET = "dataset"
    EXECUTOR = "executor"


_HOMES = {
    Kind.NOISE: ("radii.noise", "NOISES"),
    Kind.BOUND: ("radii.bounds", "BOUNDS"),
    Kind.CERTIFICATE: ("radii.certificates", "CERTIFICATES"),
    Kind.STOP: ("radii.stopping", "STOPS"),
    Kind.ATTACK: ("radii.attacks", "ATTACKS"),
    Kind.OBJECTIVE: ("radii.objectives", "OBJECTIVES"),
    Kind.OPTIMISER: ("radii.training", "OPTIMISERS"),
    Kind.SCHEDULE: ("radii.training", "SCHEDULES"),
    Kind.AUGMENTATION: ("radii.training", "AUGMENTATIONS"),
    Kind.ARCHITECTURE: ("radii.models", "ARCHITECTURES"),
    Kind.DENOISER: ("radii.models", "DENOISERS"),
    Kind.DATASET: ("radii.data", "DATASETS"),
    Kind.EXECUTOR: ("radii.executors", "EXECUTORS"),
}


def list_members(
    kind: Annotated[Kind | None, typer.Argument(help="Only of this kind.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Every noise, bound, certificate, attack, objective, architecture, data set and so on."""
    entries = [entry for registry in _registries(kind) for entry in registry.entries()]
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


def _registries(kind: Kind | None) -> Iterator[Registry[Any]]:
    """Those of a kind, or of every kind; only what is listed is imported."""
    for each in Kind if kind is None else (kind,):
        package, name = _HOMES[each]
        yield getattr(importlib.import_module(package), name)
