"""Classifiers of transformers from folders that these tests write; nothing is downloaded."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

import radii
from radii.errors import BaseClassifierError
from radii.models import load_base
from tests.unit.models.adapters.torchvision_here import make_importable

make_importable()  # transformers looks at it where it is installed
transformers = pytest.importorskip("transformers", reason="radii[hub] is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NAMES = {0: "cat", 1: "dog", 2: "cow"}
PROCESSOR = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.25, 0.2],
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"height": 16, "width": 16},
}


def seeded(make):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return make()


def write(folder, model, processor=None):
    transformers.logging.disable_progress_bar()
    model.save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def vit(**more):
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        id2label=NAMES,
        initializer_range=0.5,
        **more,
    )
    return seeded(lambda: transformers.ViTForImageClassification(config)).eval()


def bert(**more):
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=0.5,
        **{"num_labels": 2, **more},
    )
    return seeded(lambda: transformers.BertForSequenceClassification(config)).eval()


def test_an_image_classifier_answers_as_behind_its_own_processor(tmp_path):
    model = vit()
    folder = write(tmp_path, model, PROCESSOR)
    base = load_base(f"hf:{folder}")
    assert (base.num_classes, base.input_shape) == (3, (3, 16, 16))
    assert base.class_names == ("cat", "dog", "cow")
    assert len(base.sha256) == 64

    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    theirs = model(**processor(images=list(pixels), return_tensors="pt")).logits
    ours = base.module(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(theirs[0], theirs[1], atol=1e-2)  # it looks at its input


def test_it_is_certified_in_several_threads_as_in_one(tmp_path):
    base = load_base(f"hf:{write(tmp_path, vit(), PROCESSOR)}")
    smoothed = radii.SmoothedClassifier(
        base.module, radii.Gaussian(0.1), 3, input_shape=(3, 16, 16)
    )
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    plan = radii.SamplingPlan(n0=50, n=400, seed=0)
    found = [result.estimation.votes.tolist() for result in smoothed.certify(x, plan)]
    assert found == [result.estimation.votes.tolist() for result in smoothed.certify(x, plan)]
    assert all(sum(votes) == 400 for votes in found)


def test_what_is_loaded_is_steady_and_quiet(tmp_path, capfd):
    folder = write(tmp_path, vit(), PROCESSOR)
    capfd.readouterr()
    before = torch.random.get_rng_state()
    base = load_base(f"hf:{folder}")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(part.training for part in base.module.modules())
    assert all(value.dtype == torch.float32 for value in base.module.parameters())
    assert capfd.readouterr() == ("", "")


def test_weights_in_half_precision_come_in_float32(tmp_path):
    base = load_base(f"hf:{write(tmp_path, vit().half(), PROCESSOR)}")
    assert base.module(torch.zeros(1, 3, 16, 16)).dtype == torch.float32


def processor(**changes):
    return {k: v for k, v in {**PROCESSOR, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "x", "expected"),
    [
        ({}, 1.0, 1.0),  # (1 - mean) / std of the first channel, 0.5 and 0.5
        ({"do_rescale": None, "rescale_factor": None}, 1.0, 1.0),  # as old files have it
        ({"do_normalize": False}, 0.25, 0.25),
        ({"rescale_factor": 1 / 127.5}, 1.0, 3.0),  # (2 - 0.5) / 0.5
        ({"do_rescale": False, "do_normalize": False}, 1.0, 255.0),
    ],
)
def test_the_values_of_pixels(tmp_path, changes, x, expected):
    base = load_base(f"hf:{write(tmp_path, vit(), processor(**changes))}")
    first = base.module.normalize(torch.full((1, 3, 16, 16), x))[0, 0]
    torch.testing.assert_close(first, torch.full((16, 16), expected))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_flip_channel_order": True}, "but it has do_flip_channel_order"),
        ({"auto_map": {"AutoImageProcessor": "code.Processor"}}, "but it has auto_map"),
        ({"image_mean": None}, "must have image_mean"),
        ({"size": {"longest_edge": 4}}, "must say the size of images under 'size'"),
        ({"size": 32}, "failed on inputs of shape"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, changes, message):
    folder = write(tmp_path, vit(), processor(**changes))
    with pytest.raises(BaseClassifierError, match=re.escape(message)):
        load_base(f"hf:{folder}")


def test_a_crop_says_the_size(tmp_path):
    changes = {"size": {"shortest_edge": 20}, "do_center_crop": True, "crop_size": 16}
    base = load_base(f"hf:{write(tmp_path, vit(), processor(**changes))}")
    assert base.input_shape == (3, 16, 16)


def test_a_text_classifier_takes_embeddings(tmp_path):
    model = bert()
    base = load_base(f"hf:{write(tmp_path, model)},tokens=5")
    assert (base.num_classes, base.input_shape) == (2, (5, 16))
    words = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
    embedded = model.get_input_embeddings()(words)
    with torch.no_grad():
        torch.testing.assert_close(base.module(embedded), model(words).logits)


def test_embeddings_are_certified_by_the_command_line(tmp_path):
    from radii.cli.main import run

    model = bert()
    folder = write(tmp_path / "model", model)
    words = torch.randint(0, 30, (6, 5), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = model.get_input_embeddings()(words).numpy()
        y = model(words).logits.argmax(1).numpy()
    np.savez(tmp_path / "texts.npz", x=x, y=y, class_names=["good", "bad"])
    ledger = tmp_path / "run.sqlite"
    code = run(
        [
            *("certify", "--base", f"hf:{folder},tokens=5", "--data", f"npz:{tmp_path}/texts.npz"),
            *("--noise", "gaussian:sigma=0.05", "--n0", "20", "--n", "200", "--out", str(ledger)),
            *("--device", "cpu"),
        ]
    )
    assert code == 0
    rows = list(radii.evaluation.Ledger(ledger).rows())
    assert len(rows) == 6
    assert any(row.prediction == row.label and row.radius > 0 for row in rows)


@pytest.mark.parametrize(
    ("make", "spec", "message"),
    [
        (bert, "", "tokens must be given for a text classifier"),
        (bert, ",tokens=40", "failed on inputs of shape"),
        (vit, ",tokens=4", "tokens must be left out for images"),
        (vit, "", "must hold a preprocessor_config.json"),
        (lambda: bert(problem_type="multi_label_classification"), ",tokens=4", "two classes or"),
        (lambda: bert(num_labels=1), ",tokens=4", "must tell two classes or more"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, make, spec, message):
    folder = write(tmp_path, make())
    with pytest.raises(BaseClassifierError, match=re.escape(message)):
        load_base(f"hf:{folder}{spec}")


def test_a_model_without_a_head_is_refused(tmp_path):
    folder = write(tmp_path, vit().vit, PROCESSOR)
    with pytest.raises(BaseClassifierError, match="must be a model ForImageClassification or"):
        load_base(f"hf:{folder}")
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["ViTForImageClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BaseClassifierError, match="missing keys are"):
        load_base(f"hf:{folder}")  # its last layer would be random


def test_pickled_weights_are_not_read(tmp_path):
    model = vit()
    folder = write(tmp_path, model, PROCESSOR)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(BaseClassifierError, match="cannot be loaded by transformers"):
        load_base(f"hf:{folder}")


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    model = vit()
    model.classifier.bias.data.fill_(torch.nan)
    with pytest.raises(BaseClassifierError, match="NaN"):
        load_base(f"hf:{write(tmp_path, model, PROCESSOR)}")
