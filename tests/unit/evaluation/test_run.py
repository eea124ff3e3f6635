from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from radii.bounds import Calibrated
from radii.data import ArrayDataset, Subset
from radii.errors import BaseClassifierError, DataError, LedgerError, PlanError
from radii.evaluation import Ledger, Run
from radii.evaluation.run import noisy_copies
from radii.models import Base, Compiled, InPrecision
from radii.noise import Gaussian, Generators, Splitting, Stream
from radii.records import Counts
from radii.smoothing import SamplingPlan, SmoothedClassifier, decide
from radii.stopping import AtRadius, Never, Precision
from tests.oracles import HalfSpace


def dataset(count: int = 12, labels=None) -> ArrayDataset:
    inputs = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64) if labels is None else labels
    return ArrayDataset(inputs, labels, tuple(map(str, range(max(labels) + 1))), "toy@test")


def run(subset: str = "all", data=None, batch_size=None, base=None, shape=(3,), **plan) -> Run:
    base = base or HalfSpace(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    smoothed = SmoothedClassifier(base, Gaussian(0.5), 2, input_shape=shape, batch_size=batch_size)
    described = Base(base, "toy.py:base", "00ff", None, None, None, {})
    options = {"n0": 20, "n": 500, "seed": 3, **plan}
    return Run(
        smoothed, described, data or dataset(), Subset.parse(subset), SamplingPlan(**options)
    )


def rows_of(path):
    """All that must not depend on when and how the run was made."""
    return [
        (r.index, r.label, r.prediction, r.radius, r.pA_lower, r.pB_upper, r.n0_votes, r.n_votes)
        for r in Ledger(path).rows()
    ]


def test_inputs_that_the_certificate_is_not_about_are_refused_before_the_run(tmp_path):
    made = run()
    made = replace(
        made,
        smoothed=replace(made.smoothed, noise=Splitting(1.0)),
        norm="l1",
        certificate="splitting_l1_box",
    )
    with pytest.raises(DataError, match=r"input 0 of toy@test must lie in \[0, 1\]"):
        made.certify(tmp_path / "run")
    assert not (tmp_path / "run").exists()


class InterruptedRun(Exception):  # noqa: N818
    pass


def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path):
    run().certify(tmp_path / "straight")
    left = [4]

    def on_input() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise InterruptedRun

    with pytest.raises(InterruptedRun):
        run().certify(tmp_path / "broken", on_input=on_input)
    assert 0 < len(Ledger(tmp_path / "broken")) < 12
    started = []
    run(batch_size=700).certify(tmp_path / "broken", on_start=lambda *what: started.append(what))
    assert started == [(12, 4)]
    assert rows_of(tmp_path / "broken") == rows_of(tmp_path / "straight")


def test_votes_do_not_depend_on_the_subset_an_input_is_in(tmp_path):
    run().certify(tmp_path / "all")
    run("every:3").certify(tmp_path / "some")
    everything = {row[0]: row for row in rows_of(tmp_path / "all")}
    assert [row[0] for row in rows_of(tmp_path / "some")] == [0, 3, 6, 9]
    assert all(everything[row[0]] == row for row in rows_of(tmp_path / "some"))


def test_the_stored_counts_give_the_stored_radius(tmp_path):
    made = run()
    made.certify(tmp_path / "run")
    certificate = made.smoothed.certificate("l2")
    for row in Ledger(tmp_path / "run").rows():
        votes = [np.zeros(2, dtype=np.int64) for _ in range(2)]
        for stored, array in zip((row.n0_votes, row.n_votes), votes, strict=True):
            for label, count in stored.items():
                array[label] = count
        assert votes[0].sum() == 20
        assert votes[1].sum() == 500
        again = decide(*map(Counts, votes), made.plan, certificate)
        assert (again.prediction, again.radius) == (row.prediction, row.radius)
        assert row.samples == 520


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (("1", "0"), True),
        (("cat", "0", "1"), True),
        (("0", "1", "2"), False),
        (("zero", "one"), False),
        (None, False),
    ],
)
def test_classes_of_the_same_names_must_have_the_same_numbers(tmp_path, names, refused):
    made = run(subset="first:2")
    made = replace(
        made,
        base=replace(made.base, class_names=names),
        smoothed=replace(made.smoothed, num_classes=len(names or "01")),
    )
    if not refused:
        assert len(made.certify(tmp_path / "run")) == 2
        return
    with pytest.raises(
        DataError, match=rf"class 0 of toy@test is '0', and class 0 .* '{names[0]}'"
    ):
        made.certify(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_seed_that_is_not_given_comes_from_the_ledger_or_else_the_system(tmp_path):
    run(seed=None).certify(tmp_path / "one")
    first = rows_of(tmp_path / "one")
    run(seed=None).certify(tmp_path / "one")
    assert rows_of(tmp_path / "one") == first
    run(seed=None).certify(tmp_path / "two")
    assert Ledger(tmp_path / "one").meta["seed"] != Ledger(tmp_path / "two").meta["seed"]


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"n": 501}, {"alpha": 0.01}, {"subset": "first:3"}]
)
def test_a_ledger_of_another_run_is_refused(tmp_path, change):
    run().certify(tmp_path / "run")
    before = rows_of(tmp_path / "run")
    with pytest.raises(LedgerError, match=next(iter(change))):
        run(**change).certify(tmp_path / "run")
    assert rows_of(tmp_path / "run") == before


