"""Runs that were damaged at random: told, and never a traceback."""

from __future__ import annotations

import json

import numpy as np
import pytest

from radii.errors import RadiiError
from radii.evaluation import Ledger
from radii.verification import verify
from tests.unit.verification.runs import certified, edited, resealed_rows, set_meta

ODD = [None, True, -1, 0, 7, 10**400, 0.5, 1e308, "", "x", "gaussian:sigma=0", [], [1], {"a": 1}]
TEXTS = ["", "{", "[]", "7", '{"a": 1}', '{"0": 1e999}', '{"0": [1]}', '{"0": "1"}', "[1]", "[" * 9]
TEXTS += ['{"0": true}', '["1", "2"]', "[1, 2]", '{"0": -400}', "[[1], 2]", '{"99": 400}', "null"]


@pytest.fixture(scope="module", params=["never", "precision:rel=0.1"])
def original(request, tmp_path_factory):
    return certified(tmp_path_factory.mktemp("run") / "run", stop=request.param)


@pytest.fixture
def path(original, tmp_path):
    copy = tmp_path / "run"
    copy.write_bytes(original.read_bytes())
    return copy


def test_every_key_of_the_spec_with_any_value(path, original):
    rng = np.random.default_rng(0)
    for key in Ledger(path).meta:
        for at in rng.choice(len(ODD), 2, replace=False):
            path.write_bytes(original.read_bytes())
            set_meta(path, key, ODD[at])
            if json.loads(json.dumps(ODD[at])) == Ledger(original).meta[key]:
                continue
            try:
                found = verify(path)
            except RadiiError:  # refused before: another format, or no value of its kind
                continue
            assert not found.passed, (key, ODD[at])


@pytest.mark.parametrize("column", ["n0_votes", "n_votes", "claim", "fits", "checksum"])
def test_every_text_of_a_row(path, column):
    for text in TEXTS:
        edited(path, f'UPDATE inputs SET {column} = ? WHERE "index" = 2', text)
        assert not verify(path).passed, text


@pytest.mark.parametrize(
    "column", ["label", "prediction", "radius", "pA_lower", "pB_upper", "samples", "seconds"]
)
def test_every_number_of_a_row(path, column):
    for value in (-1, 0.5, 1e300, 2**62, "x", b"x", float("inf")):
        edited(path, f'UPDATE inputs SET {column} = ? WHERE "index" = 2', value)
        assert not verify(path).passed, value


def test_an_empty_run(tmp_path):
    path = certified(tmp_path / "run")
    edited(path, "DELETE FROM inputs")
    found = verify(path)
    assert found.passed
    assert any("not finished" in check.said for check in found.checks)


def test_forged_checksums_of_impossible_rows(path):
    edited(path, "UPDATE inputs SET n_votes = '{\"0\": 9007199254740992}'")
    resealed_rows(path)
    assert not verify(path).passed
