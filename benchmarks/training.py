"""How many images a second training takes in: this library against the papers' scripts.

    python benchmarks/training.py [--networks lenet resnet20] [--objectives gaussian ...]
                                  [--batch 256] [--whole] [--rounds 9] [--seconds 2]
                                  [--precisions float32]
                                  [--device cpu] [--workers 2]
    python benchmarks/training.py --accuracy [--objectives consistency ...] [--epochs 5]
                                  [--images 200] [--seeds 3]

For each network and objective the sides take turns, on copies of one network that was trained for
a few steps:

- `float32` and `bfloat16`: the epochs of the training loop, data on the device, channels_last, the
  allocator as training sets it (`--precisions float32` where the processor has no instructions for
  the other);
- `script`: the step of the paper's script (`published_training.py`), float32 and NCHW, on a loader
  with worker processes, in a process of its own with the allocator as it comes;
- `unfrozen`, for smoothadv: the same without the line of the script that freezes the weights during
  the attack, so that their gradients are computed, too.

A step has as many inputs on all sides, `--batch` divided by the number of draws: most scripts split
a batch in this way and take a step for each part. (That of macer does not.) With `--whole` nothing
is divided. Inputs are the digits that come with the package, for resnet20 padded
to 32 x 32 and with three equal channels; the loader goes through them 12 times an epoch, so that it
is as long as MNIST's. Neither side augments.

First of all the losses of both sides are compared, with the same weights and draws, and so are the
inputs that an attack finds: printed are the relative difference of the losses and the largest of a
coordinate. In float64 one above 1e-5 is an error. In float32 it may be more after a search, which
amplifies rounding, or where a draw is counted only if its answer is right. Then come medians of
images a second, and of the ratios of neighbouring turns. On a CPU these ratios are also given of
images per second of processor time, in which the script's workers are not counted: `... cpu`.
Other work on the machine changes them less.

`--accuracy` instead trains LeNet by the script and by the library in each precision, and certifies
all: clean accuracy without noise and average certified radius, mean and deviation over seeds.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from common import NETWORKS, RESULTS, Apart, Row, Side, keep, machine, take_turns
from published_training import (
    CATRSStep,
    ConsistencyStep,
    GaussianStep,
    MacerStep,
    PublishedStep,
    SmoothAdvStep,
    SmoothMixStep,
    StabilityStep,
    as_in_scripts,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from radii._allocator import keep_freed_memory
from radii.data import ArrayDataset, load
from radii.models import LeNet
from radii.noise import Gaussian, Generators
from radii.objectives import OBJECTIVES, CopiesObjective, GaussianAugmentation, Objective
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.training import Training, TrainingPlan
from radii.training.batches import Batches
from radii.training.passes import Pass
from radii.training.plan import Precision
from radii.training.start import Start
from radii.training.state import State
from radii.training.workers import Workers

SIGMA = 0.5
EPOCH = 60  # of 90: no objective is warmed up or deferred any more
REPEATS = 12
WARM_STEPS = 40
STILL = 1e-6  # learning rate with which the weights stay what they are
CHECKED = 16  # inputs
ALLOWED = 1e-5


@dataclass(frozen=True)
class Case:
    """An objective and the script that it is compared with.

    Attributes:
        spec: Of the objective.
        script: From network and sigma to the step.
    """

    spec: str
    script: Callable[[nn.Module, float], PublishedStep]

    def build(self) -> Objective:
        """The objective, as it is late in training."""
        return OBJECTIVES.build(self.spec).at(EPOCH)


BOX = "low=0,high=1"
CASES = {
    "gaussian": Case("gaussian", GaussianStep),
    "stability": Case("stability:strength=2", StabilityStep),
    "consistency": Case("consistency:strength=5,entropy=0.5", ConsistencyStep),
    "macer": Case("macer:draws=16,strength=16", MacerStep),
    "smoothadv-pgd": Case(
        f"smoothadv:draws=4,warmup=0,attack=pgd_l2(epsilon=1,steps=10,{BOX})", SmoothAdvStep
    ),
    "smoothadv-ddn": Case(
        f"smoothadv:draws=4,warmup=0,attack=ddn(epsilon=1,steps=10,{BOX})",
        lambda base, sigma: SmoothAdvStep(base, sigma, attack="ddn"),
    ),
    "smoothmix": Case(f"smoothmix:draws=4,strength=5,steps=8,warmup=0,{BOX}", SmoothMixStep),
    "catrs": Case("catrs:draws=4,strength=1,epsilon=1,steps=4", CATRSStep),
}


def digits(split: str, shape: tuple[int, ...]) -> ArrayDataset:
    """The digits of the package, in the shape of a network's inputs."""
    x, y = load(f"mnist5k@{split}").tensors()
    around = (shape[1] - x.shape[2]) // 2
    images = np.pad(x.numpy(), [(0, 0), (0, 0), (around, around), (around, around)])
    images = np.repeat(images, shape[0], axis=1)
    return ArrayDataset(images, y.numpy(), tuple("0123456789"))


