"""Texts from files in reports and pages: shown as they are, and never obeyed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from radii.evaluation import AttackLedger, Ledger
from radii.evaluation.report import Report, as_html, as_latex, as_svg, figure, read, write_site
from tests.end_to_end.browser import NAMES, Browser, binary
from tests.fuzz.oracle import command
from tests.unit.evaluation.attack_ledgers import hit, kept, write_attack
from tests.unit.evaluation.ledgers import abstained, row, write, wrong

ALARM = "window.pwned=1"
ATTACKS = (
    f"</script><script>{ALARM}</script>",
    f'\'"><img src=x onerror="{ALARM}">',
    f"javascript:{ALARM}",
    f"</svg><svg onload={ALARM}>",
    f"' onmouseover='{ALARM}' x='",
    f"{{{{ cycler.__init__.__globals__ }}}} {{% include '/etc/passwd' %}} <!-- {ALARM}",
    f"</style></title></textarea><iframe srcdoc='<script>{ALARM}</script>'></iframe>",
    "\\u003cscript\\u003e\n\\input{/etc/passwd} [a](javascript:alert(1)) ![b](http://x.invalid/y)",
    "\x00\x1b[2J\u202e&lt;b&gt;<b> $\\frac{$ $",
)
TEXTS = (
    *(
        "noise",
        "bound",
        "stop",
        "certificate",
        "base",
        "data",
        "device",
        "device_name",
        "generator",
    ),
    *("precision", "created", "git_revision", "domain", "estimator", "compile", "base_sha256"),
)


def hostile(number: int, *, harmless: bool = False) -> dict[str, Any]:
    """A spec with a hostile text wherever one can stand, or with harmless ones."""

    def text(at: int) -> str:
        if harmless:
            return f"{at}text{(number + at) % len(ATTACKS)}"
        return f"{at}{ATTACKS[(number + at) % len(ATTACKS)]}"

    names = [text(at) for at in range(3)]
    return {
        **{key: text(at) for at, key in enumerate(TEXTS)},
        "class_names": names,
        "num_classes": 3,
        "versions": {text(1): text(2), "radii": text(3)},
        "base_training": {"objective": text(4), "noise": text(5), text(6): text(7)},
        "base_seed": number,
        text(8): {"a": [text(9)]},
        "base_sha256": "same",
        "precision": "float32",
    }


class Page(HTMLParser):
    """What a browser would see: elements, attributes and texts of scripts."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        else:
            self.text += data


def made(folder: Path, number: int, *, harmless: bool = False) -> list[Path]:
    """Two certified runs and an attack run."""
    folder.mkdir()
    spec = hostile(number, harmless=harmless)
    other = {**hostile(number + 3, harmless=harmless), "stop": "never"}
    rows = [row(0, 0.3), replace(row(1, 0.6), label=1, prediction=1), wrong(2), abstained(3)]
    name = "text" if harmless else ATTACKS[number].replace("/", "").replace("\x00", "")
    attacked = [hit(0, 0.2), hit(1, 0.9, None), kept(2, 2.0)]
    return [
        write(folder / f"{name}.sqlite", rows, **spec),
        write(folder / "other.sqlite", rows, **other),
        write_attack(folder / "attack.sqlite", attacked, **spec, attack=spec["bound"]),
    ]


@pytest.fixture(scope="module", params=range(0, len(ATTACKS), 3))
def number(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def runs(number: int, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return made(tmp_path_factory.mktemp("texts") / "hostile", number)


@pytest.fixture(scope="module")
def harmless(number: int, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return made(tmp_path_factory.mktemp("texts") / "harmless", number, harmless=True)


def check(content: str, like: str) -> None:
    """Both pages have the same elements with the same attributes, and the same script."""
    page, other = Page(content), Page(like)
    shapes = [
        [(tag, sorted(attributes)) for tag, attributes in each.elements if tag != "wbr"]
        for each in (page, other)
    ]
    assert shapes[0] == shapes[1]
    assert page.scripts == other.scripts
    assert ALARM not in "".join(page.scripts)
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("href", "src"):
                start = ("#", "runs/", "../index.html", "data:image/png;base64,", "data:,")
                assert (value or "").startswith(start), (tag, value)
            if name == "style":
                assert ALARM not in (value or "")


def test_report(runs: list[Path], harmless: list[Path]) -> None:
    check(as_html(Report.of(runs)), as_html(Report.of(harmless)))
    for run, other in zip(runs, harmless, strict=True):
        check(as_html(Report.of([run])), as_html(Report.of([other])))


def test_site(runs: list[Path], harmless: list[Path], tmp_path: Path) -> None:
    indices = [
        write_site([read(run) for run in each], tmp_path / name)
        for name, each in (("hostile", runs), ("harmless", harmless))
    ]
    check(*(index.read_text("utf-8") for index in indices))
    pages = [path for path in (tmp_path / "hostile").rglob("*") if path.is_file()]
    assert len(pages) == len(runs) + 1
    for name in ("other", "attack"):
        check(*((tmp_path / each / "runs" / f"{name}.sqlite.html").read_text("utf-8")
                for each in ("hostile", "harmless")))  # fmt: skip


def test_figures_and_other_formats(runs: list[Path]) -> None:
    report = Report.of(runs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # fonts have no control characters
        drawn = as_svg(figure(report))
    page = Page(drawn)
    assert not {"script", "img", "iframe", "foreignobject", "a"} & {tag for tag, _ in page.elements}
    assert not [name for _, each in page.elements for name in each if name.startswith("on")]
    text = as_latex(report)
    assert "\\input{" not in "".join(line for line in text.splitlines() if line[:1] != "%")
    for kind in ("md", "csv", "json", "latex"):
        code, _, said = command("report", *runs, f"--format={kind}", files=runs)
        assert code == 0
        assert "\x1b" not in said  # of notes; what goes to other programs is as it is


def test_terminal(runs: list[Path]) -> None:
    """Nothing that a terminal would obey."""
    for line in (["report", *runs], ["compare", *runs[:2]], ["verify", runs[0]]):
        _, out, said = command(*line, files=runs)
        assert "\x1b" not in out + said
        assert "\x00" not in out + said


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if binary() is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_no_script_of_a_ledger_runs(browser: Browser, runs: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(as_html(Report.of(runs)), encoding="utf-8")
    index = write_site([read(run) for run in runs], tmp_path / "site")
    for each in (path, index):
        browser.complaints.clear()
        browser.requests.clear()
        browser.open(each)
        for event in ("mouseover", "pointermove", "focus"):
            browser.run(
                "document.querySelectorAll('*').forEach((e) => "
                f"e.dispatchEvent(new Event('{event}', {{bubbles: true}})))"
            )
        assert browser.run("String(window.pwned)") == "undefined"
        assert browser.run("document.querySelectorAll('script').length") == 1
        assert browser.complaints == []
        assert browser.requests == [each.as_uri()]


def test_the_runs_are_hostile(runs: list[Path]) -> None:
    """Otherwise the other tests show nothing."""
    shown = Page(as_html(Report.of(runs))).text
    assert Ledger(runs[0]).meta["noise"].split()[0] in shown.replace("\ufffd", "\x00")
    assert AttackLedger(runs[2]).meta["attack"]
