from __future__ import annotations

import pytest
import torch

from radii.attacks import ATTACKS, DDN, PGDL2, Boundary, Stein, Transfer


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def plane(x):
    return torch.stack([x[:, 0], -x[:, 0]], dim=1)


def test_it_is_the_inner_attack_on_the_model_handed_over():
    x, y = torch.tensor([[0.6, 0.8], [-0.3, 0.1]]), torch.tensor([0, 1])
    inner = DDN(steps=30, epsilon=0.5)
    attack = Transfer(inner, source="runs/other")
    expected = inner.search(plane, x, y, generator=start())
    found = attack.search(plane, x, y, generator=start())
    assert torch.equal(found.x, expected.x)
    assert torch.equal(found.queries, expected.queries)


@pytest.mark.parametrize(
    "inner",
    [
        PGDL2(epsilon=0.5, low=0.0, high=1.0),
        DDN(),
        Stein(epsilon=0.5, sigma=0.25),
        Boundary(),
    ],
)
def test_it_says_of_itself_what_the_inner_attack_says(inner):
    attack = Transfer(inner, source="runs/other")
    for name in ("epsilon", "norm", "low", "high", "minimal", "needs"):
        assert getattr(attack, name) == getattr(inner, name)


def test_the_spec_nests():
    attack = Transfer(PGDL2(epsilon=0.5, steps=3), "runs/other", "gaussian:sigma=0.5", draws=8)
    spec = ATTACKS.spec_of(attack)
    assert spec == (
        "transfer:attack=pgd_l2(epsilon=0.5,steps=3),source=runs/other,"
        "noise=gaussian:sigma=0.5,draws=8"
    )
    assert ATTACKS.build(spec) == attack


def test_scaling_scales_the_inner_attack():
    attack = Transfer(PGDL2(epsilon=0.5), source="runs/other")
    assert attack.scaled(0.5) == Transfer(PGDL2(epsilon=0.25), source="runs/other")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": ""}, "source must be a reference to a base classifier, got ''"),
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"attack": Transfer(PGDL2(0.5), "a")}, "attack of transfer must be another attack"),
        ({"attack": "pgd_l2"}, "attack of transfer must be another attack, got 'pgd_l2'"),
    ],
)
def test_wrong_parameters_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Transfer(**{"attack": PGDL2(0.5), "source": "runs/other", **fields})
