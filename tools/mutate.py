"""Changes bounds, certificates and smoothing in one place at a time: do the tests notice?

pip install cosmic-ray
python tools/mutate.py --least 20
python tools/mutate.py --share 1 src/radii/bounds/hybrid.py
python tools/mutate.py --again mutants.csv
"""

from __future__ import annotations

import argparse
import csv
import functools
import gc
import importlib
import json
import math
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from _mutants import Mutant, functions_in_use, import_changed, mutants_of

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
PACKAGES = [f"src/radii/{name}" for name in ("bounds", "certificates", "smoothing")]
TESTS = [
    *(f"tests/unit/{name}" for name in ("bounds", "certificates", "smoothing", "stopping")),
    *(f"tests/conformance/test_{name}.py" for name in ("bounds", "certificates", "stops")),
    "tests/reference",
    *PACKAGES,  # their examples
]
COLUMNS = ["file", "line", "column", "change", "outcome"]
_FEW = 10  # tests of a function: others of its file are tried after them
_PATIENCE = 6.0  # seconds; a test may have to make tables that it found made
MEMORY = 6 << 30  # bytes of data; who wants more is ended

# Test -> seconds, and for each file the first lines of the functions that it reaches.
Measured = dict[str, tuple[float, dict[str, list[int]]]]
sys.path.insert(0, str(SOURCE))


def forked(work: Callable[[], Any]) -> tuple[str, Any]:
    """What a copy of this process answers, and how it ends: "done", "timeout" or "failed"."""
    read, write = os.pipe()
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.setsid()
            os.close(read)
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            with os.fdopen(write, "w") as out:
                json.dump(work(), out)
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM):
        return "timeout", None
    return ("done", json.loads(text)) if status == 0 else ("failed", None)


class Session:
    """A session of pytest that collects, and then does something else with the tests."""

    def __init__(
        self, work: Callable[[dict[str, pytest.Item]], None], *, stop: bool = True
    ) -> None:
        self._work, self._stop = work, stop
        self.failed = False

    def run(self, tests: Iterable[str]) -> None:
        """Collects, and does it."""
        with tempfile.TemporaryDirectory() as folder:
            quiet = ["-q", "-p", "no:cacheprovider", f"--basetemp={folder}/base"]
            quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
            pytest.main([*quiet, f"--rootdir={ROOT}", *tests], plugins=[self])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running all tests."""
        if session.testsfailed:
            raise RuntimeError("the tests could not be collected")
        self._work({item.nodeid: item for item in session.items})
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """The first failure may be enough."""
        self.failed |= report.failed
        if report.failed and self._stop:
            os._exit(1)


def functions_with_a_cache() -> list[Any]:
    """Those of radii that remember what they answered."""
    kind = functools._lru_cache_wrapper
    found = [each for each in gc.get_objects() if type(each) is kind]
    return [each for each in found if str(each.__module__).startswith("radii")]


def limited(seconds: float) -> None:
    """Ends this process after so many seconds of its processor, or many more on the clock."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 6 * seconds)


def carry_out(items: dict[str, pytest.Item], tests: dict[str, float]) -> bool:
    """Runs tests in turn, each within ten times what it took, and a little more.

    One that is there no longer, because the change has taken a parameter away, fails nobody.
    """
    there = [(items[name], seconds) for name, seconds in tests.items() if name in items]
    for (item, usual), following in zip(there, [*there, (None, 0)][1:], strict=True):
        limited(_PATIENCE + 10 * usual)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following[0])
    return True


