"""The README's example of a network and pictures of one's own, and nothing else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radii.evaluation import Ledger

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def folder(tmp_path):
    """Dark and bright pictures, and the README's `net.py`."""
    if not README.exists():
        pytest.skip("the README is not there: these tests run in a copy of the repository")
    (code,) = re.findall(r"`net\.py`.*?```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "net.py").write_text(code)
    generator = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 3)):
        for name, mean in (("dark", 60), ("light", 190)):
            home = tmp_path / "photos" / split / name
            home.mkdir(parents=True)
            for i in range(count):
                pixels = generator.normal(mean, 20, (32, 32, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(home / f"{i}.png")
    return tmp_path


def test_own_pictures_and_own_network(radii, folder):
    lines = re.findall(r"^    radii (.*photos.*)$", README.read_text(), re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["train", "certify"]
    more = {"train": ("--batch-size", 8), "certify": ("--n", 500)}
    for line in lines:
        done = radii(*shlex.split(line), *more[line.split()[0]], cwd=folder)
        assert done.returncode == 0, done.stderr
    rows = list(Ledger(folder / "photos.sqlite").rows())
    assert [row.label for row in rows] == [0, 0, 0, 1, 1, 1]
    assert all(row.prediction == row.label and row.radius > 0.25 for row in rows)
    alone = radii("certify", "--base", "mine", *shlex.split(lines[1])[3:], cwd=folder)
    assert alone.returncode == 1
    assert "write FILE.py:name@mine" in alone.stderr
