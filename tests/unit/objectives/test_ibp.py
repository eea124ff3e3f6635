from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from radii.errors import BaseClassifierError
from radii.models import MLP, DenseNet40, LeNet, Normalize, ResNet20, initialise
from radii.noise import Gaussian
from radii.objectives import IntervalBounds, Standard, ibp_certified, interval_bounds
from radii.objectives._interval import Interval
from radii.objectives._interval_rules import propagated, worst_differences
from radii.smoothing import SmoothedClassifier
from tests.unit.objectives.toys import assert_same_gradients


def filled(module: nn.Module, seed: int = 0) -> nn.Module:
    """With weights, and statistics of batch norm, that are always the same."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if "running_var" in name:
                tensor.uniform_(0.5, 2.0, generator=generator)
            elif tensor.is_floating_point() and name.split(".")[-1] not in ("mean", "std"):
                tensor.normal_(generator=generator).mul_(0.5)
    return module.eval()


def every_layer() -> nn.Module:
    return nn.Sequential(
        Normalize((0.4, 0.5), (0.2, 0.3)),
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2, stride=1, padding=1),
        nn.Conv2d(4, 4, 3, groups=2, bias=False),
        nn.AvgPool2d(2, stride=1, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((2, 2)),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(16, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def small() -> nn.Module:
    return filled(nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))).double()


def points(low: torch.Tensor, high: torch.Tensor, count: int, seed: int = 1) -> torch.Tensor:
    """In the box: half of them anywhere, half in its corners."""
    share = torch.rand(
        (count, *low.shape), generator=torch.Generator().manual_seed(seed), dtype=low.dtype
    )
    share[count // 2 :].round_()
    return low + share * (high - low)


def loss_of(objective, base, x, y):
    smoothed = SmoothedClassifier(base, Gaussian(1.0), 4)
    return objective.loss(smoothed, x, y, generator=torch.Generator())


@pytest.mark.parametrize("outward", [False, True])
def test_the_bounds_contain_what_every_layer_gives_at_ten_thousand_points(outward):
    module = filled(every_layer()).double()
    x = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    low, high = x - 0.02, x + 0.05
    least, most = interval_bounds(module, low[None], high[None], outward=outward)
    with torch.no_grad():
        scores = module(points(low, high, 10_000))
    assert (scores >= least).all()
    assert (scores <= most).all()
    assert bool(((most - least) < 40 * (scores.amax(0) - scores.amin(0))).all())  # says something


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (LeNet(), (1, 28, 28)),
        (MLP(hidden=32), (1, 9, 9)),
        (ResNet20(), (3, 8, 8)),
        (DenseNet40(), (3, 8, 8)),
    ],
)
def test_the_networks_of_the_library_are_bounded(architecture, shape):
    module = initialise(architecture, shape, 10, mean=(0.3,), std=(0.5,), seed=0).eval()
    x = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    low, high = x - 1e-3, x + 1e-3
    with torch.no_grad():
        least, most = interval_bounds(module, low[None], high[None], outward=True)
        scores = module(points(low, high, 32))
    assert (scores >= least).all()
    assert (scores <= most).all()
    assert most.isfinite().all()


@pytest.mark.parametrize(
    "layer",
    [
        Normalize((0.4, 0.5), (0.2, 0.3)),
        nn.Conv2d(2, 3, 2, padding=1),
        nn.BatchNorm2d(2),
        nn.BatchNorm2d(2, affine=False),
        nn.ReLU(),
        nn.MaxPool2d(2, stride=1),
        nn.AvgPool2d((2, 1)),
        nn.AdaptiveAvgPool2d(1),
        lambda x: -2 * x / 3 + 1,
        lambda x: x * torch.tensor([1.0, -2.0]),
        lambda x: functional.relu(x) - 3 * x.reshape(1, 2, 2, 2),  # falls in each coordinate
    ],
)
def test_the_bounds_of_each_layer_by_itself_are_attained_in_corners(layer):
    module = filled(layer).double() if isinstance(layer, nn.Module) else layer
    low = 2 * torch.rand(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1.2
    high = low + 0.5
    corners = torch.cartesian_prod(*torch.stack([low, high], dim=1)).view(256, 1, 2, 2, 2)
    with torch.no_grad():
        values = torch.stack([module(corner) for corner in corners])
    box = (low.view(1, 2, 2, 2), high.view(1, 2, 2, 2))
    least, most = interval_bounds(module, *box)
    wider_least, wider_most = interval_bounds(module, *box, outward=True)
    if isinstance(layer, nn.Module):
        torch.testing.assert_close(least, values.amin(0), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(most, values.amax(0), rtol=1e-12, atol=1e-12)
    assert (least <= values.amin(0) + 1e-12).all()
    assert (most >= values.amax(0) - 1e-12).all()
    assert (wider_least <= values.amin(0)).all()
    assert (wider_most >= values.amax(0)).all()
    assert (wider_most - most).abs().max() < 1e-5


def test_the_bounds_of_an_affine_network_are_attained():
    module = nn.Sequential(nn.Flatten(), Normalize((0.5,), (0.25,)), nn.Linear(6, 3)).double()
    x = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = x - 0.1, x + 0.3
    least, most = interval_bounds(module, low, high)
    for score, row in enumerate(module[2].weight):
        towards = (row.view(2, 3) > 0).expand_as(x)
        best = module(torch.where(towards, high, low))[:, score]
        worst = module(torch.where(towards, low, high))[:, score]
        torch.testing.assert_close(most[:, score], best, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(least[:, score], worst, rtol=1e-12, atol=1e-12)


def test_the_worst_difference_of_an_affine_network_is_attained():
    module = filled(nn.Linear(6, 3)).double()
    x = torch.rand(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 1, 0])
    scores = propagated(module, Interval(x - 0.1, x + 0.1))
    worst = worst_differences(scores, y)
    assert worst.gather(1, y[:, None]).abs().max() == 0
    for index, label in enumerate(y.tolist()):
        for other in range(3):
            towards = module.weight[other] - module.weight[label]
            at = module(x[index] + 0.1 * towards.sign())
            assert abs((worst[index, other] - (at[other] - at[label])).item()) < 1e-12
    apart = worst_differences(Interval(scores.low, scores.high), y)
    assert (worst <= apart + 1e-12).all()
    assert (worst < apart - 0.01).any()


def plain_loss(module, x, y, epsilon, kappa, low=None, high=None):
    """The paper's loss, one number at a time: Gowal et al. 2018, arXiv:1810.12715, section 3."""
    first, _, last = module
    total = 0.0
    for row, label in zip(x, y.tolist(), strict=True):
        ends = [
            (value - epsilon, value + epsilon)
            if low is None
            else (max(low, value - epsilon), min(high, value + epsilon))
            for value in row.tolist()
        ]
        hidden = []
        for weights, bias in zip(first.weight, first.bias, strict=True):
            below, above = bias, bias
            for weight, (least, most) in zip(weights, ends, strict=True):
                below = below + (weight * least if weight > 0 else weight * most)
                above = above + (weight * most if weight > 0 else weight * least)
            hidden.append((below.clamp(min=0), above.clamp(min=0)))
        worst = []
        for other in range(len(last.weight)):
            difference = last.bias[other] - last.bias[label]
            for weight, own, (least, most) in zip(
                last.weight[other], last.weight[label], hidden, strict=True
            ):
                factor = weight - own
                difference = difference + (factor * most if factor > 0 else factor * least)
            worst.append(difference)
        scores = module(row[None])[0]
        clean = sum(score.exp() for score in scores).log() - scores[label]
        robust = sum(score.exp() for score in worst).log() - worst[label]
        total = total + kappa * clean + (1 - kappa) * robust
    return total / len(x)


