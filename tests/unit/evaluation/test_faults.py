"""What a ledger does when the disk, the file or the machine fails."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from radii.errors import LedgerError
from radii.evaluation import AttackLedger, Ledger, LedgerWriter, Row
from radii.evaluation.attack_ledger import AttackLedgerWriter
from radii.models.checkpoint import replace_file
from tests.unit.evaluation.attack_ledgers import SPEC as ATTACK_SPEC
from tests.unit.evaluation.attack_ledgers import hit
from tests.unit.evaluation.ledgers import SPEC, abstained, row, soft, write

# Of Python 3.12, where a test before has left a thread.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

ROWS = [row(0), abstained(1), soft(2), *(row(i, i / 7) for i in range(3, 40))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A ledger of some pages."""
    return write(tmp_path_factory.mktemp("whole") / "run.sqlite", ROWS, data_examples=None)


def said(path: Path, error: LedgerError) -> None:
    """Whether it is one sentence about the file."""
    assert str(path) in str(error)
    assert len(str(error).splitlines()) == 1


def read_or_refused(path: Path) -> list[Row] | None:
    """The rows, or None if a sentence says why there are none."""
    try:
        return list(Ledger(path).rows())
    except LedgerError as error:
        return said(path, error)


def continued(path: Path, rows: list[Row]) -> list[Row] | None:
    """The rows once the missing ones were added, or None if that was refused."""
    try:
        with LedgerWriter(path, SPEC, {}) as ledger:
            assert ledger.done <= {each.index for each in rows}
            ledger.add([each for each in rows if each.index not in ledger.done])
    except LedgerError as error:
        return said(path, error)
    return read_or_refused(path)


def test_a_ledger_cut_off_at_any_byte_is_refused(whole, tmp_path):
    content, path = whole.read_bytes(), tmp_path / "run.sqlite"
    for length in [*range(1, 120), *range(120, len(content), 311), len(content) - 1]:
        path.write_bytes(content[:length])
        assert read_or_refused(path) is None
        assert continued(path, ROWS) is None
        assert path.read_bytes() == content[:length]  # it may still be mended
    path.write_bytes(b"")
    assert read_or_refused(path) is None
    assert continued(path, ROWS) == ROWS


def flipped(whole: Path, tmp_path: Path, seed: int, times: int) -> int:
    """Changes bytes of a ledger, and counts how often that was noticed."""
    rng, content, noticed = random.Random(seed), whole.read_bytes(), 0
    path = tmp_path / "run.sqlite"
    used = [at for at in range(len(content)) if content[at]]  # most of the rest is free space
    for _ in range(times):
        other = bytearray(content)
        for at in rng.sample(used, rng.choice([1, 1, 1, 3])):
            other[at] = rng.choice([0, other[at] ^ (1 << rng.randrange(8)), rng.randrange(256)])
        path.write_bytes(other)
        found = read_or_refused(path)
        assert found in (None, ROWS)
        noticed += found is None
        assert continued(path, ROWS) in (None, ROWS)
        for left in tmp_path.glob("run.sqlite-*"):
            left.unlink()
    return noticed


def test_changed_bytes_are_noticed_or_change_nothing(whole, tmp_path):
    assert flipped(whole, tmp_path, 0, 150) > 100


@pytest.mark.slow
def test_many_changed_bytes_are_noticed_or_change_nothing(whole, tmp_path):
    assert flipped(whole, tmp_path, 1, 5_000) > 3_000


def test_rows_without_votes_come_from_a_whole_file_alone(whole, tmp_path):
    path = tmp_path / "run.sqlite"
    content = whole.read_bytes()
    path.write_bytes(content[:-4096])
    with pytest.raises(LedgerError, match="is damaged"):
        Ledger(path)
    path.write_bytes(content.replace(b'"radius" REAL', b'"sadius" REAL'))
    with pytest.raises(LedgerError, match="its column 'sadius'"):
        list(Ledger(path).rows(votes=False))


def test_a_checksum_that_was_removed_is_missed(whole, tmp_path):
    path = tmp_path / "run.sqlite"
    shutil.copy(whole, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute('UPDATE inputs SET checksum = NULL, radius = 9 WHERE "index" = 3')
    with pytest.raises(LedgerError, match="row of input 3 does not fit its checksum"):
        list(Ledger(path).rows())
    with pytest.raises(LedgerError, match="row of input 3"), LedgerWriter(path, SPEC, {}):
        pass
    with pytest.raises(LedgerError, match="row of input 3"):
        Ledger(path).row(3)
    assert Ledger(path).unchecked().row(3).radius == 9
    assert Ledger(path).row(4) == ROWS[4]


def test_an_attack_ledger_cut_off_or_garbled_is_refused(tmp_path):
    path = tmp_path / "run.sqlite"
    with AttackLedgerWriter(path, ATTACK_SPEC, {}) as ledger:
        ledger.add([hit(i) for i in range(20)])
    content = path.read_bytes()
    for length in range(200, len(content), 1_733):
        path.write_bytes(content[:length])
        with pytest.raises(LedgerError):
            list(AttackLedger(path).rows())
    path.write_bytes(content)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE attacks SET votes = '{' WHERE \"index\" = 3")
    with pytest.raises(LedgerError, match="row of input 3 does not fit its checksum"):
        list(AttackLedger(path).rows())
    with pytest.raises(LedgerError, match="input 3 cannot be read"):
        list(AttackLedger(path).unchecked().rows())


