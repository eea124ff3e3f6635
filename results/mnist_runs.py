"""Trains, certifies and exports the runs behind the MNIST table; run again, it goes on.

    python results/mnist_runs.py --work DIR --data-root PATH [--only gaussian-0.50 ...]
                                 [--seeds 0 1] [--subset every:20] [--epochs 9] [--n 10000]
                                 [--train-only] [--precision bfloat16]
                                 [--certify-precision bfloat16]
    python results/mnist_runs.py --work DIR --data-root PATH --sweep [--subset every:20] ...

For each recipe under `recipes/mnist` and each seed: `radii train`, `radii certify` (n0 = 100,
n = 100,000 unless `--n` says otherwise, alpha = 0.001) and `radii export` into
`mnist/NAME-seed0.parquet`. With `--epochs` a recipe is shortened: the learning rate falls at the
same shares of the run, and warm-up and deferral of the objective shrink with it. Such runs are
called `NAME-e9-seed0`.

The networks of whole recipes are kept in `mnist/bases`, so that a run can be certified again
without training: with its export removed, that is what this script does. With its folder in
`mnist/bases` removed too, it trains anew. What is large stays in DIR. `mnist_table.py` makes the
table from the exports.

`--sweep` is the search over the strength of consistency regularization at sigma 1.00, beside
Gaussian augmentation: by recipes shortened to 9 epochs unless `--epochs` says otherwise, certified
with n = 10,000, exported into `mnist/strengths`. A training that collapses has no export.
`mnist_figures.py` draws it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command import radii

RESULTS = Path(__file__).parent / "mnist"
BASES = RESULTS / "bases"
RECIPES = Path(__file__).parents[1] / "recipes" / "mnist"
# Where it is not the papers', Clopper-Pearson: settled by runs of other recipes, before there were
# votes. At 0.25 nearly all votes are for one class, and a share of alpha for the next is lost.
BOUNDS = {
    "smoothadv-consistency-convnet-0.25": "randomized_clopper_pearson",
    "smoothadv-consistency-convnet-0.50": "randomized_runner_up_clopper_pearson",
    "smoothadv-consistency-convnet-1.00": "randomized_runner_up_clopper_pearson",
}
STRENGTHS = (1, 5, 10, 15, 20, 25, 30, 50)  # of the sweep, as in the published search


@dataclass(frozen=True)
class Trained:
    """What is trained.

    Attributes:
        name: Of the recipe.
        seed: Of the training.
        epochs: Of a recipe that is shortened; else None.
        strength: Of the objective, in place of the recipe's; else None.
    """

    name: str
    seed: int
    epochs: int | None = None
    strength: float | None = None

    @property
    def title(self) -> str:
        """The name of its files."""
        strength = "" if self.strength is None else f"-strength{self.strength:g}"
        short = "" if self.epochs is None else f"-e{self.epochs}"
        return f"{self.name}{strength}{short}-seed{self.seed}"

    @property
    def path(self) -> Path:
        """The recipe."""
        return RECIPES / f"{self.name}.toml"

    @property
    def recipe(self) -> dict[str, Any]:
        """What is in it, changed as was asked."""
        found = tomllib.loads(self.path.read_text("utf-8"))
        if self.strength is not None:
            found["objective"]["strength"] = self.strength
        return found if self.epochs is None else shortened(found, self.epochs)


def recipes() -> list[str]:
    """The names of those that train a classifier from the start."""
    found = sorted(RECIPES.glob("*.toml"))
    return [path.stem for path in found if "base" in tomllib.loads(path.read_text("utf-8"))]


def shortened(recipe: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """A recipe with fewer epochs, in which everything that counts epochs shrinks alike."""
    share = epochs / recipe["epochs"]

    def shrunk(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: shrunk(v, k) for k, v in value.items()}
        return max(1, round(share * value)) if key in ("every", "warmup", "deferred") else value

    return {**shrunk(dict(recipe)), "epochs": epochs}


def spec(value: Any) -> str:
    """A nested table of a recipe as the text of a spec."""
    if not isinstance(value, dict):
        return str(value).lower() if isinstance(value, bool) else str(value)
    inner = ",".join(f"{k}={spec(v)}" for k, v in value.items() if k != "name")
    return f"{value['name']}({inner})" if inner else str(value["name"])


def train(wanted: Trained, options: argparse.Namespace) -> Path:
    """The folder of the network, trained unless it is there."""
    whole = (wanted.epochs, wanted.strength) == (None, None)
    kept, out = BASES / wanted.title, options.work / wanted.title
    if whole and kept.exists():
        return kept
    change: list[object] = []
    if not whole:
        new = wanted.recipe
        change = ["--epochs", new["epochs"]]
        for key in ("schedule", "objective"):
            change += [f"--{key}", spec(new[key])]
    change += ["--precision", options.precision] if options.precision else []
    change += ["--normalize", "none"] if options.sweep else []  # as consistency-1.00.toml has it
    where = ("--data-root", options.data_root, "--out", out, "--resume")
    radii(options.work, "train", wanted.path, "--seed", wanted.seed, *change, *where)
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    minutes = sum(each["seconds"] for each in metrics) / 60
    print(f"{wanted.title}: {minutes:.1f} minutes of training", flush=True)
    if not whole:
        return Path(out)
    partial = BASES / f"{wanted.title}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    for name in ("model.json", "model.safetensors"):
        shutil.copyfile(out / name, partial / name)
    partial.rename(kept)
    return kept


def made(wanted: Trained, n: int, folder: Path, options: argparse.Namespace) -> None:
    """One run, from recipe to export."""
    base = train(wanted, options)
    export = folder / f"{wanted.title}.parquet"
    if options.train_only or export.exists():
        return
    run = options.work / f"{wanted.title}.sqlite"
    data = ("--data", "mnist", "--data-root", options.data_root, "--subset", options.subset)
    smoothing = ("--base", base.name, "--noise", spec(wanted.recipe["noise"]))
    sampling = ("--n", n, "--seed", 0, "--precision", options.certify_precision)
    bound = BOUNDS.get(wanted.name, "clopper_pearson")
    radii(base.parent, "certify", *smoothing, *data, *sampling, "--bound", bound, "--out", run)
    radii(options.work, "export", run, "--out", export)


def absolute(path: str) -> Path:
    """A path of the command line, for use in any folder."""
    return Path(path).resolve()


def main() -> None:
    """Every run that is asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=absolute, required=True, help="folder for what is large")
    parser.add_argument("--data-root", type=absolute, required=True)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", nargs="+", help="names of recipes; all by default")
    what.add_argument("--sweep", action="store_true", help="over the strength of consistency")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--subset", default="all")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--n", type=int, help="draws of estimation of an input")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of training")
    parser.add_argument("--certify-precision", default="float32")
    parser.add_argument("--train-only", action="store_true", help="certifies nothing")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.sweep:
        epochs = options.epochs or 9
        for seed in options.seeds:
            wanted = [Trained("gaussian-1.00", seed, epochs)]
            wanted += [Trained("consistency-1.00", seed, epochs, value) for value in STRENGTHS]
            for each in wanted:
                try:
                    made(each, options.n or 10_000, RESULTS / "strengths", options)
                except subprocess.CalledProcessError:
                    print(f"{each.title}: stopped, see above", flush=True)
        return
    for name in options.only or recipes():
        for seed in options.seeds:
            made(Trained(name, seed, options.epochs), options.n or 100_000, RESULTS, options)


if __name__ == "__main__":
    main()
