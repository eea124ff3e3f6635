from __future__ import annotations

import pytest
import safetensors.torch
import torch

from radii.errors import TrainingError
from radii.models import MLP, ResNet20, initialise
from radii.training import SGD, AdamW, TrainingPlan
from radii.training.checkpoint import FILE, Checkpoint
from radii.training.state import ACR, State
from tests.unit.training.toys import training


def state_of(optimiser, module):
    return State.fresh(TrainingPlan(epochs=3, optimiser=optimiser, ema=0.5), module)


def stepped(state, steps, generator):
    x = torch.rand(8, 3, 8, 8, generator=generator)
    for step in range(steps):
        state.optimiser.zero_grad()
        state.module(x).square().sum().backward()
        state.optimiser.step()
        state.average.update(step)


@pytest.mark.parametrize("optimiser", [SGD(), SGD(momentum=0.0), AdamW()], ids=str)
def test_what_is_restored_goes_on_as_if_it_had_never_stopped(tmp_path, optimiser):
    def fresh():
        module = initialise(ResNet20(), (3, 8, 8), 2, seed=0)
        return state_of(optimiser, module.to(memory_format=torch.channels_last))

    state = fresh()
    stepped(state, 3, torch.Generator().manual_seed(0))
    state.add({"epoch": 1})
    Checkpoint({"lr": 1}, state.metrics, state.tensors()).save(tmp_path)
    again = fresh()
    again.restore(Checkpoint.load(tmp_path))
    assert again.metrics == [{"epoch": 1}]
    for one, other in zip(state.module.parameters(), again.module.parameters(), strict=True):
        kept, found = (s.optimiser.state[p] for s, p in ((state, one), (again, other)))
        assert {k for k, v in kept.items() if v is not None} == set(found)
        for value in found.values():  # the fast layout
            assert value.stride() == other.stride() or value.shape != other.shape
    for each in (state, again):
        stepped(each, 2, torch.Generator().manual_seed(1))
    for name, tensor in state.tensors().items():
        assert torch.equal(tensor, again.tensors()[name]), name


def test_numbers_in_the_state_of_an_optimiser_are_kept_too(tmp_path):
    def fresh():
        return state_of(SGD(), initialise(MLP(hidden=4, depth=1), (3, 8, 8), 2, seed=0))

    state = fresh()
    stepped(state, 1, torch.Generator().manual_seed(0))
    for parameter in state.module.parameters():
        state.optimiser.state[parameter]["count"] = 3
    Checkpoint({}, [], state.tensors()).save(tmp_path)
    again = fresh()
    again.restore(Checkpoint.load(tmp_path))
    assert [again.optimiser.state[p]["count"] for p in again.module.parameters()] == [3] * 4


def test_the_best_weights_are_those_of_the_largest_radius(tmp_path):
    plan = TrainingPlan(epochs=5, validate=1, keep="best")
    module = initialise(MLP(hidden=4, depth=1), (4,), 2, seed=0)
    state = State.fresh(plan, module)
    assert state.exported is module
    weight = next(module.parameters())
    for epoch, acr in enumerate([None, 0.2, 0.5, 0.5, 0.1], start=1):
        with torch.no_grad():
            weight.fill_(epoch)
        state.add({"epoch": epoch} if acr is None else {"epoch": epoch, ACR: acr})
        assert state.exported_epoch == min(epoch, 3)
    assert float(next(state.exported.parameters()).flatten()[0].detach()) == 3
    Checkpoint({}, state.metrics, state.tensors()).save(tmp_path)
    again = State.fresh(plan, initialise(MLP(hidden=4, depth=1), (4,), 2, seed=1))
    again.restore(Checkpoint.load(tmp_path))
    assert again.exported_epoch == 3
    assert float(next(again.exported.parameters()).flatten()[0].detach()) == 3
    assert float(next(again.module.parameters()).flatten()[0].detach()) == 5


def test_a_checkpoint_that_is_none_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match="no checkpoint"):
        training().train(tmp_path, resume=True)


def test_a_checkpoint_of_another_format_is_refused(tmp_path):
    tensors = {"model.weight": torch.zeros(1)}
    for header in (None, {"spec": "{}", "metrics": "[]"}):
        safetensors.torch.save_file(tensors, tmp_path / FILE, metadata=header)
        with pytest.raises(TrainingError, match="another --out"):
            training().train(tmp_path, resume=True)


def test_a_checkpoint_of_other_weights_is_refused(tmp_path):
    def state(hidden):
        return state_of(SGD(), initialise(MLP(hidden=hidden, depth=1), (4,), 2, seed=0))

    Checkpoint({}, [], state(4).tensors()).save(tmp_path)
    with pytest.raises(TrainingError, match=r"of shape \(5, 4\)"):
        state(5).restore(Checkpoint.load(tmp_path))


@pytest.mark.parametrize(
    ("there", "here"),
    [({"lr": 1}, {"lr": 2}), ({}, {"lr": 2}), ({"lr": 2, "unlabelled": {"weight": 1}}, {"lr": 2})],
    ids=["other", "more", "less"],
)
def test_a_run_of_another_spec_is_not_gone_on_with(tmp_path, there, here):
    with pytest.raises(TrainingError, match=r"holds a training run with (lr|unlabelled) .*, not "):
        Checkpoint(there, [], {}).check(here, tmp_path, resume=True)
    Checkpoint(there, [], {}).check(there, tmp_path, resume=True)
