"""Operations of a forward pass, against torch's own counter."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from radii.models import ARCHITECTURES
from radii.models.operations import _counted_by_torch, operations

MEMBERS = [
    ARCHITECTURES[name](**example)
    for name in ARCHITECTURES.names()
    for example in ARCHITECTURES[name].examples
]


@pytest.mark.parametrize("architecture", MEMBERS, ids=ARCHITECTURES.spec_of)
def test_networks_of_layers(architecture):
    shape = architecture.example_input_shape
    module = architecture.build(shape, 10).eval()
    hooks = [len(part._forward_hooks) for part in module.modules()]
    found = operations(module, torch.zeros(1, *shape))
    assert found == _counted_by_torch(module, torch.zeros(1, *shape)) > 0
    assert [len(part._forward_hooks) for part in module.modules()] == hooks


class Product(nn.Module):
    """A product that no layer makes, of a matrix that is its own."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.matrix = nn.Parameter(torch.ones(6, 4))

    def forward(self, x):
        return self.inner(x) @ self.matrix


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (Product(), (6,), 2 * 6 * 6 + 2 * 6 * 4),
        (nn.Sequential(nn.Conv2d(4, 8, 3, groups=2, stride=2)), (4, 9, 9), 2 * 8 * 16 * 2 * 9),
        (nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 5, 5), 2 * 2 * 25 * 3 * 4),
        (nn.ReLU(), (6,), 0),
    ],
    ids=["own matrix", "groups", "transposed", "nothing"],
)
def test_other_modules(module, shape, expected):
    assert operations(module.eval(), torch.zeros(1, *shape)) == expected


def test_the_compiler_is_not_imported_for_layers():

    code = (
        "import sys, torch; from torch import nn; from radii.models.operations import operations; "
        "operations(nn.Linear(3, 2), torch.zeros(1, 3)); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
