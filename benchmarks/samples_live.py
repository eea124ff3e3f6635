"""How many draws do stopping rules need on a trained network, and what do they lose?

    python benchmarks/samples_live.py --run results/mnist/gaussian-0.50-seed0.parquet
                                      --base results/mnist/bases/gaussian-0.50-seed0
                                      --work DIR [--data-root PATH] [--rules at_radius radii]

The run is an export, or a ledger, of all n = 100,000 draws of every input (n0 = 100, alpha = 0.001,
l2 radii under Gaussian noise); the base is the network that it certified. The same inputs are
certified again, in the same precision and with the same seed, so that streams start with the same
draws, once for each rule:

- `at_radius` at each radius of the grid 0, 0.25, ... that n draws can reach;
- `radii`, the whole grid at once.

Printed are mean draws an input, n0 included; how many times fewer than n + n0; and at each radius
the certified accuracy by the fixed n and by the rule. For `at_radius` also, over the grid, mean
draws over the mean of the least that a test needs (`wald`, see `samples.py`) which knows of each
input the share of votes that the run counted. Ledgers stay in DIR: run again, it goes on. In the
results each run takes the place of what was measured with it before.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, Row, keep, machine
from samples import ALPHA, FIXED, N0, STEP, N, wald

from radii.certificates import GaussianL2
from radii.data import Subset, load
from radii.evaluation import Export, Ledger, Run, open_run
from radii.evaluation import Row as Certified
from radii.models import load_base
from radii.noise import NOISES, Gaussian
from radii.records import ClassBounds
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.stopping import STOPS, Decision, Radii

NAME = "samples-live.json"
RULES = ("at_radius", "radii")


def again(fixed: Ledger | Export, options: argparse.Namespace) -> Run:
    """The fixed run once more, to be given another rule."""
    meta = fixed.meta
    wanted = {"n": N, "n0": N0, "alpha": ALPHA, "stop": "never", "norm": "l2", "vote": "hard"}
    if other := {key: meta[key] for key, value in wanted.items() if meta[key] != value}:
        raise SystemExit(f"{options.run} must have {wanted}, but it has {other}")
    base = load_base(options.base)
    if base.sha256 != meta["base_sha256"]:
        raise SystemExit(f"{options.base} is not the network that {options.run} certified")
    device, compiled = torch.device(options.device), meta["compile"] == "on"
    module = base.prepared(device, meta["precision"], compiled=compiled)
    shape = tuple(meta["input_shape"])
    return Run(
        smoothed=SmoothedClassifier(
            module, NOISES.build(meta["noise"]), meta["num_classes"], input_shape=shape
        ),
        base=base,
        dataset=load(meta["data"], root=options.data_root),
        subset=Subset.parse(meta["subset"]),
        plan=SamplingPlan(n0=N0, n=N, alpha=ALPHA, seed=meta["seed"]),
        precision=meta["precision"],
    )


def accuracy(rows: Sequence[Certified], radius: float) -> float:
    """Certified accuracy at a radius, in percent."""
    return 100 * statistics.mean(r.prediction == r.label and r.radius >= radius for r in rows)


def share(row: Certified) -> float:
    """Of the votes of the fixed run, for the class selected."""
    selected = max(row.n0_votes, key=lambda label: row.n0_votes[label])
    return row.n_votes.get(selected, 0) / N


def live(run: Run, rule: str, radii: Sequence[float], fixed: list[Certified], work: Path) -> Row:
    """What a rule takes and loses, over all inputs."""
    stopped = replace(run, plan=replace(run.plan, stop=STOPS.build(rule)))
    rows = list(stopped.certify(work / f"{rule.replace(':', '-').replace('/', '_')}.sqlite").rows())
    draws = statistics.mean(row.samples for row in rows)
    row: Row = {"rule": rule, "draws": round(draws, 1), "fewer": round((N + N0) / draws, 2)}
    row["accuracy"] = [
        {"radius": r, "fixed": accuracy(fixed, r), "stopped": accuracy(rows, r)} for r in radii
    ]
    for each in row["accuracy"]:
        print(f"{rule:44}{row['draws']:>10}{row['fewer']:>10}", end="")
        print("{:>8}{:>10.1f}{:>10.1f}".format(*each.values()), flush=True)
    return row


def main() -> None:
    """Measures, prints a table, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="export or ledger of the fixed n")
    parser.add_argument("--base", required=True, help="folder of its network")
    parser.add_argument("--work", type=Path, required=True, help="folder for ledgers")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    source = open_run(options.run)
    run, fixed = again(source, options), list(source.rows())
    about = machine(torch.device(options.device))
    print(json.dumps(about))
    noise = run.smoothed.noise
    if not isinstance(noise, Gaussian):
        raise SystemExit(f"{options.run} must be of gaussian noise, got {NOISES.spec_of(noise)}")
    certificate = GaussianL2(noise)
    most = float(certificate.radius(ClassBounds.one_sided(FIXED[N])))
    grid = [STEP * i for i in range(math.floor(most / STEP) + 1)]
    print(f"{'rule':44}{'draws':>10}{'fewer':>10}{'radius':>8}{'fixed n':>10}{'rule':>10}")
    options.work.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    content: Row = {"run": Path(options.run).name, "machine": about, "inputs": len(fixed)}
    if "at_radius" in options.rules:
        rows += [live(run, f"at_radius:{r}", [r], fixed, options.work) for r in grid]
        mean = statistics.mean(row["draws"] for row in rows)
        shares = np.array([share(row) for row in fixed])
        course = Radii("/".join(map(str, grid))).course(N, ALPHA, None, certificate)
        assert isinstance(course, Decision)
        least = statistics.mean(float(wald(shares, limit).mean()) for limit in course.thresholds)
        content["at_radius over the grid"] = {
            "draws": round(mean, 1),
            "fewer": round((N + N0) / mean, 2),
            "wald": round((mean - N0) / least, 3),
        }
        print(f"at_radius, over the grid: {content['at_radius over the grid']}")
    if "radii" in options.rules:
        rule = "radii:" + "/".join(map(str, grid))
        rows.append(live(run, rule, grid, fixed, options.work))
    drops = [each["fixed"] - each["stopped"] for row in rows for each in row["accuracy"]]
    print(f"largest drop: {max(drops):.1f} points")
    content |= {"largest_drop": round(max(drops), 6), "rows": rows}
    path = options.results / NAME
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    kept = [each for each in runs if each["run"] != content["run"]]
    keep(options.results, NAME, {"runs": [*kept, content]})


if __name__ == "__main__":
    main()
