"""Asks a service on this machine from many clients at once, and checks what it answers.

python examples/service/load_test.py --clients 50 --seconds 60

Starts `app.py`, asks for predictions of real digits, and one time in twenty for one that no device
can give within its budget. Every answer that is not late must have the class, the votes and the
p-value that the library gives for the same input and seed; a late one must be an abstention.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from app import options, smoothed_of

import radii

SHORT = 1e-6  # seconds: a budget that is over at once
ONE_IN = 20  # requests with that budget


@dataclass
class Load:
    """What clients saw.

    Attributes:
        answers: The number of the image, the seed, and what was answered.
        seconds: That each answer took.
        outcomes: How often each kind of answer came.
    """

    answers: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def percentile(self, percent: int) -> float:
        """Seconds within which so many percent of the answers came."""
        ranked = sorted(self.seconds)
        return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)]


async def client(
    number: int, url: str, bodies: list[list[Any]], n: int, budget: float, until: float, load: Load
) -> None:
    """One client: asks, waits for the answer, asks again."""
    choice = random.Random(number)  # noqa: S311 - no secrets here
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        while time.monotonic() < until:
            which, seed = choice.randrange(len(bodies)), choice.randrange(2**62)
            short = choice.randrange(ONE_IN) == 0
            asked = {"input": bodies[which], "n": n, "seed": seed}
            asked["budget"] = SHORT if short else budget
            started = time.monotonic()
            try:
                response = await http.post("/predict", json=asked)
                found = response.json()
            except (httpx.HTTPError, ValueError) as error:
                load.outcomes[f"error: {type(error).__name__}"] += 1
                continue
            load.seconds.append(time.monotonic() - started)
            if response.status_code != 200:
                load.outcomes[f"error: status {response.status_code}"] += 1
                continue
            late = found["timed_out"]
            kind = "answered" if found["prediction"] is not None else "abstained"
            load.outcomes["out of time" if late else kind] += 1
            load.outcomes["asked for the impossible"] += short
            load.outcomes["error: late, and not an abstention"] += late and kind == "answered"
            load.outcomes["error: the impossible was answered"] += short and not late
            if not late:
                load.answers.append((which, seed, found))


async def run(url: str, bodies: list[list[Any]], given: argparse.Namespace) -> Load:
    """All clients, for so many seconds."""
    load = Load()
    until = time.monotonic() + given.seconds
    await asyncio.gather(
        *(
            client(number, url, bodies, given.n, given.budget, until, load)
            for number in range(given.clients)
        )
    )
    return load


def wrong_answers(
    smoothed: radii.SmoothedClassifier, inputs: Any, load: Load, n: int, most: int
) -> int:
    """How many of some answers differ from the library's."""
    wrong = 0
    for which, seed, found in load.answers[:: max(1, len(load.answers) // most)]:
        expected = smoothed.predict(inputs[which], n=n, seed=seed, budget=3_600.0)
        assert isinstance(expected, radii.Prediction)
        same = (
            found["prediction"] == expected.prediction
            and found["votes"] == expected.counts.votes.tolist()
            and found["p_value"] == expected.p_value
        )
        wrong += not same
    return wrong


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Waits until the service answers.

    Raises:
        RuntimeError: If it ends or stays silent for a minute.
    """
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            httpx.get(f"{url}/health", trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("the service did not start")


def main() -> int:
    """Prints a table; 1 if any answer was wrong or failed."""
    parser = options()
    parser.description = (__doc__ or "").splitlines()[0]
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--n", type=int, default=1_000)
    parser.add_argument("--budget", type=float, default=5.0)
    parser.add_argument("--data", default="mnist5k@test")
    parser.add_argument("--checked", type=int, default=500, help="answers compared, at most")
    given = parser.parse_args()
    data = radii.data.load(given.data)
    inputs = [data[index][0] for index in range(min(200, len(data)))]
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("app.py"))]
    for name in ("base", "noise", "device", "batch_size", "stop", "queue"):
        command += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
    server = subprocess.Popen([*command, "--port", str(port), "--seeds"])  # noqa: S603 - our own
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, server)
        load = asyncio.run(run(url, [x.tolist() for x in inputs], given))
    finally:
        server.terminate()
        server.wait()
    smoothed = smoothed_of(given.base, given.noise, given.device, given.batch_size)
    wrong = wrong_answers(smoothed, inputs, load, given.n, given.checked)
    load.outcomes["error: another answer than the library's"] = wrong
    errors = sum(count for kind, count in load.outcomes.items() if kind.startswith("error"))
    print(f"{given.clients} clients, {given.seconds:g} s, n = {given.n}, {given.base}")
    if load.seconds:
        print(f"{len(load.seconds) / given.seconds:.0f} requests a second")
        for percent in (50, 99):
            print(f"p{percent} {1_000 * load.percentile(percent):.0f} ms")
    for kind, count in sorted(load.outcomes.items()):
        if count or not kind.startswith("error"):
            print(f"{kind}: {count}")
    print(f"answers compared with the library's: {min(len(load.answers), given.checked)} or more")
    print(f"errors: {errors}")
    return 1 if errors or not load.answers else 0


if __name__ == "__main__":
    sys.exit(main())
