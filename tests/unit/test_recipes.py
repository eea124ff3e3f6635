"""The recipes that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from radii.cli.recipe import settings_of, trainings_of
from radii.models import ARCHITECTURES
from radii.noise import Gaussian
from radii.objectives import OBJECTIVES

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_what_its_name_says(recipe: str, tmp_path: Path) -> None:
    settings = settings_of(FOLDER / recipe, {})
    data, _, file = recipe.partition("/")
    name, _, sigma = file.removesuffix(".toml").rpartition("-")
    assert settings["data"] == data
    ((_, training),) = trainings_of(settings | {"data": "mnist5k"}, tmp_path, "cpu", None)
    assert training.noise == Gaussian(float(sigma))
    assert name.startswith(OBJECTIVES.name_of(training.objective).split("_")[0]) or (
        name == "smoothadv-consistency"
    )
    assert ARCHITECTURES.spec_of(training.architecture) == settings["base"]
    assert training.plan.epochs == settings["epochs"]


def test_there_are_recipes_for_each_objective_of_the_published_table() -> None:
    names = {Path(recipe).stem.rpartition("-")[0] for recipe in RECIPES if "mnist/" in recipe}
    assert names == {
        *("gaussian", "stability", "macer", "consistency", "smoothadv", "smoothadv-consistency"),
        *("catrs", "smoothmix"),
    }