@dataclass(frozen=True, eq=False)
class Recorded(Gaussian):
    """Noise that was drawn before: `z` is `(draws, batch, *shape)`, standard normal."""

    z: Tensor

    def draw(
        self,
        shape: tuple[int, ...],  # type: ignore[override]
        *,
        generator: torch.Generator,
        out: Tensor | None = None,
    ) -> Tensor:
        """The same noise at every call."""
        drawn = self.sigma * self.z.reshape(tuple(shape))
        if out is None:
            return drawn
        return out.copy_(drawn)


def handed_out(z: Tensor) -> Callable[[Tensor], Tensor]:
    """What stands in for `randn_like`: `z` by draws, or all at once, input after input."""
    left = iter(z)

    def normal(like: Tensor) -> Tensor:
        if len(like) == z.shape[1]:
            drawn: Tensor = next(left)
            return drawn
        return z.transpose(0, 1).reshape(like.shape)

    return normal


class Clocked:
    """Work that tells the processor time that its process spent on it, in seconds."""

    def __init__(self, work: Callable[[int], object]) -> None:
        self.work = work

    def __call__(self, images: int) -> float:
        """Does it."""
        started = time.process_time()
        self.work(images)
        return time.process_time() - started


class Timed(Side):
    """A side that also keeps its rates in processor time, turn by turn."""

    def __init__(self, name: str, work: Callable[[int], float], granule: int) -> None:
        super().__init__(name, self._timed, granule)
        self.measured = work
        self.cpu: list[float] = []
        self._last = 0.0

    def rate(self, seconds: float) -> float:
        """See `Side.rate`."""
        rate = super().rate(seconds)
        self.cpu.append(self._last)
        return rate

    def _timed(self, images: int) -> None:
        self._last = images / self.measured(images)


def compare(case: Case, module: nn.Module, x: Tensor, y: Tensor) -> Row:
    """Relative difference of the losses, and the largest one of a coordinate found by an attack.

    Where a network normalises by the batch, `stability` passes both halves together and the script
    one after the other, and `catrs` searches for fewer inputs than the script, so these are
    compared in evaluation mode.
    """
    objective = case.build()
    ours = on_device(module, x.device).to(x.dtype)
    theirs = as_in_scripts(module, x.device).to(x.dtype)
    if isinstance(case.script(theirs, SIGMA), StabilityStep | CATRSStep):
        ours.eval()
        theirs.eval()
    script = case.script(theirs, SIGMA)
    generator = torch.Generator(x.device).manual_seed(0)
    z = torch.randn((script.draws, *x.shape), generator=generator, device=x.device).to(x.dtype)
    script.normal = handed_out(z)
    state = generator.get_state()
    uniform = torch.rand(script.draws * len(x), generator=generator, device=x.device)
    if isinstance(script, SmoothMixStep):
        script.uniform = lambda count: uniform[:count]
    if isinstance(script, CATRSStep):
        script.binomial = lambda draws, share: (uniform.reshape(draws, -1) < share).sum(0)
    smoothed = SmoothedClassifier(ours, Recorded(SIGMA, z), 10)
    scored, row = script.loss(x, y), Row()
    if scored.examples is not None and isinstance(objective, CopiesObjective):
        copies = objective.copies(smoothed, x, y, generator=generator.set_state(state))
        found = scored.examples.reshape(len(x), script.draws, *x.shape[1:]).transpose(0, 1)
        row["inputs"] = float((copies - SIGMA * z.flatten(0, 1) - found.flatten(0, 1)).abs().max())
    loss = objective.loss(smoothed, x, y, generator=generator.set_state(state))
    row["loss"] = abs(float((loss / scored.loss).detach()) - 1)
    return row


def on_device(module: nn.Module, device: torch.device) -> nn.Module:
    """A copy, as training starts with it."""
    return Start(copy.deepcopy(module).train(), [], []).on(device)


def loop(
    objective: Objective,
    module: nn.Module,
    data: ArrayDataset,
    plan: TrainingPlan,
    device: torch.device,
) -> Callable[[int], None]:
    """So many images through the training loop, on the given network."""
    state = State.fresh(plan, module)
    smoothed = SmoothedClassifier(module, Gaussian(SIGMA), 10)
    generators, alone = Generators(device), Workers()

    def work(images: int) -> None:
        chosen = np.arange(images) % len(data)
        batches = Batches(data, chosen, plan, device, alone)
        Pass(plan, objective, batches, smoothed, generators, alone).run(EPOCH, state, None)

    return work


