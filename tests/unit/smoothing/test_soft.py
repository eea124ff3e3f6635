from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from radii.smoothing import SoftClassifier
from radii.smoothing._copies import copies_of

ESTIMATORS = ("plug_in", "expectation", "logits", "margin")


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(module, seed=1):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=start(seed))
    return module.double()


class Standardise(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.1, -0.2]).view(2, 1, 1))
        self.std = nn.Parameter(torch.tensor(2.0))  # learnt, unlike the mean

    def forward(self, x):
        return (x.to(self.std.dtype) - self.mean) * 0.5 / 3.0 + 1.0


class Branches(nn.Module):
    """The input is used twice, once by a layer and once as it is."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        return self.conv(x).relu().mean((2, 3)) + x[:, :1, 0, :3].flatten(1) ** 2


class InPlace(nn.Module):
    """Changes the input before the first layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        x.mul_(2.0)
        x.clamp_(-1.0, 1.0)
        return self.conv(x).relu_().mean((2, 3))


class Learnt(nn.Module):
    """Scales the input by what is learnt."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.conv = nn.Conv2d(2, 3, 3, padding="same")

    def forward(self, x):
        return self.conv(x * self.scale).relu().mean((2, 3))


class Centred(nn.Module):
    """Subtracts what depends on the row."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)

    def forward(self, x):
        return self.conv(x - x.detach().mean((1, 2, 3), keepdim=True)).relu().mean((2, 3))


