"""Checkpoints in the forms in which the published repositories saved them."""

from __future__ import annotations

import re
from collections import OrderedDict

import pytest
import torch
from torch import nn

import radii
from radii.errors import BaseClassifierError
from radii.models import load_base
from radii.models.adapters import ADAPTERS, PublishedCheckpoint

# From the code of Cohen et al. 2019 (locuslab/smoothing, code/datasets.py).
CIFAR10_MEAN = [0.4914, 0.4822, 0.4465]
CIFAR10_STDDEV = [0.2023, 0.1994, 0.2010]


class Block(nn.Module):
    """A basic block with the names of the published ResNet for CIFAR-10."""

    def __init__(self, inplanes, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + (x if self.downsample is None else self.downsample(x)))


class PublishedResNet(nn.Module):
    """ResNet-(6 n + 2) with the names of the published code; written for this test."""

    def __init__(self, n, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inplanes = 16
        for stage, planes in enumerate((16, 32, 64), start=1):
            blocks = []
            for at in range(n):
                blocks.append(Block(inplanes, planes, 2 if stage > 1 and at == 0 else 1))
                inplanes = planes
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.avgpool = nn.AvgPool2d(8)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.avgpool(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.flatten(1))


class NormalizeLayer(nn.Module):
    def __init__(self, means, sds):
        super().__init__()
        self.means, self.sds = torch.tensor(means), torch.tensor(sds)  # not in the state dict

    def forward(self, x):
        return (x - self.means.view(-1, 1, 1)) / self.sds.view(-1, 1, 1)


def published(n=3, *, num_classes=10, parallel=False, means=None):
    """`Sequential(normalisation, network)`, with statistics of batch norm that are not trivial."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(7)
        network = PublishedResNet(n, num_classes)
        body = nn.DataParallel(network) if parallel else network
        model = nn.Sequential(NormalizeLayer(means or CIFAR10_MEAN, CIFAR10_STDDEV), body)
        model.train()(torch.rand(8, 3, 32, 32))
        return model.eval()


def saved(path, model, **more):
    """As code/train.py of the published repository saves it."""
    content = {"epoch": 90, "arch": "cifar_resnet20", "state_dict": model.state_dict(), **more}
    torch.save(content, path)
    return path


INPUTS = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("parallel", [False, True], ids=["1.", "1.module."])
def test_a_checkpoint_of_cohen_et_al_answers_as_the_published_model(tmp_path, parallel):
    model = published(parallel=parallel)
    path = saved(tmp_path / "checkpoint.pth.tar", model, optimizer={"lr": 0.1})
    reference = f"published:{path},architecture=cifar_resnet20,normalize=cifar10"
    base = load_base(reference)
    with torch.no_grad():
        torch.testing.assert_close(base.module(INPUTS), model(INPUTS), rtol=1e-4, atol=1e-5)
    assert base.reference == reference
    assert (base.num_classes, base.input_shape) == (10, (3, 32, 32))
    assert base.details["mean"] == CIFAR10_MEAN
    assert not base.module.training


def test_resnet110_of_one_file_is_that_of_the_other(tmp_path):
    path = saved(tmp_path / "checkpoint.pth.tar", published(18))
    base = radii.load(f"published:{path},architecture=resnet110,normalize=cifar10")
    assert len(base.module.body.layer1) == 18


def test_a_checkpoint_of_macer_has_its_weights_under_net_and_no_normalisation(tmp_path):
    network = published()[1]
    torch.save({"net": network.state_dict(), "epoch": 440}, tmp_path / "440.pth")
    base = load_base(
        f"published:{tmp_path / '440.pth'},architecture=resnet20,normalize=none,"
        f"input_shape=3x32x32,num_classes=10"
    )
    with torch.no_grad():
        torch.testing.assert_close(base.module(INPUTS), network(INPUTS), rtol=1e-4, atol=1e-5)


def with_normalisation(means):
    state = OrderedDict(published().state_dict())
    return OrderedDict(
        {"0.means": torch.tensor(means), "0.sds": torch.tensor(CIFAR10_STDDEV)}, **state
    )


def test_a_normalisation_in_the_file_must_be_the_one_that_is_named(tmp_path):
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"state_dict": with_normalisation(CIFAR10_MEAN)}, path)
    assert load_base(f"published:{path},architecture=resnet20,normalize=cifar10").num_classes == 10
    torch.save({"state_dict": with_normalisation([0.5, 0.5, 0.5])}, path)
    with pytest.raises(BaseClassifierError, match=r"'0\.means' must be the module's own"):
        load_base(f"published:{path},architecture=resnet20,normalize=cifar10")


class Harmful:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    path = tmp_path / "checkpoint.pth.tar"
    torch.save({"state_dict": published().state_dict(), "more": Harmful()}, path)
    with pytest.raises(BaseClassifierError, match="never unpickled"):
        load_base(f"published:{path},architecture=resnet20,normalize=cifar10")
    assert "must not run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("architecture=resnet32,normalize=cifar10", "do not fit the architecture: missing"),
        ("architecture=resnet20,normalize=cifar10,num_classes=100", "must have shape (100, 64)"),
        ("architecture=resnet20,normalize=cifar10,num_classes=0", "num_classes must be at least 2"),
        ("architecture=resnet20,normalize=cifar10,input_shape=1x32x32", "cannot be loaded: mean"),
        ("architecture=lenet,normalize=imagenet", "lenet needs inputs of shape"),
        ("architecture=resnet20,normalize=none", "input_shape must be given with normalize=none"),
        ("architecture=resnet20,normalize=svhn", "must be one of none, cifar10, imagenet"),
        ("architecture=resnet21,normalize=cifar10", "no architecture is called 'resnet21'"),
        ("architecture=resnet20,normalize=cifar10,input_shape=3,32", "must be name:key=value"),
        ("architecture=resnet20,normalize=cifar10,input_shape=ax3", "sizes with an x between"),
        ("architecture=resnet20", "needs normalize"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(tmp_path, spec, message):
    path = saved(tmp_path / "checkpoint.pth.tar", published())
    with pytest.raises(BaseClassifierError, match=re.escape(message)):
        load_base(f"published:{path},{spec}")


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    model = published()
    model.state_dict()["1.fc.bias"].fill_(torch.nan)
    path = saved(tmp_path / "checkpoint.pth.tar", model)
    with pytest.raises(BaseClassifierError, match="NaN"):
        load_base(f"published:{path},architecture=resnet20,normalize=cifar10")


def test_a_spec_and_its_object():
    adapter = PublishedCheckpoint("a.pth", "resnet110", "cifar10")
    spec = ADAPTERS.spec_of(adapter)
    assert spec == "published:path=a.pth,architecture=resnet110,normalize=cifar10"
    assert ADAPTERS.build(spec) == adapter
    assert ADAPTERS.build("published:a.pth,architecture=resnet110,normalize=cifar10") == adapter
