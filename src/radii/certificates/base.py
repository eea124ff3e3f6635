"""What a certificate is, and how the one that covers a noise and a norm is found."""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from radii.errors import NotCoveredError
from radii.noise.base import Noise
from radii.records import ClassBounds, FloatArray, Norm
from radii.registry import Registry


@dataclass(frozen=True)
class Certificate(ABC):
    """A theorem that turns bounds on class probabilities into a radius, for one noise and norm.

    The annotation of the field `noise` is the statement of what the certificate covers.

    Attributes:
        noise: The smoothing distribution, scale included.
        norm: The norm of the ball.
        tight: Whether some classifier with these bounds changes its answer at every larger radius.
    """

    noise: Noise
    norm: ClassVar[Norm]
    tight: ClassVar[bool]

    @abstractmethod
    def radius(self, bounds: ClassBounds) -> FloatArray:
        """The certified radius.

        Args:
            bounds: `(*batch,)` `pA_lower` and `pB_upper`.

        Returns:
            `(*batch,)` float64, at least 0; 0 where `pA_lower <= pB_upper`. No point of the open
            ball of this radius is answered otherwise than by the top class.
        """


CERTIFICATES: Registry[Certificate] = Registry("certificate", "radii.certificates")


def covering(noise: Noise, norm: Norm) -> dict[str, Certificate]:
    """Every certificate for this noise and norm, by name."""
    found = {}
    for name in CERTIFICATES.names():
        cls = CERTIFICATES[name]
        if cls.norm == norm and isinstance(noise, typing.get_type_hints(cls)["noise"]):
            found[name] = cls(noise)
    return found


def find(noise: Noise, norm: Norm, name: str | None = None) -> Certificate:
    """The certificate for this noise and norm.

    Args:
        noise: The smoothing distribution.
        norm: `"l0"`, `"l1"`, `"l2"` or `"linf"`.
        name: Which one, where several cover the pair.

    Raises:
        NotCoveredError: If none covers the pair, or several do and `name` is None, or the one
            named is not among them.

    Example:
        >>> from radii.noise import Gaussian
        >>> certificate = find(noise=Gaussian(0.5), norm="l2")
        >>> float(certificate.radius(ClassBounds.one_sided(0.99)).round(4))
        1.1632
    """
    found = covering(noise, norm)
    kind = type(noise).__name__
    if not found:
        norms: tuple[Norm, ...] = typing.get_args(Norm)
        covered = [other for other in norms if covering(noise, other)]
        raise NotCoveredError(
            f"no certificate covers {kind} noise in {norm}; "
            f"certified norms for it: {', '.join(covered) or 'none'}."
        )
    if name is None and len(found) > 1:
        raise NotCoveredError(
            f"several certificates cover {kind} noise in {norm}: {', '.join(found)}; name one."
        )
    if name is not None and name not in found:
        raise NotCoveredError(
            f"certificate {name!r} does not cover {kind} noise in {norm}; "
            f"these do: {', '.join(found)}."
        )
    return found[name or next(iter(found))]
