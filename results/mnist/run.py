"""Trains, certifies and exports the runs behind the MNIST table; run again, it goes on.

    python results/mnist/run.py --work DIR --data-root PATH [--only gaussian-0.50 ...] [--seeds 0 1]
                                [--subset every:20] [--epochs 9] [--precision bfloat16]
                                [--certify-precision bfloat16] [--train-only]

For each recipe under `recipes/mnist` and each seed: `radii train`, `radii certify` (n0 = 100,
n = 100,000, alpha = 0.001) and `radii export` into this folder, as `NAME-seed0.parquet`. With
`--epochs` a recipe is shortened: the learning rate falls at the same shares of the run, and warm-up
and deferral of the objective shrink with it. Such runs are called `NAME-e9-seed0`.

The trained networks are kept in `bases/`, so that a run can be certified again without training:
with its export removed, that is what this script does. With its folder in `bases/` removed too, it
trains anew. Large files stay in DIR. `python results/mnist/table.py` makes the table from the
exports.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BASES = HERE / "bases"
RECIPES = HERE.parents[1] / "recipes" / "mnist"


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


def absolute(path: str) -> Path:
    """A path of the command line, from whatever folder it is used."""
    return Path(path).resolve()


def radii(*arguments: object) -> None:
    """Runs the command line among the bases: what it records has no path of a machine."""
    BASES.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "radii", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=BASES)


def train(path: Path, title: str, seed: int, options: argparse.Namespace) -> None:
    """Trains in the folder for what is large, and keeps the network in `bases/`."""
    change: list[object] = []
    if options.epochs is not None:
        new = shortened(tomllib.loads(path.read_text("utf-8")), options.epochs)
        change = ["--epochs", options.epochs]
        for key in ("schedule", "objective"):
            change += [f"--{key}", spec(new[key])]
    change += ["--precision", options.precision] if options.precision else []
    out = options.work / title
    data = ("--data", "mnist", "--data-root", options.data_root)
    radii("train", path, *data, "--seed", seed, *change, "--out", out, "--resume")
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    print(f"{title}: {sum(m['seconds'] for m in metrics) / 60:.1f} minutes of training", flush=True)
    kept, partial = BASES / title, BASES / f"{title}.partial"
    partial.mkdir(exist_ok=True)
    for name in ("model.json", "model.safetensors"):
        shutil.copyfile(out / name, partial / name)
    partial.rename(kept)


def made(name: str, seed: int, options: argparse.Namespace) -> None:
    """One run, from recipe to export."""
    path = RECIPES / f"{name}.toml"
    short = "" if options.epochs is None else f"-e{options.epochs}"
    title = f"{name}{short}-seed{seed}"
    export = HERE / f"{title}.parquet"
    if not (BASES / title).exists():
        train(path, title, seed, options)
    if options.train_only or export.exists():
        return
    run = options.work / f"{title}.sqlite"
    data = ("--data", "mnist", "--data-root", options.data_root)
    noise = spec(tomllib.loads(path.read_text("utf-8"))["noise"])
    sampling = ("--subset", options.subset, "--seed", 0, "--precision", options.certify_precision)
    radii("certify", "--base", title, *data, "--noise", noise, *sampling, "--out", run)
    radii("export", run, "--out", export)


def main() -> None:
    """Every run that is asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=absolute, required=True, help="folder for what is large")
    parser.add_argument("--data-root", type=absolute, required=True)
    parser.add_argument("--only", nargs="+", help="names of recipes; all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--subset", default="all")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="of training")
    parser.add_argument("--certify-precision", default="float32")
    parser.add_argument("--train-only", action="store_true", help="certifies nothing")
    options = parser.parse_args()
    for name in options.only or sorted(path.stem for path in RECIPES.glob("*.toml")):
        for seed in options.seeds:
            made(name, seed, options)


if __name__ == "__main__":
    main()
