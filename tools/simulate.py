"""Certifies inputs whose exact radius is known, again and again, and counts what is wrong.

    python tools/simulate.py --certifications 1000000 --jobs 2 --out simulated.json

Each certification takes the library's own path: `SmoothedClassifier.certify_each` draws noise,
counts votes, selects a class and bounds its probability as a plan says. Base classifiers are
half-spaces, also such whose other side belongs to several classes, so the exact radius is known.
Inputs lie where claims are most often wrong: just inside radii that the plan may claim, from the
least to the largest, and where pA is all but 1/2.

A certification fails if it claims another class than the smoothed classifier's, or a radius larger
than the exact one. Each has a chance to fail of at most alpha, so failures among N are
stochastically fewer than Binomial(N, alpha), however inputs are mixed. An exact one-sided test is
made of each input under each plan, of each plan, and of each alpha in total; Holm's method keeps
the chance that a sound library is blamed by any of them below `--level`. Exit code 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest  # noqa: TID251 the exact test, and not the library's own
from torch import Tensor

from radii.bounds import BOUNDS, Bound
from radii.certificates import GaussianL2
from radii.errors import PlanError
from radii.noise import Gaussian
from radii.provenance import versions
from radii.records import Certification, ClassBounds, Counts, FloatArray
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.stopping import STOPS, Never, Precision, Stop

SIGMA = 0.5
CERTIFICATE = GaussianL2(Gaussian(SIGMA))
N0, N, BLOCK = 50, 200, 50  # a stopping rule looks at 50, 100, 150 and 200 draws
ALPHAS = (0.05, 0.001)
DEFAULT_BOUNDS = (
    *("clopper_pearson", "randomized_clopper_pearson", "multiclass_clopper_pearson"),
    *("runner_up_clopper_pearson", "runner_up_clopper_pearson:share=0.5"),
    *("randomized_runner_up_clopper_pearson", "randomized_runner_up_clopper_pearson:share=0.5"),
    *("hoeffding", "empirical_bernstein", "betting", "betting:truncated=true"),
    *(f"hybrid:cap={N}", f"union_clopper_pearson:cap={N}", f"staged:stages=50/100/{N}"),
    f"calibrated:thresholds=0.5/0.75/0.9,cap={N},multiple={BLOCK}",
)
DEFAULT_STOPS = ("never", "at_radius:0.4", "radii:0,0.25,0.5", "precision:rel=0.1")
_INSIDE = 1 - 1e-6  # of a radius; float32 is finer
_STRIPE = SIGMA / 128  # so narrow that no noise tells one from the next
_ROWS = 8_000  # draws in a batch, of dozens of inputs
_ROUND = 100_000  # certifications after which what was found is written down


@dataclass(frozen=True)
class HalfSpaces:
    """Class 1 where `x[0] > 0` and class 0 elsewhere, but narrow stripes of others near 0.

    The others lie where `|x[0]| < gap`. Under isotropic Gaussian noise they are equally likely,
    whatever `x[1]` is. At `x[0] = 0` classes 0 and 1 are equally likely, and more so than those. So
    the smoothed classifier is the half-space `x[0] > 0`, and its exact l2 radius is `|x[0]|`.
    Without a gap this is a half-space itself; with one, the classifier for which Theorem 1 of Cohen
    et al. 2019, arXiv:1902.02918, is tight.

    Attributes:
        num_classes: At least 2; more only if there is a gap.
        gap: Half the width of the stripes' region, a float32 number.
    """

    num_classes: int = 2
    gap: float = 0.0
    pass_rows = N

    def __call__(self, x: Tensor) -> Tensor:
        """`(rows,)` int64 labels of `(rows, 2)` inputs."""
        label = (x[:, 0] > 0).long()
        if self.num_classes == 2:
            return label
        stripe = (x[:, 1] / _STRIPE).floor().long().remainder(self.num_classes - 2) + 2
        return torch.where(x[:, 0].abs() < self.gap, stripe, label)

    def votes(self, n: int) -> Counts:
        """`(n + 1, num_classes)` votes to expect, where k of n are for class 1."""
        k = np.arange(n + 1)
        votes = np.zeros((n + 1, self.num_classes), dtype=np.int64)
        votes[:, 1] = k
        other = n * ndtr(-ndtri(k / n) - 2 * self.gap / SIGMA)
        votes[:, 0] = n - k if self.num_classes == 2 else np.minimum(np.round(other), n - k)
        rest = n - votes.sum(axis=1)
        for label in range(2, self.num_classes):
            votes[:, label] = (rest + self.num_classes - 1 - label) // (self.num_classes - 2)
        return Counts(votes)


# Name, base classifier, and the number of radii just inside which inputs lie.
SCENES = (
    ("2 classes", HalfSpaces(), 4),
    ("10 classes", HalfSpaces(10, gap=SIGMA / 256), 2),
    ("10 classes, gap", HalfSpaces(10, gap=SIGMA), 4),
)


@dataclass(frozen=True)
class Cell:
    """Certifications of one input and its mirror image, under one plan.

    Attributes:
        bound: The spec of the plan's bound.
        stop: The spec of its stopping rule.
        scene: What the base classifier is like.
        distance: Of the input from the boundary, a float32 number: the exact radius.
        plan: Without a seed.
        base: The base classifier.
        trials: How many certifications, or before that is known, how many shares of them.
        first: Index of the first.
    """

    bound: str
    stop: str
    scene: str
    distance: float
    plan: SamplingPlan
    base: HalfSpaces
    trials: int = 1
    first: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Attributes:
        failures: Claims of another class or of a radius larger than the exact one.
        wrong_class: Those of another class.
        abstained: How often nothing was claimed.
        draws: In all.
    """

    failures: int
    wrong_class: int
    abstained: int
    draws: int