def measure(tests: Iterable[str], keep: Path) -> Measured:
    """How long each test takes and what it reaches; not those that fail.

    What is in the file `keep` is taken from there, and the rest added to it.
    """
    known: Measured = json.loads(keep.read_text()) if keep.exists() else {}
    inside = tuple(str(ROOT / each) for each in PACKAGES)

    reached: dict[str, set[int]] = defaultdict(set)

    def trace(frame: Any, event: str, argument: object) -> None:
        if frame.f_code.co_filename.startswith(inside):
            reached[frame.f_code.co_filename].add(frame.f_code.co_firstlineno)

    def work(items: dict[str, pytest.Item]) -> None:
        for name in set(known) - set(items):
            del known[name]
        wanted = [item for name, item in items.items() if name not in known]
        saved = time.monotonic()
        for item, following in zip(wanted, [*wanted, None][1:], strict=True):
            session.failed = False
            reached.clear()
            started = time.process_time()
            threading.settrace(trace)
            sys.settrace(trace)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            sys.settrace(None)
            seconds = time.process_time() - started
            if not session.failed:
                names = {each: str(Path(each).relative_to(ROOT)) for each in reached}
                lines = {names[each]: sorted(found) for each, found in reached.items()}
                known[item.nodeid] = (seconds, lines)
            if time.monotonic() - saved > 20:
                keep.write_text(json.dumps(known))
                saved = time.monotonic()
        keep.write_text(json.dumps(known))

    session = Session(work, stop=False)
    forked(lambda: session.run(tests))
    return json.loads(keep.read_text())


def chosen(mutant: Mutant, measured: Measured, at_most: float) -> dict[str, float]:
    """The tests that reach the function, or the file if that is done at import; fast ones first.

    Where few reach the function, because its answers are remembered, say, others that reach the
    file come after them.
    """
    file = str(mutant.path.relative_to(ROOT))
    near, far = [], []
    for name, (seconds, functions) in measured.items():
        if file in functions:
            inside = mutant.function is None or mutant.function[1] in functions[file]
            (near if inside else far).append((seconds, name))
    ordered = sorted(near) + (sorted(far) if len(near) < _FEW else [])
    found: dict[str, float] = {}
    for seconds, name in ordered:
        if found and sum(found.values()) + seconds > at_most:
            break
        found[name] = seconds
    return found


def outcomes(
    mutants: Sequence[Mutant], measured: Measured, at_most: float, tell: Callable[[Any, str], None]
) -> None:
    """Tries each mutant, and tells what became of it."""
    inside, outside = ([m for m in mutants if m.at_import == at] for at in (False, True))
    tests = {mutant: chosen(mutant, measured, at_most) for mutant in mutants}
    ends = {"done": "survived", "failed": "killed", "timeout": "timeout"}

    def at_import(mutant: Mutant) -> bool:
        limited(60)
        import_changed(mutant, SOURCE)
        done: list[bool] = []

        def work(items: dict[str, pytest.Item]) -> None:
            done.append(carry_out(items, tests[mutant]))

        Session(work).run(dict.fromkeys(name.partition("::")[0] for name in tests[mutant]))
        if not done:
            os._exit(1)
        return True

    def in_place(items: dict[str, pytest.Item]) -> None:
        functions = functions_in_use()
        caches = functions_with_a_cache()
        gc.freeze()

        def work(mutant: Mutant) -> bool:
            for cache in caches:
                cache.cache_clear()
            mutant.apply(functions)
            return carry_out(items, tests[mutant])

        for mutant in inside:
            tried(mutant, work)

    def tried(mutant: Mutant, work: Callable[[Any], bool]) -> None:
        if not tests[mutant]:
            tell(mutant, "not reached")
        else:
            tell(mutant, ends[forked(functools.partial(work, mutant))[0]])

    files = dict.fromkeys(name.partition("::")[0] for name in measured)
    forked(lambda: Session(in_place).run(files))
    for mutant in outside:
        tried(mutant, at_import)


def sample(
    mutants: Sequence[Mutant], share: float, least: int, at_import: int, seed: int
) -> list[Mutant]:
    """So many of a file's mutants, in their order; those that are no Python do not count."""
    order = random.Random(f"{seed} {mutants[0].path.name}")  # noqa: S311
    some = order.sample(mutants, len(mutants))
    wanted = max(least, math.ceil(share * len(mutants)))
    found: list[Mutant] = []
    for mutant in some:
        if len(found) == wanted:
            break
        if mutant.source() is not None:
            found.append(mutant)
    late = [mutant for mutant in found if mutant.at_import][at_import:]
    return sorted(set(found) - set(late), key=mutants.index)


