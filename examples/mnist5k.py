"""Trains, certifies and reports through the Python API, at settings that take half a minute.

python examples/mnist5k.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from radii.data import Subset, load
from radii.evaluation import Run
from radii.evaluation.report import Report, as_html, as_markdown, pictures_of
from radii.models import LeNet, load_base
from radii.noise import Gaussian
from radii.objectives import GaussianAugmentation
from radii.smoothing import SamplingPlan, SmoothedClassifier
from radii.training import Cosine, Training, TrainingPlan


def main(folder: Path) -> None:
    """Leaves a base classifier, a ledger and a report in `folder`."""
    noise = Gaussian(sigma=0.5)
    training = Training(
        architecture=LeNet(),
        dataset=load("mnist5k@train"),
        noise=noise,
        objective=GaussianAugmentation(),
        plan=TrainingPlan(epochs=2, batch_size=64, lr=0.02, schedule=Cosine()),
        device=torch.device("cpu"),
    )
    training.train(folder / "base", resume=True)

    base = load_base(str(folder / "base"))
    dataset = load("mnist5k@test")
    smoothed = SmoothedClassifier(
        base.module, noise, dataset.num_classes, input_shape=dataset.input_shape
    )
    run = Run(
        smoothed=smoothed,
        base=base,
        dataset=dataset,
        subset=Subset.parse("random:50,seed=0"),
        plan=SamplingPlan(n=1_000, seed=1),
    )
    ledger = run.certify(folder / "run.sqlite")  # given again, it goes on where it ended

    report = Report.of([ledger.path])
    pictures = {str(ledger.path): pictures_of(ledger, dataset)}
    (folder / "report.html").write_text(as_html(report, pictures), encoding="utf-8")
    print(as_markdown(report))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "mnist5k-example"))
