"""What must be true whatever is read: an answer or a sentence, soon, in little memory."""

from __future__ import annotations

import contextlib
import hashlib
import io
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from radii.cli.main import run
from radii.errors import RadiiError

SECONDS = 10  # of this process; others may make it wait
PATIENCE = 60  # seconds by the clock, for what waits and does not compute
BYTES = 4 * 2**30  # address space beside what the process has already; libraries reserve some
LINES = 2
counted = {"examples": 0}


class Hang(BaseException):
    """Something took too long."""


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Inside it, what hangs is ended, and memory is short."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Hang(f"no answer after {SECONDS} s of computing, or {PATIENCE} s")

    counted["examples"] += 1
    before = {kind: signal.signal(kind, late) for kind in (signal.SIGALRM, signal.SIGPROF)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_used() + BYTES, hard))
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _used() -> int:
    """Address space of this process, where the system says it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 16 * 2**30


def command(*arguments: object, files: Sequence[Path] = ()) -> tuple[int, str, str]:
    """Runs a command line, and checks what it answers.

    Args:
        arguments: After `radii`.
        files: Files and folders that must be afterwards what they are now.

    Returns:
        The exit code, and what was said on stdout and stderr.
    """
    line = [str(argument) for argument in arguments]
    before = [state(path) for path in files]
    out, said = io.StringIO(), io.StringIO()
    with limits(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = run(line)
    text = said.getvalue()
    assert code in (0, 1, 2), (line, code)
    assert "Traceback" not in text, (line, text)
    assert "--debug for the traceback" not in text, (line, text)
    if "error: " in text:
        assert code, (line, text)
        error = text.partition("error: ")[2].strip()
        assert error, (line, text)
        assert len(error.splitlines()) <= LINES, (line, error)
    assert [state(path) for path in files] == before, (line, "changed a file")
    return code, out.getvalue(), text


def answered(work: Callable[[], Any], *errors: type[Exception]) -> Any:
    """What `work` gives; None where it refuses with a `RadiiError`, or one of `errors`."""
    with limits():
        try:
            return work()
        except (RadiiError, *errors) as error:
            said = str(error)
    assert said.strip()
    assert len(said.splitlines()) <= LINES, said
    return None


def state(path: Path) -> object:
    """The content of a file, or of all files in a folder."""
    if path.is_dir():
        return {str(each): state(each) for each in sorted(path.rglob("*")) if each.is_file()}
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
