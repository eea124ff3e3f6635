import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import torch

import radii
from radii.errors import BaseClassifierError
from radii.models import ArrayFunction, load_base
from radii.noise import Gaussian


def scores(x):
    flat = x.reshape(len(x), -1)
    return np.stack([flat.sum(1), flat[:, 0], -flat[:, -1]], axis=1)


def labels(x):
    return scores(x).argmax(1)


def process_of(x):
    return np.full((len(x), 1), os.getpid())


def ends(x):
    os._exit(3)


def batch(rows=23, shape=(2, 3)):
    return torch.randn((rows, *shape), generator=torch.Generator().manual_seed(0))


POOLS = {
    "none": {},
    "limit": {"batch_limit": 4},
    "threads": {"batch_limit": 4, "threads": 3},
    "processes": {"batch_limit": 4, "processes": 2},
}


@pytest.mark.parametrize("pool", ["none", "limit", "threads"])
@pytest.mark.parametrize("function", [scores, labels])
def test_answers_are_those_of_the_function_in_order(function, pool):
    x = batch()
    answer = ArrayFunction(function, **POOLS[pool])(x)
    expected = torch.as_tensor(function(x.numpy()))
    assert answer.dtype == expected.dtype
    assert torch.equal(answer, expected)


def test_worker_processes_give_the_same_votes():
    x = batch(4)
    found = {}
    for pool, options in POOLS.items():
        smoothed = radii.SmoothedClassifier(
            ArrayFunction(scores, **options), Gaussian(1.0), 3, input_shape=(2, 3)
        )
        answers = smoothed.predict(x, n=500, seed=1)
        found[pool] = [answer.counts.votes.tolist() for answer in answers]
    assert len({str(votes) for votes in found.values()}) == 1
    assert all(min(votes) < 500 for votes in found["none"])


def test_the_limit_alone_says_how_a_batch_is_cut():
    sizes = []

    def noted(x):
        sizes.append((threading.get_ident(), len(x)))
        return labels(x)

    for threads in (1, 3):
        sizes.clear()
        ArrayFunction(noted, batch_limit=5, threads=threads)(batch(23))
        assert sorted(size for _, size in sizes) == [3, 5, 5, 5, 5]


def test_threads_call_at_the_same_time():
    together = threading.Barrier(3, timeout=10)

    def meets(x):
        together.wait()
        return labels(x)

    assert len(ArrayFunction(meets, batch_limit=2, threads=3)(batch(6))) == 6


@pytest.mark.parametrize("options", [{}, {"batch_limit": 3}, {"batch_limit": 3, "threads": 2}])
def test_no_rows_get_no_answers(options):
    x = torch.zeros(0, 4)
    assert ArrayFunction(lambda x: x.sum(1) > 0, **options)(x).tolist() == []
    assert ArrayFunction(lambda x: x[:, :2], **options)(x).shape == (0, 2)


def test_the_function_gets_arrays_of_its_own():
    def overwrites(x):
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        x[:] = 7
        return np.zeros(len(x), dtype=int)

    x = batch().bfloat16().requires_grad_()
    before = x.detach().clone()
    for options in ({}, {"batch_limit": 4}):
        assert ArrayFunction(overwrites, **options)(x).tolist() == [0] * 23
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("answer", "dtype"),
    [
        (np.float16, torch.float32),
        (np.float64, torch.float64),
        (np.int8, torch.int64),
        (np.uint64, torch.int64),
        (bool, torch.int64),
    ],
)
def test_types_of_answers(answer, dtype):
    shape = (3, 2) if np.dtype(answer).kind == "f" else (3,)
    assert ArrayFunction(lambda x: np.ones(shape, answer))(batch(3)).dtype == dtype


@pytest.mark.parametrize(
    "answer",
    [lambda x: 3, lambda x: [1, 2], lambda x: ["a"] * len(x), lambda x: np.zeros((len(x), 2, 2))],
)
def test_answers_that_are_none_are_refused(answer):
    with pytest.raises(BaseClassifierError, match=r"scores \(3, num_classes\) or labels \(3,\)"):
        ArrayFunction(answer)(batch(3))


