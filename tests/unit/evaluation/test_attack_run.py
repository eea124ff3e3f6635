from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from radii.attacks import ATTACKS
from radii.data import ArrayDataset, Subset
from radii.errors import BaseClassifierError, DataError, LedgerError, PlanError
from radii.evaluation import AttackLedger, AttackRun
from radii.evaluation.attack_answers import SCALES, Answers
from radii.models import Base
from radii.noise import Gaussian, Laplace, Splitting
from radii.smoothing import SmoothedClassifier

SIGMA = 0.5


class Side(nn.Module):
    """Two classes on the sides of the plane where the first coordinate is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: Tensor) -> Tensor:
        score = self.steepness * x[:, 0]
        return torch.stack([-score, score], dim=1)


def dataset(count: int = 12, labels=None) -> ArrayDataset:
    """Inputs at distances 0.1 to 1.2 from the plane, on both sides by turns."""
    inputs = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    sides = np.arange(count) % 2
    inputs[:, 0] = (2 * sides - 1) * np.linspace(0.1, 1.2, count)
    labels = sides if labels is None else labels
    return ArrayDataset(inputs, labels, ("left", "right"), "toy@test")


def run(attack="pgd_l2:epsilon=0.6,steps=8", *, base=None, noise=None, data=None, **more):
    base = Side().eval() if base is None else base
    smoothed = SmoothedClassifier(base, noise or Gaussian(SIGMA), 2, input_shape=(3,))
    return AttackRun(
        smoothed=smoothed,
        base=Base(base, "toy.py:base", "00ff", None, None, None, {}),
        dataset=data or dataset(),
        subset=Subset.parse(more.pop("subset", "all")),
        attack=ATTACKS.build(attack),
        **{"n": 1000, "draws": 32, "seed": 3, "batch": 5, **more},
    )


def all_of(path):
    """All that must not depend on when and how the run was made."""
    rows = AttackLedger(path).rows(inputs=True)
    return [(replace(r, seconds=0.0), None if r.x is None else r.x.tobytes()) for r in rows]


class InterruptedRun(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize(
    "attack", ["pgd_l2:epsilon=0.6,steps=4,random_start=true", "ddn:steps=20"], ids=str
)
@pytest.mark.parametrize("fresh", [False, True])
def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path, attack, fresh):
    run(attack, fresh=fresh).run(tmp_path / "straight")
    left = [7]

    def on_input() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise InterruptedRun

    with pytest.raises(InterruptedRun):
        run(attack, fresh=fresh).run(tmp_path / "broken", on_input=on_input)
    assert len(AttackLedger(tmp_path / "broken")) == 10
    started = []
    run(attack, fresh=fresh).run(tmp_path / "broken", on_start=lambda *what: started.append(what))
    assert started == [(12, 10)]
    assert all_of(tmp_path / "broken") == all_of(tmp_path / "straight")
    assert any(row.success for row, _ in all_of(tmp_path / "broken"))


def test_an_attack_on_a_plane_does_what_geometry_allows(tmp_path):
    made = run(n=10_000)
    ledger = made.run(tmp_path / "run")
    data = dataset()
    for row in ledger.rows(inputs=True):
        x = data[row.index][0].numpy()
        distance = abs(float(x[0]))  # of the smoothed boundary, too
        delta = row.x.astype(np.float64) - x.astype(np.float64)
        assert row.l1 == np.abs(delta).sum()
        assert row.l2 == np.sqrt((delta**2).sum())
        assert row.linf == np.abs(delta).max()
        assert row.l2 <= 0.6 * (1 + 1e-6)
        assert row.clean == row.label
        assert row.clean_votes[row.label] > row.clean_votes[1 - row.label]
        assert sum(row.votes.values()) == 10_000
        assert (row.queries, row.samples) == (8, 20_000)
        if distance < 0.5:
            assert row.success
        if distance > 0.65:
            assert row.prediction == row.label


def test_the_smallest_perturbation_is_lengthened_until_the_answer_changes(tmp_path):
    ledger = run("ddn:steps=60", n=10_000, draws=1000).run(tmp_path / "run")
    data = dataset()
    scales = set()
    for row in ledger.rows():
        distance = abs(float(data[row.index][0][0]))
        assert row.success
        assert row.l2 >= distance
        # The plane that 1000 draws see is off by 0.016, one standard deviation. At alpha 0.001 / 8
        # 52 % of 10,000 votes are enough, 0.024 beyond the plane. No factor is 1.34 times another.
        assert row.l2 <= 1.34 * (distance + 0.05)
        assert row.facts["scale"] in SCALES
        tried = SCALES.index(row.facts["scale"]) + 1
        assert row.samples == (1 + tried) * 10_000
        scales.add(row.facts["scale"])
    assert max(scales) > 1


def test_a_minimal_attack_with_a_ball_stays_in_it(tmp_path):
    ledger = run("ddn:steps=40,epsilon=0.5", n=10_000).run(tmp_path / "run")
    rows = list(ledger.rows())
    assert max(row.l2 for row in rows) <= 0.5 * (1 + 1e-4)
    assert any(row.success for row in rows)
    assert any(row.prediction == row.label for row in rows)


@pytest.mark.parametrize(
    "attack",
    [
        *("fgsm:epsilon=0.5", "pgd_l1:epsilon=0.7", "pgd_linf:epsilon=0.4"),
        *("auto:epsilon=0.6,budget=40", "minimum_norm:attack=pgd_l2(epsilon=0.8),searches=6"),
    ],
)
def test_attacks_stay_in_the_ball_of_their_norm(tmp_path, attack):
    made = run(attack)
    ledger = made.run(tmp_path / "run")
    rows = list(ledger.rows())
    norm, epsilon = made.attack.norm, made.attack.epsilon
    assert ledger.meta["norm"] == norm
    assert max(row.norm(norm) for row in rows) <= epsilon * (1 + 1e-5)
    assert any(row.success for row in rows)
    assert any(row.prediction == row.label for row in rows)
    assert all(row.queries > 0 for row in rows if row.clean == row.label)


def test_hopskipjump_sees_votes_alone(tmp_path):
    if find_spec("foolbox") is None:
        pytest.skip("foolbox is not installed")
    made = run("hopskipjump:queries=200", base=labels_alone, subset="first:6", draws=400)
    ledger = made.run(tmp_path / "run")
    assert (ledger.meta["estimator"], ledger.meta["draws"]) == ("votes", 400)
    for row in ledger.rows():
        # The plane that 400 votes see is off by 0.03, one standard deviation.
        assert row.clean == row.label != row.prediction
        assert row.l2 > abs(float(dataset()[row.index][0][0])) - 0.1
        assert 0 < row.queries <= 200


def test_pixel_bounds_hold_for_longer_perturbations(tmp_path):
    inputs = np.full((6, 3), 0.5, np.float32)
    inputs[:, 0] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.9]
    data = ArrayDataset(inputs, np.ones(6, np.int64), ("left", "right"), "toy@test")
    ledger = run("ddn:steps=40,low=0.0,high=1.0", data=data, n=500).run(tmp_path / "run")
    for row in ledger.rows(inputs=True):
        assert 0 <= row.x.min()
        assert row.x.max() <= 1
        assert row.prediction in (1, None)  # the other side is out of bounds
    assert sum(row.prediction is None for row in ledger.rows()) > 2


def test_what_is_wrong_as_it_is_stays_as_it_is(tmp_path):
    sides = np.arange(12) % 2
    labels = sides.copy()
    labels[[3, 8]] = 1 - labels[[3, 8]]
    ledger = run(data=dataset(labels=labels), n=100).run(tmp_path / "run")
    rows = list(ledger.rows(inputs=True))
    for index in (3, 8):
        row = rows[index]
        assert row.clean == row.prediction == 1 - row.label
        assert (row.l1, row.l2, row.linf, row.queries, row.facts) == (0, 0, 0, 0, {})
        assert row.samples == 100
        assert row.votes == row.clean_votes
        assert np.array_equal(row.x, dataset()[index][0].numpy())
    undecided = [row for row in rows if row.clean is None]  # the nearest ones
    assert undecided
    assert all(row.l2 == 0 and row.prediction is None for row in undecided)
    assert not any(row.success for row in undecided)


def test_meta_says_what_was_done(tmp_path):
    meta = run("ddn:steps=20", estimator="expectation").run(tmp_path / "run").meta
    for key, value in {
        "format": "radii-attack/1",
        "attack": "ddn:steps=20",
        "norm": "l2",
        "minimal": True,
        "estimator": "expectation",
        "draws": 32,
        "fresh": False,
        "n": 1000,
        "alpha": 0.001,
        "noise": "gaussian:sigma=0.5",
        "seed": 3,
        "subset": "all",
        "batch": 5,
        "keep": True,
        "data": "toy@test",
        "data_examples": 12,
        "class_names": ["left", "right"],
        "input_shape": [3],
        "base": "toy.py:base",
        "base_sha256": "00ff",
        "num_classes": 2,
        "precision": "float32",
        "compile": "off",
        "device": "cpu",
    }.items():
        assert meta[key] == value, key
    assert {"generator", "data_fingerprint", "versions", "git_revision", "created"} <= meta.keys()


def test_an_attack_on_the_base_alone_draws_nothing(tmp_path):
    one = run(estimator="base", draws=7).run(tmp_path / "run")
    assert one.meta["estimator"] == "base"
    assert one.meta["draws"] is None
    before = all_of(tmp_path / "run")
    run(estimator="base", draws=8).run(tmp_path / "run")  # the same run
    run(estimator="base", seed=4).run(tmp_path / "other")
    assert [x for _, x in all_of(tmp_path / "other")] == [x for _, x in before]
    run("ddn", seed=3).run(tmp_path / "soft")
    run("ddn", seed=4).run(tmp_path / "otherwise")
    assert [x for _, x in all_of(tmp_path / "soft")] != [
        x for _, x in all_of(tmp_path / "otherwise")
    ]


def test_perturbed_inputs_need_not_be_kept(tmp_path):
    ledger = run(keep=False).run(tmp_path / "run")
    assert all(row.x is None for row in ledger.rows(inputs=True))
    kept = run().run(tmp_path / "kept")
    assert [(r.l2, r.votes) for r in ledger.rows()] == [(r.l2, r.votes) for r in kept.rows()]
    with pytest.raises(LedgerError, match="with keep False, not True"):
        run().run(tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        *({"seed": 4}, {"n": 999}, {"alpha": 0.01}, {"subset": "first:3"}, {"draws": 31}),
        *({"batch": 4}, {"estimator": "logits"}, {"fresh": True}, {"attack": "ddn"}),
    ],
    ids=str,
)
def test_a_ledger_of_another_run_is_refused(tmp_path, change):
    run().run(tmp_path / "run")
    before = all_of(tmp_path / "run")
    with pytest.raises(LedgerError, match=next(iter(change))):
        run(**change).run(tmp_path / "run")
    assert all_of(tmp_path / "run") == before


def test_a_seed_that_is_not_given_comes_from_the_ledger_or_else_the_system(tmp_path):
    run(seed=None).run(tmp_path / "one")
    first = all_of(tmp_path / "one")
    run(seed=None).run(tmp_path / "one")
    assert all_of(tmp_path / "one") == first
    run(seed=None).run(tmp_path / "two")
    seeds = {AttackLedger(tmp_path / name).meta["seed"] for name in ("one", "two")}
    assert len(seeds) == 2


def test_the_batch_suits_draws_and_size(tmp_path):
    assert run(batch=None).run(tmp_path / "small").meta["batch"] == 32
    for most, batch in ((31, 8), (48, 16)):  # of inputs of 3 coordinates; the power of two below
        wide = run(batch=None, draws=2**20 // most, subset="first:1", n=100)
        assert wide._batch(wide.check()) == batch


def labels_alone(x: Tensor) -> Tensor:
    return (x[:, 0] > 0).long()


def through_numpy(x: Tensor) -> Tensor:
    return torch.from_numpy(np.stack([-x.numpy()[:, 0], x.numpy()[:, 0]], axis=1))


def detached(x: Tensor) -> Tensor:
    return Side()(x.detach()).detach()


@pytest.mark.parametrize("base", [labels_alone, through_numpy, detached])
@pytest.mark.parametrize("estimator", ["plug_in", "base"])
def test_an_attack_on_gradients_needs_some(tmp_path, base, estimator):
    with pytest.raises(BaseClassifierError, match=r"stein.*boundary"):
        run(base=base, estimator=estimator).run(tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"base": nn.BatchNorm1d(3)}, BaseClassifierError, "got training mode"),
        ({"estimator": "median"}, ValueError, "one of plug_in, expectation, logits, margin, base"),
        ({"draws": 0}, ValueError, "draws must be at least 1, got 0"),
        ({"seed": -1}, ValueError, r"seed must be a whole number in \[0, 2\*\*256\), got -1"),
        ({"batch": 0}, ValueError, "inputs attacked together must be at least 1, got 0"),
        ({"attack": "ddn:low=0.0,high=1.0"}, ValueError, r"x must be in \[0, 1\], got values"),
        ({"fresh": True, "attack": "hopskipjump"}, ValueError, "noise that does not change"),
        ({"n": 10}, PlanError, "n of at least 11"),
        ({"n": 12, "attack": "ddn"}, PlanError, r"n of at least 14.*shared by the 8 lengths"),
        ({"alpha": 2}, ValueError, r"alpha must be in \(0, 1\)"),
        ({"alpha": 2, "attack": "ddn"}, ValueError, r"alpha must be in \(0, 1\), got 2"),
        ({"noise": Splitting(0.3)}, ValueError, "noise that is added, got Splitting"),
        ({"noise": Splitting(0.5, deterministic=True)}, ValueError, "noise that is drawn"),
        (
            {"attack": "stein:epsilon=1.0,sigma=0.25"},
            ValueError,
            "sigma of the attack must be 0.5, that of the noise, got 0.25",
        ),
        (
            {"attack": "stein:epsilon=1.0,sigma=0.5", "noise": Laplace(0.5)},
            ValueError,
            "under Gaussian noise, the smoothed classifier has Laplace",
        ),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_before_a_file_is_made(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        run(**change).run(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_data_that_do_not_fit_are_refused(tmp_path):
    labels = np.array([0, 1] * 5 + [2, 0])
    data = ArrayDataset(dataset().tensors()[0].numpy(), labels, ("a", "b", "c"), "toy@test")
    with pytest.raises(DataError, match=r"label of input 10 must be in \[0, 2\)"):
        run(data=data).run(tmp_path / "run")


def test_stein_attacks_labels(tmp_path):
    attack = "stein:epsilon=0.6,sigma=0.5,draws=200,steps=8"
    ledger = run(attack, base=labels_alone, subset="first:6").run(tmp_path / "run")
    assert ledger.meta["draws"] is None
    assert ledger.meta["estimator"] == "base"
    rows = [row for row in ledger.rows() if row.clean is not None]
    assert sum(row.success for row in rows) >= len(rows) - 1 > 1
    assert all(row.facts for row in rows)


def test_the_caller_keeps_model_and_generator(tmp_path):
    base = Side().eval()
    base.register_buffer("seen", torch.zeros(1))
    before = {name: value.clone() for name, value in base.state_dict().items()}
    state = torch.random.get_rng_state()
    run("pgd_l2:epsilon=0.6,steps=4,random_start=true", base=base).run(tmp_path / "run")
    assert torch.equal(state, torch.random.get_rng_state())
    assert not base.training
    assert base.steepness.grad is None
    assert base.steepness.requires_grad
    assert all(torch.equal(before[name], value) for name, value in base.state_dict().items())


def test_abstentions_are_kept_where_no_factor_leads_further():
    """At the plane itself the smoothed classifier abstains, however far along it one goes."""
    smoothed = SmoothedClassifier(Side().eval(), Gaussian(SIGMA), 2, input_shape=(3,))
    answers = Answers(smoothed, 1000, 0.001, seed=0)
    x = torch.tensor([[0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.5, 0.0, 0.0]])
    found = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.4, 0.0], [-0.4, 0.0, 0.0]])
    y = torch.tensor([1, 1, 1])
    at_plane, along, beyond = answers.under(ATTACKS.build("ddn"), [0, 1, 2], x, y, found)
    # 2 (x - 0.5) beyond the plane is far enough, 1.02 times not.
    assert at_plane.prediction == 0
    assert torch.equal(at_plane.silent, found[0])  # the nearest at which it abstained
    assert beyond.silent is None
    assert 1.02 < at_plane.facts["scale"] <= 1.5
    assert along.prediction == 1
    assert along.facts["scale"] == 1.0
    assert along.samples == len(SCALES) * 1000
    assert (beyond.prediction, beyond.facts["scale"], beyond.samples) == (0, 1.0, 1000)
    capped = ATTACKS.build("ddn:epsilon=0.505")
    (held,) = answers.under(capped, [0], x[:1], y[:1], found[:1])
    assert held.prediction is None
    assert held.facts["scale"] == 1.0
    assert held.samples == 1000


def test_the_lengths_that_are_tried_share_alpha():
    smoothed = SmoothedClassifier(Side().eval(), Gaussian(SIGMA), 2, input_shape=(3,))
    x, y = torch.tensor([[0.5, 0.0, 0.0]]), torch.tensor([1])
    answers = Answers(smoothed, 1000, 0.001, seed=0)
    for beyond in torch.linspace(0.0, 0.2, 41):  # to where a whole alpha answers, an eighth not
        found = torch.tensor([[-float(beyond), 0.0, 0.0]])
        alone, shared = (
            smoothed.predict(found, 1000, alpha, seed=0)[0].prediction
            for alpha in (0.001, 0.001 / len(SCALES))
        )
        if alone == 0 and shared is None:
            break
    else:
        pytest.fail("no such point")
    capped = ATTACKS.build(f"ddn:epsilon={0.5 + float(beyond) + 1e-4:.6f}")
    (answer,) = answers.under(capped, [0], x, y, found)
    assert answer.prediction is None


def test_a_nearer_abstention_is_remembered(tmp_path):
    ledger = run("ddn:steps=60", n=200, draws=1000).run(tmp_path / "run")
    nearer = [row for row in ledger.rows() if "abstained_l2" in row.facts]
    assert nearer
    for row in nearer:
        assert row.success
        for norm in ("l1", "l2", "linf"):
            assert 0 < row.facts[f"abstained_{norm}"] < row.norm(norm)
