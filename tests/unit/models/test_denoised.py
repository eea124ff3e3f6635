from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

import radii
from radii.errors import BaseClassifierError
from radii.models import (
    ARCHITECTURES,
    Denoised,
    DenoisedClassifier,
    DnCNN,
    LeNet,
    ResNet20,
    UNet,
    folded,
    initialise,
    load_base,
    load_denoiser,
    save_base,
    weights_sha256,
)
from radii.models.denoised import put_behind

SHAPE = (1, 28, 28)
SPEC = "denoised:denoiser=dncnn(depth=3,width=4),base=lenet"


def inputs(count=3, shape=SHAPE):
    return torch.rand((count, *shape), generator=torch.Generator().manual_seed(1))


def lively(module, shape=SHAPE):
    """With statistics of batch norm that are not those of a fresh one, in evaluation mode."""
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(inputs(8, shape))
    return module.eval()


def built(seed=0):
    return initialise(ARCHITECTURES.build(SPEC), SHAPE, 10, seed=seed)


def describe(spec, mean=(0.0,), std=(1.0,)):
    return {
        "architecture": spec,
        "input_shape": list(SHAPE),
        "num_classes": 10,
        "class_names": None,
        "mean": list(mean),
        "std": list(std),
    }


class TestDenoisedClassifier:
    def test_it_is_the_classifier_after_the_denoiser(self):
        denoiser = lively(DnCNN(depth=3, width=4).build(SHAPE))
        base = initialise(LeNet(), SHAPE, 10, seed=0).eval()
        denoised = radii.DenoisedClassifier(denoiser, base)
        x = inputs()
        assert torch.equal(denoised(x), base(denoiser(x)))
        assert not torch.equal(denoised(x), base(x))

    def test_gradients_flow_through_both_parts(self):
        first, second = nn.Linear(3, 3), nn.Linear(3, 2)
        denoised = DenoisedClassifier(nn.Sequential(first, nn.Tanh()), second.eval()).double()
        x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(denoised(x)[:, 0].sum(), [x])
        slope = 1 - first(x).tanh().square()
        by_hand = (second.weight[0] * slope) @ first.weight
        torch.testing.assert_close(found, by_hand)

    def test_only_the_denoiser_is_ever_put_into_training_mode(self):
        base = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 2)).eval()
        denoised = DenoisedClassifier(DnCNN(depth=3, width=2).build(SHAPE), base)
        assert denoised.training
        before = copy.deepcopy(base.state_dict())
        for module in (denoised, nn.Sequential(denoised)):
            module.train()
            module(inputs())
            assert all(part.training for part in denoised.denoiser.modules())
            assert not any(part.training for part in base.modules())
        assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())
        assert not any(part.training for part in denoised.eval().modules())

    def test_a_smoothed_classifier_refuses_a_denoiser_in_training_mode(self):
        base = nn.Sequential(nn.Flatten(), nn.Linear(784, 2)).eval()
        denoised = DenoisedClassifier(UNet(width=2, levels=2).build(SHAPE), base)
        smoothed = radii.SmoothedClassifier(denoised, radii.Gaussian(0.5), 2)
        plan = radii.SamplingPlan(n0=10, n=50, alpha=0.01, seed=0)
        with pytest.raises(BaseClassifierError, match="must be in evaluation mode"):
            smoothed.certify(inputs(1)[0], plan)
        denoised.eval()
        assert smoothed.certify(inputs(1)[0], plan).estimation.votes.sum() == 50

    def test_a_classifier_in_training_mode_is_refused(self):
        base = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
        base.eval()[1].train()
        message = "the classifier behind a denoiser must be in evaluation mode"
        with pytest.raises(BaseClassifierError, match=message):
            DenoisedClassifier(nn.Identity(), base)

    @pytest.mark.parametrize("denoiser", [nn.Linear(3, 4), nn.Flatten(0)])
    def test_a_denoiser_must_keep_the_shape(self, denoiser):
        denoised = DenoisedClassifier(denoiser, nn.Linear(3, 2).eval())
        with pytest.raises(BaseClassifierError, match=r"must keep the shape .* \(2, 3\), got \("):
            denoised(torch.zeros(2, 3))

    def test_a_denoiser_must_answer_a_tensor(self):
        class Pair(nn.Module):
            def forward(self, x):
                return x, x

        denoised = DenoisedClassifier(Pair(), nn.Linear(3, 2).eval())
        with pytest.raises(BaseClassifierError, match=r"got tuple$"):
            denoised(torch.zeros(2, 3))

    def test_functions_are_refused_with_what_to_do(self):
        with pytest.raises(TypeError, match=r"base must be an nn.Module, got function; compose"):
            DenoisedClassifier(nn.Identity(), lambda x: x)

    def test_the_parts_are_left_as_they_are(self):
        base = nn.Linear(3, 2).eval()
        DenoisedClassifier(nn.Linear(3, 3), base)
        assert all(parameter.requires_grad for parameter in base.parameters())