def test_what_cannot_work_is_refused_before_the_first_draw(tmp_path):
    def never(x):
        pytest.fail("the base classifier was called")

    labels = np.array([0, 1] * 5 + [2, 0])
    with pytest.raises(DataError, match=r"label of input 10 must be in \[0, 2\)"):
        run(data=dataset(labels=labels), base=never).certify(tmp_path / "run")
    with pytest.raises(DataError, match=r"shape \(4,\)"):
        run(base=never, shape=(4,)).certify(tmp_path / "run")
    with pytest.raises(PlanError, match="n of at least 10"):
        run(base=never, n=5).certify(tmp_path / "run")
    with pytest.raises(PlanError, match="radius must be at most"):
        run(base=never, stop=AtRadius(9.0)).certify(tmp_path / "run")
    with pytest.raises(PlanError, match="take hybrid or betting"):
        run(base=never, stop=Precision(), bound=Calibrated()).certify(tmp_path / "run")
    with pytest.raises(BaseClassifierError, match="eval"):
        run(base=torch.nn.Linear(3, 2)).certify(tmp_path / "other")
    assert not (tmp_path / "run").exists()


def test_an_answer_that_is_none_stops_the_run(tmp_path):
    def broken(x):
        return torch.full((len(x), 2), torch.nan)

    with pytest.raises(BaseClassifierError, match="NaN"):
        run(base=broken).certify(tmp_path / "run")
    assert len(Ledger(tmp_path / "run")) == 0


def test_noisy_copies_are_those_that_the_base_classifier_saw(tmp_path):
    seen = []

    def base(x):
        seen.append(x.clone())
        return (x[:, 0] > 0).long()

    made = run("first:1", base=base)
    ledger = made.certify(tmp_path / "run")
    x, _ = made.dataset[0]
    copies = noisy_copies(ledger, x, 0, 3)
    estimation = seen[1]  # the first block of 20 rows selected the class
    np.testing.assert_array_equal(copies, estimation[:3].double().numpy())


def linear() -> torch.nn.Module:
    module = torch.nn.Linear(3, 2).eval()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.3, -0.2, 0.1], [-0.3, 0.25, 0.1]]))
        module.bias.zero_()
    return module


def in_bfloat16(**plan) -> Run:
    made, module = run(base=linear(), **plan), linear()
    smoothed = replace(made.smoothed, base=InPrecision(module).eval())
    described = replace(made.base, module=module)
    return replace(made, smoothed=smoothed, base=described, precision="bfloat16")


def test_labels_in_another_precision_are_compared_on_the_noise_of_the_run(tmp_path):
    told = []
    made = in_bfloat16()
    meta = made.certify(tmp_path / "run", on_agreement=told.append).meta
    same = 0
    for index in range(10):
        x = made.dataset[index][0].expand(100, 3)
        stream = Stream(3, index, "estimation", 0)
        noisy = Gaussian(0.5).at(x, stream, Generators(torch.device("cpu")))
        with torch.no_grad():
            labels = [m(noisy).argmax(1) for m in (made.smoothed.base, made.base.module)]
        same += int((labels[0] == labels[1]).sum())
    assert 0 < same < 1000  # the two do differ
    assert meta["label_agreement"] == {"with": "float32", "share": same / 1000, "draws": 1000}
    assert told == [meta["label_agreement"]]
    in_bfloat16().certify(tmp_path / "run", on_agreement=told.append)
    assert len(told) == 1


def test_comparing_labels_changes_no_vote(tmp_path):
    in_bfloat16().certify(tmp_path / "compared")
    made = in_bfloat16()
    alone = dict(made.smoothed.certify_each(made._inputs(list(range(12))), made.plan))
    for row in Ledger(tmp_path / "compared").rows():
        votes = [row.n_votes.get(label, 0) for label in range(2)]
        assert votes == alone[row.index].estimation.votes.tolist()


def test_the_classifier_that_was_loaded_is_not_compared_with_itself(tmp_path):
    assert "label_agreement" not in run(base=linear()).certify(tmp_path / "run").meta


@pytest.mark.parametrize("stop", [Never(), AtRadius(0.1)])
def test_comparing_labels_does_not_decide_what_is_compiled(tmp_path, monkeypatch, stop):
    # A run that is resumed compares nothing, and must have the same forward passes.
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    sizes = []
    for path in ("compared", "not"):
        base = Compiled(torch.nn.Linear(3, 2).eval())
        made = replace(
            run(base=base, stop=stop),
            base=Base(base.module, "toy.py:base", "00ff", None, None, None, {}),
        )
        if path == "not":
            monkeypatch.setattr(Run, "label_agreement", lambda self, plan: None)
        made.certify(tmp_path / path)
        sizes.append(base.compiled_rows)
    assert sizes[0] == sizes[1]
    assert sizes[0] is not None
