import pickle
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing

import numpy as np
import pytest
import torch

import radii
from radii.errors import BaseClassifierError
from radii.models import ArrayFunction, Remembered
from radii.noise import Gaussian


def rows(count, first=0):
    return np.arange(first, first + count, dtype=np.float32)[:, None] + np.float32([0, 0.25])


class Service:
    """Counts what it is asked, and can break down."""

    def __init__(self, answer=lambda x: x.sum(1).astype(int) % 3):
        self.answer = answer
        self.asked = []
        self.left = 10**9

    def __call__(self, x):
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("the line is dead")
        self.asked.append(len(x))
        return self.answer(x)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "answers.sqlite"


ANSWERS = {
    "labels": lambda x: x.sum(1).astype(int) % 3,
    "float32": lambda x: np.stack([x[:, 0], -x[:, 1]], axis=1) / 3,
    "float64": lambda x: np.stack([x[:, 0], -x[:, 1]], axis=1).astype(np.float64) / 3,
    "lists": lambda x: (x / 7).tolist(),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_only_missing_rows_are_asked_and_answers_are_the_same(path, kind):
    service = Service(ANSWERS[kind])
    remembered = Remembered(service, path, key="a")
    first = remembered(rows(5))
    mixed = remembered(rows(8)[::-1])
    remembered.close()
    again = Remembered(service, path, key="a")
    last = again(rows(8))
    assert service.asked == [5, 3]
    expected = np.asarray(ANSWERS[kind](rows(8)))
    assert first.dtype == mixed.dtype == last.dtype == expected.dtype
    assert (first == expected[:5]).all()
    assert (mixed == expected[::-1]).all()
    assert (last == expected).all()
    assert len(again) == 8
    again.close()


def test_equal_rows_of_a_batch_are_asked_once(path):
    service = Service()
    with closing(Remembered(service, path, key="a")) as remembered:
        x = rows(3)[[0, 1, 0, 2, 1]]
        assert (remembered(x) == service.answer(x)).all()
    assert service.asked == [3]


def test_more_rows_than_a_query_holds(path):
    service = Service()
    with closing(Remembered(service, path, key="a")) as remembered:
        x = rows(1_234)
        for _ in range(2):
            assert (remembered(x) == service.answer(x)).all()
    assert service.asked == [1_234]


def test_no_rows(path):
    with closing(Remembered(Service(), path, key="a")) as remembered:
        assert remembered(rows(0)).shape == (0,)


def test_rows_of_another_type_are_rounded_to_that_of_their_names(path):
    threshold = np.float32(0.1)
    service = Service(lambda x: (x[:, 0] > threshold).astype(int))
    with closing(Remembered(service, path, key="a")) as remembered:
        near = threshold + np.array([[0.0], [1e-12]])  # one number in float32, two in float64
        assert near.dtype == np.float64
        assert remembered(near).tolist() == [0, 0]
        assert remembered(near.astype(np.float32)).tolist() == [0, 0]
        assert remembered(np.array([[0], [1]])).tolist() == [0, 1]


def test_rows_of_another_shape_are_other_rows(path):
    service = Service(lambda x: np.full(len(x), x.ndim))
    with closing(Remembered(service, path, key="a")) as remembered:
        x = rows(2)
        assert remembered(x).tolist() == [2, 2]
        assert remembered(x[:, None]).tolist() == [3, 3]


def test_another_key_is_another_classifier(path):
    ones, twos = (Service(lambda x, value=value: np.full(len(x), value)) for value in (1, 2))
    with (
        closing(Remembered(ones, path, key="version 1")) as first,
        closing(Remembered(twos, path, key="version 2")) as second,
    ):
        assert first(rows(3)).tolist() == [1, 1, 1]
        assert second(rows(3)).tolist() == [2, 2, 2]
        assert first(rows(3)).tolist() == [1, 1, 1]
    assert ones.asked == twos.asked == [3]


def test_answers_of_another_kind_need_another_key(path):
    scores = lambda x: np.zeros((len(x), 2))  # noqa: E731
    with (
        closing(Remembered(Service(), path, key="a")) as labels,
        closing(Remembered(Service(scores), path, key="a")) as other,
    ):
        labels(rows(2))
        with pytest.raises(BaseClassifierError, match="labels of type <i8, got 2 scores of type"):
            other(rows(3))
        assert len(labels) == 2


def test_a_broken_connection_costs_nothing_already_paid(path):
    x = torch.tensor([[0.3, -0.2]])
    plan = radii.SamplingPlan(n0=50, n=600, seed=4)

    def smoothed(service):
        base = ArrayFunction(Remembered(service, path, key="a"), batch_limit=50)
        return radii.SmoothedClassifier(base, Gaussian(1.0), 3, input_shape=(2,))

    def answer(noisy):
        return np.digitize(noisy.sum(1), [-0.5, 0.5])

    alone = radii.SmoothedClassifier(ArrayFunction(answer), Gaussian(1.0), 3, input_shape=(2,))
    expected = alone.certify(x[0], plan)
    service = Service(answer)
    messages = []
    while True:
        service.left = 4
        try:
            result = smoothed(service).certify(x[0], plan)
        except BaseClassifierError as error:
            messages.append(str(error))
        else:
            break
    assert len(messages) == 3  # 13 calls of 50 rows, 4 a try
    assert all("the line is dead" in message for message in messages)
    assert sum(service.asked) == 650
    assert result.estimation.votes.tolist() == expected.estimation.votes.tolist()
    assert result.radius == expected.radius


def test_other_files_are_refused(path):
    path.write_text("this is a letter and no database at all, however long it is")
    with pytest.raises(BaseClassifierError, match="cannot keep answers: file is not a database"):
        Remembered(Service(), path, key="a")
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE letters (text TEXT)")
    before = path.read_bytes()
    with pytest.raises(BaseClassifierError, match="it holds another program's tables; name a new"):
        Remembered(Service(), path, key="a")
    assert path.read_bytes() == before
    with pytest.raises(BaseClassifierError, match="unable to open database file"):
        Remembered(Service(), path / "none" / "a.sqlite", key="a")
    with pytest.raises(ValueError, match="key must be a text that names the classifier"):
        Remembered(Service(), path, key="")
    with pytest.raises(TypeError, match="function must be callable, got int"):
        Remembered(3, path, key="a")


def test_threads_share_one(path):
    service = Service()
    with closing(Remembered(service, path, key="a")) as remembered:
        pooled = ArrayFunction(remembered, batch_limit=7, threads=4)
        x = torch.from_numpy(rows(200))
        for _ in range(2):
            assert (pooled(x).numpy() == service.answer(x.numpy())).all()
        assert sum(service.asked) == 200
        copied = pickle.loads(pickle.dumps(Remembered(len, path, key="a")))
        assert len(copied) == 200
        copied.close()


PROGRAM = """
    import sys, numpy as np
    from radii.models import Remembered

    def answer(x):
        return np.stack([x[:, 0], -x[:, 1]], axis=1)

    remembered = Remembered(answer, sys.argv[1], key="a")
    print("ready", flush=True)
    while True:
        for first in range(int(sys.argv[2]), 1_000_000, 40):
            remembered(np.arange(first, first + 40, dtype=np.float32)[:, None] + np.zeros(2, "f4"))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")
def test_two_processes_that_are_killed_leave_whole_answers(path, tmp_path):
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    lines = [[sys.executable, "program.py", path, str(first)] for first in (0, 20)]
    programs = [
        subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for line in lines
    ]
    try:
        for program in programs:
            assert program.stdout.readline() == b"ready\n", program.stderr.read()
        time.sleep(1)
        assert [program.poll() for program in programs] == [None, None]
    finally:
        for program in programs:
            program.kill()
            program.communicate()

    def answer(x):
        service.append(len(x))
        return np.stack([x[:, 0], -x[:, 1]], axis=1)

    service = []
    with closing(Remembered(answer, path, key="a")) as remembered:
        kept = len(remembered)
        assert kept >= 40
        x = np.arange(1_000_000, dtype=np.float32)[: kept + 100, None] + np.zeros(2, "f4")
        assert (remembered(x) == answer(x)).all()
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("SELECT DISTINCT length(answer) FROM answers").fetchall() == [(8,)]