@dataclass(frozen=True)
class Check:
    """The test that failures are no more frequent than alpha.

    Attributes:
        scope: `cell`, `plan` or `alpha`: how much is taken together.
        bound: The bound, empty if all are taken together; so with the stopping rule and the scene.
        stop: The stopping rule.
        scene: What the base classifier is like.
        distance: The exact radius; None if several are taken together.
        alpha: What each certification may fail with.
        trials: Certifications.
        failures: Of these.
        p_value: `P(K >= failures)`, K ~ Binomial(trials, alpha).
        adjusted: The same by Holm's method: the least level of all tests at which this one fails.
    """

    scope: str
    bound: str
    stop: str
    scene: str
    distance: float | None
    alpha: float
    trials: int
    failures: int
    p_value: float
    adjusted: float = 1.0


def claimed(plan: SamplingPlan, base: HalfSpaces) -> tuple[FloatArray, FloatArray]:
    """Radii that the plan may claim after n draws, rising, and those after its first look."""
    k = np.arange(plan.n + 1)
    if plan.stops_early:
        course = plan.course(CERTIFICATE)
        bounds = ClassBounds.one_sided(course.lower(plan.n, k))
        soon = ClassBounds.one_sided(course.lower(int(course.looks[0]), int(course.looks[0])))
    else:
        bounds = plan.fixed_bound.class_bounds(base.votes(plan.n), np.ones_like(k), plan.alpha)
        soon = ClassBounds(np.zeros(1), np.ones(1))
        if base.gap == SIGMA and np.allclose(bounds.pB_upper, 1 - bounds.pA_lower):
            return np.zeros(0), np.zeros(0)  # the gap is invisible to such a bound
    return _radii(bounds), _radii(soon)


def _radii(bounds: ClassBounds) -> FloatArray:
    return np.unique(CERTIFICATE.radius(bounds)[np.asarray(bounds.pA_lower > bounds.pB_upper)])


def distances(plan: SamplingPlan, base: HalfSpaces, points: int) -> Mapping[float, int]:
    """Exact radii at which a plan is most often wrong, and the share of certifications for each."""
    last, first = claimed(plan, base)
    if not len(last):
        return {}
    chosen = last[np.round(np.linspace(0, len(last) - 1, points)).astype(int)]
    shares: dict[float, int] = defaultdict(int)
    tie = () if base.gap else (1e-5 * SIGMA,)
    for radius in (*chosen, *first, *tie):
        shares[float(np.float32(radius * _INSIDE))] += 1
    return shares


