from __future__ import annotations

import math

import pytest
import torch

from radii.attacks import ATTACKS, PGDL2, PGDLinf


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def quadratic(x):
    """Its cross entropy for label 0 is steep where the first coordinate is small."""
    score = (x**2).sum(1) - x[:, 0]
    return torch.stack([score, -score], dim=1)


def rows(count, dim):
    return 0.1 * torch.randn(count, dim, generator=start(1), dtype=torch.float64)


def by_hand(x, y, epsilon, steps, step, low, high):
    """Projected gradient ascent in l2 for one input after another, as the paper writes it."""
    found = []
    for x0, label in zip(x, y, strict=True):
        z = x0.clone()
        for _ in range(steps):
            leaf = z.clone().requires_grad_()
            loss = -torch.log_softmax(quadratic(leaf[None]), dim=1)[0, label]
            loss.backward()
            z = z + step * leaf.grad / leaf.grad.norm()
            z = z.clamp(low, high)
            if (z - x0).norm() > epsilon:
                z = x0 + epsilon * (z - x0) / (z - x0).norm()
        found.append(z)
    return torch.stack(found)


@pytest.mark.parametrize("bounds", [(None, None), (-0.2, 0.3)])
@pytest.mark.parametrize("step", [None, 0.03])
def test_l2_follows_the_paper(bounds, step):
    low, high = bounds
    x = rows(6, 4).clamp(-0.2, 0.3)
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    attack = PGDL2(epsilon=0.25, steps=7, step=step, low=low, high=high)
    expected = by_hand(
        x,
        y,
        0.25,
        7,
        step or 2 * 0.25 / 7,
        -math.inf if low is None else low,
        math.inf if high is None else high,
    )
    torch.testing.assert_close(attack.perturb(quadratic, x, y, generator=start()), expected)


@pytest.mark.parametrize(("attack", "length"), [(PGDL2, 2.0), (PGDLinf, 2.5)])
def test_the_default_step_is_a_multiple_of_epsilon_over_steps(attack, length):
    def plane(x):
        return torch.stack([x[:, 0], -x[:, 0]], dim=1)

    seen = []

    def model(x):
        seen.append(x.detach())
        return plane(x)

    x, y = torch.zeros(1, 3), torch.tensor([0])
    attack(epsilon=0.6, steps=6).perturb(model, x, y, generator=start())
    assert len(seen) == 6
    assert float(seen[0].abs().max()) == 0
    assert float(seen[1].abs().max()) == pytest.approx(length * 0.6 / 6)


def test_a_start_in_the_l2_ball_is_uniform():
    # With no step worth mentioning the start is returned. In d dimensions the share of the volume
    # within r epsilon is r^d, so that norm^d is uniform.
    count, dim = 20_000, 3
    x = torch.zeros(count, dim)
    attack = PGDL2(epsilon=2.0, steps=1, step=1e-9, random_start=True)
    found = attack.perturb(quadratic, x, torch.zeros(count, dtype=torch.int64), generator=start())
    volume = (found.norm(dim=1) / 2.0) ** dim
    # Dvoretzky-Kiefer-Wolfowitz: larger with probability below 1e-9.
    distance = (volume.sort().values - torch.arange(count) / count).abs().max()
    assert float(distance) < math.sqrt(math.log(2e9) / (2 * count))
    assert float(found.mean(0).abs().max()) < 6 * 2.0 / math.sqrt(5 * count)


def test_a_start_in_the_linf_ball_is_uniform():
    count = 20_000
    x = torch.ones(count, 1)
    attack = PGDLinf(epsilon=0.5, steps=1, step=1e-9, random_start=True)
    found = attack.perturb(quadratic, x, torch.zeros(count, dtype=torch.int64), generator=start())
    distance = ((found[:, 0] - 0.5).sort().values - torch.arange(count) / count).abs().max()
    assert float(distance) < math.sqrt(math.log(2e9) / (2 * count))


def test_a_step_that_is_no_number_is_refused():
    for step in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="step must be positive and finite"):
            PGDL2(epsilon=1.0, step=step)


def test_scaling_scales_a_step_that_was_given():
    assert PGDL2(1.0, step=0.5).scaled(0.1) == PGDL2(0.1, step=0.05)
    assert PGDLinf(1.0).scaled(0.1) == PGDLinf(0.1)


