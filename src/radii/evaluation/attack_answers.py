"""What a smoothed classifier answers before and after an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from radii.attacks import Attack
from radii.errors import PlanError
from radii.records import Prediction
from radii.smoothing import SmoothedClassifier
from radii.smoothing.certify import check_prediction

if TYPE_CHECKING:
    from torch import Tensor

SCALES = (1.0, 1.02, 1.05, 1.1, 1.2, 1.35, 1.5, 2.0)
_ROUNDING = 1e-5  # by what share `x + delta` may leave its ball
_ORDERS = {"l1": 1.0, "l2": 2.0, "linf": float("inf")}


def check_predictions(attack: Attack, n: int, alpha: float) -> None:
    """Refuses an n with which a prediction after the attack would always abstain.

    Raises:
        ValueError: If alpha or n is out of range.
        PlanError: If there are too few draws.
    """
    check_prediction(n, alpha)
    if attack.minimal:
        try:
            check_prediction(n, alpha / len(SCALES))
        except PlanError as error:
            raise PlanError(
                f"{error} (alpha is shared by the {len(SCALES)} lengths at which each smallest "
                f"perturbation is tried)"
            ) from None


@dataclass(frozen=True, eq=False)
class Answer:
    """A smoothed prediction at an input.

    Attributes:
        x: `(*shape)` float32. The input.
        prediction: The class, or None where it abstains.
        votes: Class to votes, with every class that got one.
        samples: Draws spent on it, and on others that were tried before.
        facts: What else there is to say: name to number.
        silent: `(*shape)` float32. A nearer input at which it abstained, where there is one.
    """

    x: Tensor
    prediction: int | None
    votes: Mapping[int, int]
    samples: int
    facts: Mapping[str, float] = field(default_factory=dict)
    silent: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """Asks a smoothed classifier.

    Attributes:
        smoothed: The smoothed classifier.
        n: Draws for each prediction.
        alpha: Probability that what is said of one input is wrong.
        seed: Of the random streams; predictions share none with the attack.
    """

    smoothed: SmoothedClassifier
    n: int
    alpha: float
    seed: int

    def at(self, indices: Sequence[int], x: Tensor) -> list[Answer]:
        """The answers at `(batch, *shape)` inputs, whose indices name the noise."""
        return self._asked(indices, list(x), self.alpha)

    def under(
        self, attack: Attack, indices: Sequence[int], x: Tensor, y: Tensor, found: Tensor
    ) -> list[Answer]:
        """The answers at what an attack found.

        An attack that looks for the smallest perturbation ends where its estimate changes, and
        there the smoothed classifier often abstains. So each perturbation is also lengthened by
        the factors `SCALES`, up to the attack's own bounds, until the answer is another class. The
        first such is kept, and beside it the shortest at which it abstains; without it that one;
        else what was found. Each is asked at alpha over the number of factors, so that all that is
        said of an input together is wrong with probability alpha at most.

        Args:
            attack: What found it.
            indices: Of the inputs; they name the noise.
            x: `(batch, *shape)`. The inputs.
            y: `(batch,)`. Their labels.
            found: `(batch, *shape)`. What was found.
        """
        found = found.to(x.dtype)
        if not attack.minimal:
            return self._asked(indices, list(found), self.alpha)
        kept: dict[int, Answer] = {}
        silent: dict[int, Tensor] = {}
        spent = dict.fromkeys(range(len(x)), 0)
        pending = list(spent)
        for scale in SCALES:
            points = {at: _lengthened(attack, x[at], found[at], scale) for at in pending}
            tried = {at: point for at, point in points.items() if point is not None}
            answers = self._asked(
                [indices[at] for at in tried], list(tried.values()), self.alpha / len(SCALES)
            )
            for at, answer in zip(tried, answers, strict=True):
                spent[at] += answer.samples
                label, before = int(y[at]), kept.get(at)
                wrong = answer.prediction not in (None, label)
                gives_up = answer.prediction is None
                if gives_up:
                    silent.setdefault(at, answer.x)
                if wrong or before is None or (gives_up and before.prediction == label):
                    kept[at] = replace(answer, facts={"scale": scale})
                if wrong:
                    pending.remove(at)
        return [
            replace(
                kept[at],
                samples=spent[at],
                silent=None if kept[at].prediction is None else silent.get(at),
            )
            for at in range(len(x))
        ]

    def _asked(self, indices: Sequence[int], x: Sequence[Tensor], alpha: float) -> list[Answer]:
        inputs = zip(indices, x, strict=True)
        found = dict(self.smoothed.predict_each(inputs, self.n, alpha, seed=self.seed))
        return [
            _answer(point, found[index], self.n) for index, point in zip(indices, x, strict=True)
        ]


def _answer(x: Tensor, said: Prediction, n: int) -> Answer:
    votes = {label: int(count) for label, count in enumerate(said.counts.votes) if count}
    return Answer(x, said.prediction, votes, n)


def _lengthened(attack: Attack, x: Tensor, found: Tensor, scale: float) -> Tensor | None:
    """`found` with a longer perturbation, or None where that leaves the ball or changes nothing."""
    if scale == 1:
        return found
    longer = x + scale * (found - x)
    if attack.low is not None:
        longer = longer.clamp(attack.low, attack.high)
    if bool((longer == found).all()):
        return None
    if attack.epsilon is not None:
        length = float((longer - x).double().flatten().norm(p=_ORDERS[attack.norm]))
        if length > attack.epsilon * (1 + _ROUNDING):
            return None
    return longer