def table(rows: Sequence[dict[str, str]], sizes: dict[str, int]) -> str:
    """Outcomes by file and package; the last column counts each file by all that it has."""
    lines = [
        f"{'':44}{'all':>7}{'tried':>7}{'killed':>8}{'timeout':>9}{'survived':>10}{'share':>9}"
    ]
    for package in sorted({str(Path(file).parent) for file in sizes}):
        files = sorted(file for file in sizes if str(Path(file).parent) == package)
        noticed = 0.0
        total: Counter[str] = Counter()
        for file in files:
            by = Counter(row["outcome"] for row in rows if row["file"] == file)
            by["all"], by["tried"] = sizes[file], by.total()
            by["survived"] += by["not reached"]
            total += by
            share = (by["killed"] + by["timeout"]) / max(by["tried"], 1)
            noticed += sizes[file] * share
            lines.append(_line(file.removeprefix("src/radii/"), by, share))
        lines.append(_line(package.removeprefix("src/radii/"), total, noticed / total["all"]))
    return "\n".join(lines)


def _line(name: str, by: Counter[str], share: float) -> str:
    numbers = (by["all"], by["tried"], by["killed"], by["timeout"], by["survived"])
    return "{:44}{:7,}{:7,}{:8,}{:9,}{:10,}".format(name, *numbers) + f"{share:9.1%}"


def _row(mutant: Mutant, outcome: str = "") -> dict[str, str]:
    file = str(mutant.path.relative_to(ROOT))
    values = (file, *map(str, mutant.place), mutant.change, outcome)
    return dict(zip(COLUMNS, values, strict=True))


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in COLUMNS[:-1])


def main() -> int:
    """Tries a sample of the mutants, writes what became of them, and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", help="files or packages; by default all three")
    parser.add_argument("--share", type=float, default=0.0, help="of the mutants of each file")
    parser.add_argument("--least", type=int, default=20, help="mutants of a file, or all it has")
    parser.add_argument(
        "--at-import", type=int, default=3, help="of these, in what is done at import, at most"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--seconds", type=float, default=20.0, help="of tests for a mutant")
    parser.add_argument("--again", type=Path, help="take over what this table has as noticed")
    parser.add_argument("--tests", type=Path, default=Path("mutation-tests.json"), help="measured")
    parser.add_argument("--among", nargs="*", default=TESTS, help="tests that may notice")
    parser.add_argument("--out", type=Path, default=Path("mutants.csv"))
    given = parser.parse_args()
    os.chdir(ROOT)

    for name in ("hypothesis", "mpmath", "scipy.optimize", "scipy.special"):
        importlib.import_module(name)  # before this process is copied for the first time
    torch.set_num_threads(1)
    files: list[Path] = []
    for name in given.files or PACKAGES:
        path = Path(name).resolve()
        files += sorted(path.glob("*.py")) if path.is_dir() else [path]
    every = {path: found for path in files if (found := mutants_of(path))}
    sizes = {str(path.relative_to(ROOT)): len(found) for path, found in every.items()}
    wanted: list[Mutant] = []
    for found in every.values():
        wanted += sample(found, given.share, given.least, given.at_import, given.seed)
    noticed: list[dict[str, str]] = []
    if given.again:
        past = [row for row in csv.DictReader(given.again.open()) if row["file"] in sizes]
        noticed = [row for row in past if row["outcome"] in ("killed", "timeout")]
        settled = {_key(row) for row in noticed}
        wanted = [each for each in wanted if _key(_row(each)) not in settled]
    print(f"{len(wanted):,} of {sum(sizes.values()):,} mutants", flush=True)
    measured = measure(given.among, given.tests)
    print(f"{len(measured):,} tests", flush=True)
    with given.out.open("w") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(noticed)
        out.flush()

        def tell(mutant: Mutant, outcome: str) -> None:
            writer.writerow(_row(mutant, outcome))
            out.flush()

        outcomes(wanted, measured, given.seconds, tell)
    print(table(list(csv.DictReader(given.out.open())), sizes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