class Squared(nn.Module):
    """Copies times copies, which is no affine step."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(50, 3)

    def forward(self, x):
        return self.linear((x * x + x.mul(x)).flatten(1))


class Named(nn.Module):
    """A convolution that is called with names."""

    def __init__(self, *names):
        super().__init__()
        self.conv, self.names = nn.Conv2d(2, 3, 5), names

    def forward(self, x):
        given = {"input": x, "weight": self.conv.weight, "bias": self.conv.bias}
        named = {name: given.pop(name) for name in self.names}
        return functional.conv2d(*given.values(), **named).flatten(1)


class Unbatched(nn.Module):
    """A convolution that takes the rows for channels, so that they are no copies to it."""

    def __init__(self, rows):
        super().__init__()
        self.conv = nn.Conv2d(rows, rows, (1, 1))

    def forward(self, x):
        return self.conv(x).tanh().sum(2)[:, :3]


IMAGES = {
    "conv": nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)),
    "conv, in-place activation": nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(36, 3)
    ),
    "affine steps, conv": nn.Sequential(Standardise(), nn.Conv2d(2, 3, 5), nn.Flatten()),
    "conv without a bias, padded": nn.Sequential(
        nn.Conv2d(2, 3, 5, padding=1, padding_mode="circular", bias=False),
        nn.Flatten(),
        nn.Tanh(),
        nn.Linear(27, 3),
    ),
    "conv, rectangular, channels_last": nn.Sequential(
        nn.Conv2d(2, 3, (3, 2)), nn.MaxPool2d((3, 4)), nn.Flatten()
    ).to(memory_format=torch.channels_last),
    "conv, zeros around": nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.MaxPool2d(5), nn.Flatten()
    ),
    "conv, zeros beside": nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=(0, 1)), nn.MaxPool2d((3, 5)), nn.Flatten()
    ),
    "conv, zeros by name": nn.Sequential(
        nn.Conv2d(2, 3, 3, padding="same"), nn.MaxPool2d(5), nn.Flatten()
    ),
    "conv, strides": nn.Sequential(nn.Conv2d(2, 3, 3, stride=2), nn.MaxPool2d(2), nn.Flatten()),
    "conv, strides beside": nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=(1, 2)), nn.MaxPool2d((3, 2)), nn.Flatten()
    ),
    "conv, holes": nn.Sequential(nn.Conv2d(2, 3, 2, dilation=2), nn.MaxPool2d(3), nn.Flatten()),
    "conv, groups": nn.Sequential(
        nn.Conv2d(2, 6, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3)
    ),
    "conv, weight and bias by name": Named("weight", "bias"),
    "conv, all by name": Named("input", "weight", "bias"),
    "no affine layer first": nn.Sequential(nn.Tanh(), nn.Conv2d(2, 3, 5), nn.Flatten()),
    "batch norm first": nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 5), nn.Flatten()),
    "branches": Branches(),
    "in place": InPlace(),
    "learnt": Learnt(),
    "centred": Centred(),
    "squared": Squared(),
}


def plainly(base, x, delta, estimator):
    """One draw after the other."""
    scores = torch.stack([base(x + one) for one in delta])
    each = functional.softmax(scores, dim=2)
    return {
        "plug_in": lambda: each.mean(0).log(),
        "expectation": lambda: each.log().mean(0),
        "logits": lambda: scores.mean(0),
        "margin": lambda: torch.special.ndtri(each.mean(0)),
    }[estimator]()


def agree(base, x, delta, estimator):
    """Values, and gradients in the input and in all parameters, of both ways."""
    leaf = x.clone().requires_grad_()
    parameters = [parameter for parameter in base.parameters() if parameter.requires_grad]
    weights = torch.rand(len(x), 3, generator=start(5), dtype=x.dtype)
    results = []
    for soft in (SoftClassifier(base, delta, estimator), None):
        out = plainly(base, leaf, delta, estimator) if soft is None else soft(leaf)
        gradients = torch.autograd.grad(
            (out * weights).sum(), [leaf, *parameters], allow_unused=True
        )
        results.append((out, *gradients))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert float(results[0][1].abs().max()) > 1e-4


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", IMAGES)
def test_value_and_gradients_are_those_of_one_draw_after_the_other(name, estimator):
    base = filled(copy.deepcopy(IMAGES[name])).eval()
    x = torch.randn(4, 2, 5, 5, generator=start(2), dtype=torch.float64)
    agree(base, x, torch.randn(3, 4, 2, 5, 5, generator=start(3), dtype=torch.float64), estimator)


def test_a_sequence_of_linear_layers():
    base = filled(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)))
    x = torch.randn(4, 6, generator=start(2), dtype=torch.float64)
    agree(base, x, torch.randn(3, 4, 6, generator=start(3), dtype=torch.float64), "plug_in")


def test_a_convolution_that_takes_rows_for_channels():
    base = filled(Unbatched(6))
    x = torch.randn(2, 4, 5, generator=start(2), dtype=torch.float64)
    delta = torch.randn(3, 2, 4, 5, generator=start(3), dtype=torch.float64)
    leaf = x.requires_grad_()
    (ours,) = torch.autograd.grad(SoftClassifier(base, delta)(leaf)[:, 0].sum(), [leaf])
    rows = (leaf + delta).flatten(0, 1)
    out = functional.softmax(base(rows), dim=1).reshape(3, 2, 3).mean(0).log()
    (theirs,) = torch.autograd.grad(out[:, 0].sum(), [leaf])
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("channels", [1, 4])
def test_the_first_layer_is_undone_once_an_input(channels):
    sizes = []

    class Seen(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            sizes.append(len(gradient))
            return gradient

    class Layer(nn.Conv2d):
        def forward(self, x):
            return Seen.apply(super().forward(x))

    base = nn.Sequential(Layer(channels, 2, 3), nn.Flatten())
    x = torch.zeros(5, channels, 3, 3, requires_grad=True)
    soft = SoftClassifier(base, torch.zeros(7, 5, channels, 3, 3))
    batches = []

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.convolution_backward.default:
                batches.append(("convolution", len(args[0])))
            if func is torch.ops.aten.mm.default:  # with one output position for each
                batches.append(("taps", args[1].shape[1]))
            return func(*args, **(kwargs or {}))

    out = soft(x)[:, 0].sum()
    with Count():
        torch.autograd.grad(out, [x])
    assert sizes == [35]
    assert batches == [("taps" if channels == 1 else "convolution", 5)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradcheck(estimator):
    base = filled(nn.Sequential(nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Tanh(), nn.Linear(4, 3)))
    soft = SoftClassifier(
        base, torch.randn(2, 3, 1, 3, generator=start(4), dtype=torch.float64), estimator
    )
    x = torch.randn(3, 1, 3, generator=start(5), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft, (x,))


def test_the_mean_of_logs_is_never_above_the_log_of_the_mean():
    # Jensen's inequality; equal where all draws are.
    base = filled(nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 4)))
    x = torch.randn(50, 3, generator=start(2), dtype=torch.float64)
    delta = torch.randn(6, 50, 3, generator=start(3), dtype=torch.float64)
    gap = SoftClassifier(base, delta)(x) - SoftClassifier(base, delta, "expectation")(x)
    assert float(gap.min().detach()) > -1e-12
    assert float(gap.mean().detach()) > 0.01
    same = delta[:1].expand_as(delta)
    torch.testing.assert_close(
        SoftClassifier(base, same)(x), SoftClassifier(base, same, "expectation")(x)
    )


def test_probabilities_of_the_plug_in_add_up_to_one_and_extreme_scores_stay_finite():
    delta = torch.zeros(2, 3, 1)
    soft = SoftClassifier(lambda x: torch.tensor([[1e4, 0.0, -1e4]]).expand(len(x), 3), delta)
    out = soft(torch.zeros(3, 1))
    torch.testing.assert_close(out.exp().sum(1), torch.ones(3))
    assert bool(out.isfinite().all())


@pytest.mark.parametrize("frozen", [False, True])
def test_low_precision_gives_float32_and_leaves_nothing_behind(frozen):
    base = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 3)).requires_grad_(
        not frozen
    )
    x = torch.rand(4, 1, 3, 3, generator=start(), requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = SoftClassifier(base, torch.zeros(2, 4, 1, 3, 3))(x)
    (gradient,) = torch.autograd.grad(out[:, 0].sum(), [x])
    assert out.dtype == gradient.dtype == torch.float32
    assert x.grad is None
    assert all(parameter.grad is None for parameter in base.parameters())


def test_the_mode_is_that_of_the_base_and_noise_is_no_part_of_the_state():
    base = nn.Linear(2, 3).eval()
    soft = SoftClassifier(base, torch.zeros(2, 4, 2))
    assert not soft.training
    assert not base.training
    assert set(soft.state_dict()) == {"base.weight", "base.bias"}
    assert soft.to(torch.float64).delta.dtype == torch.float64


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("wrap", [torch.compile, lambda module, backend: nn.Sequential(module)])
def test_a_compiled_module_gives_the_same_gradient(wrap):
    base = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten()).eval()
    x = torch.rand(4, 1, 3, 3, generator=start(), requires_grad=True)
    delta = torch.randn(3, 4, 1, 3, 3, generator=start(1))
    compiled = wrap(base, backend="aot_eager")
    found = [
        torch.autograd.grad(SoftClassifier(each, delta)(x)[:, 0].sum(), [x])[0]
        for each in (base, compiled)
    ]
    torch.testing.assert_close(*found)


def test_wrong_arguments_are_refused():
    base = nn.Linear(2, 3)
    with pytest.raises(
        ValueError, match=r"estimator must be one of plug_in, .*, margin, got 'mean'"
    ):
        SoftClassifier(base, torch.zeros(1, 1, 2), "mean")
    for shape in ((4, 2), (0, 4, 2)):
        with pytest.raises(ValueError, match=r"delta must have shape \(draws, batch, \*shape\)"):
            SoftClassifier(base, torch.zeros(shape))
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        SoftClassifier(base, torch.zeros(1, 1, 2), chunk=0)
    for shape in ((5, 2), (3, 2), (4, 3), (4, 1), (4,), (4, 2, 1)):
        with pytest.raises(ValueError, match=r"x must have shape \(4, 2\), as the noise has"):
            SoftClassifier(base, torch.zeros(3, 4, 2))(torch.zeros(shape))


@pytest.mark.parametrize(
    ("draws", "wanted", "wrap", "called"),
    [
        (2, True, nn.Sequential, 1),
        (1, True, nn.Sequential, 0),
        (2, False, nn.Sequential, 0),
        (1, False, nn.Sequential, 0),
        (2, True, lambda module: module.forward, 0),
    ],
    ids=["two draws", "one draw", "no gradient", "neither", "no module"],
)
def test_copies_are_followed_only_where_that_saves_work(draws, wanted, wrap, called, monkeypatch):
    calls = []

    def noted(rows, x, **options):
        calls.append(len(rows))
        return copies_of(rows, x, **options)

    monkeypatch.setattr("radii.smoothing.soft.copies_of", noted)
    soft = SoftClassifier(wrap(nn.Linear(2, 3)), torch.zeros(draws, 4, 2))
    soft(torch.zeros(4, 2, requires_grad=wanted))
    assert calls == [4 * draws] * called
