from __future__ import annotations

import os

import numpy as np
import pytest

from radii.data import load
from radii.errors import DataError, UnknownNameError
from tests.unit.data.published_files import pixels, write_idx


@pytest.mark.parametrize(
    ("written", "normal"),
    [("mnist5k", "mnist5k@test"), ("mnist5k@test", "mnist5k@test"), ("mnist5k@train",) * 2],
)
def test_the_data_set_knows_its_reference_with_its_split(written, normal):
    assert load(written).reference == normal


def test_the_root_comes_from_the_argument_or_the_environment(tmp_path, monkeypatch):
    write_idx(tmp_path / "a" / "mnist", pixels(2, 28, 28), [0, 1])
    write_idx(tmp_path / "b" / "mnist", pixels(2, 28, 28), [2, 3])
    monkeypatch.setenv("RADII_DATA", str(tmp_path / "a"))
    assert load("mnist").labels.tolist() == [0, 1]
    assert load("mnist", root=tmp_path / "b").labels.tolist() == [2, 3]
    assert load("mnist", root=str(tmp_path / "b")).labels.tolist() == [2, 3]
    monkeypatch.setenv("RADII_DATA", "")
    with pytest.raises(DataError, match="no folder to look in was given; pass --data-root DIR"):
        load("mnist")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mnits", "no dataset is called 'mnits'; known: .*npz.* Did you mean 'mnist'"),
        ("mnist5k@tets", "no split 'tets'; known: test, train. Did you mean 'test'"),
        ("mnist5k@validation", "no split 'validation'; known: test, train.$"),
        ("npz", "dataset 'npz' needs a path; write npz:PATH"),
        ("folder:", "dataset 'folder' needs a path; write folder:PATH"),
        ("npz:@test", "dataset 'npz' needs a path"),
        ("mnist:/data", "dataset 'mnist' takes no path, got '/data'; .* --data-root"),
        ("folder:me@home", "no split 'home'; .* If it belongs to the path, add @test"),
        ("", "must be written NAME"),
        ("@test", "must be written NAME"),
        ("mnist@", "must be written NAME"),
        (":x", "must be written NAME"),
    ],
)
def test_errors_say_what_to_write(reference, message):
    with pytest.raises(UnknownNameError, match=message):
        load(reference)


@pytest.mark.parametrize("name", ["a@b.npz", "a@home", "a:b.npz", "a b.npz"])
def test_paths_may_hold_the_signs_of_the_grammar(tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        np.savez(file, x=pixels(2, 2), y=[0, 1])
    assert len(load(f"npz:{tmp_path / name}@test")) == 2


def test_paths_may_start_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.savez(tmp_path / "d.npz", x=pixels(2, 2), y=[0, 1])
    assert load(f"npz:~{os.sep}d.npz").reference == f"npz:~{os.sep}d.npz@test"


@pytest.mark.parametrize("name", ["a.npz", "a@b/c.npz", "a@home"])
def test_a_split_that_is_meant_is_taken_where_none_is_named(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        x, y = pixels(5, 2), [0, 1, 0, 1, 0]
        np.savez(file, x_train=x[:3], y_train=y[:3], x_test=x[3:], y_test=y[3:])
    named = "" if name != "a@home" else "@train"  # a last @ is always of the grammar
    assert len(load(f"npz:{path}{named}", split="train")) == 3
    assert len(load(f"npz:{path}@test", split="train")) == 2
    assert load(f"npz:{path}{named}", split="train").reference == f"npz:{path}@train"


def test_what_is_meant_is_said_where_a_path_was_taken_for_a_split():
    with pytest.raises(UnknownNameError, match="If it belongs to the path, add @train"):
        load("folder:me@home", split="train")
    with pytest.raises(UnknownNameError, match="no split 'all'"):
        load("mnist5k", split="all")