def cells(
    bounds: Mapping[str, Bound],
    stops: Mapping[str, Stop],
    alphas: Sequence[float],
) -> tuple[list[Cell], list[str]]:
    """All cells, with their shares for trials, and the plans that the library refuses.

    A certification that stops by `precision` takes as long as several others, and gets a third.
    """
    found: list[Cell] = []
    refused: list[str] = []
    for bound_spec, bound in bounds.items():
        for stop_spec, stop in stops.items():
            for alpha in alphas:
                block = N if isinstance(stop, Never) else BLOCK
                plan = SamplingPlan(N0, N, alpha, bound, stop, block)
                try:
                    plan.check(max(base.num_classes for _, base, _ in SCENES))
                    plan.course(CERTIFICATE)
                except PlanError as error:
                    refused.append(f"{bound_spec} with {stop_spec}: {error}")
                    continue
                for scene, base, points in SCENES:
                    if base.gap == SIGMA and plan.stops_early:
                        continue
                    times = 1 if isinstance(stop, Precision) else 3
                    for distance, share in distances(plan, base, points).items():
                        names = (bound_spec, stop_spec, scene, distance)
                        found.append(Cell(*names, plan, base, times * share))
    return found, list(dict.fromkeys(refused))


def shared(found: Sequence[Cell], certifications: int, first: int = 0) -> list[Cell]:
    """The cells, with their shares turned into numbers that add up to so many certifications.

    An alpha gets a share in proportion to its `-1/2` power: failures at a small one are rare.

    Args:
        found: As `cells` gives them.
        certifications: How many, in all.
        first: Index of the first.
    """
    total = sum(1 / math.sqrt(alpha) for alpha in {cell.plan.alpha for cell in found})
    of_alpha: dict[float, int] = defaultdict(int)
    for cell in found:
        of_alpha[cell.plan.alpha] += cell.trials
    ends = np.cumsum(
        [
            cell.trials / of_alpha[cell.plan.alpha] / math.sqrt(cell.plan.alpha) / total
            for cell in found
        ]
    )
    whole = [0, *np.round(ends * certifications).astype(int).tolist()]
    return [
        replace(cell, first=first + start, trials=end - start)
        for cell, start, end in zip(found, whole, whole[1:], strict=False)
        if end > start
    ]


def _rounds(found: Sequence[Cell], certifications: int) -> list[Cell]:
    """All cells again and again, so that each `_ROUND` of certifications is like all of them."""
    return [
        cell
        for first in range(0, certifications, _ROUND)
        for cell in shared(found, min(_ROUND, certifications - first), first)
    ]


def simulate(cell: Cell, seed: int) -> Outcome:
    """Certifies the input of a cell and its mirror image, in turn."""
    x = torch.tensor([cell.distance, 0.0])
    inputs = (
        (index, x if index % 2 else -x) for index in range(cell.first, cell.first + cell.trials)
    )
    smoothed = SmoothedClassifier(
        cell.base, CERTIFICATE.noise, cell.base.num_classes, batch_size=_ROWS
    )
    plan, exact = replace(cell.plan, seed=seed), float(x[0])
    failures = wrong_class = abstained = draws = 0
    for index, result in smoothed.certify_each(inputs, plan, certificate=CERTIFICATE):
        truth = index % 2
        wrong_class += result.prediction not in (None, truth)
        failures += fails(result, truth, exact)
        abstained += result.prediction is None
        draws += int(result.estimation.n)
    return Outcome(failures, wrong_class, abstained, draws)


def fails(result: Certification, truth: int, exact: float) -> bool:
    """Whether what is claimed is false; to abstain claims nothing."""
    return result.prediction is not None and (result.prediction != truth or result.radius > exact)


def outcomes(found: Sequence[Cell], seed: int, jobs: int) -> Iterator[tuple[Cell, Outcome]]:
    """The outcome of each cell, by so many processes."""
    if jobs == 1:
        yield from ((cell, simulate(cell, seed)) for cell in found)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, torch.set_num_threads, (1,)) as pool:
        yield from zip(found, pool.map(partial(simulate, seed=seed), found), strict=True)


def judged(results: Iterable[tuple[Cell, Outcome]]) -> list[Check]:
    """The tests of each cell, of each plan and of each alpha, together by Holm's method."""
    counted: dict[tuple[str, str, str, str, float | None, float], list[int]] = {}
    for cell, outcome in results:
        alpha = cell.plan.alpha
        for key in (
            ("alpha", "", "", "", None, alpha),
            ("plan", cell.bound, cell.stop, "", None, alpha),
            ("cell", cell.bound, cell.stop, cell.scene, cell.distance, alpha),
        ):
            numbers = counted.setdefault(key, [0, 0])
            numbers[0] += cell.trials
            numbers[1] += outcome.failures
    tests = [
        Check(*key, trials, failures, _p_value(failures, trials, key[-1]))
        for key, (trials, failures) in counted.items()
    ]
    worst, adjusted = 0.0, {}
    for rank, at in enumerate(sorted(range(len(tests)), key=lambda i: tests[i].p_value)):
        worst = max(worst, min(1.0, (len(tests) - rank) * tests[at].p_value))
        adjusted[at] = worst
    return [replace(test, adjusted=adjusted[at]) for at, test in enumerate(tests)]


