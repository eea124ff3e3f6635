"""A web service that predicts and certifies, for many clients with one device.

pip install "radii[service]"
python examples/service/app.py --base runs/base --noise gaussian:sigma=0.5 --port 8000

POST /predict {"input": [...], "n": 1000, "alpha": 0.001, "budget": 0.5}
POST /certify {"input": [...], "n": 10000, "alpha": 0.001, "budget": 5, "norm": "l2"}
GET  /health
"""

from __future__ import annotations

import argparse
import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Receive, Scope, Send

import radii
from radii.models import device_named, load_base
from radii.noise import NOISES
from radii.serving import BusyError, Service
from radii.stopping import STOPS, Stop

EXAMPLE = f"{Path(__file__).with_name('nearest_mean.py')}:net"


@dataclass(frozen=True)
class Limits:
    """What one client may ask for.

    Attributes:
        n: Draws for one answer.
        budget: Seconds for one answer.
        queue: Requests that wait for the device.
        bytes_a_number: Of a request, for each number of an input.
        seeds: Whether clients may name the seed. Only for tests: who knows the noise beforehand
            can look for an input on which it misleads.
    """

    n: int = 100_000
    budget: float = 10.0
    queue: int = 256
    bytes_a_number: int = 32
    seeds: bool = False


class Asked(BaseModel):
    """What both kinds of request have; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    input: list[Any]
    alpha: float = Field(0.001, gt=0, lt=1)
    budget: float | None = Field(None, gt=0)
    seed: int | None = Field(None, ge=0, lt=2**63)


class PredictAsked(Asked):
    """The body of `/predict`."""

    n: int = Field(1_000, ge=1)


class CertifyAsked(Asked):
    """The body of `/certify`."""

    n: int = Field(10_000, ge=1)
    n0: int = Field(100, ge=1)
    norm: Literal["l0", "l1", "l2", "linf"] = "l2"


class BodyLimit:
    """Refuses bodies of more than so many bytes before they are read as a whole."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts what a client sends."""
        read = 0

        async def counted() -> Any:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise HTTPException(413, f"the body must have at most {self.most} bytes")
            return message

        await self.app(scope, counted, send)


def make_app(
    smoothed: radii.SmoothedClassifier,
    *,
    stop: Stop | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """The application.

    Args:
        smoothed: With its `input_shape`.
        stop: When a certificate has enough votes; None never stops early.
        limits: What one client may ask for.
    """
    limits = limits or Limits()
    shape = smoothed.input_shape
    assert shape is not None
    holder: dict[str, Service] = {}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Service(smoothed, queue=limits.queue) as service:
            await asyncio.wrap_future(service.submit(np.zeros(shape, np.float32), budget=60.0))
            holder["service"] = service
            yield

    app = FastAPI(title="radii", version=radii.__version__, lifespan=lifespan)
    app.add_middleware(BodyLimit, most=4_096 + limits.bytes_a_number * math.prod(shape))

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})

    @app.exception_handler(radii.RadiiError)
    async def refused(request: Request, error: radii.RadiiError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    def checked(asked: PredictAsked | CertifyAsked) -> tuple[np.ndarray[Any, Any], float, int]:
        """The input, the budget and the seed."""
        for name in ("n", "n0"):
            if (wanted := getattr(asked, name, 0)) > limits.n:
                raise HTTPException(422, f"{name} must be at most {limits.n}, got {wanted}")
        budget = limits.budget if asked.budget is None else asked.budget
        if budget > limits.budget:
            raise HTTPException(422, f"budget must be at most {limits.budget:g}, got {budget:g}")
        if asked.seed is not None and not limits.seeds:
            raise HTTPException(422, "seed must be left out: this service draws its own")
        try:
            x = np.array(asked.input, dtype=np.float32)
        except (TypeError, ValueError):
            raise HTTPException(422, f"input must be numbers of shape {shape}") from None
        return x, budget, secrets.randbits(63) if asked.seed is None else asked.seed

    async def answered(make: Callable[[], Any]) -> Any:
        """The answer of the service; what a client did wrong is told."""
        try:
            future = make()
        except (TypeError, ValueError) as error:
            raise HTTPException(422, str(error)) from None
        return await asyncio.wrap_future(future)

    @app.post("/predict")
    async def predict(asked: PredictAsked) -> dict[str, Any]:
        x, budget, seed = checked(asked)
        found = await answered(
            lambda: holder["service"].submit(x, asked.n, asked.alpha, seed=seed, budget=budget)
        )
        return {
            "prediction": found.prediction,
            "p_value": found.p_value,
            "votes": found.counts.votes.tolist(),
            "timed_out": found.timed_out,
            "seed": str(seed),
        }

    @app.post("/certify")
    async def certify(asked: CertifyAsked) -> dict[str, Any]:
        x, budget, seed = checked(asked)
        more = {} if stop is None else {"stop": stop}
        plan = radii.SamplingPlan(asked.n0, asked.n, asked.alpha, seed=seed, **more)
        service = holder["service"]
        submit: Callable[[], Any] = lambda: service.submit_certify(  # noqa: E731
            x, plan, norm=asked.norm, budget=budget
        )
        found = await answered(submit)
        return {
            "prediction": found.prediction,
            "radius": found.radius,
            "norm": asked.norm,
            "pA_lower": found.pA_lower,
            "samples": int(found.estimation.n),
            "timed_out": found.timed_out,
            "seed": str(seed),
        }

    @app.get("/health")
    async def health() -> dict[str, Any]:
        waiting, under_way = holder["service"].load
        return {
            "status": "ok",
            "waiting": waiting,
            "under_way": under_way,
            "input_shape": shape,
            "num_classes": smoothed.num_classes,
            "noise": NOISES.spec_of(smoothed.noise),
        }

    return app


def smoothed_of(base: str, noise: str, device: str, batch_size: int) -> radii.SmoothedClassifier:
    """The smoothed classifier of a reference and a spec, as the command line knows them."""
    loaded = load_base(base)
    classes = loaded.num_classes or 10
    shape = loaded.input_shape or (1, 28, 28)
    where = device_named(device)
    return radii.SmoothedClassifier(
        loaded.prepared(where, "float32"),
        NOISES.build(noise),
        classes,
        input_shape=shape,
        device=where,
        batch_size=batch_size,
    )


def options() -> argparse.ArgumentParser:
    """What the service and its load test can be told."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default=EXAMPLE, help="reference to a base classifier")
    parser.add_argument("--noise", default="gaussian:sigma=0.5")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=1_000, help="draws in a round, at most")
    parser.add_argument("--stop", default="precision:rel=0.02", help="of certificates, or never")
    parser.add_argument("--port", type=int, default=8_000)
    parser.add_argument("--queue", type=int, default=Limits.queue)
    parser.add_argument("--seeds", action="store_true", help="let clients name seeds, for tests")
    return parser


def main() -> None:
    """Serves on the loopback interface."""
    given = options().parse_args()
    smoothed = smoothed_of(given.base, given.noise, given.device, given.batch_size)
    limits = Limits(queue=given.queue, seeds=given.seeds)
    app = make_app(smoothed, stop=STOPS.build(given.stop), limits=limits)
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
