from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])


def named_tests() -> list[tuple[str, str]]:
    """Tests that a page names as `path::function`, or `::function` after one of the same file."""
    named = []
    for page in PAGES:
        path = ""
        for file, function in re.findall(r"`([\w/]+\.py)?::(test_\w+)`", page.read_text()):
            path = file or path
            named.append((path, function))
    return named


def test_pages_name_tests():
    assert len(named_tests()) > 10


@pytest.mark.parametrize(("path", "function"), named_tests())
def test_every_test_that_a_page_names_exists(path, function):
    assert f"def {function}(" in (ROOT / "tests" / path).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_local_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_page_on_extending_names_the_entry_points_of_every_registry():
    sources = [path.read_text() for path in (ROOT / "src" / "radii").rglob("*.py")]
    kinds = [kind for text in sources for kind in re.findall(r"\] = Registry\(\s*\"(\w+)\"", text)]
    assert len(kinds) > 10
    (groups,) = re.findall(
        r"^The groups are (.*?)\. An", (ROOT / "docs" / "extending.md").read_text(), re.M | re.S
    )
    assert sorted(re.findall(r"`radii\.(\w+)`", groups)) == sorted(kinds)