def _p_value(failures: int, trials: int, alpha: float) -> float:
    return float(binomtest(failures, trials, alpha, alternative="greater").pvalue)


def table(tests: Sequence[Check]) -> str:
    """Failures of each plan and in total, as Markdown."""
    alphas = sorted({test.alpha for test in tests}, reverse=True)
    rows: dict[tuple[str, str], dict[float, str]] = defaultdict(dict)
    for test in sorted(tests, key=lambda test: test.scope, reverse=True):
        if test.scope != "cell":
            name = (f"`{test.bound}`", f"`{test.stop}`") if test.bound else ("all", "all")
            share = f"{100 * test.failures / test.trials:.2g} %"
            rows[name][test.alpha] = f"{test.failures:,} of {test.trials:,}: {share}"
    head = ["bound", "stopping rule", *(f"wrong at alpha = {alpha:g}" for alpha in alphas)]
    lines = [head, ["---"] * len(head)]
    lines += [[*name, *(row.get(alpha, "") for alpha in alphas)] for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Simulates, prints the table and the verdict, and writes everything down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--certifications", type=int, default=1_000_000, help="in all")
    parser.add_argument("--alpha", type=float, nargs="+", default=ALPHAS)
    parser.add_argument("--bounds", nargs="+", default=DEFAULT_BOUNDS, metavar="SPEC")
    parser.add_argument("--stops", nargs="+", default=DEFAULT_STOPS, metavar="SPEC")
    parser.add_argument("--level", type=float, default=0.01, help="of all tests together")
    parser.add_argument("--seed", type=int, help="of the noise; by default another each time")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, help="a JSON file for all counts")
    given = parser.parse_args(arguments)
    for name in ("certifications", "jobs"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(given, name)}")
    seed = secrets.randbits(63) if given.seed is None else given.seed
    try:
        bounds = {spec: BOUNDS.build(spec) for spec in given.bounds}
        stops = {spec: STOPS.build(spec) for spec in given.stops}
        found, refused = cells(bounds, stops, given.alpha)
    except ValueError as error:
        parser.error(str(error))
    if not found:
        parser.error(f"every plan is refused: {refused[0]}")
    print(f"{given.certifications:,} certifications, {len(found)} inputs and plans, seed {seed}")
    start, results = time.monotonic(), list[tuple[Cell, Outcome]]()
    for cell, outcome in outcomes(_rounds(found, given.certifications), seed, given.jobs):
        results.append((cell, outcome))
        done = cell.first + cell.trials
        if done % _ROUND and done < given.certifications:
            continue
        seconds = time.monotonic() - start
        tests = judged(results)
        if given.out is not None:
            _write(given.out, given, seed, seconds, results, tests, refused)
        print(f"{done:,} after {seconds:.0f} s", flush=True)
    blamed = [test for test in tests if test.adjusted <= given.level]
    print(*(f"refused: {reason}" for reason in refused), table(tests), sep="\n")
    for test in blamed:
        print(f"too many failures: {test}")
    print(f"{len(blamed)} of {len(tests)} tests fail at level {given.level:g}; {seconds:.0f} s")
    return int(bool(blamed))


def _write(
    path: Path,
    given: argparse.Namespace,
    seed: int,
    seconds: float,
    results: Sequence[tuple[Cell, Outcome]],
    tests: Sequence[Check],
    refused: Sequence[str],
) -> None:
    counts = {"wrong_class": 0, "abstained": 0, "draws": 0}
    for _, outcome in results:
        for name in counts:
            counts[name] += getattr(outcome, name)
    head = {
        "certifications": sum(cell.trials for cell, _ in results),
        **counts,
        **{"seed": seed, "seconds": round(seconds), "jobs": given.jobs, "level": given.level},
        **{"sigma": SIGMA, "n0": N0, "n": N, "looks_every": BLOCK, "versions": versions()},
        "refused": list(refused),
        "columns": list(asdict(tests[0])),
    }
    rows = ",\n  ".join(json.dumps(list(asdict(test).values())) for test in tests)
    text = json.dumps(head, indent=2).removesuffix("\n}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text},\n  "tests": [\n  {rows}\n  ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
