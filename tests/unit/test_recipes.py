"""The recipes that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from radii.cli.recipe import settings_of, trainings_of
from radii.models import ARCHITECTURES, LeNet, initialise, save_base
from radii.noise import Gaussian
from radii.objectives import OBJECTIVES

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.toml"))


def classifier(folder: Path) -> str:
    """A folder as training writes it, for recipes that train a denoiser before a classifier."""
    description = {"architecture": "lenet", "input_shape": [1, 28, 28], "num_classes": 10}
    description |= {"class_names": None, "mean": [0.0], "std": [1.0]}
    save_base(folder, initialise(LeNet(), (1, 28, 28), 10, seed=0), description)
    return str(folder)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_what_its_name_says(recipe: str, tmp_path: Path) -> None:
    denoises = Path(recipe).stem.startswith("denoiser-")
    given = {"base": classifier(tmp_path / "classifier")} if denoises else {}
    settings = settings_of(FOLDER / recipe, given)
    data, _, file = recipe.partition("/")
    name, _, sigma = file.removesuffix(".toml").rpartition("-")
    assert settings["data"] == data
    ((_, training),) = trainings_of(settings | {"data": "mnist5k"}, tmp_path, "cpu", None)
    assert training.noise == Gaussian(float(sigma))
    assert name.startswith(OBJECTIVES.name_of(training.objective).split("_")[0]) or (
        name in ("smoothadv-consistency", "smoothadv-consistency-convnet", "denoiser")
    )
    assert training.objective.denoises == denoises
    architecture = f"denoised:denoiser={settings['denoiser']},base=lenet" if denoises else None
    assert ARCHITECTURES.spec_of(training.architecture) == (architecture or settings["base"])
    assert training.plan.epochs == settings["epochs"]


def test_there_are_recipes_for_the_published_table_for_denoisers_and_of_our_own() -> None:
    names = {Path(recipe).stem.rpartition("-")[0] for recipe in RECIPES if "mnist/" in recipe}
    assert names == {
        *("gaussian", "stability", "macer", "consistency", "smoothadv", "smoothadv-consistency"),
        *("catrs", "smoothmix"),
        "smoothadv-consistency-convnet",
        "denoiser",
    }
