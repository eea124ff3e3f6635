from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from radii.models import ResNet20, folded, initialise, norms_folded


def start(seed=0):
    return torch.Generator().manual_seed(seed)


def lively(module):
    """Statistics and scales of batch norm that are not those of a fresh one."""
    generator = start(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.running_mean, part.weight.data, part.bias.data):
                tensor.normal_(generator=generator)
            part.running_var.uniform_(0.5, 2.0, generator=generator)
    return module.eval()


def norms(module):
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


class Twice(nn.Module):
    """The output of the convolution goes past the batch norm, too, or the input through twice."""

    def __init__(self, *, past):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.past = past

    def forward(self, x):
        once = self.conv(x)
        if self.past:
            return (self.norm(once) + once).mean((2, 3))
        return (self.norm(once) + self.norm(self.conv(2 * x))).mean((2, 3))


def scores_and_gradient(module, x):
    leaf = x.clone().requires_grad_()
    scores = module(leaf)
    (gradient,) = torch.autograd.grad(scores.square().sum(), [leaf])
    return scores.detach(), gradient


def test_scores_and_gradients_are_those_of_the_module():
    module = lively(initialise(ResNet20(), (3, 16, 16), 10, seed=0)).double()
    x = torch.randn(3, 3, 16, 16, generator=start()).double()
    before = copy.deepcopy(module.state_dict())
    twin = folded(module, x[:1])
    assert (norms(module), norms(twin)) == (21, 0)
    torch.testing.assert_close(
        scores_and_gradient(twin, x), scores_and_gradient(module, x), rtol=1e-10, atol=1e-10
    )
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(not part._forward_hooks for part in module.modules())


@pytest.mark.parametrize("past", [True, False])
def test_what_does_more_with_a_convolution_stays_as_it_is(past):
    module = lively(Twice(past=past))
    x = torch.randn(2, 3, 8, 8, generator=start())
    twin = folded(module, x)
    torch.testing.assert_close(twin(x), module(x))
    assert norms(twin) == 1


def test_nothing_to_fold():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval()
    x = torch.randn(1, 3, 8, 8, generator=start())
    assert folded(plain, x) is plain
    training = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert folded(training, x) is training
    by_batch = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    assert norms(folded(by_batch.eval(), x)) == 1


class Reads(nn.Sequential):
    """Looks at its batch norm in its own forward."""

    def forward(self, x):
        return super().forward(x) + 0 * self[1].running_var.sum()


@pytest.mark.parametrize("kind", ["spectral", "weight", "reads"])
def test_what_cannot_be_folded_is_left_as_it_is(kind):
    conv = nn.Conv2d(1, 4, 3)
    if kind != "reads":
        parametrized = {
            "spectral": nn.utils.parametrizations.spectral_norm,
            "weight": nn.utils.parametrizations.weight_norm,
        }
        conv = parametrized[kind](conv)
    rest = (conv, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 3))
    module = lively(Reads(*rest) if kind == "reads" else nn.Sequential(*rest))
    assert folded(module, torch.rand(2, 1, 8, 8)) is module


class TestForAWhile:
    def test_scores_and_gradients_are_those_of_the_module_and_no_norm_computes(self, monkeypatch):
        module = lively(initialise(ResNet20(), (3, 16, 16), 10, seed=0)).double()
        x = torch.randn(3, 3, 16, 16, generator=start()).double()
        before, expected = copy.deepcopy(module.state_dict()), scores_and_gradient(module, x)
        own = {name: id(parameter) for name, parameter in module.named_parameters()}
        with norms_folded(module, x[:1]):
            monkeypatch.setattr(torch, "batch_norm", pytest.fail)
            found = scores_and_gradient(module, x)
            monkeypatch.undo()
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        assert {name: id(parameter) for name, parameter in module.named_parameters()} == own
        for name, value in module.state_dict().items():
            assert torch.equal(value, before[name])
        again = scores_and_gradient(module, x)
        assert torch.equal(again[0], expected[0])
        assert all(not part._forward_hooks for part in module.modules())

    def test_weights_that_changed_are_noticed(self):
        module = lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
        x = torch.randn(2, 3, 8, 8, generator=start())
        for scale in (1, 2):
            with torch.no_grad():
                module[0].weight.mul_(scale)
            expected = module(x)
            with norms_folded(module, x):
                torch.testing.assert_close(module(x), expected)

    @pytest.mark.parametrize("past", [True, False])
    def test_what_does_more_with_a_convolution_stays_as_it_is(self, past):
        module = lively(Twice(past=past))
        x = torch.randn(2, 3, 8, 8, generator=start())
        expected = module(x)
        with norms_folded(module, x):
            assert torch.equal(module(x), expected)

    @pytest.mark.parametrize("kind", ["spectral", "weight"])
    def test_weights_that_are_computed_stay_as_they_are(self, kind):
        parametrizations = nn.utils.parametrizations
        how = {"spectral": parametrizations.spectral_norm, "weight": parametrizations.weight_norm}
        module = lively(nn.Sequential(how[kind](nn.Conv2d(1, 4, 3)), nn.BatchNorm2d(4)))
        x = torch.rand(2, 1, 8, 8)
        expected = module(x)
        with norms_folded(module, x):
            assert torch.equal(module(x), expected)

    @pytest.mark.parametrize("how", ["training", "compiled", "no rows", "no norm"])
    def test_nothing_is_tried_where_nothing_can_be_folded(self, how):
        seen = []
        module = lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
        x = torch.rand(0 if how == "no rows" else 1, 3, 8, 8)
        module[0].register_forward_hook(lambda *_: seen.append(1))
        if how == "training":
            module[1].train()
        elif how == "compiled":
            module[0]._compiled_call_impl = module[0]._call_impl  # as `compile()` sets
        elif how == "no norm":
            module[1] = nn.GroupNorm(1, 4)
        with norms_folded(module, x):
            pass
        assert not seen

    def test_an_error_inside_leaves_the_module_as_it_was(self):
        module = lively(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)))
        weight, x = module[0].weight, torch.rand(1, 3, 8, 8)

        def stop():
            with norms_folded(module, x):
                assert module[0].weight is not weight
                raise RuntimeError("stopped")

        with pytest.raises(RuntimeError, match="stopped"):
            stop()
        assert module[0].weight is weight
        assert module[0].bias is None
        assert "forward" not in vars(module[1])