@dataclass
class Scripted:
    """So many images through the script, one epoch after the other.

    Attributes:
        script: Its step.
        data: What the loader goes through, over and over.
        batch: Of the loader.
        workers: Of the loader; they start with the first call.
        device: For the step.
    """

    script: PublishedStep
    data: ArrayDataset
    batch: int
    workers: int
    device: torch.device

    def __call__(self, images: int) -> None:
        """As many steps as give that many images."""
        while images > 0:
            images -= next(self._steps)

    @cached_property
    def _steps(self) -> Iterator[int]:
        """The inputs of each step, without end."""
        indices = list(range(len(self.data))) * REPEATS
        examples: Subset[tuple[Tensor, int]] = Subset(self.data, indices)  # type: ignore[arg-type]
        loader = DataLoader(
            examples, self.batch, shuffle=True, num_workers=self.workers, drop_last=True
        )
        weights = self.script.base.parameters()
        optimiser = torch.optim.SGD(weights, lr=STILL, momentum=0.9, weight_decay=1e-4)
        while True:
            yield from self.script.run(loader, optimiser, self.device)


@dataclass(frozen=True)
class Settings:
    """What all cases of one network share."""

    module: nn.Module
    data: ArrayDataset
    device: torch.device
    batch: int
    whole: bool
    workers: int
    rounds: int
    seconds: float
    precisions: Sequence[Precision]

    def measure(self, case: Case) -> Row:
        """The row of one objective."""
        script = case.script(as_in_scripts(self.module, self.device), SIGMA)
        inputs = self.batch if self.whole else self.batch // script.draws
        loaded = inputs * script.parts
        x, y = (part[:CHECKED].to(self.device) for part in self.data.tensors())
        row: Row = {"inputs": inputs}
        for dtype in (torch.float32, torch.float64):
            differences = compare(case, self.module, x.to(dtype).div(255), y)
            row |= {f"{what} {dtype}".replace("torch.", ""): v for what, v in differences.items()}
        if max(differences.values()) > ALLOWED:
            raise SystemExit(f"in float64 the sides must agree to {ALLOWED:g}, got {differences}")
        sides: list[Timed] = []
        for precision in self.precisions:
            plan = TrainingPlan(epochs=90, batch_size=inputs, lr=STILL, precision=precision)
            ours = on_device(self.module, self.device)
            ours_work = loop(case.build(), ours, self.data, plan, self.device)
            sides.append(Timed(precision, Clocked(ours_work), inputs))
        scripts = [script]
        if isinstance(script, SmoothAdvStep):
            base = as_in_scripts(self.module, self.device)
            scripts.append(replace(script, base=base, frozen=False))
        with contextlib.ExitStack() as stack:
            for name, each in zip(("script", "unfrozen"), scripts, strict=False):
                work = Scripted(each, self.data, loaded, self.workers, self.device)
                apart = Apart(Clocked(work))
                stack.callback(apart.close)
                sides.append(Timed(name, apart, inputs))
            rates = list(zip(*take_turns(sides, self.rounds, self.seconds), strict=True))
        for side, mine in zip(sides, rates, strict=True):
            row[f"{side.name}/s"] = round(statistics.median(mine), 1)
        count = len(self.precisions)
        for i, j in itertools.product(range(count), range(count, len(sides))):
            name = f"{sides[i].name}/{sides[j].name}"
            row[name] = ratio(rates[i], rates[j])
            if self.device.type == "cpu":
                row[f"{name} cpu"] = ratio(sides[i].cpu[1:], sides[j].cpu[1:])
        row["load"] = round(os.getloadavg()[0], 2)
        return row


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of neighbouring turns."""
    return round(statistics.median(a / b for a, b in zip(over, under, strict=True)), 3)


def warmed(name: str, data: ArrayDataset, device: torch.device) -> nn.Module:
    """A network after a few steps under noise, on the CPU."""
    plan = TrainingPlan(epochs=90, batch_size=128, lr=5.0)  # at `EPOCH` a hundredth of that
    module = on_device(NETWORKS[name].build(), device)
    loop(GaussianAugmentation(), module, data, plan, device)(WARM_STEPS * plan.batch_size)
    module.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return module


def trained_by_script(
    case: Case, data: ArrayDataset, plan: TrainingPlan, options: argparse.Namespace
) -> nn.Module:
    """LeNet by the script, with the learning rates and the first weights of the plan."""
    device = torch.device(options.device)
    module = as_in_scripts(Start.random(LeNet(), data, plan.seed).module, device)
    script = case.script(module, SIGMA)
    optimiser = torch.optim.SGD(module.parameters(), plan.lr, momentum=0.9, weight_decay=1e-4)
    batch = plan.batch_size * script.parts
    loader = DataLoader(data, batch, shuffle=True, num_workers=options.workers)  # type: ignore[arg-type, var-annotated]
    for epoch in range(plan.epochs):
        for group in optimiser.param_groups:
            group["lr"] = plan.lr_at(epoch, 0, 1)
        for _ in script.run(loader, optimiser, device):
            pass
    return module.eval()


def certified(module: nn.Module, data: ArrayDataset, images: int) -> tuple[float, float]:
    """Clean accuracy in percent on all images, and the average certified radius on some."""
    device = next(module.parameters()).device
    x, y = data.tensors()
    x, y = x.to(device, torch.float32).div(255), y.to(device)
    with torch.no_grad():
        clean = 100 * float((module(x).argmax(1) == y).float().mean())
    chosen = range(0, len(data) // images * images, len(data) // images)
    smoothed = SmoothedClassifier(module, Gaussian(SIGMA), 10)
    plan = SamplingPlan(n0=100, n=1000, alpha=0.001, seed=1)
    found = smoothed.certify_each(((i, x[i]) for i in chosen), plan)
    radii = [r.radius if r.prediction == int(y[i]) else 0.0 for i, r in found]
    return clean, statistics.mean(radii)


def whole_batches(data: ArrayDataset, batch: int) -> ArrayDataset:
    """As many of the first examples as fill batches.

    A script splits the rest into steps of equal sizes, where the library takes a step of what is
    left over: of 8 examples, and so late in training that it is seen in what comes out.
    """
    kept = len(data) // batch * batch
    x, y = (part[:kept].numpy() for part in data.tensors())
    return ArrayDataset(x, y, data.class_names)


def accuracy(name: str, options: argparse.Namespace) -> Row:
    """The row of one objective: both ways to train it."""
    case, shape = CASES[name], NETWORKS["lenet"].shape
    train, test = whole_batches(digits("train", shape), options.batch), digits("test", shape)
    draws = 1 if options.whole else case.script(nn.Identity(), SIGMA).draws
    sides = ["script", *options.precisions]
    results: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for seed in range(options.seeds):
        plan = TrainingPlan(
            epochs=options.epochs, batch_size=options.batch // draws, lr=0.02, seed=seed
        )
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            theirs = trained_by_script(case, train, plan, options)
        results["script"].append(certified(theirs, test, options.images))
        for precision in options.precisions:
            with tempfile.TemporaryDirectory() as folder:
                ours = Training(
                    LeNet(),
                    train,
                    Gaussian(SIGMA),
                    OBJECTIVES.build(case.spec),
                    replace(plan, precision=precision),
                    torch.device(options.device),
                ).train(Path(folder) / "base")
            results[precision].append(certified(ours, test, options.images))
    row: Row = {"objective": name}
    for side, pairs in results.items():
        for what, values in zip(("clean", "acr"), zip(*pairs, strict=True), strict=True):
            row[f"{side} {what}"] = round(statistics.mean(values), 4)
            row[f"{side} {what} sd"] = round(statistics.pstdev(values), 4)
    return row


def main() -> None:
    """Measures, prints a table, keeps the results."""
    known = [name for name in CASES if name.partition("-")[0] in OBJECTIVES.names()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--networks", nargs="+", choices=["lenet", "resnet20"], default=["lenet", "resnet20"]
    )
    parser.add_argument("--objectives", nargs="+", choices=known, default=known)
    parser.add_argument("--batch", type=int, default=256, help="what the scripts' loader gives")
    parser.add_argument("--whole", action="store_true", help="no batch is split into steps")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn, about")
    both = list(get_args(Precision))
    parser.add_argument("--precisions", nargs="+", choices=both, default=both)
    parser.add_argument("--accuracy", action="store_true")
    parser.add_argument("--epochs", type=int, default=5, help="with --accuracy")
    parser.add_argument("--images", type=int, default=200, help="with --accuracy")
    parser.add_argument("--seeds", type=int, default=3, help="with --accuracy")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    device = torch.device(options.device)
    about = machine(device)
    print(json.dumps(about))
    keep_freed_memory()  # as training does
    rows: list[Row] = []
    kept = {
        "machine": about,
        "settings": {k: v for k, v in vars(options).items() if k not in ("results", "objectives")},
        "rows": rows,
    }
    what = "training-accuracy" if options.accuracy else "training"
    for name in ["lenet"] if options.accuracy else options.networks:
        if not options.accuracy:
            data = digits("train", NETWORKS[name].shape)
            settings = Settings(
                warmed(name, data, device),
                data,
                device,
                options.batch,
                options.whole,
                options.workers,
                options.rounds,
                options.seconds,
                options.precisions,
            )
        for objective in options.objectives:
            if options.accuracy:
                row = accuracy(objective, options)
            else:
                row = {"network": name, "objective": objective}
                row |= settings.measure(CASES[objective])
            rows.append(row)
            print(json.dumps(row), flush=True)
            keep(options.results, f"{what}-{device.type}.json", kept)


if __name__ == "__main__":
    main()
