"""Certified radius against pA for every family of noise, at equal energy, one panel a norm.

    python docs/figures/equal_energy.py [--png]

Writes `equal_energy.svg` beside this file, the same bytes on every run. Families come from the
registry. Each is scaled so that `E ||z||_2^2 / dim` is that of Gaussian noise, and shows the
largest radius of its certificates. Families that agree to one percent share a line.
"""

from __future__ import annotations

import argparse
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from scipy.special import ndtr, ndtri

from radii.certificates import covering
from radii.noise import NOISES, AdditiveNoise, Noise, Splitting, Uniform
from radii.records import ClassBounds, FloatArray, Norm

HERE = Path(__file__).parent
DIM = 3072
SIGMA = 0.5  # the Gaussian whose energy all have
ALIKE = 0.01  # curves nearer than this share of the radius are drawn as one
TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)
Shape = Mapping[str, object]

# The parameters of each family other than its scale; of those not named here, their examples'.
SHAPES: dict[str, Sequence[Shape]] = {
    "iid_exponential": [{"exponent": e} for e in (0.5, 1.0, 2.0, 4.0)],
    "mixed_linf": [{"pole": k} for k in (0.0, 10.0, 100.0, 1000.0)],
    "pareto": [{"a": a} for a in (2.5, 10.0)],
    "radial": [
        {"norm": norm, "exponent": exponent, "pole": pole}
        for norm, exponent, pole in (
            *(("l1", 1.0, k) for k in (0.0, 100.0, 1000.0)),
            *(("l2", 2.0, k) for k in (0.0, 100.0, 1000.0)),
            *(("linf", 2.0, k) for k in (0.0, 100.0, 1000.0)),
            *(("l1", e, 0.0) for e in (0.5, 2.0)),
            *(("l2", e, 0.0) for e in (1.0, 8.0)),
            *(("linf", e, 0.0) for e in (1.0,)),
        )
    ],
    "radial_power": [
        {"norm": norm, "exponent": 2.0, "a": a}
        for norm in ("l1", "l2", "linf")
        for a in (1540.0, 4000.0)  # moments below the order 2 a - 3072 exist
    ],
    "splitting": [{}],
}
COLOURS = {
    "gaussian": "#000000",
    "laplace": "#0072B2",
    "uniform": "#E69F00",
    "uniform_ball": "#E69F00",
    "iid_exponential": "#009E73",
    "pareto": "#D55E00",
    "radial": "#56B4E9",
    "radial_power": "#CC79A7",
}
OTHER_COLOUR = "#7F7F7F"
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))


@dataclass(frozen=True)
class Curve:
    """What one noise certifies.

    Attributes:
        name: Of the noise.
        shape: Its parameters other than the scale.
        radius: `(points,)` the largest of its certificates.
    """

    name: str
    shape: Shape
    radius: FloatArray


def scaled(name: str, shape: Shape, dim: int = DIM) -> Noise | None:
    """The noise of this shape with the energy of the Gaussian; None if its energy is infinite.

    Splitting noise adds no vector. It gets the half width of the uniform noise of this energy.
    """
    hints = typing.get_type_hints(NOISES[name])
    scale = next(field.name for field in fields(NOISES[name]) if hints[field.name] is float)  # type: ignore[arg-type]
    unit = NOISES.build({"name": name, **shape, scale: 1.0})
    if isinstance(unit, Splitting):
        unit = Uniform(unit.half_width)
    if not isinstance(unit, AdditiveNoise) or not math.isfinite(unit.energy(dim)):
        return None
    return NOISES.build({"name": name, **shape, scale: SIGMA / math.sqrt(unit.energy(dim))})


def shapes(name: str) -> list[Shape]:
    """The shapes of a family that are drawn."""
    if name in SHAPES:
        return list(SHAPES[name])
    scale = next(iter(fields(NOISES[name]))).name  # type: ignore[arg-type]
    found: list[Shape] = []
    for example in NOISES[name].examples:
        shape = {key: value for key, value in example.items() if key != scale}
        if shape not in found:
            found.append(shape)
    return found


