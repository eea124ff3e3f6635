"""Specs of every registry, and what else is written on a command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

from radii.attacks import ATTACKS
from radii.bounds import BOUNDS
from radii.certificates import CERTIFICATES
from radii.cli.options import radii_of
from radii.data import DATASETS, Subset, load
from radii.evaluation.importers import Pattern
from radii.evaluation.importers.pattern import filled
from radii.executors import EXECUTORS
from radii.models import ARCHITECTURES, DENOISERS
from radii.models.adapters import ADAPTERS
from radii.noise import NOISES
from radii.objectives import OBJECTIVES
from radii.registry import Registry
from radii.stopping import STOPS
from radii.training import PLANS
from tests.fuzz.oracle import answered, command
from tests.fuzz.strategies import damaged_text, fuzzed, plain, specs, texts

REGISTRIES: tuple[Registry[Any], ...] = (
    *(ATTACKS, BOUNDS, CERTIFICATES, DATASETS, EXECUTORS, ARCHITECTURES, DENOISERS, ADAPTERS),
    *(NOISES, OBJECTIVES, STOPS, PLANS),
)


def _valid() -> Iterator[tuple[Registry[Any], str]]:
    for registry in REGISTRIES:
        for entry in registry.entries():
            yield registry, entry.name
            for fields in getattr(registry[entry.name], "examples", ()):
                pairs = ",".join(f"{key}={value}" for key, value in fields.items())
                yield registry, f"{entry.name}:{pairs}" if pairs else entry.name


EXAMPLES = {
    registry.kind: [spec for other, spec in _valid() if other is registry]
    for registry in REGISTRIES
}


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_texts(registry: Registry[Any]) -> None:
    @fuzzed(12, specs(EXAMPLES[registry.kind]))
    def check(spec: str) -> None:
        built = answered(lambda: registry.build(spec), ValueError)
        if built is not None:
            written = answered(lambda: registry.spec_of(built), ValueError)
            if written is not None:
                assert registry.build(written) == built

    check()


@fuzzed(24, st.sampled_from(REGISTRIES), st.data())
def test_mappings(registry: Registry[Any], data: st.DataObject) -> None:
    """As TOML and JSON have them, with values of any type."""
    name, _, rest = data.draw(st.sampled_from(EXAMPLES[registry.kind])).partition(":")
    keys = [part.partition("=")[0] for part in rest.split(",") if part] or ["name"]
    given = {key: data.draw(plain()) for key in keys}
    answered(lambda: registry.build({"name": name, **given}), ValueError)


@fuzzed(20, specs(EXAMPLES["noise"]), specs(EXAMPLES["bound"]), texts())
def test_calculator(noise: str, bound: str, alpha: str) -> None:
    command(
        *("radius", f"--noise={noise}", "--norm=l2", "--votes=990", "--n=1000"),
        *(f"--bound={bound}", f"--alpha={alpha}", "--dim=12"),
    )


@fuzzed(30, texts() | damaged_text("0,0.25,1e2"), damaged_text("random:7,seed=1"), texts())
def test_radii_and_subsets(radii: str, subset: str, other: str) -> None:
    answered(lambda: radii_of(radii), ValueError)
    for text in (subset, other):
        chosen = answered(lambda text=text: Subset.parse(text), ValueError)
        if chosen is not None:
            assert Subset.parse(str(chosen)) == chosen
            answered(lambda chosen=chosen: chosen.indices(100), ValueError)


@fuzzed(
    20, damaged_text("noise_{sigma}_{seed}/{objective}*"), texts(), damaged_text("a/noise_0.25_1")
)
def test_patterns(pattern: str, template: str, path: str) -> None:
    made = answered(lambda: Pattern(pattern), ValueError)
    if made is not None:
        found = answered(lambda: made.match(path))
        if found is not None:
            answered(lambda: filled(template, found.fields), ValueError)


@fuzzed(20, specs(("mnist5k@test", "npz:a.npz@train", "folder:x@val", "mnist", "svhn@test")))
def test_references_of_data(reference: str) -> None:
    answered(lambda: load(reference, root="."), ValueError)


@fuzzed(12, specs(EXAMPLES["stopping"] if "stopping" in EXAMPLES else ("never",)), texts(), texts())
def test_certify(stop: str, subset: str, device: str) -> None:
    """Nothing is certified: the classifier is not there."""
    command(
        *("certify", "--base=nowhere", "--data=mnist5k", "--noise=gaussian:sigma=0.5"),
        *(f"--stop={stop}", f"--subset={subset}", f"--device={device}", "--dry-run"),
    )
