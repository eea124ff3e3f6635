"""Ctrl-C and SIGTERM: work stops where nothing is lost, and says how it goes on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

PATIENCE = 20.0  # seconds; schedulers commonly wait 30 before they kill
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], None]
_SHOW_CURSOR = b"\x1b[?25h"


class Stopped(BaseException):  # as KeyboardInterrupt, which typer would swallow
    """Ctrl-C or SIGTERM came.

    Args:
        number: Of the signal.
        said: What is kept, and how the work goes on.
    """

    def __init__(self, number: int, said: str = "run the same command again.") -> None:
        super().__init__(number)
        self.number = number
        self.said = said

    @property
    def code(self) -> int:
        """The exit code: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.number


@contextmanager
def signals_raised() -> Iterator[None]:
    """Inside it, each of the signals raises `Stopped`, wherever the work is."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    with _answered_by(dict.fromkeys(SIGNALS, stop)):
        yield


@contextmanager
def signals_held(said: str) -> Iterator[Callable[..., None]]:
    """Inside it, the first of the signals waits for a good moment; a second one ends the process.

    If no good moment comes within `PATIENCE`, the first one raises `Stopped` wherever the work is.

    Args:
        said: What is kept, and how the work goes on.

    Yields:
        A function to call at good moments, with whatever arguments: it raises `Stopped` once there
        was a signal. So does the end of the context.
    """
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if came:
            if sys.stderr.isatty():
                os.write(2, _SHOW_CURSOR)  # a progress bar hides it
            os._exit(128 + number)
        came.append(number)
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def stop_if_wanted(*_: Any) -> None:
        if came:
            raise Stopped(came[0], said)

    handlers: dict[signal.Signals, _Handler] = dict.fromkeys(SIGNALS, note)
    if hasattr(signal, "setitimer"):
        handlers[signal.SIGALRM] = stop_if_wanted
    with _answered_by(handlers):
        try:
            yield stop_if_wanted
            stop_if_wanted()
        finally:
            if came and hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def _answered_by(
    handlers: Mapping[signal.Signals, _Handler],
) -> Iterator[None]:
    """Inside it, these answer the signals; they reach the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
