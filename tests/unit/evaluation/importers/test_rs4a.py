"""Arrays as the published code of Yang et al. 2020 makes them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats  # noqa: TID251 an independent reference

from radii.errors import DataError
from radii.evaluation import Ledger
from radii.evaluation.importers import Settings, import_results
from tests.unit.evaluation.importers.logs import GAUSSIAN

N, N0, ALPHA, SIGMA = 100_000, 64, 0.001, 0.25
COUNTS = np.array([100_000, 99_999, 87_123, 50_001, 20_000, 0, 61_234])
LABELS = np.array([0, 1, 1, 0, 2, 2, 2])


def result(**changes):
    """What it saves: shares, bounds and radii in float32, kept as float64."""
    selection = np.array([[64, 0, 0], [1, 63, 0], [20, 44, 0], [33, 31, 0]] + [[0, 30, 34]] * 3)
    shares = (COUNTS.astype(np.float32) / np.float32(N)).astype(np.float32)
    votes = shares * np.float32(N)  # no longer whole numbers
    lower = stats.beta.ppf(ALPHA / 2, votes.astype(np.float64), N - votes.astype(np.float64) + 1)
    lower = np.where(COUNTS == 0, 0, lower).astype(np.float32)
    radius = (SIGMA * stats.norm.ppf(np.maximum(lower, 1e-9))).astype(np.float32)
    arrays = {
        "preds": (selection / np.float32(N0)).astype(np.float32),
        "labels": LABELS,
        "prob_lb": lower,
        "preds_nll": np.full(len(LABELS), np.inf),
        "radius_l1": radius,
        "radius_l2": radius,
        "radius_linf": radius / 28,
    }
    return {name: array.astype(np.float64) for name, array in {**arrays, **changes}.items()}


def saved(folder, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def imported(source, tmp_path, **settings):
    given = {"noise": GAUSSIAN, **settings}
    written = import_results([source], tmp_path / "run", Settings(**given))
    return Ledger(tmp_path / "run"), written.ledgers[0][1].notes


def test_counts_come_back(tmp_path):
    arrays = result()
    ledger, notes = imported(saved(tmp_path / "cifar", arrays), tmp_path)
    assert notes == ()
    rows = list(ledger.rows())
    assert [row.fits for row in rows] == [(k, k) for k in COUNTS.tolist()]
    assert [row.prediction for row in rows] == [0, 1, 1, None, None, None, 2]
    assert [row.label for row in rows] == LABELS.tolist()
    certified = [row.prediction is not None for row in rows]
    assert [row.radius for row in rows] == np.where(certified, arrays["radius_l2"], 0).tolist()
    assert [row.pA_lower for row in rows] == pytest.approx(arrays["prob_lb"], rel=2e-7)
    assert [row.n0_votes for row in rows][:2] == [{0: 64}, {0: 1, 1: 63}]
    assert all(row.n_votes == {} for row in rows)
    assert rows[0].samples == N + N0
    assert (ledger.meta["n0"], ledger.meta["n"], ledger.meta["alpha"]) == (N0, N, ALPHA / 2)
    assert ledger.meta["imported"]["layout"] == "rs4a"
    assert ledger.meta["imported"]["file"] == "cifar"


def test_one_file_is_the_same(tmp_path):
    np.savez(tmp_path / "cifar.npz", **result())
    ledger, _ = imported(tmp_path / "cifar.npz", tmp_path)
    other = import_results(
        [saved(tmp_path / "cifar", result())], tmp_path / "two", Settings(GAUSSIAN)
    )
    assert list(ledger.rows()) == list(Ledger(other.ledgers[0][0]).rows())


def test_scores_in_place_of_votes(tmp_path):
    preds = np.full((7, 3), 0.25)
    preds[:, 2] = 0.51
    ledger, (note,) = imported(saved(tmp_path / "x", result(preds=preds)), tmp_path)
    assert "no votes of the selection" in note
    assert {row.prediction for row in ledger.rows()} == {2, None}
    assert all(row.n0_votes == {} for row in ledger.rows())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": np.full(7, 3.0)}, r"row 1: labels must be whole numbers in \[0, 3\)"),
        ({"labels": np.full(7, 0.5)}, r"row 1: labels must be whole numbers"),
        ({"labels": np.zeros(6)}, r"labels of .* must have shape \(7,\) .* got \(6,\)"),
        ({"preds": np.zeros(7)}, r"preds of .* must be \(examples, classes\), got \(7,\)"),
        ({"preds": np.full((7, 3), np.nan)}, r"row 1: preds must be finite"),
        ({"prob_lb": np.full(7, 0.99994)}, r"row 1: prob_lb must be the bound that some count"),
        ({"radius_l2": np.full(7, 3.0)}, r"row 1: radius_l2 must be about 0\.94"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changes, said):
    source = saved(tmp_path / "x", result(**changes))
    with pytest.raises(DataError, match=said):
        imported(source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("sigma", [0.24, 0.26])
def test_another_noise_than_was_given_is_told(tmp_path, sigma):
    with pytest.raises(DataError, match=r"row 1: radius_l2 must be about"):
        imported(saved(tmp_path / "x", result()), tmp_path, noise=f"gaussian:sigma={sigma}")


def test_radii_follow_from_probabilities_alone(tmp_path):
    arrays = {name: array for name, array in result().items() if not name.startswith("radius")}
    np.savez(tmp_path / "x.npz", **arrays)
    for at, source in enumerate((saved(tmp_path / "x", arrays), tmp_path / "x.npz")):
        (tmp_path / str(at)).mkdir()
        rows = list(imported(source, tmp_path / str(at))[0].rows())
        assert [row.prediction for row in rows] == [0, 1, 1, None, None, None, 2]
        lower = stats.beta.ppf(ALPHA / 2, COUNTS, N - COUNTS + 1)
        for row, bound in zip(rows, lower, strict=True):
            exact = SIGMA * stats.norm.ppf(bound) if row.prediction is not None else 0
            assert row.radius == pytest.approx(exact, rel=1e-9)
            assert row.radius <= exact * (1 + 1e-15)


def test_an_array_is_missing(tmp_path):
    arrays = result()
    del arrays["labels"]
    np.savez(tmp_path / "x.npz", **arrays)
    for source in (saved(tmp_path / "x", arrays), tmp_path / "x.npz"):
        with pytest.raises(DataError, match=r"must hold the arrays .* labels, .*but .*labels"):
            imported(source, tmp_path)


def test_a_damaged_file(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DataError, match="must hold the arrays"):
        imported(tmp_path / "x.npz", tmp_path)
    np.savez(tmp_path / "y.npz", **{**result(), "labels": np.array([object()] * 7)})
    with pytest.raises(DataError, match="must hold the arrays"):
        imported(tmp_path / "y.npz", tmp_path)
