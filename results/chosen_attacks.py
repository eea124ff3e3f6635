"""Which attacks `attack_runs.py` runs on which base classifiers, and `attack_tables.py` shows."""

from __future__ import annotations

from dataclasses import dataclass

SIGMA = 0.5
ALMOST_NONE = 0.01  # the sigma of an empirical defence that was not trained to be smoothed
RADII = (0.5, 1.0, 1.5, 2.0)
STRENGTH = 1.5  # epsilon where several attacks of one radius are compared
PIXELS = "low=0,high=1"


@dataclass(frozen=True)
class AttackOfTable:
    """One attack.

    Attributes:
        title: In names of files.
        says: In tables.
        attack: A spec.
        draws: Noisy copies that it sees.
        estimator: What it follows.
        subset: Of the test images.
        sigma: Of the smoothing.
        bases: The base classifiers it is for; all of the table if there are none.
    """

    title: str
    says: str
    attack: str
    draws: int = 64
    estimator: str = "plug_in"
    subset: str = "every:40"
    sigma: float = SIGMA
    bases: tuple[str, ...] = ()


def pgd(epsilon: float, steps: int = 20, more: str = "") -> str:
    """Projected gradient descent in l2; in 20 steps of a tenth of the radius, or as far in more."""
    step = 2 * epsilon / steps if steps <= 20 else epsilon / 100
    return f"pgd_l2:epsilon={epsilon},steps={steps},step={step:g},{PIXELS}{more}"


# What the draws and the objective of an attack are worth, at one radius.
DRAWS = [
    AttackOfTable("alone", "base classifier alone", pgd(STRENGTH), estimator="base"),
    *(
        AttackOfTable(f"draws{m}", f"plug-in, {m} draw{'s' if m > 1 else ''}", pgd(STRENGTH), m)
        for m in (1, 8, 64, 128)
    ),
    *(
        AttackOfTable(name, f"{says}, 64 draws", pgd(STRENGTH), 64, name)
        for name, says in (
            ("expectation", "expectation over transformation"),
            ("logits", "mean of logits"),
            ("margin", "Gaussian margin"),
        )
    ),
    AttackOfTable(
        "stein",
        "gradient-free (Stein), 500 draws a step",
        f"stein:epsilon={STRENGTH},sigma={SIGMA},draws=500,steps=20,{PIXELS}",
    ),
]

# The comparison of empirical defences: accuracy at each of `RADII`.
DEFENCES = [
    *(AttackOfTable(f"pgd20-{r}", "PGD-20, 64 draws", pgd(r), subset="every:40") for r in RADII),
    *(
        AttackOfTable(
            f"pgd1000-{r}",
            "PGD-1000, 20 restarts, base classifier alone",
            pgd(r, 1000, ",restarts=20,random_start=true"),
            estimator="base",
            subset="every:200",
        )
        for r in RADII
    ),
    *(
        AttackOfTable(
            f"transfer-{r}",
            "transfer from another network, PGD-20",
            f"transfer:attack=pgd_l2(epsilon={r},steps=20,step={r / 10:g},{PIXELS}),"
            "source={source},noise=gaussian(sigma=0.5),draws=64",
            subset="every:100",
        )
        for r in RADII
    ),
    *(
        AttackOfTable(
            f"unsmoothed-{r}",
            f"PGD-20 on the base classifier, all but unsmoothed (sigma {ALMOST_NONE})",
            pgd(r),
            estimator="base",
            sigma=ALMOST_NONE,
            bases=("trades",),
        )
        for r in RADII
    ),
    AttackOfTable(
        "boundary",
        "boundary attack, decisions alone",
        f"boundary:steps=1000,spherical_step=0.1,source_step=0.1,{PIXELS}",
        subset="every:200",
    ),
]

# How the defences are trained; an epoch of stability takes 2 passes, one of TRADES 12.
_THIRTY = ("--epochs", "30", "--batch-size", "256", "--schedule", "step:every=10,gamma=0.1")
_FIVE = ("--epochs", "5", "--batch-size", "256", "--schedule", "cosine")
_TRADES = f"trades:epsilon=1.0,strength=6,norm=l2,steps=10,step=0.25,{PIXELS}"
TRAINING = {
    "gaussian": ("--objective", "gaussian", *_THIRTY),
    "stability": ("--objective", "stability:strength=2", *_THIRTY),
    "trades": ("--objective", _TRADES, *_FIVE),
    "other": ("--objective", "gaussian", "--seed", "1", *_FIVE),
}

# What is attacked by which list: names of base classifiers under `--bases`.
TABLES = {
    "draws": (("gaussian", "smoothadv"), DRAWS),
    "defences": (("gaussian", "stability", "trades"), DEFENCES),
}
