"""A matplotlib SVG as a part of an HTML page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from radii.evaluation.report.style import FAINT, INK, PALETTE, PAPER

_VARIABLES = {INK: "currentColor", FAINT: "var(--faint)", PAPER: "none"} | {
    colour: f"var(--run-{position})" for position, colour in enumerate(PALETTE)
}


def inline(svg: str, name: str, title: str) -> str:
    """The `svg` element alone, without addresses, in colours and fonts that the page sets.

    Ink becomes `currentColor`, faint lines `var(--faint)`, the colour of a run `var(--run-0)` and
    so on, so that the picture is legible on light and dark pages.

    Args:
        svg: A document of `as_svg`.
        name: Comes before every id, so that several pictures fit into one page.
        title: What the picture shows, for those who cannot see it.
    """
    root = ET.fromstring(svg)  # noqa: S314 - written by matplotlib a moment ago
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}style") or child.tag.endswith("}metadata"):
                parent.remove(child)  # it would be about the whole page
    for element in root.iter():
        element.tag = _local(element.tag)
        given = {_local(key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({key: _attribute(key, given[key], name) for key in given})
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    return ET.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _attribute(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", "clip-path"):
        return value.replace("#", f"#{name}-")
    if key == "d":
        # A hundredth of a point is finer than what is seen, and half the size of the file.
        return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.2f}", value)
    if key == "style":
        value = re.sub(r"font-family: [^;]*; ", "", value)
        return re.sub(r"#\w{6}", lambda found: _VARIABLES.get(found[0], found[0]), value)
    return value