def test_answers_of_different_kinds_are_refused():
    def changes(x):
        return np.zeros((len(x), 2)) if len(x) == 2 else np.zeros(len(x), int)

    with pytest.raises(BaseClassifierError, match="answer all parts of a batch alike"):
        ArrayFunction(changes, batch_limit=2)(batch(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_limit": 0}, "batch_limit must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"processes": -1}, "processes must be at least 0, got -1"),
        ({"threads": 2}, "a pool needs a batch_limit"),
        ({"processes": 2}, "a pool needs a batch_limit"),
        ({"threads": 2, "processes": 2, "batch_limit": 3}, "either threads or processes"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        ArrayFunction(scores, **options)


def test_a_copy_starts_a_pool_of_its_own():
    first = ArrayFunction(scores, batch_limit=4, threads=2)
    x = batch()
    expected = first(x)
    assert torch.equal(pickle.loads(pickle.dumps(first))(x), expected)


def test_a_function_without_a_name_cannot_be_sent_to_processes():
    with pytest.raises(BaseClassifierError, match="must have a name in a file or package"):
        ArrayFunction(lambda x: labels(x), batch_limit=4, processes=1)(batch())


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def gone(pids, seconds=20):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks at processes in /proc")
def test_processes_end_with_the_object():
    function = ArrayFunction(process_of, batch_limit=1, processes=1)
    pids = set(function(batch(3)).flatten().tolist())
    assert os.getpid() not in pids
    assert all(map(alive, pids))
    del function
    gc.collect()
    assert gone(pids)


def test_a_process_that_dies_is_told():
    with pytest.raises(BaseClassifierError, match=r"a process that answers .* died"):
        ArrayFunction(ends, batch_limit=1, processes=1)(batch(2))


OWN = """
    import os
    import numpy as np
    from radii.models import ArrayFunction

    def where(x):
        return np.array([[os.getpid(), os.getppid()]] * len(x), dtype=float)

    predict = ArrayFunction(where, batch_limit=1, processes=1)
"""

PROGRAM = """
    import sys, time, torch
    from radii.models import load_base

    if __name__ == "__main__":
        base = load_base(sys.argv[1] + ":predict")
        print(*sorted({int(row[0]) for row in base.module(torch.zeros(20, 3))}), flush=True)
        time.sleep(float(sys.argv[2]))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks at processes in /proc")
@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_a_function_in_a_file_runs_in_processes_that_end_with_the_program(tmp_path, end):
    (tmp_path / "own.py").write_text(textwrap.dedent(OWN))
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    line = [sys.executable, "program.py", tmp_path / "own.py", "0" if end == "by itself" else "60"]
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as program:
        pids = [int(pid) for pid in program.stdout.readline().split()]
        assert pids
        assert program.pid not in pids
        if end == "killed":
            assert all(map(alive, pids))
            program.send_signal(signal.SIGKILL)
        program.wait(30)
    assert gone(pids)


def test_a_file_names_one(tmp_path):
    (tmp_path / "own.py").write_text(textwrap.dedent(OWN))
    base = load_base(f"{tmp_path / 'own.py'}:predict")
    assert isinstance(base.module, ArrayFunction)
    assert base.module.processes == 1


def test_the_engine_keeps_a_pool_busy():
    seen = []

    def noted(x):
        seen.append(len(x))
        return np.zeros(len(x), dtype=np.int64)

    function = ArrayFunction(noted, batch_limit=25, threads=2)
    smoothed = radii.SmoothedClassifier(function, Gaussian(0.5), num_classes=2)
    smoothed.predict(torch.zeros(3, 40, 40), n=200, seed=0)  # a cache would have room for 31 rows
    assert set(seen) == {25}
    assert function.pass_rows == 50
    assert ArrayFunction(noted).pass_rows is None
