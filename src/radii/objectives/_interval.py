"""All tensors between two bounds, as one object that a module can be called on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from radii.errors import BaseClassifierError

Rule = Callable[..., "Interval"]
R = TypeVar("R", bound=Rule)

RULES: dict[str, Rule] = {}  # from the names of torch's functions; _interval_rules.py fills it


def rule(name: str) -> Callable[[R], R]:
    """A decorator: what torch's function of that name does to an `Interval`."""

    def file(function: R) -> R:
        RULES[name] = function
        return function

    return file


@dataclass(frozen=True, eq=False)
class Interval:
    """All tensors between `low` and `high`.

    A function of torch that meets one gives an interval that contains every value that the function
    takes there, by its entry in `RULES`; without an entry it is refused. So a module needs no
    description of its layers: it is called. Weights are taken in the type of the bounds, and
    gradients flow to them.

    Attributes:
        low: `(batch, *shape)`.
        high: `(batch, *shape)`, nowhere below `low`.
        roundoff: If positive, bounds are moved outwards by at least what rounding can do in this
            computation and in one with this machine epsilon, sums being taken in any order.
        layer: Input, weight and bias, if this is the output of a linear layer.
    """

    low: Tensor
    high: Tensor
    roundoff: float = 0.0
    layer: tuple[Interval, Tensor, Tensor | None] | None = None

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Interval:
        name = func.__name__
        if name not in RULES:
            raise no_rule(name)
        return RULES[name](*args, **kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise no_rule(name)

    @property
    def shape(self) -> torch.Size:
        """That of each bound."""
        return self.low.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.low.ndim

    def dim(self) -> int:
        """Number of axes."""
        return self.low.ndim

    def size(self, axis: int | None = None) -> torch.Size | int:
        """The shape, or the length of one axis."""
        return self.shape if axis is None else self.shape[axis]

    @property
    def centre(self) -> Tensor:
        """Half way between the bounds."""
        return (self.low + self.high) / 2

    @property
    def reach(self) -> Tensor:
        """From the centre to either bound."""
        return (self.high - self.low) / 2

    @property
    def largest(self) -> Tensor:
        """The largest absolute value."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def cast(self, weight: Tensor) -> Tensor:
        """A weight in the type of the bounds."""
        return weight.to(self.low.dtype)

    def each(self, function: Callable[[Tensor], Tensor]) -> Interval:
        """A function that is nowhere decreasing, and exact."""
        return Interval(function(self.low), function(self.high), self.roundoff)

    def widened(self, size: Tensor, terms: int) -> Interval:
        """Bounds moved outwards for numbers of that size after so many roundings."""
        slack = terms * self.roundoff * size
        return Interval(self.low - slack, self.high + slack, self.roundoff)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Interval:
        """See `torch.flatten`."""
        return self.each(partial(torch.flatten, start_dim=start_dim, end_dim=end_dim))

    def view(self, *shape: Any) -> Interval:
        """See `torch.Tensor.reshape`."""
        return self.each(lambda bound: bound.reshape(*shape))

    reshape = view

    def __add__(self, other: Interval | Tensor | float) -> Interval:
        low, high = _ends(other)
        return self._rounded(self.low + low, self.high + high)

    __radd__ = __add__

    def __sub__(self, other: Interval | Tensor | float) -> Interval:
        low, high = _ends(other)
        return self._rounded(self.low - high, self.high - low)

    def __mul__(self, other: Tensor | float) -> Interval:
        ends = self.low * other, self.high * other
        return self._rounded(torch.minimum(*ends), torch.maximum(*ends))

    __rmul__ = __mul__

    def __truediv__(self, other: Tensor | float) -> Interval:
        ends = self.low / other, self.high / other
        return self._rounded(torch.minimum(*ends), torch.maximum(*ends))

    def _rounded(self, low: Tensor, high: Tensor) -> Interval:
        """The result of one operation on each number."""
        result = Interval(low, high, self.roundoff)
        return result.widened(result.largest, 2) if self.roundoff else result


def _ends(other: Any) -> tuple[Any, Any]:
    return (other.low, other.high) if isinstance(other, Interval) else (other, other)


def no_rule(name: str) -> BaseClassifierError:
    """What is raised of a function or a method that an `Interval` cannot be given to."""
    return BaseClassifierError(
        f"interval bounds have no rule for {name!r}, only for {', '.join(sorted(RULES))}; "
        f"take a base classifier made of these, as lenet or mlp."
    )
