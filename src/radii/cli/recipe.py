"""What a recipe and options say together, and the training runs that it stands for."""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radii.cli.options import arguments, dataset_of, note_slow_precision
from radii.errors import did_you_mean

if TYPE_CHECKING:
    from radii.models import Architecture
    from radii.training import Training, Unlabelled

_REQUIRED = ("data", "base", "noise", "epochs")
_SELF_TRAINING = ("unlabelled", "teacher", "unlabelled_weight")
_OPTIONAL = ("objective", "denoiser", "init", "seeds", *_SELF_TRAINING)
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("data", "init", "unlabelled", "teacher"), (str,)),
    **dict.fromkeys(("base", "noise", "objective", "denoiser"), (str, dict)),
}


def known_keys() -> tuple[str, ...]:
    """The keys of a recipe: what is trained, and the fields of the plan."""
    from radii.training import TrainingPlan

    plan = (field.name for field in fields(TrainingPlan))
    return tuple(dict.fromkeys((*_REQUIRED, *_OPTIONAL, *plan)))


def settings_of(recipe: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe, under the options.

    Raises:
        ValueError: If the recipe cannot be read, a key is not known, or one is missing.
    """
    read: dict[str, Any] = {}
    if recipe is not None:
        try:
            read = tomllib.loads(recipe.read_text("utf-8"))
        except OSError as error:
            raise ValueError(f"recipe {str(recipe)!r} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"recipe {str(recipe)!r} is not TOML: {error}") from None
    known = known_keys()
    unknown = sorted(read.keys() - set(known))
    if unknown:
        raise ValueError(
            f"recipe {str(recipe)!r} has unknown keys {', '.join(unknown)}; "
            f"known: {', '.join(known)}." + did_you_mean(unknown[0], known)
        )
    for one, other in (("seed", "seeds"), ("seeds", "seed")):
        if one in given and other not in given:
            read.pop(other, None)  # options win, also in the other form
    settings = {**read, **given}
    for key, kinds in _KINDS.items():
        if not isinstance(settings.get(key, ""), kinds):
            wanted = "a text" if kinds == (str,) else "a text or a table"
            raise ValueError(f"{key} must be {wanted}, got {settings[key]!r}")
    if {"seed", "seeds"} <= settings.keys():
        raise ValueError("give either seed or seeds, not both")
    missing = [f"--{key}" for key in _REQUIRED if key not in settings]
    if missing:
        raise ValueError(f"missing {', '.join(missing)}: give them as options or in a recipe")
    return settings


def seeds_of(settings: Mapping[str, Any]) -> list[int] | None:
    """The seeds of a sweep, or None for a single run."""
    given = settings.get("seeds")
    if given is None:
        return None
    listed = given.split(",") if isinstance(given, str) else given
    try:
        seeds = [int(seed) if isinstance(seed, str) else operator.index(seed) for seed in listed]
    except (TypeError, ValueError):
        raise ValueError(f"seeds must be whole numbers as 0,1,2, got {given!r}") from None
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be one or more, each once, got {given!r}")
    return seeds


def trainings_of(
    settings: Mapping[str, Any], out: Path, device: str, data_root: Path | None
) -> list[tuple[Path, Training]]:
    """The training runs, each with the directory that it writes.

    Raises:
        WrongUsageError: If a value does not fit its key.
    """
    from radii.models import device_named
    from radii.noise import NOISES
    from radii.objectives import OBJECTIVES
    from radii.training import PLANS, Training, own_device

    with arguments():
        architecture, frozen = _architecture_of(settings)
        noise = NOISES.build(settings["noise"])
        usual = "gaussian" if frozen is None else "denoising"
        objective = OBJECTIVES.build(settings.get("objective", usual))
        seeds = seeds_of(settings)
        own = {*_REQUIRED, *_OPTIONAL} - {"epochs"}
        planned = {key: value for key, value in settings.items() if key not in own}
        plan = PLANS.build({"name": "training", **planned})
        target = own_device(device_named(device))
        init = None if settings.get("init") is None else Path(settings["init"])
    note_slow_precision(plan.precision, target)
    dataset = dataset_of(settings["data"], data_root, split="train")
    unlabelled = _unlabelled_of(settings, data_root)
    training = Training(
        *(architecture, dataset, noise, objective, plan, target, init, unlabelled, frozen)
    )
    if seeds is None:
        return [(out, training)]
    return [
        (out / f"seed-{seed}", replace(training, plan=replace(plan, seed=seed))) for seed in seeds
    ]


def _architecture_of(settings: Mapping[str, Any]) -> tuple[Architecture, Path | None]:
    """What is trained, and the directory of the classifier behind a denoiser."""
    from radii.models import DENOISERS, Denoised, architecture_in, architecture_of

    base, denoiser = settings["base"], settings.get("denoiser")
    if denoiser is None:
        return architecture_of(base), None
    if not isinstance(base, str) or not Path(base).is_dir():
        raise ValueError(
            f"base must be a directory that training wrote where a denoiser is given, for the "
            f"denoiser is trained before it, got {base!r}"
        )
    return Denoised(DENOISERS.build(denoiser), architecture_in(base)), Path(base)


def _unlabelled_of(settings: Mapping[str, Any], data_root: Path | None) -> Unlabelled | None:
    """The inputs of self-training, and who labels them."""
    from radii.models import load_base
    from radii.training import Unlabelled

    data, teacher, weight = (settings.get(key) for key in _SELF_TRAINING)
    with arguments():
        if (data is None) != (teacher is None) or (data is None and weight is not None):
            raise ValueError(
                "unlabelled and teacher must be given together: inputs, and the base classifier "
                "that labels them; unlabelled_weight goes with them"
            )
        if data is None or teacher is None:
            return None
        weight = float(1.0 if weight is None else weight)
    dataset = dataset_of(data, data_root, split="train")
    with arguments():
        return Unlabelled(dataset, load_base(teacher), weight)
