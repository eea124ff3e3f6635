"""What the attacks of foolbox need here: starting points, a box, a count of queries."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from radii.attacks.base import Found, Model
from radii.errors import RadiiError
from radii.extras import imported
from radii.records import Norm

_TRIES = 40  # starting points looked at for each input
_HALVINGS = 10  # of the way between an input and its starting point
_ORDERS: dict[Norm, float] = {"l2": 2.0, "linf": torch.inf}


class Bounds(NamedTuple):
    """The values that foolbox may give a coordinate."""

    lower: float
    upper: float


class Spent(Exception):  # noqa: N818 - no error: it ends a search
    """The queries allowed are used up."""


def installed(name: str = "foolbox") -> Any:
    """A module of foolbox.

    Raises:
        RadiiError: If the extra `attacks` is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return imported(name, "attacks", "or take stein or a gradient attack")


class Decisions:
    """Asks a model whether inputs are wrong, counts, and keeps the nearest wrong one of each.

    The model always sees the whole batch, because it may be made for that very batch. Inputs that
    are not searched for are passed as they are and not counted.

    foolbox sees numbers in [0, 1], which stand for `low` to `high`, in float64: one of its attacks
    knows no other bounds.

    Args:
        model: Scores of the whole batch.
        x: `(batch, *shape)`. The inputs.
        y: `(batch,)` their labels.
        norm: In which the nearest is meant.
        queries: The most queries about one input, or None.
    """

    bounds = Bounds(0.0, 1.0)

    def __init__(self, model: Model, x: Tensor, y: Tensor, norm: Norm, queries: int | None) -> None:
        self.x, self.y = x, y
        self.best = x.clone()
        self.distance = torch.full(y.shape, torch.inf, dtype=torch.float64, device=y.device)
        self.queries = torch.zeros_like(y)
        self.searched = torch.ones_like(y, dtype=torch.bool)
        self.low, self.high = 0.0, 1.0
        self._model = model
        self._order = _ORDERS[norm]
        self._allowed = queries
        self._starting = True

    def wrong(self, z: Tensor) -> Tensor:
        """`(batch,)`, whether the model is wrong at `z` `(batch, *shape)`: one query of each.

        Raises:
            Spent: If an input has no query left.
        """
        if self._allowed is not None and int((self.queries + self.searched).max()) > self._allowed:
            raise Spent
        z = torch.where(self.widened(self.searched), z, self.x)
        self.queries += self.searched
        wrong = self._model(z).argmax(1) != self.y
        away = (z.double() - self.x.double()).flatten(1)
        distance = torch.linalg.vector_norm(away, self._order, dim=1)
        nearer = wrong & (distance < self.distance)
        self.best = torch.where(self.widened(nearer), z, self.best)
        self.distance = torch.where(nearer, distance, self.distance)
        return wrong

    def into_unit(self, z: Tensor) -> Tensor:
        """The inputs searched for as foolbox sees them."""
        return ((z[self.searched].double() - self.low) / (self.high - self.low)).clamp(0, 1)

    def from_unit(self, u: Tensor) -> Tensor:
        """The whole batch, with what foolbox has for the inputs searched for."""
        z = self.x.clone()
        z[self.searched] = (self.low + u * (self.high - self.low)).to(z.dtype)
        return z.clamp(self.low, self.high)

    def __call__(self, inputs: Any) -> Any:
        """What foolbox calls: two scores of each input searched for, the second if it is wrong."""
        if self._starting:  # foolbox asks about the starting points, which are known to be wrong
            self._starting = False
            wrong = torch.ones_like(self.y[self.searched], dtype=torch.bool)
        else:
            wrong = self.wrong(self.from_unit(inputs.raw))[self.searched]
        return type(inputs)(torch.stack([~wrong, wrong], dim=1).double())

    def widened(self, rows: Tensor) -> Tensor:
        return rows.reshape(-1, *(1,) * (self.x.ndim - 1))