class TestDenoised:
    def test_what_is_trained_is_the_denoiser_alone(self):
        module = built()
        trained = {name for name, _ in module.named_parameters()}
        assert trained == {
            f"body.denoiser.{name}" for name, _ in module.body.denoiser.named_parameters()
        }
        assert trained
        behind = dict(initialise(LeNet(), SHAPE, 10, seed=0).state_dict())
        kept = {name for name in module.state_dict() if name.startswith("body.base.")}
        assert kept == {f"body.base.{name}" for name in behind}

    def test_the_classifier_behind_answers_what_it_did(self):
        # One number for all channels, as in published files, and one a channel.
        for mean, std in (((0.3,), (0.7,)), ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))):
            shape = (3, 16, 16)
            base = lively(initialise(ResNet20(), shape, 5, mean=mean, std=std, seed=1), shape)
            architecture = Denoised(UNet(width=2, levels=2), ResNet20())
            module = initialise(architecture, shape, 5, seed=0)
            put_behind(module, base)
            x = inputs(4, shape)
            assert torch.equal(module.body.base(x), base(x))
            assert torch.equal(module.train().body.base(x), base(x))  # batch norm included

    def test_weights_of_another_network_are_refused(self):
        with pytest.raises(BaseClassifierError, match="must have shape"):
            put_behind(built(), initialise(LeNet(), SHAPE, 7, seed=0))

    def test_saved_it_is_one_file_with_a_hash_of_both(self, tmp_path):
        module = lively(built())
        save_base(tmp_path, module, describe(SPEC))
        loaded = load_base(str(tmp_path))
        assert loaded.sha256 == weights_sha256(module)
        torch.testing.assert_close(loaded.module(inputs()), module(inputs()))
        for part in (module.body.denoiser.noise[0], module.body.base.body.fc2):
            kept = part.bias.detach().clone()
            with torch.no_grad():
                part.bias += 1
            assert weights_sha256(module) != loaded.sha256
            with torch.no_grad():
                part.bias.copy_(kept)

    def test_batch_norm_of_both_parts_can_be_folded(self):
        shape = (3, 16, 16)
        module = Denoised(DnCNN(depth=3, width=4), ResNet20()).build(shape, 5)
        module = lively(module, shape).double()
        x = inputs(2, shape).double()
        twin = folded(module, x)
        assert not any(isinstance(part, nn.BatchNorm2d) for part in twin.modules())
        torch.testing.assert_close(twin(x), module(x), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("base", [SPEC.replace(":", "(", 1) + ")", "python(reference=os:name)"])
    def test_networks_that_cannot_stand_behind(self, base):
        with pytest.raises(ValueError, match="must be a registered network without a denoiser"):
            ARCHITECTURES.build({"name": "denoised", "denoiser": "dncnn", "base": base})

    def test_a_folder_cannot_name_code_behind_its_denoiser(self, tmp_path):
        save_base(tmp_path, lively(built()), describe(SPEC))
        path = tmp_path / "model.json"
        told = json.loads(path.read_text())
        told["architecture"] = "denoised:denoiser=dncnn,base=python(reference=os:getcwd)"
        path.write_text(json.dumps(told))
        with pytest.raises(BaseClassifierError, match="describes no base classifier"):
            load_base(str(tmp_path))

    def test_denoisers_take_images(self):
        with pytest.raises(ValueError, match=r"dncnn denoises images .*, got \(5,\)"):
            ARCHITECTURES.build("denoised:denoiser=dncnn,base=mlp").build((5,), 3)


class TestLoadDenoiser:
    def test_it_is_that_of_the_folder(self, tmp_path):
        module = lively(built())
        save_base(tmp_path, module, describe(SPEC))
        denoiser = load_denoiser(tmp_path)
        assert not denoiser.training
        torch.testing.assert_close(denoiser(inputs()), module.body.denoiser(inputs()))

    def test_a_folder_without_one_is_refused(self, tmp_path):
        save_base(tmp_path, initialise(LeNet(), SHAPE, 10, seed=0), describe("lenet"))
        with pytest.raises(BaseClassifierError, match=r"must hold a denoiser .*, got 'lenet'"):
            load_denoiser(tmp_path)

    def test_a_denoiser_of_normalised_inputs_is_refused(self, tmp_path):
        module = initialise(ARCHITECTURES.build(SPEC), SHAPE, 10, mean=(0.5,), seed=0)
        save_base(tmp_path, module, describe(SPEC, mean=(0.5,)))
        with pytest.raises(BaseClassifierError, match="must hold a denoiser"):
            load_denoiser(tmp_path)
