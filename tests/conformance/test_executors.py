"""What every executor owes: all results, lazy intake, errors at once, workers that may die."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from radii.errors import RadiiError
from radii.executors import EXECUTORS, Executor, Serial

MEMBERS = [
    EXECUTORS.build({"name": name, **example})
    for name in EXECUTORS.names()
    for example in EXECUTORS[name].examples
]


def marked(member: Executor) -> object:
    """Ray takes seconds to start, and again for each worker that dies."""
    marks = [pytest.mark.slow] if EXECUTORS.name_of(member) == "ray" else []
    return pytest.param(member, marks=marks, id=EXECUTORS.spec_of(member))


@pytest.fixture(params=map(marked, MEMBERS))
def executor(request: pytest.FixtureRequest) -> Executor:
    """Each member; a Ray cluster is started once for all tests of one, since it takes seconds."""
    member: Executor = request.param
    if EXECUTORS.name_of(member) == "ray":
        if importlib.util.find_spec("ray") is None:
            pytest.skip('the extra "ray" is not installed')
        request.getfixturevalue("cluster")
    return member


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason='the extra "ray" is not installed')
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


# What the workers do; they import this file.


def squares(number: int) -> Callable[[int], tuple[int, int]]:
    return lambda shard: (shard, shard * shard)


def fails_on_three(number: int) -> Callable[[int], int]:
    def function(shard: int) -> int:
        if shard == 3:
            raise KeyError("three is too much")
        return shard

    return function


class Unpicklable(Exception):  # noqa: N818
    """Cannot be made again from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def fails_oddly(number: int) -> Callable[[int], int]:
    def function(shard: int) -> int:
        raise Unpicklable("this", "that")

    return function


def ends_python(number: int) -> Callable[[int], int]:
    return lambda shard: sys.exit(0) if shard == 3 else shard


def ends_python_at_once(number: int) -> Callable[[int], int]:
    sys.exit("no more")


def cannot_be_made(number: int) -> Callable[[int], int]:
    raise ValueError("there is no such function")


class Dies:
    """Kills its process at each sight of a shard, up to so many times."""

    def __init__(self, folder: Path, deadly: int, times: int) -> None:
        self.folder, self.deadly, self.times = folder, deadly, times

    def __call__(self, number: int) -> Callable[[int], tuple[int, int]]:
        return self.function

    def function(self, shard: int) -> tuple[int, int]:
        seen = len(list(self.folder.iterdir()))
        if shard == self.deadly and seen < self.times:
            (self.folder / str(seen)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return shard, os.getpid()


class DiesAtTheStart:
    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.times = folder, times

    def __call__(self, number: int) -> Callable[[int], int]:
        for seen in range(self.times):
            try:
                (self.folder / str(seen)).touch(exist_ok=False)
            except FileExistsError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        return abs


def share_of_cores(number: int) -> Callable[[int], tuple[int, str]]:
    return lambda shard: (number, os.environ["OMP_NUM_THREADS"])


def sleeps(number: int) -> Callable[[float], int]:
    def function(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    return function


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def assert_ended(pids: set[int]) -> None:
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, f"of {pids} some live on"
        time.sleep(0.05)


def test_every_shard_gets_its_result_once(executor: Executor) -> None:
    assert sorted(executor.map(squares, range(20))) == [(i, i * i) for i in range(20)]


def test_no_shards_no_results(executor: Executor) -> None:
    assert list(executor.map(squares, [])) == []


def test_shards_are_taken_as_workers_are_free(executor: Executor) -> None:
    taken = []

    def shards() -> Iterator[int]:
        for shard in range(100):
            taken.append(shard)
            yield shard

    results = executor.map(squares, shards())
    for count in range(1, 11):
        next(results)
        assert len(taken) <= count + 4  # two workers, each with a shard and a result at most
    results.close()
    assert len(taken) < 20


def test_an_exception_of_the_function_is_raised_with_its_message(executor: Executor) -> None:
    taken = []

    def shards() -> Iterator[int]:
        for shard in range(1000):
            taken.append(shard)
            yield shard

    with pytest.raises(KeyError) as caught:
        list(executor.map(fails_on_three, shards()))
    assert caught.value.args == ("three is too much",)
    assert len(taken) < 20


def test_an_exception_that_cannot_be_sent_keeps_its_words(executor: Executor) -> None:
    with pytest.raises((RadiiError, Unpicklable), match="this and that"):
        list(executor.map(fails_oddly, range(3)))


def test_an_exception_while_the_function_is_made_is_raised(executor: Executor) -> None:
    with pytest.raises(ValueError, match="there is no such function"):
        list(executor.map(cannot_be_made, range(3)))


def test_an_exception_of_the_shards_is_raised(executor: Executor) -> None:
    def shards() -> Iterator[int]:
        yield from range(3)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(executor.map(squares, shards()))


def test_it_has_a_spec(executor: Executor) -> None:
    assert EXECUTORS.build(EXECUTORS.spec_of(executor)) == executor


@pytest.fixture
def remote(executor: Executor) -> Executor:
    """Each that has workers in processes of their own."""
    if isinstance(executor, Serial):
        pytest.skip("serial has no worker")
    return executor


def test_a_function_that_ends_python_does_not_end_the_driver(remote: Executor) -> None:
    with pytest.raises(RadiiError, match=r"must not end Python, got sys\.exit\(0\)"):
        list(remote.map(ends_python, range(9)))
    with pytest.raises(RadiiError, match=r"must not end Python, got sys\.exit\('no more'\)"):
        list(remote.map(ends_python_at_once, range(9)))


def test_without_shards_no_worker_starts(remote: Executor) -> None:
    assert list(remote.map(cannot_be_made, [])) == []


def test_a_worker_that_dies_is_replaced(remote: Executor, tmp_path: Path) -> None:
    found = dict(remote.map(Dies(tmp_path, deadly=4, times=1), range(9)))
    assert sorted(found) == list(range(9))
    assert len(list(tmp_path.iterdir())) == 1
    assert os.getpid() not in found.values()


def test_a_shard_is_given_out_again_three_times(remote: Executor, tmp_path: Path) -> None:
    found = dict(remote.map(Dies(tmp_path, deadly=0, times=3), range(3)))
    assert sorted(found) == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_shard_over_which_workers_always_die_ends_the_work(
    remote: Executor, tmp_path: Path
) -> None:
    with pytest.raises(RadiiError, match="a worker died 4 times over the same shard, at last: "):
        list(remote.map(Dies(tmp_path, deadly=1, times=99), range(3)))
    assert len(list(tmp_path.iterdir())) == 4


def test_workers_that_die_at_the_start(remote: Executor, tmp_path: Path) -> None:
    assert sorted(remote.map(DiesAtTheStart(tmp_path, 2), [-1, 2])) == [1, 2]
    with pytest.raises(RadiiError, match="a worker died 4 times while it started, at last: "):
        list(remote.map(DiesAtTheStart(tmp_path, 99), [1]))


def test_workers_share_the_cores(remote: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = set(remote.map(share_of_cores, range(30)))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores
    assert {number for number, _ in found} <= {0, 1}
    assert all(1 <= int(share) <= max(1, cores // 2) for _, share in found)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_what_is_broken_off_leaves_no_worker(remote: Executor) -> None:
    results = remote.map(sleeps, [0.0, 0.0, 60.0, 60.0])
    pids = {next(results), next(results)}
    assert all(map(is_alive, pids))
    started = time.monotonic()
    results.close()
    assert_ended(pids)
    assert time.monotonic() - started < 30  # and not when they have slept
