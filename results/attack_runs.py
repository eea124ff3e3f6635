"""Runs and exports the attacks behind the tables of docs/attacks.md; run again, it goes on.

    python results/attack_runs.py --bases DIR --work DIR --data-root PATH
                                  --only draws|defences [--subset every:50]

DIR under `--bases` holds base classifiers for MNIST, a folder a table. Those of `defences` are
trained first, on LeNet, as `chosen_attacks.py` says: `gaussian`, `stability`, `trades`, and
`other`, from which perturbations are transferred. Those of `draws`, `gaussian` and `smoothadv`,
must be there. Each is smoothed with Gaussian noise and attacked as `chosen_attacks.py` says, by
`radii attack` (n = 500, alpha = 0.001) into a ledger under `--work` and by `radii export` into the
folder of the table under `attacks`, as `BASE-ATTACK.parquet`. The defences are also certified
(n0 = 100, n = 10,000, every:40), as `BASE-certified.parquet`. `python results/attack_tables.py`
makes the tables from these.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from chosen_attacks import SIGMA, TABLES, TRAINING
from command import radii

EXPORTS = Path(__file__).parent / "attacks"


def main() -> None:
    """Every run that is asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bases", type=Path, required=True, help="folder of base classifiers")
    parser.add_argument("--work", type=Path, required=True, help="folder for ledgers")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--only", choices=TABLES, required=True, help="which table")
    parser.add_argument("--subset", help="in place of the one that chosen_attacks.py says")
    parser.add_argument("--attacks", nargs="+", help="titles in chosen_attacks.py; all by default")
    options = parser.parse_args()
    bases_at, work = options.bases.resolve(), options.work.resolve()
    noise = f"gaussian:sigma={SIGMA}"
    root = options.data_root.resolve()
    data = ("--data", "mnist", "--data-root", root, "--seed", 0)
    bases, attacks = TABLES[options.only]
    exports = EXPORTS / options.only
    if options.only == "defences":
        for base, recipe in TRAINING.items():
            what = ("--data", "mnist", "--data-root", root, "--base", "lenet", "--noise", noise)
            how = (*recipe, "--lr", 0.01, "--compile", "off", "--resume")
            radii(bases_at, "train", *what, *how, "--out", base)
    for attack in attacks:
        if options.attacks and attack.title not in options.attacks:
            continue
        for base in bases:
            if attack.bases and base not in attack.bases:
                continue
            title = f"{base}-{attack.title}"
            run = work / f"{title}.sqlite"
            spec = attack.attack.format(source="other")
            how = ("--draws", attack.draws, "--estimator", attack.estimator)
            subset = ("--subset", options.subset or attack.subset)
            smoothing = ("--base", base, "--noise", f"gaussian:sigma={attack.sigma}")
            where = (*smoothing, *data, *subset, "--no-keep", "--out", run)
            radii(bases_at, "attack", "--attack", spec, "--n", 500, *how, *where)
            radii(bases_at, "export", run, "--out", exports / f"{title}.parquet")
    if options.only == "defences" and not options.attacks:
        for base in bases:
            run = work / f"{base}-certified.sqlite"
            smoothing = ("--base", base, "--noise", noise)
            whole = (*smoothing, *data, "--subset", options.subset or "every:40")
            radii(bases_at, "certify", *whole, "--n", 10_000, "--out", run)
            radii(bases_at, "export", run, "--out", exports / f"{base}-certified.parquet")


if __name__ == "__main__":
    main()
