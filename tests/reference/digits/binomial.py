"""The functions behind bounds on votes, against the margins claimed for them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import betainc, betaincinv, betaln, expit, log_expit

from radii.bounds.betting import _log_above
from radii.bounds.clopper_pearson import _polished
from radii.verification.independent import Evidence, bound_of
from radii.verification.independent.numbers import MP, beta_tail, number
from tests.reference.digits.margins import error
from tests.reference.digits.points import alphas, counts, log_uniform, shared
from tests.reference.digits.record import Finding

_EACH = 250


def polished_root(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    chosen = alphas(rng)
    for i, count in enumerate(shared(points, _EACH)):
        alpha = next(chosen)
        k, n = counts(rng, count, i)
        k = np.maximum(k, 1)
        a, b = k, n - k + 1
        p = _polished(betaincinv(a, b, alpha), betainc, a, b, alpha)
        rule = bound_of("clopper_pearson", alpha)
        assert rule is not None
        for j, value in enumerate(p.tolist()):
            at = (int(k[j]), int(n[j]), alpha)
            if value >= 1:
                yield Finding(1.0, at)
                continue
            share = abs(rule(value, 1.0, Evidence(at[0], at[1], 0, 2)).lower)
            yield Finding(float(1 - share / 2.0**-40), (*at, value, float(share)))


def half_tail(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """The tail at 1/2 behind p-values; counts in which half the draws are less than 100 sigma."""
    n = np.rint(log_uniform(rng, 1, 1e7, points)).astype(np.int64)
    k = np.minimum(n, np.ceil(n / 2 + rng.uniform(0, 18, points) * np.sqrt(n))).astype(np.int64)
    k = np.maximum(k, 1)
    for at, found in zip(
        zip(k.tolist(), n.tolist(), strict=True), betainc(k, n - k + 1, 0.5).tolist(), strict=True
    ):
        if found > 1e-290:
            exact = beta_tail(number(at[0]), number(at[1] - at[0] + 1), number(0.5), number(0.5))
            yield error(found, exact, 2.0**-32, at)
        else:
            yield Finding(1.0, at)


def wealth(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """The log wealth near its root, in the units of its margin."""
    for i, count in enumerate(shared(points, _EACH)):
        c = (0.5, 1.0, 0.1)[i % 3]
        k, n = counts(rng, count, i)
        k = np.maximum(k, 1)
        theta = np.log((k + 0.5) / (n - k + 0.5)) - rng.exponential(3, count)
        known = betaln(k + c, n - k + c) - betaln(c, c)
        ours = known - k * log_expit(theta) - (n - k) * log_expit(-theta)
        for j, found in enumerate(ours.tolist()):
            a, b = number(int(k[j])) + number(c), number(int(n[j] - k[j])) + number(c)
            logit = number(float(theta[j]))
            exact = MP.loggamma(a) + MP.loggamma(b) - MP.loggamma(a + b)
            exact -= 2 * MP.loggamma(number(c)) - MP.loggamma(2 * number(c))
            exact += int(k[j]) * MP.log1p(MP.exp(-logit))
            exact += int(n[j] - k[j]) * MP.log1p(MP.exp(logit))
            margin = 2.0**-48 * (16 + float(n[j]) * math.log(float(n[j]) + 1))
            off = abs(number(found) - exact)
            at = (int(k[j]), int(n[j]), c, float(theta[j]), float(off))
            yield Finding(float(1 - off / margin), at)


def above(rng: np.random.Generator, points: int) -> Iterator[Finding]:
    """The log of the beta tail above p: what the truncated bet adds to the log of the wealth."""
    for i, count in enumerate(shared(points, _EACH)):
        c = (0.5, 1.0, 0.1)[i % 3]
        k, n = counts(rng, count, i)
        k = np.maximum(k, 1)
        theta = np.log((k + 0.5) / (n - k + 0.5)) - rng.exponential(3, count)
        p, rest = expit(theta), expit(-theta)
        a, b = k + c, n - k + c
        for j, found in enumerate(_log_above(a, b, p, rest).tolist()):
            x, y = number(float(p[j])), number(float(rest[j]))
            exact = MP.log(beta_tail(number(float(b[j])), number(float(a[j])), y, x))
            off = abs(number(found) - exact)
            at = (float(a[j]), float(b[j]), float(p[j]), float(off))
            yield Finding(float(1 - off / 2.0**-28), at)