@torch.no_grad()
def search(
    attack: Any,
    asked: Decisions,
    low: float | None,
    high: float | None,
    generator: torch.Generator,
) -> Found:
    """The nearest wrong input that was met.

    Args:
        attack: One of foolbox's.
        asked: Nothing was asked yet.
        low: The smallest value of a coordinate, or None.
        high: The largest value of a coordinate, or None.
        generator: On the device of the inputs.
    """
    try:
        if len(asked.x):
            _find_starts(asked, low, high, generator)
        if bool(asked.searched.any()):
            asked.low, asked.high = _box(asked) if low is None or high is None else (low, high)
            # A start may be right after the rounding on its way through other units.
            asked.searched &= asked.wrong(asked.from_unit(asked.into_unit(asked.best)))
        if bool(asked.searched.any()):
            x, starts = asked.into_unit(asked.x), asked.into_unit(asked.best)
            right = torch.zeros_like(asked.y[asked.searched])
            with _global_draws_from(generator):
                attack.run(asked, x, right, starting_points=starts)
    except Spent:
        pass
    except AssertionError:
        raise RadiiError(
            "the model must answer alike each time that it is asked about an input, and did not; "
            "give it noise that does not change."
        ) from None
    found = asked.distance.isfinite()
    return Found(asked.best, asked.queries, {"found": found.to(asked.x.dtype)})


def _find_starts(
    asked: Decisions, low: float | None, high: float | None, generator: torch.Generator
) -> None:
    """Asks about noise and other inputs until each input has a wrong one, then comes nearer."""
    asked.searched &= ~asked.wrong(asked.x)  # what is wrong as it is stays as it is
    everyone = asked.searched.clone()
    for candidate in _candidates(asked.x, low, high, generator):
        if not bool(asked.searched.any()):
            break
        asked.searched &= ~asked.wrong(candidate)
    asked.searched = everyone & asked.distance.isfinite()
    right, wrong = asked.x.clone(), asked.best.clone()
    for _ in range(_HALVINGS if bool(asked.searched.any()) else 0):
        middle = (right + wrong) / 2
        turned = asked.widened(asked.wrong(middle))
        right, wrong = torch.where(turned, right, middle), torch.where(turned, middle, wrong)


def _candidates(
    x: Tensor, low: float | None, high: float | None, generator: torch.Generator
) -> Iterator[Tensor]:
    """Other inputs of the batch, and noise that grows, by turns."""
    spread = float(x.max() - x.min()) or 1.0
    for k in range(_TRIES // 2):
        if k + 1 < len(x):
            yield x.roll(k + 1, 0)
        noise = torch.empty_like(x)
        if low is None or high is None:
            yield x + spread * 2.0 ** (k % 10 - 3) * noise.normal_(generator=generator)
            continue
        noise.uniform_(low, high, generator=generator)
        if k % 2:  # a corner of the box
            noise = torch.where(noise > (low + high) / 2, high, low).to(x.dtype)
        yield x.lerp(noise, min(1.0, (k + 2) // 2 / 5))


def _box(asked: Decisions) -> tuple[float, float]:
    """Bounds that a search from the starting points never meets.

    No attack goes further from its input than twice the distance from where it starts.
    """
    used = asked.x[asked.searched].double()
    reach = 2.5 * float((asked.best - asked.x)[asked.searched].flatten(1).norm(dim=1).max())
    return float(used.min()) - reach, float(used.max()) + reach


@contextmanager
def _global_draws_from(generator: torch.Generator) -> Iterator[None]:
    """Seeds torch's global generator, which foolbox draws from, and puts it back."""
    device = generator.device
    seed = torch.randint(2**62, (), generator=generator, device=device)
    own = torch.Generator(device).manual_seed(int(seed))
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        if cuda:
            torch.cuda.set_rng_state(own.get_state(), device)
        else:
            torch.set_rng_state(own.get_state())
        yield
