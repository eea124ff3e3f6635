"""Whether an attack run contradicts a certified run of the same classifier more than alpha allows.

A certificate says that the smoothed classifier answers one class at every point closer than the
radius. An attack run says what it answers at some points. Where such a point is closer than the
radius and the answer is another class, one of the statements is wrong. Each of them is wrong with a
probability of at most its alpha, so that some contradictions are to be expected, and too many of
them say that something is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import betainc

from radii.evaluation.attack_ledger import AttackRow
from radii.evaluation.attack_metrics import NORMS
from radii.evaluation.ledger import Row

_LEVEL = 0.05


@dataclass(frozen=True)
class Contradiction:
    """An answer inside a certified radius that is not the certified class.

    Attributes:
        index: Of the input in its data set.
        certified: The class that was certified.
        radius: Within which it was certified.
        answer: What the smoothed classifier answered.
        norm: Of the perturbation that led to it; 0 for the answer at the input itself.
    """

    index: int
    certified: int
    radius: float
    answer: int
    norm: float


@dataclass(frozen=True)
class Audit:
    """What a certified run and an attack run say of the same inputs.

    Attributes:
        norm: Of the certificate, in which perturbations are measured.
        inputs: That both runs hold.
        inside: How many of them have a perturbation, not 0, of a norm below the certified radius.
        contradictions: One an input at most, by index: the answer under attack if it is one, else
            the answer at the input.
        chance: The largest probability that a given input is a contradiction although all is right.
    """

    norm: str
    inputs: int
    inside: int
    contradictions: tuple[Contradiction, ...]
    chance: float

    @property
    def allowed(self) -> float:
        """How many contradictions may be expected at most: inputs times chance."""
        return self.inputs * self.chance

    @property
    def p_value(self) -> float:
        """P(K >= contradictions) of K ~ Binomial(inputs, chance).

        Not below the probability of as many contradictions or more where every statement is wrong
        with a probability of at most its alpha, independently from input to input.
        """
        return binomial_tail(len(self.contradictions), self.inputs, self.chance)

    @property
    def alarm(self) -> bool:
        """Whether there are more contradictions than chance explains: a p-value below 0.05."""
        return self.p_value < _LEVEL


def audit(
    certified: Iterable[Row],
    attacked: Iterable[AttackRow],
    *,
    norm: Literal["l1", "l2", "linf"],
    alpha_certify: float,
    alpha_attack: float,
) -> Audit:
    """Compares the runs on the inputs that both hold, whatever became of these.

    Certified balls are open: a perturbation counts if its norm is below the radius. An abstention
    contradicts nothing, neither in the certified run nor under attack.

    An input is given three statements: the certificate, the answer at the input and the answer
    under attack. So the chance of a contradiction is at most `alpha_certify + 2 alpha_attack`.

    Args:
        certified: Rows of the certified run.
        attacked: Rows of the attack run, of the same smoothed classifier on the same data set.
        norm: Of the certified radii.
        alpha_certify: Probability that a certificate is wrong.
        alpha_attack: Probability that a prediction of the attack run is wrong.
    """
    rows = {row.index: row for row in certified}
    inputs = inside = 0
    found: list[Contradiction] = []
    for each in attacked:
        row = rows.get(each.index)
        if row is None:
            continue
        inputs += 1
        if row.prediction is None:
            continue
        inside += 0 < each.norm(norm) < row.radius
        for answer, distance in ((each.prediction, each.norm(norm)), (each.clean, 0.0)):
            if answer not in (None, row.prediction) and distance < row.radius:
                assert answer is not None
                found.append(
                    Contradiction(each.index, row.prediction, row.radius, answer, distance)
                )
                break
    found.sort(key=lambda each: each.index)
    chance = min(1.0, alpha_certify + 2 * alpha_attack)
    return Audit(norm, inputs, inside, tuple(found), chance)


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(K >= k) of K ~ Binomial(n, p).

    Example:
        >>> binomial_tail(0, 10, 0.001), round(binomial_tail(1, 10, 0.5), 6)
        (1.0, 0.999023)
    """
    if not 0 <= k <= n:
        raise ValueError(f"k must be in [0, {n}], got {k!r}")
    return 1.0 if k == 0 else float(betainc(k, n - k + 1, p))


def classifier_of(meta: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What tells the smoothed classifier of a run from others; None where the run does not say.

    These are the weights of the base classifier, the noise, the precision and the kind of votes.
    """
    if meta.get("base_sha256") is None:
        return None
    precision, vote = meta.get("precision", "float32"), meta.get("vote", "hard")
    return meta["base_sha256"], meta["noise"], precision, vote


def why_not(certified: Mapping[str, Any], attacked: Mapping[str, Any]) -> str | None:
    """Why runs with these specs, of one classifier, cannot be audited; None if they can be."""
    prints = certified.get("data_fingerprint"), attacked.get("data_fingerprint")
    if None in prints or prints[0] != prints[1]:
        return "they are about different data sets"
    if certified["norm"] not in NORMS:
        return f"the attack run does not hold norms in {certified['norm']}"
    if certified.get("domain"):
        return (
            f"the certificate is about {certified['domain']}, "
            f"and perturbed inputs need not be such points"
        )
    return None
