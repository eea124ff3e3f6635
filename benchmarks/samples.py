"""How many draws do stopping rules need, on published logs, and what do they lose?

    python benchmarks/samples.py --logs FOLDER [--bounds calibrated hybrid:share=0.3 ...]

FOLDER holds `jeong2020-mnist.tar.gz`, the certification logs that Jeong and Shin (2020) published
with "Consistency Regularization for Certified Robustness of Smoothed Classifiers", and, for the
second part, `cohen2019.tar.gz`, those of Cohen et al. (2019); both with n = 100,000, n0 = 100 and
alpha = 0.001. Of each logged input, pA is taken to be the share of votes k/n whose Clopper-Pearson
bound gives its radius; 1/2 where it abstained, the hardest value there is. Vote paths are then
drawn with that pA, from a fixed seed, the same path for every rule and for the fixed n.

For each sigma, rule and bound it prints

- `draws`: mean draws an input, n0 included; for `at_radius` averaged over the grid of radii;
- `fewer`: how many times fewer than n + n0;
- `above`: over inputs with p above `limit`, the least p that gives the radius: mean draws over the
  mean of `log(1/alpha) / KL(p, limit)`, at most n;
- `wald`: over all inputs, mean draws over the mean of the least that any test needs which errs at
  most alpha below `limit` and has the power of the fixed n less `FUTILITY`: `kl(a, b) / KL(p, q)`,
  the largest over q, with a and b the probabilities to claim under p and q (Wald 1945); for p well
  above `limit` the two are the same;
- `lost`: the largest drop of certified accuracy at a radius of the grid, in points, against the
  fixed n on the same paths; for `precision`, on the first 1,000 inputs, the drop of the mean
  certified radius, in percent.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from scipy.special import betainc, rel_entr

from radii.bounds import BOUNDS, ClopperPearson, Hybrid
from radii.bounds.calibrated import geometric_looks
from radii.certificates import GaussianL2
from radii.noise import Gaussian
from radii.provenance import versions
from radii.records import ClassBounds, FloatArray, IntArray
from radii.stopping import AtRadius, Course, Decision, Precision, Radii

N, N0, ALPHA, STEP, FUTILITY = 100_000, 100, 0.001, 0.25, 0.01
MNIST, COHEN = "jeong2020-mnist.tar.gz", "cohen2019.tar.gz"
LOGS = [
    (MNIST, "MNIST", 0.25, "mnist/cohen/noise_0.25_"),
    (MNIST, "MNIST", 0.5, "mnist/cohen/noise_0.50_"),
    (MNIST, "MNIST", 1.0, "mnist/cohen/noise_1.00_"),
    (COHEN, "CIFAR-10", 0.25, "certify/cifar10/resnet110/noise_0.25/test/sigma_0.25"),
    (COHEN, "CIFAR-10", 0.5, "certify/cifar10/resnet110/noise_0.50/test/sigma_0.50"),
    (COHEN, "CIFAR-10", 1.0, "certify/cifar10/resnet110/noise_1.00/test/sigma_1.00"),
    (COHEN, "ImageNet", 0.25, "certify/imagenet/resnet50/noise_0.25/test/sigma_0.25"),
    (COHEN, "ImageNet", 0.5, "certify/imagenet/resnet50/noise_0.50/test/sigma_0.50"),
    (COHEN, "ImageNet", 1.0, "certify/imagenet/resnet50/noise_1.00/test/sigma_1.00"),
]
DEFAULT_BOUNDS = ["calibrated", "hybrid", "betting:truncated=true"]
FIXED = ClopperPearson().lower(np.arange(N + 1), N, ALPHA)  # what the fixed n bounds, by count
PRECISE = 1_000  # inputs on which `precision` is measured, the first ones
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Inputs:
    """What the logs tell of each input, and a path of its votes."""

    p: FloatArray
    correct: np.ndarray
    looks: IntArray
    votes: IntArray  # (inputs, looks)

    def first(self, count: int) -> Inputs:
        """Only so many."""
        return Inputs(self.p[:count], self.correct[:count], self.looks, self.votes[:count])


def rows(archive: Path, prefix: str) -> Iterator[list[str]]:
    """Lines of the logs whose names start so."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(prefix) and "_acc" not in member.name:
                file = tar.extractfile(member)
                assert file is not None
                for line in file.read().decode().splitlines()[1:]:
                    yield line.split("\t")


