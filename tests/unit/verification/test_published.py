from __future__ import annotations

import math

import numpy as np

from radii.certificates import GaussianL2, find
from radii.data import load
from radii.evaluation.importers import Settings, import_results
from radii.evaluation.importers.fit import CountTable
from radii.noise import NOISES, Gaussian
from radii.verification import Material, verify
from radii.verification.published import Digits
from tests.unit.evaluation.importers.logs import GAUSSIAN, write
from tests.unit.verification.runs import check, edited, resealed_rows, set_meta, status

RADII = "published radii"
N = 1000
TABLE = CountTable(GaussianL2(Gaussian(0.25)), N, 0.001)
COUNTS = [600, 777, 940, 941, 990, 999, N]


def imported(tmp_path, texts, n=N, noise=GAUSSIAN):
    lines = [f"{i}\t1\t1\t{text}\t1\t0:00:01" for i, text in enumerate(texts)]
    import_results([write(tmp_path / "log", *lines)], tmp_path / "run", Settings(noise=noise, n=n))
    return tmp_path / "run"


def floored(value, decimals=3):
    return f"{math.floor(value * 10**decimals) / 10**decimals:.{decimals}f}"


def test_radii_that_were_floored_pass(tmp_path):
    found = verify(imported(tmp_path, [floored(TABLE.radius[k]) for k in COUNTS]))
    assert found.passed, found.of("failed")
    assert status(found, RADII) == "passed"
    assert status(found, "votes drawn again") == "not checked"


def test_radii_that_were_rounded_to_nearest_are_found(tmp_path):
    shown = [f"{TABLE.radius[k]:.3f}" for k in COUNTS]
    excess = {}
    for i, (text, k) in enumerate(zip(shown, COUNTS, strict=True)):
        radius = float(text)
        if not np.any((TABLE.radius >= radius) & (TABLE.radius < radius + 0.001)):
            excess[i] = radius - TABLE.radius[k]
    assert 6 in excess  # all votes: nothing is above
    found = verify(imported(tmp_path, shown))
    (failed,) = found.of("failed")
    assert failed.name == RADII
    assert "rounded up, to nearest" in failed.said
    assert f"{len(excess)} of 7 radii" in failed.said
    worst = max(excess, key=excess.get)
    assert f"by up to {math.ceil(excess[worst] * 1e6) / 1e6} (input {worst}, " in failed.said


def test_the_published_largest_radius(tmp_path):
    # 100,000 of 100,000 votes certify 0.95273..., which published logs show as 0.953
    found = verify(imported(tmp_path, ["0.953", "0.476"], n=100_000))
    assert "1 of 2 radii are above" in check(found, RADII).said
    assert "by up to 0.00" in check(found, RADII).said


def test_one_radius_edited_upwards(tmp_path):
    path = imported(tmp_path, [floored(TABLE.radius[k]) for k in COUNTS])
    top, other = (float(floored(TABLE.radius[k])) for k in (N, 777))
    for radius, expected in ((top + 0.001, "failed"), (other, "passed"), (9.0, "failed")):
        edited(path, 'UPDATE inputs SET radius = ? WHERE "index" = 6', round(radius, 3))
        resealed_rows(path)
        assert status(verify(path), RADII) == expected


def test_all_digits(tmp_path):
    texts = [repr(float(TABLE.radius[k])) for k in COUNTS]
    assert verify(imported(tmp_path, texts)).passed
    path = imported(tmp_path / "more", [*texts[:-1], repr(float(TABLE.radius[N]) * (1 + 1e-8))])
    assert status(verify(path), RADII) == "failed"


def test_a_scale_that_is_one_percent_too_large(tmp_path):
    path = imported(tmp_path, [f"{TABLE.radius[k]:.9f}" for k in COUNTS])
    set_meta(path, "noise", "gaussian:sigma=0.2475")
    resealed_rows(path)
    assert status(verify(path), RADII) == "failed"


def test_arrays_of_rs4a_have_their_counts(tmp_path):
    table = CountTable(GaussianL2(Gaussian(0.25)), N, 0.0005)
    counts = np.array([600, 990, N])
    source = tmp_path / "result"
    source.mkdir()
    preds = np.tile([0.75, 0.25], (3, 1))
    np.save(source / "preds.npy", preds)
    np.save(source / "labels.npy", np.zeros(3))
    np.save(source / "prob_lb.npy", table.lower[counts].astype(np.float32))
    np.save(source / "radius_l2.npy", table.radius[counts].astype(np.float32))
    settings = Settings(noise=GAUSSIAN, n=N)
    import_results([source], tmp_path / "run", settings)
    assert verify(tmp_path / "run").passed
    edited(tmp_path / "run", 'UPDATE inputs SET radius = radius * 1.0001 WHERE "index" = 1')
    resealed_rows(tmp_path / "run")
    found = verify(tmp_path / "run")
    assert "1 of 3 radii" in check(found, RADII).said


def test_a_certificate_that_is_not_worked_out_is_computed_by_the_library(tmp_path):
    noise = NOISES.build("radial:norm=linf,scale=0.5,exponent=2.0")
    table = CountTable(find(noise, "linf", "radial_linf", dim=784), N, 0.001)
    radius = [floored(table.radius[k] * 1000) for k in (900, N)]
    settings = Settings(noise=NOISES.spec_of(noise), norm="linf", certificate="radial_linf", n=N)
    data = load("mnist5k@test")
    lines = [
        f"{i}\t{data.labels[i]}\t1\t{float(text) / 1000:.6f}\t1\t0:00:01"
        for i, text in enumerate(radius)
    ]
    import_results([write(tmp_path / "log", *lines)], tmp_path / "run", settings, dataset=data)
    assert status(verify(tmp_path / "run"), RADII) == "not checked"
    found = verify(tmp_path / "run", material=Material(data))
    assert status(found, "data set") == status(found, RADII) == "passed"
    assert "computed independently" in check(found, RADII).notes[0]
    edited(tmp_path / "run", 'UPDATE inputs SET radius = 2 * radius WHERE "index" = 1')
    assert status(verify(tmp_path / "run", material=Material(data)), RADII) == "failed"


def test_units_of_the_last_digit():
    printed = Digits.of([1.9, 0.953, 0.04])
    assert [printed.unit(r) for r in (1.9, 0.953, 0.04)] == [0.01, 0.001, 0.001]