def forked(work) -> int:
    """Runs something in a fork; its exit code."""
    process = os.fork()
    if process == 0:
        code = 99
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_a_full_disk_keeps_what_was_stored_and_the_run_goes_on(tmp_path):
    path, told = tmp_path / "run.sqlite", tmp_path / "told"

    def work() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
        try:
            with LedgerWriter(path, SPEC, {}) as ledger:
                for start in range(0, 4_000, 10):
                    ledger.add([row(i, i / 7) for i in range(start, start + 10)])
        except LedgerError as error:
            told.write_text(str(error))
            return 7
        return 0

    assert forked(work) == 7
    count = len(Ledger(path))
    assert 0 < count < 4_000
    assert f"the {count} inputs stored before stay in it, and the same command goes on" in (
        told.read_text()
    )
    rows = [row(i, i / 7) for i in range(4_000)]
    assert list(Ledger(path).rows()) == rows[:count]
    assert continued(path, rows) == rows


def test_a_full_file_system_keeps_what_was_stored(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    size = "size=300k"
    if os.spawnv(os.P_WAIT, mount, ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]):
        pytest.skip("no file system can be mounted here")
    try:
        path = folder / "run.sqlite"
        with pytest.raises(LedgerError, match=r"disk is full; the .* inputs stored before"):  # noqa: PT012
            with LedgerWriter(path, SPEC, {}) as ledger:
                for start in range(0, 4_000, 10):
                    ledger.add([row(i, i / 7) for i in range(start, start + 10)])
        count = len(Ledger(path))
        assert 0 < count < 4_000
        assert list(Ledger(path).rows()) == [row(i, i / 7) for i in range(count)]
        with pytest.raises(OSError, match="No space left"):
            replace_file(folder / "weights", bytes(400_000))
        assert not [each for each in folder.iterdir() if "weights" in each.name]
    finally:
        os.spawnv(os.P_WAIT, shutil.which("umount"), ["umount", str(folder)])


def test_what_cannot_be_written_is_refused_before_work(tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "run.sqlite"
    folder.mkdir()
    write(file, [row(0)])
    folder.chmod(0o500)
    file.chmod(0o400)

    def refused(path: Path, what: str) -> bool:
        try:
            with LedgerWriter(path, SPEC, {}):
                return False
        except LedgerError as error:
            return what in str(error) and str(path) in str(error)

    def work() -> int:
        if os.geteuid() == 0:
            for path in (tmp_path, *tmp_path.parents):
                if path == Path(tempfile.gettempdir()):
                    break
                path.chmod(0o755)
            os.chown(folder, 65534, 65534)
            os.chown(file, 65534, 65534)
            os.setuid(65534)
        cases = [
            (folder / "run.sqlite", "must be in a folder that can be written"),
            (folder / "new" / "run.sqlite", "must be in a folder that can be written"),
            (file, "must be a file that can be written"),
            (file / "run.sqlite", "must be in a folder that can be written"),
        ]
        return sum(2**i for i, case in enumerate(cases) if not refused(*case))

    assert forked(work) == 0
    assert [each.name for each in folder.iterdir()] == []
    folder.chmod(0o700)


# Power loss: the files of a run are copied one after the other while it is written.


def rows_to_write(seed: int) -> list[Row]:
    rng = random.Random(seed)
    wide = dict.fromkeys(range(100), 9)
    return [
        Row(i, 0, 0, i / 7, 0.98, 0.02, {0: 100}, {**wide, 0: rng.randrange(10**6)}, 1100, 0.25)
        for i in range(200)
    ]


def copied_while_written(folder: Path, seed: int, copies: int) -> dict[str, int]:
    """Copies a ledger that is being written, and goes on with each copy; how these ended."""
    rng, rows = random.Random(seed), rows_to_write(seed)
    path = folder / "run.sqlite"
    found = {"whole": 0, "refused": 0, "empty": 0}

    def work() -> int:
        while True:
            with LedgerWriter(path, SPEC, {}) as ledger:
                # So that the -wal file starts anew again and again.
                ledger._connection.execute("PRAGMA wal_autocheckpoint = 20")
                for start in range(0, len(rows), 3):
                    ledger.add(rows[start : start + 3])
            path.unlink()

    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(99)
    try:
        for number in range(copies):
            into = folder / str(number)
            into.mkdir()
            names = [path.name + ending for ending in ("", "-wal", "-shm", "-journal")]
            rng.shuffle(names)
            for name in names:
                time.sleep(rng.choice([0, 0.001, 0.01, 0.05]) * rng.random())
                if (folder / name).exists() and rng.random() < 0.95:
                    try:
                        shutil.copyfile(folder / name, into / name)
                    except FileNotFoundError:
                        continue
            copy = into / path.name
            started = copy.exists() and copy.stat().st_size > 0
            end = continued(copy, rows)
            assert end in (None, rows)
            found["refused" if end is None else "whole" if started else "empty"] += 1
            shutil.rmtree(into)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert continued(path, rows) == rows
    return found


def test_copies_made_while_a_ledger_is_written_go_on_or_are_refused(tmp_path):
    found = copied_while_written(tmp_path, 0, 30)
    assert found["whole"] > 2


@pytest.mark.slow
def test_many_copies_made_while_a_ledger_is_written_go_on_or_are_refused(tmp_path):
    found = copied_while_written(tmp_path, 1, 500)
    assert found["whole"] > 100


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    replace_file(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_commits_wait_for_the_disk(tmp_path):
    with LedgerWriter(tmp_path / "run.sqlite", SPEC, {}) as ledger:
        (level,) = ledger._connection.execute("PRAGMA synchronous").fetchone()
        assert level == 2  # FULL