def curves(norm: Norm, pA: FloatArray, dim: int = DIM) -> list[Curve]:
    """A curve for each noise that has a certificate in this norm, plain families first.

    Noise that is another one drawn exactly has the curve of that one, and none of its own.
    """
    found = []
    exact = {NOISES[name].exact_name for name in NOISES.names()}
    names = [name for name in NOISES.names() if name not in exact]
    for name in sorted(names, key=lambda name: len(fields(NOISES[name]))):  # type: ignore[arg-type]
        for shape in shapes(name):
            noise = scaled(name, shape, dim)
            certificates = covering(noise, norm, dim) if noise is not None else {}
            if certificates:
                bounds = ClassBounds.one_sided(pA)
                radii = [each.radius(bounds) for each in certificates.values()]
                found.append(Curve(name, shape, np.max(radii, axis=0)))
    return found


def groups(found: Sequence[Curve]) -> list[list[Curve]]:
    """Curves that agree, the first of each group leading it, the largest at the end on top."""
    made: list[list[Curve]] = []
    for curve in found:
        for group in made:
            if np.all(np.abs(curve.radius / group[0].radius - 1) < ALIKE):
                group.append(curve)
                break
        else:
            made.append([curve])
    return sorted(made, key=lambda group: -float(group[0].radius[-1]))


def label(group: Sequence[Curve]) -> str:
    """The leader in the first line, those that share its curve below it."""
    parts: dict[str, dict[str, list[float]]] = {}
    for curve in group:
        title = f"{curve.name} {curve.shape.get('norm', '')}".strip()
        values = parts.setdefault(title, {})
        for key, value in curve.shape.items():
            if isinstance(value, float) and value not in values.setdefault(key, []):
                values[key].append(value)
    lines = []
    for title, values in parts.items():
        said = [
            f"{key} {', '.join(f'{value:g}' for value in sorted(numbers))}"
            for key, numbers in values.items()
            if numbers != [0.0]
        ]
        lines.append(f"{title}: {'; '.join(said)}" if said else title)
    return "\n   ≈ ".join(lines)


def panel(axes: Axes, norm: Norm, pA: FloatArray, drawn: dict[str, list[Shape]]) -> None:
    """All families of one norm; a shape drawn in another panel keeps its dashes."""
    for group in groups(curves(norm, pA)):
        name, shape = group[0].name, group[0].shape
        before = drawn.setdefault(name, [])
        if shape not in before:
            before.append(shape)
        dash = DASHES[before.index(shape) % len(DASHES)]
        colour = COLOURS.get(name, OTHER_COLOUR)
        axes.plot(ndtri(pA), group[0].radius, color=colour, linestyle=dash, label=label(group))
    axes.set_title(f"certified {norm} radius" + (", log axis" if norm == "linf" else ""))
    axes.set_xticks(ndtri(TICKS), [f"{tick:g}" for tick in TICKS])
    axes.set_xlim(0, ndtri(TICKS[-1]))
    if norm == "linf":
        axes.set_yscale("log")
        axes.set_ylim(1e-5, 0.05)
    else:
        axes.set_ylim(0)
    axes.legend(loc="center left", bbox_to_anchor=(1.05, 0.5), labelspacing=0.7)


def main() -> None:
    """Draws the three panels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--png", action="store_true", help="write a PNG beside the SVG")
    png = parser.parse_args().png
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.style.use(HERE / "style.mplstyle")
    pA = ndtr(np.linspace(ndtri(0.502), ndtri(TICKS[-1]), 121))
    figure, rows = plt.subplots(3, 1, figsize=(7.6, 10.4), height_ratios=(1.3, 0.8, 1.15))
    drawn: dict[str, list[Shape]] = {}
    norms: tuple[Norm, ...] = ("l1", "l2", "linf")
    for axes, norm in zip(rows, norms, strict=True):
        panel(axes, norm, pA, drawn)
    rows[-1].set_xlabel("pA, at its normal quantile")
    figure.subplots_adjust(left=0.07, right=0.5, top=0.965, bottom=0.045, hspace=0.24)
    figure.savefig(HERE / "equal_energy.svg", metadata={"Date": None, "Creator": None})
    if png:
        figure.savefig(HERE / "equal_energy.png", dpi=110)


if __name__ == "__main__":
    main()
