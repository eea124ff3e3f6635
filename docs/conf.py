"""How the documentation is built: `make docs`, with warnings as errors and without a network."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

from radii._version import __version__

project = "radii"
author = "The radii developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

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
    """Drops the empty line that ends every example: doctest needs it, readers do not."""
    app.connect("source-read", _drop_last_empty_line)


def _drop_last_empty_line(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = re.sub(r"\n\n```\n", "\n```\n", source[0])
