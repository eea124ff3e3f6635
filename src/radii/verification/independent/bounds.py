"""By which share stored bounds on pA and pB are on the safe side of the exact ones.

A bound by tail probabilities is not solved for p: whether a stored p is below the root shows at p
itself, because the tail rises with p. One step of Newton's method then says how far it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from radii.verification.independent.numbers import MP, Real, beta_tail, beta_tail_near, number
from radii.verification.independent.specs import given, read


@dataclass(frozen=True)
class Evidence:
    """What a bound is about.

    Attributes:
        k: Votes for the class selected, or the sum of its scores.
        n: Draws.
        runner_up: Most votes of another class.
        classes: How many there are.
        square: Sum of the squared scores; None for votes.
        tie: The uniform number drawn with the votes; None where the bound has no use for it.
    """

    k: float
    n: int
    runner_up: float
    classes: int
    square: float | None = None
    tie: float | None = None


@dataclass(frozen=True)
class Slack:
    """How far stored bounds are on the safe side, as shares of them; below 0 they are wrong."""

    lower: Real
    upper: Real


Rule = Callable[[Real, Real, Evidence, Real, Mapping[str, str]], Slack]


def _stored(pA: Real, pB: Real, alone: Callable[[Real, Real, bool], Real]) -> Slack:
    """Slack from `alone(p, 1 - p, of_rest)`, which is about p, or about 1 - p if `of_rest`.

    A lower bound of 0 and an upper one of 1 say nothing, and are always right.
    """
    lower = number(0) if pA == 0 else alone(pA, 1 - pA, False)
    upper = number(0) if pB == 1 else alone(1 - pB, pB, True)
    return Slack(lower, upper)


def _binomial(
    p: Real, rest: Real, k: int, n: int, alpha: Real, of_rest: bool, u: Real | None = None
) -> Real:
    """Slack of p as a bound below a success probability, by `P(K >= k) = alpha`.

    With u it is `u P(K >= k) + (1 - u) P(K > k)`.
    """
    if k == 0 and u is None:
        return number(-1)  # every p is possible
    if p <= 0 or rest <= 0:
        return number(-1) if rest <= 0 else number(0)
    log_term = MP.loggamma(n + 1) - MP.loggamma(k + 1) - MP.loggamma(n - k + 1)
    term = MP.exp(log_term + k * MP.log(p) + (n - k) * MP.log(rest))
    if u is None:
        tail = beta_tail_near(number(k), number(n - k + 1), p, rest, alpha)
        slope = k * term
    else:
        tail = beta_tail(number(k), number(n - k + 1), p, rest) if k else number(1)
        tail -= (1 - u) * term
        slope = term * (u * k + (1 - u) * (n - k) * p / rest)
    if tail <= 0 or slope <= 0:
        return number(1)
    share = MP.log(alpha / tail) * tail / slope
    return share * p / rest if of_rest else share


def _clopper_pearson(
    pA: Real, pB: Real, seen: Evidence, alpha: Real, _: Mapping[str, str]
) -> Slack:
    k, n = int(seen.k), seen.n
    return _stored(pA, pB, lambda p, rest, other: _binomial(p, rest, k, n, alpha, other))


def _multiclass(pA: Real, pB: Real, seen: Evidence, alpha: Real, _: Mapping[str, str]) -> Slack:
    share = alpha / seen.classes
    top = _clopper_pearson(pA, pB, seen, share, {}).lower
    k, n = int(seen.n - seen.runner_up), seen.n  # of the others, seen from B
    other = number(0) if pB == 1 else _binomial(1 - pB, pB, k, n, share, True)
    return Slack(top, other)


def _randomized(pA: Real, pB: Real, seen: Evidence, alpha: Real, _: Mapping[str, str]) -> Slack:
    k, n = int(seen.k), seen.n
    u = number(1 if seen.tie is None else seen.tie)
    return _stored(pA, pB, lambda p, rest, other: _binomial(p, rest, k, n, alpha, other, u))


def _runner_up(alone: Rule) -> Rule:
    """`alone` for the class selected, and for the runner-up from a share of alpha."""

    def rule(
        pA: Real, pB: Real, seen: Evidence, alpha: Real, parameters: Mapping[str, str]
    ) -> Slack:
        share = number(float(parameters["share"]))
        top = alone(pA, pB, seen, (1 - share) * alpha, {})
        rest = replace(seen, k=seen.n - seen.runner_up)  # of the others, seen from B
        other = alone(number(0), pB, rest, share * alpha, {})
        return Slack(top.lower, max(top.upper, other.upper))  # the smaller one may be claimed

    return rule


def _exact(pA: Real, pB: Real, seen: Evidence, _: Real, __: Mapping[str, str]) -> Slack:
    return _closed(pA, pB, number(seen.k) / seen.n, number(seen.runner_up) / seen.n)


def _hoeffding(pA: Real, pB: Real, seen: Evidence, alpha: Real, _: Mapping[str, str]) -> Slack:
    sums, _square, over = _sums(seen)
    width = MP.sqrt(-MP.log(alpha) / (2 * seen.n))
    mean = sums / seen.n
    return _closed(pA, pB, mean - width, 1 - mean + width + over)


def _empirical_bernstein(
    pA: Real, pB: Real, seen: Evidence, alpha: Real, _: Mapping[str, str]
) -> Slack:
    n = seen.n
    sums, square, over = _sums(seen)
    if n == 1:
        return _closed(pA, pB, number(0), number(1))
    log = MP.log(2 / alpha)
    variance = (square - sums * sums / n) / (n - 1)
    width = MP.sqrt(2 * max(variance, 0) * log / n) + 7 * log / (3 * (n - 1))
    return _closed(pA, pB, sums / n - width, 1 - sums / n + width + over)


def _sums(seen: Evidence) -> tuple[Real, Real, Real]:
    """Sum and sum of squares, off by their rounding the wrong way, and what 1 may be off by."""
    if seen.square is None:
        return number(seen.k), number(seen.k), number(0)
    share = number(seen.n) * number(2.0**-52)
    return number(seen.k) * (1 - share), number(seen.square) * (1 + share), number(1e-12)


def _closed(pA: Real, pB: Real, lower: Real, upper: Real) -> Slack:
    lower, upper = max(lower, 0), min(upper, 1)
    below = (lower - pA) / pA if pA > 0 else number(0)
    above = (pB - upper) / pB if pB > 0 else number(0 if upper <= 0 else -1)
    return Slack(below, above)


def _betting(pA: Real, pB: Real, seen: Evidence, alpha: Real, said: Mapping[str, str]) -> Slack:
    if seen.k < (1 if seen.square is None else 0.5):  # says nothing
        return Slack(number(0 if pA == 0 else -1), number(0 if pB == 1 else -1))
    sums, _square, over = _sums(seen)
    c, truncated = number(said["prior"]), said["truncated"] == "true"

    def alone(p: Real, rest: Real, other: bool) -> Real:
        if other and over:
            p, rest = p + over, rest - over  # pB was raised by it
        return _bet(p, rest, sums, seen.n, alpha, other, c, truncated)

    return _stored(pA, pB, alone)


def _bet(
    p: Real, rest: Real, k: Real, n: int, alpha: Real, of_rest: bool, c: Real, truncated: bool
) -> Real:
    """Slack of p as a bound below a mean, by `log W(p) = log(1/alpha)`; W falls up to `k/n`."""
    if rest <= 0 or p >= k / n:
        return number(-1)
    if p <= 0:
        return number(0)
    a, b = k + c, n - k + c
    wealth = MP.loggamma(a) + MP.loggamma(b) - MP.loggamma(a + b)
    wealth -= 2 * MP.loggamma(c) - MP.loggamma(2 * c)
    wealth -= k * MP.log(p) + (n - k) * MP.log(rest)
    if truncated:
        wealth += MP.log(beta_tail(b, a, rest, p)) - MP.log(beta_tail(c, c, rest, p))
    share = (wealth + MP.log(alpha)) * rest / (k - n * p)
    return share * p / rest if of_rest else share


def _hybrid(pA: Real, pB: Real, seen: Evidence, alpha: Real, said: Mapping[str, str]) -> Slack:
    share = number(float(said["share"]))
    bets = _betting(pA, pB, seen, share * alpha, {"prior": "0.5", "truncated": "true"})
    if seen.n != int(said["cap"]):
        return bets
    return _larger(bets, _clopper_pearson(pA, pB, seen, (1 - share) * alpha, {}))


def _union(pA: Real, pB: Real, seen: Evidence, alpha: Real, said: Mapping[str, str]) -> Slack:
    cap, factor = int(said["cap"]), float(said["factor"])
    times, power = {cap}, 1
    while (earlier := math.ceil(cap / factor**power)) >= 10:
        times.add(earlier)
        power += 1
    power = 1
    while max(times) < seen.n:
        times.add(math.ceil(cap * factor**power))
        power += 1
    looks = sorted(times)
    shares = [number(5) / ((j + 4) * (j + 5)) for j in range(1, len(looks) + 1)]
    return _at_looks(pA, pB, seen, alpha, looks, shares)


def _staged(pA: Real, pB: Real, seen: Evidence, alpha: Real, said: Mapping[str, str]) -> Slack:
    looks = [int(size) for size in said["stages"].split("/")]
    return _at_looks(pA, pB, seen, alpha, looks, [number(1) / len(looks)] * len(looks))


def _at_looks(
    pA: Real, pB: Real, seen: Evidence, alpha: Real, looks: list[int], shares: list[Real]
) -> Slack:
    """Of the last look and the next one the better; votes in between fall where they hurt."""
    k, n = int(seen.k), seen.n
    best = Slack(number(0 if pA == 0 else -1), number(0 if pB == 1 else -1))
    last = max((j for j, t in enumerate(looks) if t <= n), default=None)
    after = min((j for j, t in enumerate(looks) if t >= n), default=None)
    for j in {last, after} - {None}:
        assert j is not None
        t = looks[j]
        fewest = Evidence(max(k - max(n - t, 0), 0), t, 0, seen.classes)
        best = _larger(best, _clopper_pearson(pA, pB, fewest, shares[j] * alpha, {}))
    return best


def _larger(one: Slack, other: Slack) -> Slack:
    return Slack(max(one.lower, other.lower), max(one.upper, other.upper))


_RULES: dict[str, tuple[Rule, Mapping[str, str]]] = {
    "clopper_pearson": (_clopper_pearson, {}),
    "multiclass_clopper_pearson": (_multiclass, {}),
    "randomized_clopper_pearson": (_randomized, {}),
    "randomized_runner_up_clopper_pearson": (_runner_up(_randomized), {"share": "0.05"}),
    "runner_up_clopper_pearson": (_runner_up(_clopper_pearson), {"share": "0.05"}),
    "exact": (_exact, {}),
    "hoeffding": (_hoeffding, {}),
    "empirical_bernstein": (_empirical_bernstein, {}),
    "betting": (_betting, {"prior": "0.5", "truncated": "false"}),
    "hybrid": (_hybrid, {"cap": "100000", "share": "0.3"}),
    "union_clopper_pearson": (_union, {"cap": "100000", "factor": "2.0"}),
    "staged": (_staged, {"stages": "100/1000/10000/100000"}),
}
BOUNDS = tuple(_RULES)


def bound_of(spec: str, alpha: float) -> Callable[[float, float, Evidence], Slack] | None:
    """What says how safe stored bounds are; None if this bound is not worked out here.

    Args:
        spec: Of the bound, as in the ledger.
        alpha: Probability that what is said of one input is wrong.

    Returns:
        A function of pA_lower, pB_upper and the evidence.
    """
    name, parameters = read(spec)
    if name not in _RULES:
        return None
    rule, defaults = _RULES[name]
    said = given(parameters, defaults)
    if said is None:
        return None
    exact_alpha = number(alpha)
    return lambda pA, pB, seen: rule(number(pA), number(pB), seen, exact_alpha, said)