X = torch.randn(6, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 3, 1, 0])


@pytest.mark.parametrize("bounds", [{}, {"low": -3.0, "high": 3.0}])
@pytest.mark.parametrize("kappa", [0.0, 0.5, 0.9])
def test_value_and_gradient_are_those_of_a_plain_evaluation(kappa, bounds):
    module = small()
    x = X.clamp(-3, 3)
    x[0, 0] = 3.0
    loss = loss_of(IntervalBounds(epsilon=0.2, kappa=kappa, **bounds), module, x, Y)
    expected = plain_loss(module, x, Y, 0.2, kappa, **bounds)
    assert abs(loss.item() - expected.item()) < 1e-10
    assert_same_gradients(loss, expected, module.parameters(), rtol=1e-9, atol=1e-10)


def test_the_gradient_is_that_of_finite_differences():
    module = small()
    names = list(dict(module.named_parameters()))

    def loss(*values):
        def base(x):
            return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))

        return loss_of(IntervalBounds(epsilon=0.2, kappa=0.3), base, X, Y)

    assert torch.autograd.gradcheck(loss, tuple(module.parameters()))


@pytest.mark.parametrize("arguments", [{"epsilon": 0.0}, {"epsilon": 0.3, "kappa": 1.0}])
def test_without_a_ball_or_a_share_it_is_the_standard_objective(arguments):
    module = small()
    loss = loss_of(IntervalBounds(**arguments), module, X, Y)
    torch.testing.assert_close(loss, loss_of(Standard(), module, X, Y), rtol=1e-12, atol=0)


