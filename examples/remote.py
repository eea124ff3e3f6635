"""Certifies a classifier behind an HTTP service that fails now and then.

python examples/remote.py

The service gets `{"inputs": [...]}` and answers `{"scores": [...]}`; put in your own URL and your
own two lines of JSON. Answers are kept in `answers.sqlite`, so the same command again asks nothing.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import numpy.typing as npt

import radii
from radii.models import ArrayFunction, Remembered


class Remote:
    """Scores of a remote service: tried again when it fails, never asked too often.

    Args:
        url: Of the service.
        timeout: Seconds to wait for an answer.
        tries: Of one request, with a pause between them that doubles from `pause` seconds on.
        pause: Seconds.
        most_a_second: Requests in a second, of all threads together.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30.0,
        tries: int = 6,
        pause: float = 0.5,
        most_a_second: float = 10.0,
    ) -> None:
        self.url = url
        self.timeout = timeout
        self.tries = tries
        self.pause = pause
        self.gap = 1 / most_a_second
        self._next = 0.0  # when another request may go
        self._lock = threading.Lock()

    def __call__(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Scores `(rows, num_classes)` of `(rows, *shape)`."""
        body = json.dumps({"inputs": x.tolist()}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url, body, headers)  # noqa: S310
        for attempt in range(self.tries):
            self._wait()
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:  # noqa: S310
                    return np.asarray(json.load(answer)["scores"], dtype=np.float64)
            except (OSError, http.client.HTTPException) as error:
                code = getattr(error, "code", 503)  # of an answer; a broken line has none
                if attempt + 1 == self.tries or (code < 500 and code != 429):
                    raise
            time.sleep(self.pause * 2**attempt)
        raise AssertionError("tries must be at least 1")

    def _wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            at = self._next = max(now, self._next + self.gap)
        time.sleep(at - now)


class Service(BaseHTTPRequestHandler):
    """Stands for the real one: two classes, and every third request fails."""

    requests = 0
    answered = 0

    def do_POST(self) -> None:
        """Answers."""
        Service.requests += 1
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if Service.requests % 3 == 0:
            self.send_error(503)
            return
        x = np.asarray(json.loads(content)["inputs"])
        Service.answered += len(x)
        distance = np.square(x).sum(1) - 1
        body = json.dumps({"scores": np.stack([distance, -distance], axis=1).tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def running_service() -> Iterator[str]:
    """The URL of the stand-in, on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def main() -> None:
    """Certifies one point twice; the second time nothing is asked."""
    point = np.array([0.6, 0.6], dtype=np.float32)
    plan = radii.SamplingPlan(n0=100, n=2_000, seed=0)  # the seed names the noise
    with running_service() as url:
        remote = Remote(url, pause=0.01, most_a_second=1_000)
        remembered = Remembered(remote, "answers.sqlite", key="disc, version 1")
        base = ArrayFunction(remembered, batch_limit=64, threads=4)
        smoothed = radii.SmoothedClassifier(base, radii.Gaussian(sigma=0.1), num_classes=2)
        for _ in range(2):
            result = smoothed.certify(point, plan)
            assert isinstance(result, radii.Certification)
            print(f"class {result.prediction} within {result.radius}, {Service.answered} asked")
        remembered.close()


if __name__ == "__main__":
    main()
