"""What the tests of data sets share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def full_mnist() -> Path:
    """A data root with the complete MNIST, or the test is skipped."""
    given = os.environ.get("RADII_DATA")
    beside = Path(__file__).parents[4] / "shared" / "data"
    for root in ([Path(given)] if given else []) + [beside]:
        for folder in (root / "mnist", root / "MNIST" / "raw"):
            if any(folder.glob("train-images*")):
                return root
    pytest.skip("needs the complete MNIST: set RADII_DATA to a folder that holds mnist/")
