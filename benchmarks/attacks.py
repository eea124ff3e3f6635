"""How fast is an attack on a smoothed classifier, against the way of the papers' scripts?

    python benchmarks/attacks.py [--networks lenet resnet20] [--draws 64] [--steps 20]
                                 [--rounds 9] [--seconds 4] [--device cpu]

For each network the sides take turns, the scripts in a process of their own with the allocator as
it comes, each with `pgd_l2` on the log of the mean softmax of `draws` noisy copies, which are the
same in all steps:

- `ours`: as `radii attack` does it: `radii.attacks.PGDL2` on `smoothed.soft`, several inputs at a
  time, batch norm folded into the convolutions;
- `script`: after Salman et al. 2019: one input at a time, its copies repeated at each step, the
  weights frozen, an optimiser for the perturbation; `unfrozen`: the same without the freezing, so
  that each step also computes the gradients of all weights, as in scripts that leave that out.

Before that both sides attack the same inputs under the same noise, in float64 and in float32, and
the losses that they reach are compared. Printed are medians of inputs per second and of the ratios
of neighbouring turns.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from common import NETWORKS, RESULTS, Apart, Row, Side, keep, machine, take_turns
from published_loop import as_published
from published_training import SmoothAdvStep, attacked
from torch import Tensor, nn

from radii.attacks import PGDL2
from radii.models import folded
from radii.noise import Gaussian
from radii.smoothing import SmoothedClassifier, SoftClassifier

SIGMA, EPSILON = 0.5, 1.0
INPUTS = {"lenet": 16, "resnet20": 4, "resnet110": 4}  # of a batch, as `radii attack` takes
COMPARED = 2
ALLOWED = 1e-6  # relative difference of the losses in float64
HELD_EQUAL = (
    "the network and its weights, the inputs and labels, sigma, draws, steps, epsilon, pixel "
    "bounds, the machine and the moment: the sides take turns; all may use all cores. The scripts "
    "have a process of their own, with the allocator as it comes"
)


def ours(
    module: nn.Module, x: Tensor, y: Tensor, attack: PGDL2, draws: int
) -> Callable[[int], None]:
    """Batches of inputs, one after the other."""
    smoothed = SmoothedClassifier(module, Gaussian(SIGMA), 10)
    generator = torch.Generator(x.device).manual_seed(0)

    def work(inputs: int) -> None:
        for _ in range(inputs // len(x)):
            soft = smoothed.soft(x, draws, generator=generator)
            attack.perturb(soft, x, y, generator=generator)

    return work


def by_script_in_turn(module: nn.Module, x: Tensor, y: Tensor, steps: int, draws: int) -> Apart:
    """One input after the other, in a process of its own; takes how many, and whether frozen."""
    step = SmoothAdvStep(module, SIGMA, draws, epsilon=EPSILON, steps=steps)
    return Apart(partial(_in_turn, step, x, y))


def _in_turn(step: SmoothAdvStep, x: Tensor, y: Tensor, inputs: int, frozen: bool) -> None:
    step.frozen = frozen
    with attacked(step.base, frozen):
        for i in range(inputs):
            at = i % len(x)
            by_script(step, x[at : at + 1], y[at : at + 1])


def by_script(step: SmoothAdvStep, x: Tensor, y: Tensor, noise: Tensor | None = None) -> Tensor:
    """What the script finds for one input; `(1, *shape)`."""
    rows = x.repeat((1, step.draws, 1, 1)).reshape(-1, *x.shape[1:])
    noise = torch.randn_like(rows) * SIGMA if noise is None else noise
    return step.pgd(rows, y, noise)[:1]


def losses(module: nn.Module, x: Tensor, y: Tensor, attack: PGDL2, draws: int) -> dict[str, float]:
    """The mean loss that each side reaches, under the same noise."""
    generator = torch.Generator(x.device).manual_seed(1)
    delta = SIGMA * torch.randn((draws, *x.shape), generator=generator, device=x.device).to(x.dtype)
    soft = SoftClassifier(folded(module, x), delta)
    step = SmoothAdvStep(as_published(module), SIGMA, draws, epsilon=EPSILON, steps=attack.steps)
    with attacked(step.base):
        theirs = [by_script(step, x[i : i + 1], y[i : i + 1], delta[:, i]) for i in range(len(x))]
    found = {"ours": attack.perturb(soft, x, y, generator=generator), "script": torch.cat(theirs)}
    with torch.no_grad():
        return {side: float(soft.attack_loss(soft(z), y).mean()) for side, z in found.items()}


def measure(name: str, options: argparse.Namespace) -> Row:
    """The row of one network."""
    network, device = NETWORKS[name], torch.device(options.device)
    plain = network.build().to(device)
    module = copy.deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    inputs = INPUTS[name]
    x = torch.rand((inputs, *network.shape), generator=generator).to(device)
    with torch.no_grad():
        y = plain(x).argmax(1)  # so that the attack has something to change
    attack = PGDL2(epsilon=EPSILON, steps=options.steps, low=0.0, high=1.0)
    row: Row = {"network": name, "draws": options.draws, "steps": options.steps}
    for dtype in (torch.float64, torch.float32):
        few = x[:COMPARED].to(dtype)
        reached = losses(copy.deepcopy(plain).to(dtype), few, y[:COMPARED], attack, options.draws)
        apart = abs(reached["ours"] / reached["script"] - 1)
        if dtype == torch.float64 and apart > ALLOWED:
            raise SystemExit(f"the losses must agree to {ALLOWED:g}, got {reached}")
        row[f"loss apart {dtype}".replace("torch.", "")] = apart
    published = as_published(plain).to(device)
    script = by_script_in_turn(published, x, y, options.steps, options.draws)
    sides = [
        Side("ours", ours(folded(module, x), x, y, attack, options.draws), inputs),
        Side("script", lambda inputs: script(inputs, True), 1),
        Side("unfrozen", lambda inputs: script(inputs, False), 1),
    ]
    rates = list(zip(*take_turns(sides, options.rounds, options.seconds), strict=True))
    for side, mine in zip(sides, rates, strict=True):
        row[f"{side.name}/s"] = round(statistics.median(mine), 2)
    for side, theirs in zip(sides[1:], rates[1:], strict=True):
        ratios = [a / b for a, b in zip(rates[0], theirs, strict=True)]
        row[f"ours/{side.name}"] = round(statistics.median(ratios), 3)
    return row


def main() -> None:
    """Measures, prints, keeps the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ("lenet", "resnet20", "resnet110")
    parser.add_argument("--networks", nargs="+", choices=known, default=["lenet", "resnet20"])
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one turn, about")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    about = machine(torch.device(options.device))
    print(json.dumps(about))
    rows = []
    for name in options.networks:
        rows.append(measure(name, options))
        print(json.dumps(rows[-1]), flush=True)
    kept = {"machine": about, "held_equal": HELD_EQUAL, "rounds": options.rounds}
    content = kept | {"seconds": options.seconds, "rows": rows}
    keep(options.results, f"attacks-{torch.device(options.device).type}.json", content)


if __name__ == "__main__":
    main()
