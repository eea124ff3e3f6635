"""The tables of attacks in docs/attacks.md: prints Markdown.

    python results/attack_tables.py

Reads the exports under `attacks`, which `attack_runs.py` writes. Accuracies are floored;
abstentions count as wrong. `against` is McNemar's exact test, on the same images, against the
attack on 64 draws: how many images only the one and only the other attack leaves right, and the
p-value.
"""

from __future__ import annotations

from pathlib import Path

from chosen_attacks import DEFENCES, DRAWS, RADII, STRENGTH, TABLES, AttackOfTable
from scipy.special import bdtr

from radii.evaluation import Outcomes, read_attack_export, read_export
from radii.evaluation.attack_metrics import AttackOutcomes
from radii.evaluation.metrics import BoolArray, certified_accuracy
from radii.rounding import percent_floored

EXPORTS = Path(__file__).parent / "attacks"


def outcomes(table: str, base: str, attack: AttackOfTable) -> AttackOutcomes | None:
    """Of one attack, if it was run."""
    path = EXPORTS / table / f"{base}-{attack.title}.parquet"
    if not path.exists():
        return None
    run = read_attack_export(path)
    return AttackOutcomes.of(run.rows(), norm=run.meta["norm"], epsilon=attack_radius(attack))


def attack_radius(attack: AttackOfTable) -> float | None:
    """The radius of its ball; None for one that looks for the nearest error."""
    _, found, rest = attack.attack.partition("epsilon=")
    return float(rest.partition(",")[0]) if found else None


def left(found: AttackOutcomes, radius: float) -> BoolArray:
    """`(examples,)` whether an input is still answered right within a radius."""
    return found.lost_within("l2") > radius


def mcnemar(a: BoolArray, b: BoolArray) -> str:
    """How often only `a`, only `b`; and the two-sided p-value."""
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
    return f"{only_a} / {only_b}, p = {p:.2g}"


def lines(rows: list[list[str]]) -> str:
    """A table in Markdown."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def draws_table() -> str:
    """What draws and objective of an attack are worth."""
    bases, _ = TABLES["draws"]
    rows = [
        [
            "attack",
            *(head for base in bases for head in (f"{base}: accuracy", "abstains", "against")),
        ]
    ]
    reference = next(each for each in DRAWS if each.title == "draws64")
    against = {base: outcomes("draws", base, reference) for base in bases}
    for attack in DRAWS:
        row = [attack.says]
        for base in bases:
            found, other = outcomes("draws", base, attack), against[base]
            if found is None or other is None:
                row += ["", "", ""]
                continue
            mine, theirs = left(found, STRENGTH), left(other, STRENGTH)
            row += [
                f"{percent_floored(float(mine.mean()))} %",
                f"{percent_floored(float((found.abstained | found.undecided).mean()))} %",
                "" if attack is reference else mcnemar(mine, theirs),
            ]
        rows.append(row)
    return lines(rows)


def defences_table() -> str:
    """Accuracy at each radius of the defences, under each attack, and certified."""
    bases, _ = TABLES["defences"]
    rows = [["base classifier", "attack", "images", *(f"r = {r}" for r in RADII)]]
    for base in bases:
        kinds: dict[str, list[AttackOfTable]] = {}
        for attack in DEFENCES:
            kinds.setdefault(attack.says, []).append(attack)
        for says, attacks in kinds.items():
            found = [outcomes("defences", base, each) for each in attacks]
            if len(found) == 1:
                found *= len(RADII)
            cells = [
                "" if one is None else f"{percent_floored(float(left(one, r).mean()))} %"
                for one, r in zip(found, RADII, strict=True)
            ]
            images = next((str(len(one)) for one in found if one is not None), None)
            if images is not None:
                rows.append([base, says, images, *cells])
        path = EXPORTS / "defences" / f"{base}-certified.parquet"
        if path.exists():
            certified = Outcomes.of(list(read_export(path).rows(votes=False)))
            shares = certified_accuracy(certified, RADII)
            cells = [f"{percent_floored(share.value)} %" for share in shares]
            rows.append([base, "certified, n = 10,000", str(len(certified)), *cells])
    return lines(rows)


if __name__ == "__main__":
    print(draws_table())
    defences = defences_table()
    if defences.count("\n") > 1:
        print(f"\n{defences}")
