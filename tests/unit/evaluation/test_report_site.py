from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from radii.cli.main import run
from radii.errors import LedgerError
from radii.evaluation import Ledger, write_export
from radii.evaluation.report import find_runs, read_runs, write_site
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import TRAINED, abstained, row, write, wrong
from tests.unit.evaluation.test_report_html import Page

ROWS = [row(0, 1.3), wrong(1, 9.0), abstained(2), row(3, 0.7)]


@pytest.fixture
def results(tmp_path) -> Path:
    """Two runs, one of them trained here, an export, an attack run, and files that are none."""
    folder = tmp_path / "results"
    (folder / "deep" / "er").mkdir(parents=True)
    write(folder / "one.sqlite", ROWS, base_sha256=BASE)
    path = write(folder / "deep" / "one.sqlite", ROWS, noise="gaussian:sigma=1.0", **TRAINED)
    write_export(Ledger(path), folder / "deep" / "er" / "run.csv")
    write_attack(folder / "attack.sqlite", [hit(0, 0.4), kept(1, 2.0)])
    (folder / "broken.sqlite").write_bytes(b"SQLite format 3\0" + b"?" * 100)
    (folder / "table.csv").write_text("a,b\n")
    (folder / "notes.txt").write_text("not a run")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    write(folder / "empty.sqlite", [])
    return folder


def site_of(results: Path, out: Path) -> Path:
    runs, _ = read_runs(find_runs([results]))
    return write_site(runs, out / "site")


def test_runs_are_found_in_folders_of_folders(results):
    found = [path.relative_to(results).as_posix() for path in find_runs([results])]
    assert sorted(found) == [
        *("attack.sqlite", "broken.sqlite", "deep/er/run.csv", "deep/one.sqlite"),
        *("empty.sqlite", "one.sqlite", "table.csv"),
    ]
    assert find_runs([results / "notes.txt"]) == [results / "notes.txt"]  # named, so taken


def test_what_cannot_be_read_is_named_and_not_fatal(results, tmp_path):
    runs, unreadable = read_runs(find_runs([results]))
    assert len(runs) == 4
    assert {each.path.name for each in unreadable} == {"broken.sqlite", "empty.sqlite", "table.csv"}
    text = Page(write_site(runs, tmp_path / "site", unreadable=unreadable).read_text()).text
    assert "Not read" in text
    for each in unreadable:
        assert each.why in text


def test_each_run_has_a_line_and_a_page(results, tmp_path):
    index = site_of(results, tmp_path)
    html = index.read_text()
    page = Page(html)
    assert "3 certified and 1 attack runs" in page.text
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert sorted(links) == [
        *("runs/attack.sqlite.html", "runs/deep-er-run.csv.html"),
        *("runs/deep-one.sqlite.html", "runs/one.sqlite.html"),
    ]
    for link in links:
        made = Page((index.parent / link).read_text())
        assert "../index.html" in [a["href"] for tag, a in made.elements if tag == "a"]
    assert not re.search(r"https?:|//\w", html)
    assert "deep/ one .sqlite gaussian:sigma=1.0 gaussian" in page.text  # noise, objective
    assert "0.500 \N{PLUS-MINUS SIGN} 0.314" in page.text  # 2 / 4, root of 1.18 / 12
    assert "Not read" not in page.text


def test_lines_can_be_filtered(results, tmp_path):
    page = Page(site_of(results, tmp_path).read_text())
    lines = [a for tag, a in page.elements if tag == "tr" and "data-search" in a]
    assert sorted(line["data-sigma"] for line in lines) == ["0.5", "0.5", "1.0", "1.0"]
    assert [line["data-objective"] for line in lines].count("gaussian") == 2
    assert all("gaussian" in line["data-search"] for line in lines)
    filters = [a["data-filter"] for tag, a in page.elements if "data-filter" in a]
    assert filters == ["search", "sigma"]  # there is one noise, one objective and one n


def test_the_page_of_a_run_has_the_attacks_on_its_classifier(results, tmp_path):
    folder = site_of(results, tmp_path).parent / "runs"
    assert "Audit: attacks inside certified radii" in (folder / "one.sqlite.html").read_text()
    assert "Audit: attacks inside" in (folder / "attack.sqlite.html").read_text()
    assert "Audit" not in (folder / "deep-one.sqlite.html").read_text()