def test_a_model_with_a_loss_of_its_own_is_taken_at_its_word():
    class Model:
        def attack_loss(self, scores, y):
            return -scores.gather(1, y[:, None]).squeeze(1)

        def __call__(self, x):
            # The log-probability of class 0 falls along the first coordinate; the other one falls
            # faster along the second, which only a softmax would make a gain for class 0.
            return torch.stack([-x[:, 0], -5 * x[:, 1]], dim=1)

    x, y = torch.zeros(1, 2), torch.tensor([0])
    found = PGDL2(epsilon=1.0).perturb(Model(), x, y, generator=start())
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0]]))
    ordinary = PGDL2(epsilon=1.0).perturb(lambda x: Model()(x), x, y, generator=start())
    assert float(ordinary[0, 1]) < -0.5


def curved(x):
    """Smooth, with several maxima of the loss of label 0 in the ball around 0."""
    score = (3 * x).sin().sum(1) + 0.3 * x.sum(1)
    return torch.stack([-score, score], dim=1)


def plain_loop(attack, x, y, direction, into_ball, first):
    """The same operations in the same order, without restarts."""
    delta = first
    length = attack.path * attack.epsilon / attack.steps if attack.step is None else attack.step
    for _ in range(attack.steps):
        leaf = (x + delta).requires_grad_()
        loss = torch.nn.functional.cross_entropy(quadratic(leaf), y, reduction="none").sum()
        (gradient,) = torch.autograd.grad(loss, [leaf])
        moved = delta + length * direction(gradient)
        if attack.low is not None:
            moved = (x + moved).clamp(attack.low, attack.high) - x
        delta = into_ball(moved, attack.epsilon)
    return x + delta if attack.low is None else (x + delta).clamp(attack.low, attack.high)


def l2_ball(delta, epsilon):
    norms = torch.linalg.vector_norm(delta, dim=1, keepdim=True)
    return delta * torch.where(norms > epsilon, epsilon / norms, 1.0)


def unit(gradient):
    norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    return gradient / torch.where(norms > 0, norms, 1.0)


@pytest.mark.parametrize("bounds", [(None, None), (-0.2, 0.3)])
@pytest.mark.parametrize("step", [None, 0.03])
@pytest.mark.parametrize("random_start", [False, True])
def test_one_start_gives_the_bits_of_a_plain_loop(bounds, step, random_start):
    x = rows(50, 4).float().clamp(-0.2, 0.3)
    y = torch.arange(50) % 2
    low, high = bounds
    for attack in (PGDL2, PGDLinf):
        descent = attack(0.25, 7, step, random_start, low, high)
        first = torch.zeros_like(x)
        generator = start(3)
        if random_start and attack is PGDL2:
            towards = torch.empty_like(x).normal_(generator=generator)
            share = x.new_empty(50, 1).uniform_(generator=generator)
            first = unit(towards) * (0.25 * share ** (1 / 4))
        elif random_start:
            first = torch.empty_like(x).uniform_(-0.25, 0.25, generator=generator)
        if low is not None:
            first = (x + first).clamp(low, high) - x
        if attack is PGDL2:
            expected = plain_loop(descent, x, y, unit, l2_ball, first)
        else:
            expected = plain_loop(
                descent, x, y, torch.sign, lambda delta, e: delta.clamp(-e, e), first
            )
        assert torch.equal(descent.perturb(quadratic, x, y, generator=start(3)), expected)


def test_restarts_keep_the_worst_of_each_input():
    x = torch.zeros(64, 2)
    y = torch.zeros(64, dtype=torch.int64)
    one = PGDL2(epsilon=3.0, steps=30, random_start=True)
    generator = start(1)
    ends = torch.stack([one.perturb(curved, x, y, generator=generator) for _ in range(5)])
    found = PGDL2(epsilon=3.0, steps=30, random_start=True, restarts=5).search(
        curved, x, y, generator=start(1)
    )
    losses = torch.stack([-torch.log_softmax(curved(end), 1)[:, 0] for end in ends])
    worst = losses.argmax(0)
    assert len(worst.unique()) > 1
    torch.testing.assert_close(curved(found.x), curved(ends[worst, torch.arange(64)]))
    assert found.queries.tolist() == [5 * 31] * 64


def test_without_a_random_start_the_first_is_at_the_input():
    seen = []

    def model(x):
        seen.append(x.detach().clone())
        return curved(x)

    x, y = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)
    PGDL2(epsilon=1.0, steps=2, restarts=3).perturb(model, x, y, generator=start())
    assert len(seen) == 3 * 3
    assert torch.equal(seen[0], x)
    assert not torch.equal(seen[3], x)
    assert not torch.equal(seen[6], seen[3])


