import pytest
import torch

from radii import models
from radii.cli.options import Precision, note_slow_precision


def said(capsys, monkeypatch, precision, slowdown):
    monkeypatch.setattr(models, "bfloat16_slowdown", lambda device: slowdown)
    note_slow_precision(precision, torch.device("cpu"))
    return capsys.readouterr().err


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, "bfloat16"])
def test_says_that_bfloat16_is_slow_where_the_processor_lacks_it(capsys, monkeypatch, precision):
    assert "--precision float32 is the faster choice here" in said(
        capsys, monkeypatch, precision, 20.0
    )


@pytest.mark.parametrize(("precision", "slowdown"), [("bfloat16", 0.6), ("float32", 20.0)])
def test_says_nothing_where_there_is_nothing_to_say(capsys, monkeypatch, precision, slowdown):
    assert said(capsys, monkeypatch, precision, slowdown) == ""