def read(archive: Path, prefix: str, sigma: float) -> Inputs:
    """The logged inputs, with paths from a fixed seed."""
    table = list(rows(archive, prefix))
    predicted = np.array([row[2] != "-1" for row in table])
    radius = np.where(predicted, [float(row[3]) for row in table], 0.0)
    certificate = GaussianL2(Gaussian(sigma))
    counts = np.arange(N // 2, N + 1)
    logged = certificate.radius(ClassBounds.one_sided(FIXED[counts]))
    first = int((logged > 0).argmax()) - 1
    p = np.where(predicted, np.interp(radius, logged[first:], counts[first:]) / N, 0.5)
    looks = geometric_looks(N)
    random = np.random.default_rng(0)
    steps = random.binomial(np.diff(looks, prepend=0), p[:, None])
    correct = predicted & np.array([row[4] == "1" for row in table])
    return Inputs(p, correct, looks, np.cumsum(steps, axis=1))


def follow(course: Course, inputs: Inputs) -> tuple[IntArray, FloatArray]:
    """Draws until the rule stops, and the largest lower bound by then."""
    assert np.array_equal(course.looks, inputs.looks)
    draws = np.zeros(len(inputs.p), dtype=np.int64)
    lower = np.zeros(len(inputs.p))
    going = np.arange(len(inputs.p))
    for j, look in enumerate(course.looks.tolist()):
        k, back = np.unique(inputs.votes[going, j], return_inverse=True)
        lower[going] = np.maximum(lower[going], course.lower(look, k)[back])
        pairs = np.stack([inputs.votes[going, j].astype(np.float64), lower[going]])
        (k, best), back = np.unique(pairs, axis=1, return_inverse=True)
        done = course.done(look, k.astype(np.int64), best)[back]
        draws[going[done]] = look
        going = going[~done]
    return draws, lower


def divergence(p: FloatArray, q: FloatArray | float) -> FloatArray:
    """Of one vote under p from one under q, in nats."""
    return np.asarray(rel_entr(p, q) + rel_entr(1 - p, 1 - np.asarray(q)))


def wald(p: FloatArray, limit: float) -> FloatArray:
    """Mean draws, at least, of a test that errs and loses as the rules may; see the top.

    For two values p and q, `kl(a, b) / KL(p, q)` with a and b the probabilities to claim.
    """
    least = int(np.searchsorted(FIXED, limit))
    power = betainc(least, N - least + 1, p)
    claims = np.maximum(power - FUTILITY, ALPHA)
    over = np.where(
        p > limit, divergence(claims, ALPHA) / divergence(np.maximum(p, limit + 1e-9), limit), 0
    )
    q = 1 - (1 - limit) * np.geomspace(0.03, 1, 300)
    at_q = betainc(least, N - least + 1, q) - FUTILITY
    claims = np.maximum(power, ALPHA)[:, None]
    apart = (q > p[:, None]) & (at_q > claims)
    with np.errstate(divide="ignore", invalid="ignore"):
        under = np.where(apart, divergence(claims, at_q) / divergence(p[:, None], q), 0)
    return np.asarray(np.minimum(np.maximum(over, under.max(axis=1)), N))


def measure(name: str, sigma: float, inputs: Inputs, specs: list[str]) -> list[dict[str, object]]:
    """The rows of one data set and sigma."""
    certificate = GaussianL2(Gaussian(sigma))
    fixed = FIXED[inputs.votes[:, -1]]
    most = float(certificate.radius(ClassBounds.one_sided(FIXED[N])))
    grid = [STEP * i for i in range(math.floor(most / STEP) + 1)]
    whole = Radii("/".join(map(str, grid)))
    course = whole.course(N, ALPHA, None, certificate)
    assert isinstance(course, Decision)
    thresholds = course.thresholds.tolist()
    known, back = np.unique(inputs.p, return_inverse=True)
    bounds = [wald(known, limit)[back].mean() for limit in thresholds]
    found: list[dict[str, object]] = []

    def accuracy(lower: FloatArray, limit: float) -> float:
        return 100 * float(np.mean(inputs.correct & (lower >= limit)))

    def add(rule: str, spec: str, draws: float, **more: float) -> None:
        row = {"data": name, "sigma": sigma, "rule": rule, "bound": spec}
        row["draws"] = round(draws + N0, 1)
        row["fewer"] = round((N + N0) / (draws + N0), 2)
        row |= {key: round(value, 3) for key, value in more.items()}
        found.append(row)
        cells = "".join(f"{row.get(key, ''):>8}" for key in ("wald", "above", "lost"))
        print(f"{name:10}{sigma:<6}{rule:22}{spec:28}{row['draws']:>10}{row['fewer']:>8}{cells}",
              flush=True)  # fmt: skip

    for spec in specs:
        bound = BOUNDS.build(spec)
        means, lost, above = [], [], []
        for radius, limit in zip(grid, thresholds, strict=True):
            course = AtRadius(radius).course(N, ALPHA, bound, certificate)
            draws, lower = follow(course, inputs)
            means.append(draws.mean())
            lost.append(accuracy(fixed, limit) - accuracy(lower, limit))
            over = inputs.p > limit
            least = np.minimum(-math.log(ALPHA) / divergence(inputs.p[over], limit), N)
            above.append((draws[over].sum(), least.sum()))
        taken, needed = np.sum(above, axis=0)
        add("at_radius", spec, float(np.mean(means)), wald=float(np.mean(means) / np.mean(bounds)),
            above=float(taken / needed), lost=max(lost))  # fmt: skip
        draws, lower = follow(whole.course(N, ALPHA, bound, certificate), inputs)
        lost = [accuracy(fixed, limit) - accuracy(lower, limit) for limit in thresholds]
        add("radii (whole grid)", spec, float(draws.mean()), lost=max(lost))
        if not isinstance(bound, Hybrid):  # the default of `precision`
            continue
        some = inputs.first(PRECISE)
        for rel in (0.02, 0.05, 0.1):
            rule = Precision(rel=rel, abs=0.01)
            draws, lower = follow(rule.course(N, ALPHA, bound, certificate), some)
            mean = [
                float((certificate.radius(ClassBounds.one_sided(v)) * some.correct).mean())
                for v in (fixed[:PRECISE], lower)
            ]
            add(
                f"precision:rel={rel}",
                spec,
                float(draws.mean()),
                lost=100 - 100 * mean[1] / mean[0],
            )
    return found


def main() -> None:
    """Measures, prints a table, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, required=True, help=f"folder with {MNIST}")
    parser.add_argument("--bounds", nargs="+", default=DEFAULT_BOUNDS, metavar="SPEC")
    parser.add_argument("--data", default="", help="only data sets whose name starts so")
    parser.add_argument("--keep", default="samples.json", help="name of the result file")
    options = parser.parse_args()
    if not (options.logs / MNIST).is_file():
        sys.exit(f"{options.logs} has no {MNIST}; get the logs from the paper's repository.")
    machine = {"date": date.today().isoformat(), "processor": platform.machine(), **versions()}
    print(json.dumps(machine))
    print(f"{'':66}{'draws':>10}{'fewer':>8}{'wald':>8}{'above':>8}{'lost':>8}")
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / options.keep
    found = []
    for archive, name, sigma, prefix in LOGS:
        if name.startswith(options.data) and (options.logs / archive).is_file():
            inputs = read(options.logs / archive, prefix, sigma)
            found += measure(name, sigma, inputs, options.bounds)
            kept = json.dumps({"machine": machine, "rows": found}, indent=2)
            target.write_text(kept + "\n")


if __name__ == "__main__":
    main()
