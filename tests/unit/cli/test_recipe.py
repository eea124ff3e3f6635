from __future__ import annotations

from pathlib import Path

import pytest

from radii.cli.options import WrongUsageError
from radii.cli.recipe import known_keys, seeds_of, settings_of, trainings_of
from radii.noise import Gaussian
from radii.objectives import OBJECTIVES
from radii.training import SGD, AdamW, CropFlip, OneCycle, TrainingPlan

NEEDED = {"data": "mnist5k", "base": "mlp", "noise": "gaussian:sigma=0.5", "epochs": 7}

RECIPE = """
data = "mnist5k"
base = { name = "mlp", hidden = 8, depth = 1 }
noise = { name = "gaussian", sigma = 0.5 }
epochs = 7
batch_size = 64
accumulate = 2
lr = 0.002
lr_warmup = 1
clip = 1
ema = 0.99
normalize = "none"
precision = "bfloat16"
compile = "off"
validate = 200
validate_n = 50
validate_every = 2
validate_norm = "l2"
keep = "best"
seed = 3

[optimiser]
name = "adamw"
weight_decay = 0.1

[schedule]
name = "one_cycle"
rise = 0.25

[augment]
name = "crop_flip"
padding = 2

[objective]
name = "consistency"
strength = 5.0

[objective.over]
name = "gaussian"
draws = 2
"""


def plan_of(**settings):
    ((_, training),) = trainings_of({**NEEDED, **settings}, Path("out"), "cpu", None)
    return training.plan


def test_everything_can_stand_in_a_recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    ((folder, training),) = trainings_of(settings_of(path, {}), Path("out"), "cpu", None)
    assert folder == Path("out")
    assert training.plan == TrainingPlan(
        epochs=7,
        batch_size=64,
        accumulate=2,
        lr=0.002,
        lr_warmup=1,
        optimiser=AdamW(weight_decay=0.1),
        schedule=OneCycle(rise=0.25),
        clip=1.0,
        ema=0.99,
        normalize="none",
        augment=CropFlip(padding=2),
        precision="bfloat16",
        compile="off",
        validate=200,
        validate_n=50,
        validate_every=2,
        validate_norm="l2",
        keep="best",
        seed=3,
    )
    assert training.noise == Gaussian(0.5)
    assert OBJECTIVES.spec_of(training.objective) == OBJECTIVES.spec_of(
        OBJECTIVES.build("consistency:strength=5.0,over=gaussian(draws=2)")
    )


def test_options_win_and_may_take_something_back(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    given = {
        "normalize": "data",
        "ema": "none",
        "clip": "0.5",
        "augment": "none",
        "lr": 0.1,
        "optimiser": "sgd",
    }
    ((_, training),) = trainings_of(settings_of(path, given), Path("out"), "cpu", None)
    plan = training.plan
    assert plan.normalize == "data"
    assert (plan.ema, plan.clip, plan.augment, plan.lr) == (None, 0.5, None, 0.1)
    assert plan.optimiser == SGD()
    assert plan.batch_size == 64


def test_defaults_are_those_of_the_plan():
    assert plan_of() == TrainingPlan(epochs=7)


def test_a_sweep_is_one_run_a_seed():
    for seeds in ("0,2,5", [0, 2, 5]):
        found = trainings_of({**NEEDED, "seeds": seeds}, Path("out"), "cpu", None)
        assert [(folder, training.plan.seed) for folder, training in found] == [
            (Path("out/seed-0"), 0),
            (Path("out/seed-2"), 2),
            (Path("out/seed-5"), 5),
        ]
    assert seeds_of({}) is None
    assert seeds_of({"seeds": [4]}) == [4]


def test_seed_and_seeds_replace_each_other(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    swept = settings_of(path, {"seeds": "1,2"})
    assert "seed" not in swept
    path.write_text(RECIPE.replace("seed = 3", "seeds = [1, 2]"))
    assert "seeds" not in settings_of(path, {"seed": 1})
    with pytest.raises(ValueError, match="not both"):
        settings_of(path, {"seed": 1, "seeds": "1,2"})


@pytest.mark.parametrize("seeds", ["", "a,b", "1,1", [], [1.5, "x"], [0.5, 1.9], 3])
def test_seeds_that_are_none_are_refused(seeds):
    with pytest.raises(ValueError, match="seeds must be"):
        seeds_of({"seeds": seeds})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch = 3", "unknown keys epoch; known: data, base"),
        ("epoch = 3", "Did you mean 'epochs'?"),
        ("momentum = 0.9", "unknown keys momentum"),
        ("resume = true", "unknown keys resume"),
        ("epochs =", "is not TOML"),
        ('data = "mnist5k"', "missing --base, --noise, --epochs"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path, text, said):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        settings_of(path, {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epochs": "many"}, "epochs of plan 'training' must be a whole number"),
        ({"lr": "fast"}, "lr of plan 'training' must be a number"),
        ({"precision": "float16"}, "float32, bfloat16"),
        ({"keep": "best"}, "set validate"),
        ({"normalize": "mnist"}, "one of data, none"),
        ({"optimiser": "sdg"}, "Did you mean 'sgd'?"),
        ({"optimiser": {"name": "sgd", "speed": 1}}, "no parameter 'speed'"),
        ({"schedule": {"every": 3}}, "under 'name'"),
        ({"augment": "crop"}, "known: crop_flip"),
        ({"ema": 1.5}, "ema must be in"),
    ],
)
def test_values_that_do_not_fit_are_refused(settings, said):
    with pytest.raises((WrongUsageError, ValueError)) as raised:
        plan_of(**settings)
    assert said in str(raised.value)


def test_the_keys_are_those_of_the_command_line():
    import inspect

    from radii.cli.train import train

    options = {
        "compile" if name == "compilation" else name for name in inspect.signature(train).parameters
    }
    assert set(known_keys()) <= options
    assert options - set(known_keys()) == {
        *("context", "out", "recipe", "device", "data_root", "resume", "tensorboard"),
    }
