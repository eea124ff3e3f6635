from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from radii.evaluation.report import Picture, Report, as_html
from radii.evaluation.report.pictures import Bar
from tests.unit.evaluation.ledgers import abstained, row, write, wrong

ROWS = [row(0, 1.2399), wrong(1, 9.0), abstained(2)]
PIXEL = "data:image/png;base64,AAAA"
VOID = {"meta", "img", "wbr", "input"}


class Page(HTMLParser):
    """Collects what a page consists of, and fails if its elements are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def picture(**changes) -> Picture:
    fields = {
        "role": "largest radius",
        "index": 0,
        "label": "seven",
        "prediction": "seven",
        "correct": True,
        "radius": "1.239",
        "clean": PIXEL,
        "noisy": (PIXEL,) * 3,
        "votes": (Bar("seven", 990, 0.99), Bar("one", 10, 0.01)),
    }
    return Picture(**{**fields, **changes})


@pytest.fixture
def report(tmp_path) -> Report:
    return Report.of(
        [write(tmp_path / "a", ROWS), write(tmp_path / "b", ROWS, noise="gaussian:sigma=1.0")],
        [0, 0.5],
    )


def test_the_page_needs_nothing_else(report):
    run = report.summaries[0].run
    html = as_html(report, {run: [picture()]})
    assert not re.search(r"https?:|//\w", html)
    page = Page(html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object", "embed"}
    assert [attributes for tag, attributes in page.elements if tag == "script"] == [{}]
    for _, attributes in page.elements:
        for key, value in attributes.items():
            assert not key.startswith("on")
            if key in ("src", "href"):
                assert value.startswith(("data:image/png;base64,", "#"))
    assert "@import" not in html


def test_what_is_referred_to_is_there_and_ids_are_unique(report):
    page = Page(as_html(report))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in page.elements:
        for key in ("href", "clip-path"):
            for target in re.findall(r"#([\w-]+)", attributes.get(key) or ""):
                assert target in ids


def test_the_claim_has_its_quantifiers(report):
    text = Page(as_html(report)).text
    assert text.count("For each input on its own") == 1
    assert "with probability at least 1 \N{MINUS SIGN} alpha = 0.999" in text
    assert "\N{SCRIPT SMALL L}\N{SUBSCRIPT TWO} distance" in text


def test_runs_of_which_different_things_are_claimed_have_a_claim_each(tmp_path):
    paths = [write(tmp_path / "a", ROWS), write(tmp_path / "b", ROWS, alpha=0.05, norm="linf")]
    text = Page(as_html(Report.of(paths))).text
    assert text.count("For each input on its own") == 2
    assert "alpha = 0.95" in text
    assert "\N{SCRIPT SMALL L}\N{INFINITY} distance" in text


def test_numbers_are_floored_and_intervals_go_outwards(report):
    text = Page(as_html(report)).text
    assert "Average certified radius 0.413 \N{PLUS-MINUS SIGN} 0.414" in text
    assert "Standard accuracy 33.3 %" in text
    assert "Abstained 33.4 %" in text
    assert "0.5 33.3 % [0.8, 90.6]" in text


def test_every_caveat_is_on_the_page(tmp_path):
    path = write(tmp_path / "a", ROWS, data_examples=500, subset="first:137")
    report = Report.of([path])
    assert len(report.caveats) == 3
    text = Page(as_html(report)).text
    for caveat in report.caveats:
        assert caveat in text


def test_the_whole_spec_is_on_the_page(report):
    text = Page(as_html(report)).text
    for key in report.summaries[0].meta:
        assert f" {key} " in text


def test_figures_take_the_colours_of_the_page(report):
    html = as_html(report)
    drawings = re.findall(r"<svg viewBox=\"0 0 1000.*?</svg>", html, flags=re.DOTALL)
    assert len(drawings) == 3  # curves, and the radii of each run
    for drawing, colours in zip(drawings, ["01", "0", "1"], strict=True):
        assert set(re.findall(r"var\(--run-(\d)\)", drawing)) == set(colours)
        assert not re.search(r"#[0-9a-f]{6}", drawing)
        assert 'role="img" aria-label="' in drawing
    assert "sigma=0.5, n=1,000, alpha=0.001: 33.3 % at 0.0, 33.3 % at 0.5;" in drawings[0]
    assert "1 right inputs, from 0 to 1.29; 1 wrong, 1 abstained" in drawings[1]
    assert "prefers-color-scheme: dark" in html


def test_each_run_has_its_sentence(report):
    text = Page(as_html(report)).text
    assert text.count("Of 3 inputs, 33.3 % got a certificate for their right class and 33.4 %") == 2


def test_the_table_of_runs_can_be_sorted(report):
    page = Page(as_html(report))
    (table, *_) = [a for tag, a in page.elements if tag == "table"]
    assert table == {"class": "sortable"}
    assert sum("data-sort" in a for tag, a in page.elements if tag == "td") >= 2 * 6


def test_the_page_tells_spread_classes_costs_and_commands(tmp_path):
    path = write(
        *(tmp_path / "my run", ROWS),
        **{"base": "net.py:f", "data": "mnist5k@test", "versions": {"torch": "2.13.0"}},
        class_names=["zero", "one"],
    )
    text = Page(as_html(Report.of([path], [0, 1]))).text
    assert "Share of inputs 10 % 25 % 50 % (median) 75 % 90 %" in text
    assert "have a radius of at most 0.000 0.000 0.000 1.239 1.239" in text
    assert "and a bound of pA of at most 0.0000 0.0000 0.0000 0.9799 0.9799" in text
    assert "0.95 1 1 0" in text  # pA >= 0.95: one right, one wrong
    assert "ACR, 95 % interval [0.000, 1.240]" in text
    assert "zero 3 0.413" in text
    assert "3,300 1,100 0.8 s 0.2 s" in text  # draws and time, and those of an input
    assert "radii certify --base net.py:f --data mnist5k@test --noise gaussian:sigma=0.5" in text
    assert "--seed 7 --block 100 --device cpu --out 'my run'" in text
    assert "torch 2.13.0; seed 7." in text


def test_pictures_say_what_became_of_the_input(report):
    run = report.summaries[1].run
    shown = [
        picture(),
        picture(role="wrong, largest radius", prediction="one", correct=False, radius="0.512"),
        picture(role="first abstention", prediction=None, correct=False, radius="0.000"),
    ]
    page = Page(as_html(report, {run: shown}))
    assert sum(tag == "img" for tag, _ in page.elements) == 12
    assert "True class seven. Certified seven within 1.239" in page.text
    assert "Certified one within 0.512; counts as 0" in page.text
    assert "Abstained : radius 0" in page.text
    assert "clipped to [0, 1] for display only" in page.text
    assert "The noise is that of the first draws of this run" in page.text


def test_a_run_on_another_device_shows_other_draws(tmp_path):
    path = write(tmp_path / "a", ROWS, device="cuda")
    text = Page(as_html(Report.of([path]), {str(path): [picture()]})).text
    assert "drew its noise on cuda; these are other draws" in text


def test_without_pictures_there_is_no_strip(report):
    assert "Inputs to look at" not in as_html(report)


def test_texts_of_others_are_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    path = write(tmp_path / "a", ROWS, noise=evil, base=f'{evil}"', data=evil)
    html = as_html(Report.of([path]), {str(path): [picture(label=evil, role=evil)]})
    assert html.count("<script") == 1
    assert evil in Page(html).text


def test_the_same_report_gives_the_same_page(report):
    assert as_html(report) == as_html(report)
