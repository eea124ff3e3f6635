"""What a certificate is, and how the one that covers a noise and a norm is found."""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from radii.certificates._dimension import check_dim
from radii.errors import NotCoveredError
from radii.noise.base import NOISES, Noise
from radii.records import ClassBounds, FloatArray, Norm
from radii.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor


class DimensionNeededError(ValueError):
    """A certificate depends on the dimension of the input, and nobody said what it is."""


@dataclass(frozen=True)
class Certificate(ABC):
    """A theorem that turns bounds on class probabilities into a radius, for one noise and norm.

    The annotation of the field `noise` is the statement of what the certificate covers.

    Attributes:
        noise: The smoothing distribution, scale included.
        norm: The norm of the ball.
        tight: Whether some classifier with these bounds changes its answer at every larger radius.

    A certificate that depends on the dimension of the input has a second field, `dim: int`.

    Raises:
        NotCoveredError: If the noise is none that it covers.
    """

    noise: Noise
    norm: ClassVar[Norm]
    tight: ClassVar[bool]

    def __post_init__(self) -> None:
        if not self.covers(self.noise):
            raise NotCoveredError(
                f"{type(self).__name__} does not cover {self.noise!r}; "
                f"covering(noise, norm, dim) lists the certificates that do."
            )

    @classmethod
    def covers(cls, noise: Noise) -> bool:
        """Whether the theorem is about this noise; by default its type alone decides."""
        return isinstance(noise, typing.get_type_hints(cls)["noise"])

    @property
    def domain(self) -> str | None:
        """Which points of the ball the radius is about, in words; None where it is all of them."""
        return self.noise.domain

    def objection(self, x: Tensor) -> str | None:
        """Why an input has no radius by this certificate, and what to do; None where it can.

        Args:
            x: `(*shape)` float32, to which the noise has no objection.

        Returns:
            The end of a sentence that begins with the input.
        """
        return None

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


def depends_on_dimension(certificate: type[Certificate]) -> bool:
    """Whether a certificate must be told the dimension of the input, in its field `dim`."""
    return "dim" in {field.name for field in fields(certificate)}


def covering(noise: Noise, norm: Norm, dim: int | None = None) -> dict[str, Certificate]:
    """Every certificate for this noise and norm, by name.

    Args:
        noise: The smoothing distribution.
        norm: `"l0"`, `"l1"`, `"l2"` or `"linf"`.
        dim: Number of coordinates of an input. If None, certificates that depend on it are left
            out, and else those that do not exist for so many. `find` with their name says why.

    Raises:
        ValueError: If `dim` is no number of coordinates.
    """
    if dim is not None:
        check_dim(dim)
    found: dict[str, Certificate] = {}
    for name, cls in _covering(noise, norm).items():
        if not depends_on_dimension(cls):
            found[name] = cls(noise)
        elif dim is not None:
            try:
                found[name] = cls(noise, dim)  # type: ignore[call-arg]
            except ValueError:  # the noise and the norm are covered, but not in this dimension
                continue
    return found


def find(
    noise: Noise, norm: Norm, name: str | None = None, *, dim: int | None = None
) -> Certificate:
    """The certificate for this noise and norm.

    Args:
        noise: The smoothing distribution.
        norm: `"l0"`, `"l1"`, `"l2"` or `"linf"`.
        name: Which one. It may be left out where one covers the pair, where the one called after
            noise and norm is tight, or else where just one is tight: no other could give more.
        dim: Number of coordinates of an input, for certificates that depend on it.

    Raises:
        NotCoveredError: If none covers the pair, or several do and `name` is None, or the one
            named is not among them.
        DimensionNeededError: If the certificate depends on the dimension and `dim` is None.

    Example:
        >>> from radii.noise import Gaussian
        >>> certificate = find(noise=Gaussian(0.5), norm="l2")
        >>> float(certificate.radius(ClassBounds.one_sided(0.99)).round(4))
        1.1632
    """
    found = _covering(noise, norm)
    kind = type(noise).__name__
    if not found:
        norms: tuple[Norm, ...] = typing.get_args(Norm)
        covered = [other for other in norms if _covering(noise, other)]
        raise NotCoveredError(
            f"no certificate covers {kind} noise in {norm}; "
            f"certified norms for it: {', '.join(covered) or 'none'}."
        )
    if name is not None and name not in found:
        raise NotCoveredError(
            f"certificate {name!r} does not cover {kind} noise in {norm}; "
            f"these do: {', '.join(found)}."
        )
    if name is None:
        tight = [each for each, cls in found.items() if cls.tight]
        plain = [f"{each}_{norm}" for each in NOISES.names()]
        best = [each for each in tight if each in plain] or tight
        if len(found) > 1 and len(best) != 1:
            raise NotCoveredError(
                f"several certificates cover {kind} noise in {norm}: {', '.join(found)}; name one."
            )
        name = best[0] if best else next(iter(found))
    if depends_on_dimension(found[name]) and dim is None:
        raise DimensionNeededError(
            f"certificate {name!r} depends on the dimension of the input; pass dim "
            f"(on the command line --dim)"
        )
    if depends_on_dimension(found[name]):
        return found[name](noise, dim)  # type: ignore[call-arg]
    return found[name](noise)


def _covering(noise: Noise, norm: Norm) -> dict[str, type[Certificate]]:
    classes = {name: CERTIFICATES[name] for name in CERTIFICATES.names()}
    return {name: cls for name, cls in classes.items() if cls.norm == norm and cls.covers(noise)}
