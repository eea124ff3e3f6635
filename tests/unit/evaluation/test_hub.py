"""A base classifier onto the hub and back, with a transport that copies folders."""

from __future__ import annotations

import inspect
import re
import shutil

import numpy as np
import pytest

import radii
from radii.data import ArrayDataset, Subset
from radii.errors import BaseClassifierError, LedgerError, RadiiError
from radii.evaluation import Run
from radii.evaluation.report import Report, model_card
from radii.models import MLP, initialise, load_base, save_base
from radii.rounding import floored, percent_floored

DESCRIPTION = {
    "architecture": "mlp:hidden=4,depth=1",
    "input_shape": [2],
    "num_classes": 3,
    "class_names": ["left", "right", "else"],
    "mean": [0.0],
    "std": [1.0],
    "objective": "consistency:lbd=5",
    "noise": "gaussian:sigma=0.5",
    "seed": 3,
    "epochs": 4,
    "data": "npz:/home/somebody/secret/points.npz@train",
}


@pytest.fixture
def directory(tmp_path):
    module = initialise(MLP(hidden=4, depth=1), (2,), 3, seed=0)
    save_base(tmp_path / "base", module, DESCRIPTION)
    (tmp_path / "base" / "checkpoint.pt").write_text("state of the training")
    return tmp_path / "base"


def points():
    generator = np.random.default_rng(0)
    inputs = np.float32(generator.normal(size=(20, 2)) * 3)
    labels = generator.integers(0, 3, size=20)
    names = ("left", "right", "else")
    return ArrayDataset(inputs, labels, names, "npz:/home/somebody/secret/points.npz@test")


@pytest.fixture
def ledger(directory, tmp_path):
    """A real, small run of that base classifier."""
    base = load_base(str(directory))
    run = Run(
        smoothed=radii.SmoothedClassifier(
            base.module, radii.Gaussian(sigma=0.5), 3, input_shape=(2,)
        ),
        base=base,
        dataset=points(),
        subset=Subset.parse("random:12,seed=1"),
        plan=radii.SamplingPlan(n0=20, n=500, alpha=0.001, seed=5),
    )
    return run.certify(tmp_path / "run.sqlite").path


def test_the_card_holds_the_numbers_of_the_ledger_rounded_down(directory, ledger):
    base = load_base(str(directory))
    card = model_card(base.details, "owner/points", ledger, license="apache-2.0")
    (run,) = Report.of([ledger]).summaries
    assert 0 < run.standard_accuracy < 1  # a table of nothing but zeros would show nothing
    assert run.acr > 0
    for radius, share in run.certified_accuracy:
        row = f"| {radius:.2f} | {percent_floored(share.value)} |"
        assert row in card
    assert f"| Average certified radius (ACR) | {floored(run.acr, 3)} " in card
    for line in (
        "| Noise | `gaussian:sigma=0.5` |",
        "| Draws to select, n0 | 20 |",
        "| Draws to bound, n | 500 |",
        "| alpha, for each input | 0.001 |",
        "| Inputs | 12 of `npz:points.npz@test` (subset `random:12,seed=1`) |",
        "| Objective | `consistency:lbd=5` |",
        "| Training data | `npz:points.npz@train` |",
        f"| SHA-256 of the weights | `{base.sha256}` |",
    ):
        assert line in card
    assert "Of 12 inputs of npz:points.npz@test" in card
    assert "with probability at least 0.999 over the noise" in card
    assert "with radii " + radii.__version__ in card
    assert "/home" not in card


def test_the_card_says_how_to_make_the_numbers_again(directory, ledger):
    card = model_card(load_base(str(directory)).details, "owner/points", ledger)
    command = re.search(r"```sh\n(radii certify .*)\n```", card)
    assert command is not None
    for option in (
        "--base hf:owner/points",
        "--noise gaussian:sigma=0.5",
        "--n0 20",
        "--n 500",
        "--seed 5",
        "--subset random:12,seed=1",
    ):
        assert option in command[1]


def test_the_metadata_are_those_of_the_hub(directory):
    yaml = pytest.importorskip("yaml", reason="pyyaml reads the metadata of a card")
    card = model_card(load_base(str(directory)).details, "owner/points", license="apache-2.0")
    _, metadata, text = card.split("---\n", 2)
    read = yaml.safe_load(metadata)
    assert read["license"] == "apache-2.0"
    assert read["library_name"] == "radii"
    assert "certified-robustness" in read["tags"]
    assert text.strip().startswith("# points")
    assert "certified accuracy" not in text.lower()  # nothing was certified