def test_epsilon_and_kappa_come_in_linearly():
    objective = IntervalBounds(epsilon=0.4, kappa=0.5, warmup=2, ramp=4)
    seen = [objective.at(epoch) for epoch in range(8)]
    assert [each.epsilon for each in seen] == pytest.approx([0, 0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert [each.kappa for each in seen] == [1, 1, 0.875, 0.75, 0.625, 0.5, 0.5, 0.5]
    assert IntervalBounds(epsilon=0.4).at(0) == IntervalBounds(epsilon=0.4)
    assert IntervalBounds(epsilon=0.4, warmup=1).at(1) == IntervalBounds(epsilon=0.4)


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A network trained by the objective on inputs of 8 coordinates, a label for each corner."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(400, 8, generator=generator)
    y = (x[:, 0] > 0.5).long() + 2 * (x[:, 1] + 0.2 * x[:, 2] > 0.6).long()
    module = initialise(MLP(hidden=24), (8,), 4, mean=(0.5,), std=(0.3,), seed=0)
    objective = IntervalBounds(epsilon=0.08, low=0.0, high=1.0, warmup=10, ramp=80)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    for epoch in range(160):
        loss = loss_of(objective.at(epoch), module, x, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return module.eval(), x, y


def attacked(module, x, y, epsilon, restarts=3, steps=20):
    """Whether projected gradient descent found another class within the ball."""
    flipped = torch.zeros(len(x), dtype=torch.bool)
    generator = torch.Generator().manual_seed(5)
    for _ in range(restarts):
        near = x + epsilon * (2 * torch.rand(x.shape, generator=generator) - 1)
        for _ in range(steps):
            near = near.clamp(0, 1).detach().requires_grad_()
            scores = module(near)
            own = scores.gather(1, y[:, None])[:, 0]
            others = scores.scatter(1, y[:, None], -math.inf).amax(1)
            (gradient,) = torch.autograd.grad((others - own).sum(), [near])
            near = near.detach() + epsilon / 8 * gradient.sign()
            near = torch.minimum(torch.maximum(near, x - epsilon), x + epsilon)
        flipped |= module(near.clamp(0, 1)).argmax(1) != y
    return flipped


def test_no_attack_flips_a_certified_input_and_training_makes_them_certified(trained):
    module, x, y = trained
    for epsilon in (0.02, 0.08):
        certified = ibp_certified(module, x, y, epsilon, low=0.0, high=1.0)
        flipped = attacked(module, x, y, epsilon)
        assert certified.dtype == torch.bool
        assert not (certified & flipped).any()
        # Bounds and attack leave few inputs undecided: neither is idle.
        assert float((certified | flipped).float().mean()) > 0.9
        assert float(certified.float().mean()) > 0.3
    assert bool(flipped.any())
    larger = ibp_certified(module, x, y, 0.1, low=0.0, high=1.0)
    assert not (larger & ~certified).any()


def test_certified_inputs_are_right_and_wrong_labels_are_not_certified(trained):
    module, x, y = trained
    at_all = ibp_certified(module, x, y, 0.0)
    assert torch.equal(at_all, module(x).argmax(1) == y)
    assert not (ibp_certified(module, x, (y + 1) % 4, 0.05) & at_all).any()


def test_clipping_to_the_bounds_certifies_more(trained):
    module, x, y = trained
    x = x.round()  # in corners, where half of each side is cut off
    y = module(x).argmax(1)
    free = ibp_certified(module, x, y, 0.4)
    clipped = ibp_certified(module, x, y, 0.4, low=0.0, high=1.0)
    assert not (free & ~clipped).any()
    assert clipped.sum() > free.sum()


def test_outward_bounds_contain_what_float32_gives():
    """Of sums that cancel: their rounding is much larger than they are."""
    module = filled(nn.Linear(4096, 64, bias=False), seed=3)
    x = 100 + torch.rand(32, 4096, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        scores = module(x).double()
        low, high = interval_bounds(module, x.double(), x.double())
        least, most = interval_bounds(module, x, x, outward=True)
    assert ((scores < low) | (scores > high)).float().mean() > 0.5
    assert (scores >= least).all()
    assert (scores <= most).all()


def test_a_tie_in_float32_is_not_certified():
    module = nn.Linear(1, 2)
    with torch.no_grad():
        module.weight.zero_()
        module.bias.copy_(torch.tensor([1.0, 1.0 + 1e-7]))
    x, y = torch.zeros(1, 1), torch.tensor([1])
    assert module(x).argmax(1) == y
    assert not ibp_certified(module.eval(), x, y, 0.0).any()  # the margin is less than rounding


def test_nothing_is_left_in_the_callers_objects():
    module, x = small(), X.clone()
    module.train()
    loss_of(IntervalBounds(epsilon=0.1), module, x, Y)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(x, X)
    assert module.training
    assert not ibp_certified(module.eval(), x, Y, 0.1).requires_grad


def test_works_in_bfloat16():
    module = initialise(LeNet(), (1, 28, 28), 4, seed=0)
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    y = torch.arange(8) % 4
    objective = IntervalBounds(epsilon=0.01)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(objective, module, x, y)
    assert loss.dtype == torch.float32
    exact = loss_of(objective, module, x, y)
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


def test_a_network_in_training_mode_is_bounded_as_it_is_used():
    module = filled(every_layer())
    x = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    y = torch.tensor([0, 1, 2, 0])
    objective = IntervalBounds(epsilon=0.01, kappa=0.0)
    expected = loss_of(objective, module, x, y).item()
    module.train()
    norm = module[2]
    norm.momentum = 0.0  # so that the pass over the inputs leaves the statistics as they are
    assert loss_of(objective, module, x, y).item() == pytest.approx(expected)
    assert all(part.training for part in module.modules())
    assert norm.num_batches_tracked == 1


class Functional(nn.Module):
    """What users write: functions, views, sums and constants."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(8, 3)
        self.register_buffer("shift", torch.tensor([0.5, -1.0, 2.0, 0.0]))

    def forward(self, x):
        x = x.view(x.size(0), -1)
        hidden = functional.relu(self.first(-2.0 * x + 1))
        hidden = self.shift + (hidden + 3 * x - hidden / 2)
        hidden = torch.cat([hidden, torch.flatten(x.reshape(-1, 2, 2), 1)], dim=1)
        return self.last(functional.dropout(hidden, training=self.training))


def test_functions_and_arithmetic_in_a_module_are_followed():
    module = filled(Functional()).double()
    x = torch.rand(2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = x - 0.1, x + 0.1
    for outward in (False, True):
        least, most = interval_bounds(module, low[None], high[None], outward=outward)
        scores = module(points(low, high, 2000))
        assert (scores >= least).all()
        assert (scores <= most).all()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Sigmoid(), "no rule for 'sigmoid', only for adaptive_avg_pool2d, add"),
        (nn.LayerNorm(3), "no rule for 'layer_norm'"),
        (nn.Softmax(dim=1), "no rule for 'softmax'"),
        (nn.Dropout(), "need dropout in evaluation mode, got training mode"),
        (nn.BatchNorm1d(3), "need batch norm in evaluation mode, got training mode"),
    ],
)
def test_unknown_layers_are_refused_by_name(layer, message):
    base = nn.Sequential(nn.Linear(3, 3), layer, nn.Linear(3, 2))
    with pytest.raises(BaseClassifierError, match=message):
        interval_bounds(base, torch.zeros(2, 3), torch.ones(2, 3))


def test_refuses_what_cannot_be_certified():
    x, y = torch.zeros(2, 3), torch.tensor([0, 1])
    with pytest.raises(BaseClassifierError, match=r"evaluation mode, got training mode"):
        ibp_certified(small().train(), x, y, 0.1)
    with pytest.raises(BaseClassifierError, match="depend on the input, got Tensor"):
        ibp_certified(lambda box: torch.zeros(2, 4), x, y, 0.1)
    with pytest.raises(ValueError, match=r"epsilon must be at least 0 and finite, got -0\.1"):
        ibp_certified(small(), x, y, -0.1)
    with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got values from 2 to 2"):
        ibp_certified(small(), x + 2, y, 0.1, low=0.0, high=1.0)
    with pytest.raises(ValueError, match="low must have the shape of high and be nowhere above"):
        interval_bounds(small(), x + 1, x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": -1.0}, "epsilon must be at least 0 and finite, got -1.0"),
        ({"epsilon": math.inf}, "epsilon must be at least 0 and finite, got inf"),
        ({"epsilon": 1.0, "kappa": 1.5}, r"kappa must be in \[0, 1\], got 1.5"),
        ({"epsilon": 1.0, "warmup": -1}, "warmup must be at least 0, got -1"),
        ({"epsilon": 1.0, "ramp": -1}, "ramp must be at least 0, got -1"),
        ({"epsilon": 1.0, "high": 1.0}, "low and high must be given together"),
    ],
)
def test_refuses_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        IntervalBounds(**arguments)
