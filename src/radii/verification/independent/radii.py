"""By which share stored radii are on the safe side of what their bounds give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from radii.verification.independent import families, gaussian, laplace
from radii.verification.independent.numbers import MP, Real, number
from radii.verification.independent.specs import given, read


@dataclass(frozen=True)
class Law:
    """A noise, a dimension and a theorem about them.

    Attributes:
        noises: Names of the noises that it is about; rounding them to a grid afterwards changes
            no radius.
        defaults: Of their parameters; empty where one is needed.
        slack: Slack of a radius above 0, where A leads; see `radius_of`.
    """

    noises: tuple[str, ...]
    defaults: Mapping[str, str]
    slack: Callable[[Real, Real, Real, Mapping[str, str], int | None], Real]


def _closed(
    of: Callable[[Real, Real, Mapping[str, str], int | None], Real],
) -> Callable[[Real, Real, Real, Mapping[str, str], int | None], Real]:
    """Slack from a formula for the radius."""

    def slack(r: Real, pA: Real, pB: Real, said: Mapping[str, str], dim: int | None) -> Real:
        exact = of(pA, pB, said, dim)
        if MP.isinf(exact):
            return number(0)
        return number(-1) if MP.isinf(r) else (exact - r) / r

    return slack


_NORMAL, _CUBE = ("gaussian", "grid_gaussian"), ("uniform", "grid_uniform")
_PIECES = ("splitting", "grid_splitting")
_SIGMA = {"sigma": "", "levels": "255"}
_B = {"b": ""}
_WIDTH = {"half_width": "", "levels": "255"}
_SPLIT = {"half_width": "", "levels": "255", "deterministic": "false"}
_POWER = {"scale": "", "exponent": ""}

_LAWS: dict[str, Law] = {
    **{
        name: Law(_NORMAL, _SIGMA, _closed(gaussian.tight))
        for name in (
            *("gaussian_l2", "gaussian_l1", "gaussian_l2_lipschitz"),
            "gaussian_l2_hockey_stick",
        )
    },
    "gaussian_linf": Law(_NORMAL, _SIGMA, _closed(gaussian.linf)),
    "gaussian_l2_kl": Law(_NORMAL, _SIGMA, _closed(gaussian.kl)),
    "gaussian_l2_hellinger": Law(_NORMAL, _SIGMA, _closed(gaussian.hellinger)),
    "gaussian_l2_chi_square": Law(_NORMAL, _SIGMA, _closed(gaussian.chi_square)),
    "gaussian_l2_total_variation": Law(_NORMAL, _SIGMA, _closed(gaussian.total_variation)),
    "gaussian_l2_renyi": Law(_NORMAL, _SIGMA, gaussian.renyi),
    "gaussian_l2_pixeldp": Law(_NORMAL, _SIGMA, gaussian.pixeldp),
    "laplace_l1": Law(("laplace",), _B, _closed(laplace.tight)),
    "laplace_l1_pixeldp": Law(("laplace",), _B, _closed(laplace.pixeldp)),
    "laplace_l1_teng": Law(("laplace",), _B, _closed(laplace.teng)),
    "laplace_l1_renyi": Law(("laplace",), _B, laplace.renyi),
    "laplace_linf": Law(("laplace",), _B, _closed(laplace.linf)),
    "uniform_l1": Law(_CUBE, _WIDTH, _closed(families.uniform_l1)),
    "uniform_linf": Law(_CUBE, _WIDTH, _closed(families.uniform_linf)),
    "uniform_ball_l2": Law(("uniform_ball",), {"radius": ""}, families.uniform_ball),
    "splitting_l1": Law(_PIECES, _SPLIT, _closed(families.splitting)),
    "splitting_l1_box": Law(_PIECES, _SPLIT, families.splitting_box),
    "pareto_l1": Law(("pareto",), {"scale": "", "a": ""}, _closed(families.pareto)),
    "iid_exponential_l1": Law(("iid_exponential",), _POWER, _closed(families.exponential)),
}
_NEED_DIM = {"gaussian_linf", "laplace_linf", "uniform_linf", "uniform_ball_l2"}
CERTIFICATES = tuple(_LAWS)


def radius_of(
    certificate: str, noise: str, dim: int | None
) -> Callable[[float, float, float], Real] | None:
    """What says how safe stored radii are; None if this certificate is not worked out here.

    Args:
        certificate: Its name.
        noise: Spec of the noise.
        dim: Number of coordinates of an input, where it is known.

    Returns:
        A function of radius, pA_lower and pB_upper, taken as the numbers that they are to the last
        bit: the share of the radius by which the exact one is larger, about; below 0 if and only if
        the stored radius is above the exact one.
    """
    law = _LAWS.get(certificate)
    if law is None or (dim is None and certificate in _NEED_DIM):
        return None
    name, parameters = read(noise)
    said = given(parameters, law.defaults)
    if name not in law.noises or said is None or "" in said.values():
        return None
    if name == "grid_splitting":
        said["deterministic"] = "true"  # as far as its pieces go: they consist of whole levels

    def slack(radius: float, pA: float, pB: float) -> Real:
        if radius == 0:
            return number(0)
        if not (radius > 0 and pA > pB) or math.isnan(radius):
            return number(-1)
        return law.slack(number(radius), number(pA), number(pB), said, dim)

    return slack