def test_a_ledger_of_other_weights_is_refused(directory, ledger, tmp_path):
    save_base(tmp_path / "other", initialise(MLP(hidden=4, depth=1), (2,), 3, seed=1), DESCRIPTION)
    with pytest.raises(LedgerError, match="must be about the weights with the SHA-256"):
        model_card(load_base(str(tmp_path / "other")).details, "owner/points", ledger)


class FakeHub:
    """What `push_to_hub` and `from_pretrained` need of huggingface_hub, kept in a folder."""

    def __init__(self, home):
        self.home, self.created, self.asked = home, {}, []

    def HfApi(self, token=None):  # noqa: N802
        self.token = token
        return self

    def create_repo(self, repo_id, *, private, exist_ok):
        assert exist_ok
        self.created[repo_id] = private

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        assert commit_message
        shutil.copytree(folder_path, self.home / repo_id)
        return f"https://hub/{repo_id}/commit/1"

    def snapshot_download(self, repo_id, *, revision, allow_patterns):
        self.asked.append((repo_id, revision))
        if not (self.home / repo_id).is_dir():
            raise FileNotFoundError(f"no repository {repo_id}")
        copy = self.home / "cache" / repo_id
        copy.mkdir(parents=True, exist_ok=True)
        for pattern in allow_patterns:
            for file in (self.home / repo_id).glob(pattern):
                shutil.copy(file, copy)
        return str(copy)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    fake = FakeHub(tmp_path / "hub")

    def imported(module, extra, instead=""):
        assert (module, extra) == ("huggingface_hub", "hub")
        return fake

    monkeypatch.setattr("radii.evaluation.hub.imported", imported)
    monkeypatch.setattr("radii.models.hub.imported", imported)
    return fake


def test_what_is_pushed_comes_back(directory, ledger, hub):
    address = radii.push_to_hub(directory, "owner/points", ledger=ledger, token="secret")
    assert address == "https://hub/owner/points/commit/1"
    assert (hub.created, hub.token) == ({"owner/points": True}, "secret")
    pushed = {file.name for file in (hub.home / "owner/points").iterdir()}
    assert pushed == {"README.md", "model.json", "model.safetensors"}
    card = (hub.home / "owner/points" / "README.md").read_text("utf-8")
    assert "## What is certified" in card
    assert "secret" not in card

    back = radii.from_pretrained("owner/points", revision="v1")
    assert hub.asked == [("owner/points", "v1")]
    assert back.sha256 == load_base(str(directory)).sha256
    assert back.class_names == ("left", "right", "else")
    named = radii.load("hf:owner/points")
    assert (named.reference, named.sha256) == ("hf:owner/points", back.sha256)


def test_a_folder_needs_no_hub(directory):
    assert radii.from_pretrained(directory).num_classes == 3
    with pytest.raises(BaseClassifierError, match=r"tokens must be left out: .* model\.json"):
        radii.load(f"hf:{directory},tokens=16")
    with pytest.raises(BaseClassifierError, match="has no revision 'v1'"):
        radii.from_pretrained(directory, revision="v1")


def test_what_is_not_there_is_said(hub):
    with pytest.raises(BaseClassifierError, match="no folder here, and the model hub does not"):
        radii.from_pretrained("owner/other")


def test_what_the_hub_refuses_is_said(directory, hub, monkeypatch):
    def refuse(repo_id, *, private, exist_ok):
        raise ConnectionError("403\n  Forbidden")

    monkeypatch.setattr(hub, "create_repo", refuse)
    with pytest.raises(RadiiError, match="does not take 'owner/points': 403 Forbidden"):
        radii.push_to_hub(directory, "owner/points")


def test_a_folder_that_holds_no_base_classifier_is_not_pushed(tmp_path, hub):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BaseClassifierError, match="holds no model"):
        radii.push_to_hub(tmp_path / "empty", "owner/points")
    assert hub.created == {}


def test_the_hub_is_called_as_it_wants_to_be_called():
    """The fake above takes what the real one takes."""
    real = pytest.importorskip("huggingface_hub", reason="radii[hub] is not installed")
    for function, used in (
        (real.HfApi.create_repo, {"repo_id", "private", "exist_ok"}),
        (real.HfApi.upload_folder, {"repo_id", "folder_path", "commit_message"}),
        (real.snapshot_download, {"repo_id", "revision", "allow_patterns"}),
        (real.HfApi, {"token"}),
    ):
        assert used <= inspect.signature(function).parameters.keys()
