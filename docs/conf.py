"""How the documentation is built: `make docs`, with warnings as errors and without a network."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from pathlib import Path

from sphinx.application import Sphinx

from radii._version import __version__
from radii.certificates import CERTIFICATES
from radii.certificates.base import depends_on_dimension
from radii.noise import NOISES

project = "radii"
author = "The radii developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated"]

myst_heading_anchors = 3

default_role = "code"  # docstrings write code in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"radii {version}"
html_theme_options = {  # 95 columns of code fit beside the table of contents
    "light_css_variables": {"code-font-size": "var(--font-size--small--3)"},
}
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    """Writes the tables of what is registered, and makes examples look as readers expect."""
    generated = Path(app.srcdir) / "_generated"
    generated.mkdir(exist_ok=True)
    (generated / "certificates.md").write_text(_certificates())
    (generated / "noises.md").write_text(_noises())
    app.connect("source-read", _drop_last_empty_line)


def _certificates() -> str:
    """Every registered certificate, as a table."""
    rows = []
    for entry in CERTIFICATES.entries():
        cls = CERTIFICATES[entry.name]
        noise = typing.get_type_hints(cls)["noise"].__name__
        said = "yes" if cls.tight else "no"
        needs = " Needs `dim`." if depends_on_dimension(cls) else ""
        theorem = f"{entry.summary}{needs}<br>*{entry.reference}*"  # in one cell: pages are narrow
        rows.append([f"`{entry.name}`", noise, cls.norm, said, theorem])
    return _table(["name", "noise", "norm", "tight", "radius, and reference"], rows)


def _noises() -> str:
    """Every registered noise, as a table."""
    rows = [
        [f"`{entry.name}`", ", ".join(entry.parameters), entry.summary, entry.reference]
        for entry in NOISES.entries()
    ]
    return _table(["name", "parameters", "density", "reference"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", r"\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _drop_last_empty_line(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = re.sub(r"\n\n```\n", "\n```\n", source[0])
