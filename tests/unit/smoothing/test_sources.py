"""Where the sampler's requests come from: sources that live on, seeds, requests given up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from radii.noise import Gaussian
from radii.smoothing import Request, Sampler
from radii.smoothing.passes import DevicePasses

X = torch.tensor([0.2, 0.0])


def sign(x: Tensor) -> Tensor:
    return (x[:, 0] > 0).long()


def sampler(**more: Any) -> Sampler:
    given: dict[str, Any] = {
        "base": sign,
        "noise": Gaussian(1.0),
        "num_classes": 2,
        "seed": 5,
        "block": 10,
        "device": torch.device("cpu"),
    }
    return Sampler(**{**given, **more})


def votes(engine: Sampler, *requests: Request) -> list[list[int]]:
    found = {id(request): counts for request, counts in engine.run(requests)}
    return [found[id(request)]["estimation"].votes.tolist() for request in requests]  # type: ignore[union-attr]


def test_rounds_go_on_while_the_source_has_nothing_now() -> None:
    finished: list[int] = []

    def requests() -> Iterator[Request | None]:
        yield Request(0, X, {"estimation": 100})
        while 0 not in finished:
            yield None
        yield None  # nothing is under way: asked again at once
        yield Request(1, X, {"estimation": 50})

    for request, found in sampler().run(requests()):
        finished.append(request.index)
        assert int(found["estimation"].n) == (100, 50)[request.index]
    assert finished == [0, 1]


def test_a_request_may_join_while_another_is_under_way() -> None:
    rounds: list[int] = []
    running = [False]

    def requests() -> Iterator[Request | None]:
        yield Request(0, X, {"estimation": 1_000})
        yield None
        running[0] = True
        yield Request(1, X, {"estimation": 20})

    order = [
        request.index
        for request, _ in sampler(batch_size=100, on_draws=rounds.append).run(requests())
    ]
    assert running[0]
    assert sorted(order) == [0, 1]
    assert sum(rounds) == 1_020


def test_a_request_may_have_its_own_seed_and_share_an_index() -> None:
    expected = [
        votes(sampler(seed=seed), Request(index, X, {"estimation": 95}))[0]
        for seed, index in ((5, 0), (6, 0), (6, 1))
    ]
    requests = [
        Request(0, X, {"estimation": 95}),
        Request(0, X, {"estimation": 95}, seed=6),
        Request(1, X, {"estimation": 95}, seed=6),
    ]
    for batch_size in (1, 40, None):
        assert votes(sampler(batch_size=batch_size), *requests) == expected
        assert votes(sampler(batch_size=batch_size), *requests[::-1]) == expected[::-1]
    assert len({tuple(each) for each in expected}) == 3


@pytest.mark.parametrize("device", [False, True])
def test_what_expires_ends_and_leaves_the_others_as_they_are(
    device: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = votes(sampler(), Request(1, X, {"estimation": 500}))[0]
    if device:
        monkeypatch.setattr("radii.smoothing.scheduler.passes_on", DevicePasses)
    for after in (0, 3, 9):
        rounds: list[int] = []

        def expired(after: int = after, rounds: list[int] = rounds) -> bool:
            return len(rounds) >= after

        engine = sampler(batch_size=40, on_draws=rounds.append)
        requests = [
            Request(0, X, {"estimation": 100_000}, expired=expired),
            Request(1, X, {"estimation": 500}),
        ]
        found = {
            request.index: counts["estimation"].votes
            for request, counts in engine.run(requests)  # type: ignore[union-attr]
        }
        assert found[1].tolist() == alone
        assert found[0].sum() <= 200 * (after + 2)  # two rounds of a block may be under way


def test_what_wants_more_draws_is_not_asked_when_it_is_given_up() -> None:
    asked: list[int] = []

    def more(found: Any) -> int:
        asked.append(int(found["estimation"].n))
        return 10

    request = Request(0, X, {"estimation": 10}, more, expired=lambda: len(asked) >= 3)
    ((_, found),) = sampler().run([request])
    assert asked == [10, 20, 30]
    assert int(found["estimation"].n) == 30
    assert int(sampler().no_votes(request)["estimation"].n) == 0
