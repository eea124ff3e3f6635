from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from radii.evaluation.report import Report, as_html, read, write_site
from tests.end_to_end.browser import NAMES, Browser, binary
from tests.unit.evaluation.attack_ledgers import BASE, hit, kept, write_attack
from tests.unit.evaluation.ledgers import abstained, row, write, wrong

pytestmark = pytest.mark.skipif(binary() is None, reason=f"none of {', '.join(NAMES)} is installed")

ROWS = [row(0, 0.3), row(1, 0.6), row(2, 0.9), wrong(3, 0.5), abstained(4)]
MIDDLE = """(() => { const box = document.querySelector("%s").getBoundingClientRect();
                     return [box.left + box.width / 2, box.top + box.height / 2]; })()"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [
        write(folder / "low.sqlite", ROWS, base_sha256=BASE),
        write(folder / "high.sqlite", [*ROWS[:3], row(3, 1.2)], noise="gaussian:sigma=1.0"),
        write_attack(folder / "attack.sqlite", [hit(0, 0.4), hit(1, 0.9, None), kept(2, 2.0)]),
    ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, runs: list[Path], tmp_path: Path) -> Iterator[Browser]:
    """The report, open; at the end nothing was said in the console, and nothing was asked for."""
    path = tmp_path / "report.html"
    path.write_text(as_html(Report.of(runs)), encoding="utf-8")
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(path)
    yield browser
    assert browser.complaints == []
    assert browser.requests == [path.as_uri()]


def column(page: Browser, cell: int) -> list[str]:
    return page.run(
        f"[...document.querySelector('table.sortable').tBodies[0].rows]"
        f".map((row) => row.cells[{cell}].textContent.trim())"
    )


def shown(page: Browser) -> str:
    return page.run("(() => { const tip = document.querySelector('.tip');"
                    " return tip.hidden ? '' : tip.innerText; })()")  # fmt: skip


def test_the_table_sorts_after_a_click_and_after_a_key(page):
    head = "table.sortable thead th:nth-child(2)"
    assert column(page, 0) == ["gaussian:sigma=0.5", "gaussian:sigma=1.0"]
    page.click(*page.run(MIDDLE % f"{head} button"))
    assert page.run(f"document.querySelector('{head}').ariaSort") == "descending"
    assert column(page, 0) == ["gaussian:sigma=1.0", "gaussian:sigma=0.5"]
    page.press("Enter")  # the button has the focus
    assert page.run(f"document.querySelector('{head}').ariaSort") == "ascending"
    assert column(page, 0) == ["gaussian:sigma=0.5", "gaussian:sigma=1.0"]
    assert page.run("document.querySelectorAll('[aria-sort]').length") == 1


def test_the_tooltip_appears_where_one_points(page):
    assert shown(page) == ""
    page.run("document.querySelector('.probe').scrollIntoView({block: 'center'})")
    left, y = page.run(MIDDLE % ".probe")
    width = page.run("document.querySelector('.probe').getBoundingClientRect().width")
    end = page.run("JSON.parse(document.querySelector('[data-readings]').dataset.readings).end")
    page.move(left - width / 2 + width * 0.5 / end, y)  # at radius 0.5
    assert shown(page).startswith("radius 0.5")
    assert "40.0 % [5.2, 85.4]" in shown(page)  # 2 of 5, by R's binom.test
    assert "75.0 %" in shown(page)
    page.move(1, 1)
    assert shown(page) == ""


def test_the_tooltip_appears_by_keyboard(page):
    page.run("document.querySelector('.scroll').focus()")
    for _ in range(30):
        page.press("Tab")
        if page.run("document.activeElement.className") == "probe":
            break
    assert shown(page).startswith("radius 0.00\n")
    before = page.run("document.activeElement.getAttribute('aria-valuenow')")
    page.press("ArrowRight")
    now = page.run("document.activeElement.getAttribute('aria-valuenow')")
    assert float(now) > float(before)
    assert f"radius {now}" in shown(page)
    assert f"radius {now}; certified" in page.run(
        "document.activeElement.getAttribute('aria-valuetext')"
    )
    page.press("End")
    assert page.run("document.activeElement.ariaValueNow === document.activeElement.ariaValueMax")
    page.press("Escape")
    assert shown(page) == ""


@pytest.mark.parametrize("width", [400, 1600])
def test_nothing_sticks_out_of_the_page(page, tmp_path, width):
    page.open(tmp_path / "report.html", width=width)
    assert page.run("document.documentElement.scrollWidth") <= width
    page.requests.pop()  # it was opened twice


def test_the_index_filters_and_leads_to_the_pages(browser, runs, tmp_path):
    index = write_site([read(run) for run in runs], tmp_path)
    browser.complaints.clear()
    browser.open(index)
    visible = (
        "[...document.querySelectorAll('tr[data-search]')].filter((row) => !row.hidden).length"
    )
    set_to = """(() => {{ const field = document.querySelector("[data-filter={}]");
                          field.value = "{}"; field.dispatchEvent(new Event("input")); }})()"""
    assert browser.run(visible) == 3
    browser.run(set_to.format("sigma", "1.0"))
    assert browser.run(visible) == 1
    assert browser.run("document.querySelector('[data-count]').textContent") == "1 of 3 runs"
    browser.run(set_to.format("sigma", ""))
    browser.run(set_to.format("search", "LOW sqlite"))
    assert browser.run(visible) == 1
    for link in browser.run("[...document.querySelectorAll('td a, th a')].map((a) => a.href)"):
        browser.open(Path(link.removeprefix("file://")))
        assert browser.run("document.querySelector('h1').textContent").endswith(
            ("robustness", "under attack")
        )
    assert browser.complaints == []
