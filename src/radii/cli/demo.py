"""`radii demo`: from nothing to a report, on images that come with the package."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from radii.cli.attack import attack_with_bar
from radii.cli.certify import certify_with_bar
from radii.cli.console import print_line, print_report
from radii.cli.options import DeviceOption, Precision, arguments, smoothed_base
from radii.cli.report import Format, write_report
from radii.cli.train import train_with_bar

_SIGMAS = (0.25, 0.5)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for what it makes.")] = Path("demo"),
    device: DeviceOption = "auto",
) -> None:
    """Trains on 5,000 real digits, certifies and attacks test images at two sigmas, and reports."""
    from radii.attacks import DDN
    from radii.data import Subset, load
    from radii.evaluation import AttackRun, Run
    from radii.evaluation.report import Report
    from radii.models import LeNet, device_named
    from radii.noise import NOISES, Gaussian
    from radii.objectives import GaussianAugmentation
    from radii.smoothing import SamplingPlan
    from radii.training import Cosine, Training, TrainingPlan

    with arguments():
        target = device_named(device)
    started = time.monotonic()
    ledgers = []
    for sigma in _SIGMAS:
        print_line(
            f"sigma {sigma:g}: LeNet on 5,000 noisy digits, then 200 test images certified, and "
            f"100 of these attacked"
        )
        noise = Gaussian(sigma)
        base = out / f"base-{sigma:g}"
        training = Training(
            LeNet(),
            load("mnist5k@train"),
            noise,
            GaussianAugmentation(),
            TrainingPlan(epochs=12, batch_size=64, lr=0.02, schedule=Cosine()),
            target,
        )
        train_with_bar(training, base, resume=True)
        dataset = load("mnist5k@test")
        loaded, smoothed = smoothed_base(
            str(base), NOISES.spec_of(noise), None, None, Precision.FLOAT32, device, None
        )
        run = Run(
            smoothed=smoothed,
            base=loaded,
            dataset=dataset,
            subset=Subset.parse("random:200,seed=0"),
            plan=SamplingPlan(n=5_000),
        )
        ledgers.append(out / f"certified-{sigma:g}.sqlite")
        certify_with_bar(run, ledgers[-1])
        attack = AttackRun(
            smoothed=smoothed,
            base=loaded,
            dataset=dataset,
            subset=Subset.parse("random:100,seed=0"),
            attack=DDN(steps=20, low=0.0, high=1.0),
            n=200,
            draws=16,
        )
        ledgers.append(out / f"attacked-{sigma:g}.sqlite")
        attack_with_bar(attack, ledgers[-1])
    report = Report.of(ledgers)
    print_report(report)
    page = out / "report.html"
    write_report(report, page, Format.HTML, None)
    print_line(f"{time.monotonic() - started:.0f} s; look at {page}")
