from __future__ import annotations

from pathlib import Path

import pytest

from radii.data import load
from radii.data.paths import expanded
from radii.errors import DataError


def test_the_home_folder_stands_for_its_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a"
    assert expanded(Path("a/~b")) == Path("a/~b")


NOBODY = "~no-user-has-this-name/x"


@pytest.mark.parametrize("reference", [f"npz:{NOBODY}.npz", f"folder:{NOBODY}", f"hf:{NOBODY}"])
def test_the_home_of_nobody_is_an_error_of_the_data(reference):
    if reference.startswith("hf:"):
        pytest.importorskip("datasets", reason="needs the extra hub")
    with pytest.raises(DataError, match="whose home it means is not; write the path without '~'"):
        load(reference)


def test_the_data_root_of_nobody_is_an_error_of_the_data(monkeypatch):
    with pytest.raises(DataError, match="must begin with a folder that is known"):
        load("mnist", root=NOBODY)
    monkeypatch.setenv("RADII_DATA", NOBODY)
    with pytest.raises(DataError, match="must begin with a folder that is known"):
        load("mnist")
