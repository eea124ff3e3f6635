from __future__ import annotations

import io

from rich.console import Console
from rich.progress import Progress, Task

from radii.cli.certify import said_of
from radii.cli.console import Bar


def bar() -> tuple[Bar, Progress]:
    progress = Progress(console=Console(file=io.StringIO()), disable=True)
    return Bar(progress, "certifying", "samples"), progress


def shown(progress: Progress) -> Task:
    (task,) = (task for task in progress.tasks if task.visible)
    return task


def test_a_bar_over_steps() -> None:
    made, progress = bar()
    made.start(10, 4, steps_each=100)
    made.advance(150)
    made.finish_one()
    task = shown(progress)
    assert (task.completed, task.total) == (150, 600)
    assert (task.fields["things"], task.fields["saved"]) == ("5/10", "")


def test_a_bar_over_things_that_may_need_fewer_steps() -> None:
    made, progress = bar()
    made.start(10, 4, steps_each=100, uneven=True)
    made.advance(30)
    assert shown(progress).fields["saved"] == ""  # none is finished, so nothing is known
    made.finish_one()
    made.finish_one()
    made.advance(9)
    task = shown(progress)
    assert (task.completed, task.total, task.fields["things"]) == (2, 6, "6/10")
    assert task.fields["saved"] == "80.5 % saved"
    assert task.fields["steps"].completed == 39  # what the rate is taken of


def test_steps_under_way_are_not_counted_as_saved() -> None:
    made, _ = bar()
    made.start(2, 0, steps_each=100, uneven=True)
    made.advance(150)
    made.finish_one()
    assert made.saved == 0


def test_what_a_run_took_in_a_line() -> None:
    made, _ = bar()
    made.start(10, 8, steps_each=1000, uneven=True)
    for _ in range(2):
        made.advance(300)
        made.finish_one()
    made.seconds = 2.0
    assert said_of(made) == "600 samples in 2.0 s, 300 a second, 70.0 % fewer than n0 + n an input"
    made, _ = bar()
    made.start(10, 10)
    assert said_of(made) == "every input was in the ledger already"