def test_names_that_would_be_one_page_are_told_apart(tmp_path):
    paths = [write(tmp_path / name, ROWS) for name in ("a b.sqlite", "a-b.sqlite", "A_B.sqlite")]
    runs, _ = read_runs(paths)
    write_site(runs, tmp_path / "site")
    names = sorted(path.name for path in (tmp_path / "site" / "runs").iterdir())
    assert names == ["A-B.sqlite-3.html", "a-b.sqlite-2.html", "a-b.sqlite.html"]


def test_a_page_that_breaks_off_leaves_the_old_one(results, tmp_path, monkeypatch):
    pages = site_of(results, tmp_path).parent
    before = {each: each.read_bytes() for each in pages.rglob("*.html")}

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_site(read_runs([results / "one.sqlite"])[0], pages)
    assert {each: each.read_bytes() for each in pages.rglob("*") if each.is_file()} == before


def test_the_index_says_that_a_group_is_of_one_base_classifier(tmp_path):
    trained = {**TRAINED, "base_sha256": BASE}
    runs = [write(tmp_path / f"seed-{seed}", ROWS, **trained, seed=seed) for seed in (1, 2)]
    index = write_site(read_runs(runs)[0], tmp_path / "site")
    assert "are of one base classifier: their deviation" in Page(index.read_text()).text


@pytest.mark.parametrize("name", ["one.sqlite", "file"])
def test_a_file_is_no_folder_of_pages(results, capsys, name):
    (results / "file").write_text("")
    (results / "one.sqlite").rename(results / "one")
    out = results / name.removesuffix(".sqlite")
    before = out.read_bytes()
    assert run(["report", str(results / "deep"), "--out", str(out)]) == 2
    assert "name a folder, or pass --format" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_a_folder_is_no_file_of_a_report(results, capsys):
    assert run(["report", str(results), "--out", str(results), "--format", "html"]) == 2
    assert "is a folder, and --format is of a file" in capsys.readouterr().err


def test_names_that_are_no_utf_8(tmp_path, capsys):
    path = tmp_path / os.fsdecode(b"run\xff.sqlite")
    try:
        write(path, ROWS)
    except (OSError, LedgerError):
        pytest.skip("this file system takes no such name")
    for out in ("a.html", "a.md", "a.tex", "a.csv", "a.json", "a.svg", "site"):
        assert run(["report", str(path), "--out", str(tmp_path / out)]) == 0
    assert r"run\udcff.sqlite" in (tmp_path / "site" / "index.html").read_text("utf-8")
    capsys.readouterr()
    assert run(["report", str(path), "--format", "csv"]) == 0
    assert r"run\udcff.sqlite" in capsys.readouterr().out


def test_no_run_is_no_site(tmp_path):
    with pytest.raises(LedgerError, match="at least one run"):
        write_site([], tmp_path / "site")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("made_before", [False, True])
def test_the_command_writes_pages(results, tmp_path, capsys, made_before):
    out = tmp_path / "site"
    if made_before:
        out.mkdir()
    assert run(["report", str(results), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"4 runs in {out / 'index.html'}\n"
    assert said.err.count("note: not read: ") == 3
    assert len(list((out / "runs").iterdir())) == 4


def test_a_folder_of_runs_may_become_their_site(results, capsys):
    for _ in range(2):
        assert run(["report", str(results), "--out", str(results)]) == 0
        assert capsys.readouterr().out == f"4 runs in {results / 'index.html'}\n"


def test_a_folder_stands_for_its_runs_in_one_report(results, tmp_path, capsys):
    out = tmp_path / "all.md"
    assert run(["report", str(results), "--out", str(out)]) == 1  # one of them holds no input
    (results / "empty.sqlite").unlink()
    assert run(["report", str(results), "--out", str(out)]) == 0
    assert "not read: " in capsys.readouterr().err
    assert "deep/one.sqlite" in out.read_text().replace("\\", "")
    (tmp_path / "nothing").mkdir()
    assert run(["report", str(tmp_path / "nothing")]) == 2
    assert "holds no run that can be read" in capsys.readouterr().err


def test_pages_show_runs_as_they_are(results, tmp_path, capsys):
    line = ["report", str(results), "--out", str(tmp_path / "site"), "--alpha", "0.01"]
    assert run(line) == 2
    assert "is a folder, whose pages show each run as it is" in capsys.readouterr().err
