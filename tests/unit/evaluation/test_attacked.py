from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radii.attacks import ATTACKS, Attack, Found, Transfer
from radii.attacks.base import Needs
from radii.errors import BaseClassifierError, DataError
from radii.evaluation.attacked import Target
from radii.models import MLP, initialise, save_base
from radii.noise import Gaussian, Generators, Stream
from radii.smoothing import SmoothedClassifier
from tests.oracles import HalfSpace

PGD = ATTACKS.build("pgd_l2:epsilon=1.0")


@dataclass(frozen=True)
class Decisions(Attack):
    """An attack that looks at decisions and finds nothing."""

    needs: ClassVar[Needs] = "decisions"
    norm = "l2"
    low = None
    high = None
    epsilon = None
    examples: ClassVar[tuple[Mapping[str, object], ...]] = ()

    def search(self, model, x, y, *, generator):
        return Found(x, torch.ones_like(y))

    def scaled(self, share):
        return self


def network(outputs: int = 3, *, inputs: int = 4, seed: int = 0) -> nn.Module:
    return initialise(MLP(hidden=8, depth=1), (inputs,), outputs, seed=seed).eval()


def smoothed(base=None, classes: int = 3) -> SmoothedClassifier:
    return SmoothedClassifier(base or network(), Gaussian(0.5), classes, input_shape=(4,))


def batch(count: int = 5) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fresh", [False, True])
def test_the_noise_of_an_input_follows_from_its_index_and_the_seed(fresh):
    x, target = batch(), Target.of(PGD, smoothed(), draws=150, fresh=fresh)
    together = target.model(x, [7, 3, 9, 1, 4], seed=5)
    alone = target.model(x[2:3], [9], seed=5)
    other = target.model(x[2:3], [8], seed=5)
    first = together(x)
    torch.testing.assert_close(first[2:3], alone(x[2:3]))
    assert not torch.equal(alone(x[2:3]), other(x[2:3]))
    assert torch.equal(together(x), first) is not fresh


def test_noise_comes_from_the_streams_of_attacks():
    x, made = batch(1), smoothed()
    model = Target.of(PGD, made, draws=120).model(x, [6], seed=2)
    generators = Generators(torch.device("cpu"))
    blocks = [
        made.noise.at(torch.zeros(rows, 4), Stream(2, 6, "attack", block), generators)
        for block, rows in enumerate((100, 20))
    ]
    assert torch.equal(model.delta[:, 0], torch.cat(blocks))


def test_decisions_are_votes_of_the_smoothed_classifier():
    base = HalfSpace(torch.tensor([1.0, 0, 0, 0], dtype=torch.float64))
    made = smoothed(base, classes=2)
    target = Target.of(Decisions(), made, draws=4000)
    assert target.meta == {"estimator": "votes", "draws": 4000, "fresh": False}
    x = batch()
    model = target.model(x, range(5), seed=3)
    shares = model(x)
    assert shares.dtype == torch.float32
    assert torch.equal(model(x), shares)
    expected = base.smoothed_probability(x, 0.5)
    # Five shares of 4000 votes: none is off by four standard deviations.
    assert np.abs(shares[:, 1].numpy() - expected).max() < 4 * 0.5 / 4000**0.5
    torch.testing.assert_close(shares.sum(1), torch.ones(5))
    with pytest.raises(ValueError, match="zip"):
        model(x[:2])


def test_fresh_noise_does_not_suit_decisions():
    target = Target.of(Decisions(), smoothed(), draws=10, fresh=True)
    with pytest.raises(ValueError, match="needs noise that does not change"):
        target.check(Decisions(), batch()[0])


def test_the_base_alone():
    made = smoothed()
    target = Target.of(PGD, made, draws=10, estimator="base")
    assert target.model(batch(), range(5), seed=0) is made.base
    assert target.meta == {"estimator": "base", "draws": None, "fresh": False}


@pytest.fixture
def source(tmp_path) -> Path:
    place = tmp_path / "source"
    described = {
        **{"architecture": "mlp:hidden=8,depth=1", "input_shape": [4], "num_classes": 3},
        **{"class_names": None, "mean": [0.0], "std": [1.0]},
    }
    save_base(place, network(seed=9), described)
    return place


def test_transfer_is_led_against_its_source(source):
    made, x = smoothed(), batch()
    target = Target.of(Transfer(PGD, source=str(source)), made, draws=10)
    torch.testing.assert_close(target.model(x, range(5), seed=0)(x), network(seed=9)(x))
    assert target.meta["estimator"] == "base"
    assert target.meta["draws"] is None
    assert len(target.meta["source_sha256"]) == 64
    under = Target.of(
        Transfer(PGD, source=str(source), noise="gaussian:sigma=0.25", draws=7), made, draws=10
    )
    model = under.model(x, range(5), seed=0)
    assert model.delta.shape == (7, 5, 4)
    assert 0.1 < float(model.delta.std()) < 0.4
    assert under.meta["draws"] == 7
    assert under.meta["estimator"] == "plug_in"
    torch.testing.assert_close(model.base(x), network(seed=9)(x))


def test_transfer_of_an_attack_on_decisions(source):
    made, x = smoothed(), batch()
    alone = Target.of(Transfer(Decisions(), source=str(source)), made, draws=10)
    assert alone.kind == "labels"
    torch.testing.assert_close(alone.model(x, range(5), seed=0)(x), network(seed=9)(x))
    under = Target.of(
        Transfer(Decisions(), source=str(source), noise="gaussian:sigma=0.25"), made, draws=10
    )
    assert under.kind == "votes"
    assert under.model(x, range(5), seed=0)(x).shape == (5, 3)


def test_labels_alone_become_scores():
    def labels(x: Tensor) -> Tensor:
        return (x[:, 0] > 0).long()

    target = Target(labels, None, 3, "labels")
    x = torch.tensor([[0.5], [-0.5]])
    assert target.model(x, [0, 1], seed=0)(x).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_source_that_does_not_fit_is_refused(source):
    with pytest.raises(BaseClassifierError, match="nowhere"):
        Target.of(Transfer(PGD, source="nowhere"), smoothed(), draws=1)
    two = SmoothedClassifier(network(2), Gaussian(0.5), 2, input_shape=(4,))
    with pytest.raises(DataError, match="must have as many classes as 2"):
        Target.of(Transfer(PGD, source=str(source)), two, draws=1)
    wide = SmoothedClassifier(network(inputs=5), Gaussian(0.5), 3, input_shape=(5,))
    with pytest.raises(DataError, match=r"must have inputs of shape \(5,\)"):
        Target.of(Transfer(PGD, source=str(source)), wide, draws=1)
