from __future__ import annotations

from decimal import Decimal

import pytest

from radii.bounds import ClopperPearson
from radii.cli.main import run

LINE = ("radius", "--noise", "gaussian:sigma=0.5", "--norm", "l2")


@pytest.mark.parametrize("k", [100_000, 99_990, 99_123, 90_001])
def test_no_bound_is_shown_rounded_up(k, capsys):
    assert run([*LINE, "--votes", str(k), "--n", "100000"]) == 0
    said = capsys.readouterr().out.split()
    bound = ClopperPearson()
    lower, upper = (
        Decimal(float(side(votes, 100_000, 0.001)))
        for side, votes in ((bound.lower, k), (bound.upper, 100_000 - k))
    )
    shown = [Decimal(said[said.index(name) + 1]) for name in ("pA_lower", "pB_upper")]
    assert 0 <= lower - shown[0] < Decimal("1e-9")
    assert 0 <= shown[1] - upper < Decimal("1e-9")


@pytest.mark.parametrize("option", [("--alpha", "0.05"), ("--bound", "hoeffding")])
def test_what_belongs_to_votes_is_refused_with_probabilities(option, capsys):
    assert run([*LINE, "--pA", "0.9", *option]) == 2
    assert f"{option[0]} belongs to --votes" in capsys.readouterr().err
    assert run([*LINE, "--votes", "90", "--n", "100", *option]) == 0