def test_a_wrong_answer_is_worse_than_a_larger_loss():
    class Model:
        """Below 0 the label is wrong; its own loss grows to the right all the same."""

        def attack_loss(self, scores, y):
            return scores[:, 0]

        def __call__(self, x):
            return torch.stack([x[:, 0], torch.zeros(len(x))], dim=1)

    x, y = torch.tensor([[-1.0], [0.5]]), torch.tensor([0, 0])
    last = PGDLinf(epsilon=2.0, steps=4).perturb(Model(), x, y, generator=start())
    assert last.tolist() == [[1.0], [2.5]]
    worst = PGDLinf(epsilon=2.0, steps=5, step=0.375, keep="worst")
    found = worst.perturb(Model(), x, y, generator=start())
    # Of the wrong points -1, -0.625 and -0.25 the one with the largest loss; all others are right.
    assert found.tolist() == [[-0.25], [2.375]]


def test_the_worst_point_on_the_way_is_kept():
    # A step that is far too long jumps over the maximum at 0.1 and back, and ends where it began.
    def model(x):
        score = -100 * (x[:, 0] - 0.1) ** 2
        return torch.stack([-score, score], dim=1)

    x, y = torch.zeros(1, 1), torch.tensor([0])
    losses = {}
    for keep in ("last", "worst"):
        attack = PGDLinf(epsilon=1.0, steps=3, step=0.15, keep=keep)
        found = attack.search(model, x, y, generator=start())
        losses[keep] = float(-torch.log_softmax(model(found.x), 1)[0, 0])
        assert int(found.queries) == 3 + (keep == "worst")
    seen = [0.0, 0.15, 0.0, 0.15]
    every = [float(-torch.log_softmax(model(torch.tensor([[z]])), 1)[0, 0]) for z in seen]
    assert losses["worst"] == pytest.approx(max(every))
    assert losses["worst"] >= losses["last"]


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1, 1, 1, 1, 1]),
        ("cosine", [(1 + math.cos(math.pi * k / 8)) / 2 for k in range(8)]),
        ("step", [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]),
    ],
)
def test_steps_become_shorter_as_the_schedule_says(schedule, shares):
    seen = []

    def model(x):
        seen.append(float(x.detach()[0, 0]))
        return torch.stack([-x[:, 0], x[:, 0]], dim=1)

    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.tensor([0])
    attack = PGDL2(epsilon=100.0, steps=8, step=0.5, schedule=schedule)
    found = attack.perturb(model, x, y, generator=start())
    moved = [b - a for a, b in zip(seen, [*seen[1:], float(found)], strict=True)]
    assert moved == pytest.approx([0.5 * share for share in shares])
    # By default all steps together are 2 epsilon long: what is in the ball of the first half of
    # that way can be followed.
    seen.clear()
    PGDL2(epsilon=1.0, steps=8, schedule=schedule).perturb(model, x, y, generator=start())
    assert seen[1] == pytest.approx(min(1.0, 2.0 / sum(shares)))


def test_each_input_may_have_a_radius_of_its_own():
    x = torch.zeros(3, 2, dtype=torch.float64)
    y = torch.zeros(3, dtype=torch.int64)
    radii = torch.tensor([[0.0], [0.25], [0.5]], dtype=torch.float64)
    for attack in (PGDL2(0.5, step=0.2), PGDLinf(0.5), PGDLinf(0.5, low=-0.4, high=0.3)):
        found = attack.search_within(curved, x, y, radii, generator=start()).x
        assert torch.equal(found[0], x[0])
        for i, share in ((1, 0.5), (2, 1.0)):
            alone = attack.scaled(share).perturb(curved, x[:1], y[:1], generator=start())
            torch.testing.assert_close(found[i : i + 1], alone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "linear"}, "schedule must be constant, cosine or step, got 'linear'"),
        ({"keep": "best"}, "keep must be last or worst, got 'best'"),
        ({"restarts": -1}, "restarts must be at least 1, got -1"),
    ],
)
def test_wrong_choices_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        PGDL2(epsilon=1.0, **change)


def test_many_steps_and_restarts_are_one_spec():
    spec = "pgd_l2:epsilon=1.0,steps=1000,restarts=20,random_start=true"
    assert ATTACKS.build(spec) == PGDL2(1.0, steps=1000, random_start=True, restarts=20)


def test_a_start_of_no_inputs():
    x, y = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    for attack in (PGDL2(1.0, random_start=True), PGDLinf(1.0, restarts=2, keep="worst")):
        assert attack.perturb(quadratic, x, y, generator=start()).shape == (0, 3)
