"""The command line: parse, run, and turn what goes wrong into a sentence and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from radii._version import __version__
from radii.cli.attack import attack
from radii.cli.certify import certify
from radii.cli.compare import compare
from radii.cli.console import print_error, print_line
from radii.cli.demo import demo
from radii.cli.export import export
from radii.cli.importing import import_logs
from radii.cli.interrupts import Stopped, signals_raised
from radii.cli.list import list_members
from radii.cli.options import WrongUsageError
from radii.cli.predict import predict
from radii.cli.radius import radius
from radii.cli.report import report
from radii.cli.seal import seal
from radii.cli.train import train
from radii.cli.verify import verify
from radii.errors import NotCoveredError, PlanError, RadiiError, UnknownNameError

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)

app = typer.Typer(
    name="radii",
    help="Certified adversarial robustness by randomized smoothing.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("list")(list_members)
app.command("import")(import_logs)
for _command in (radius, train, certify, predict, attack, report, compare, export, demo):
    app.command()(_command)
app.command()(verify)
app.command()(seal)


def _version(wanted: bool) -> None:
    if wanted:
        print_line(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; anywhere in the line.")
    ] = False,
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; the exit code is 0 done, 1 the work failed, 2 wrong usage."""
    debug = "--debug" in arguments
    left = [argument for argument in arguments if argument != "--debug"]
    command = typer.main.get_command(app)
    try:
        with signals_raised():
            code = command.main(args=left, prog_name="radii", standalone_mode=False)
    except Stopped as stop:
        print_error(f"interrupted; {stop.said}")
        return stop.code
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted; run the same command again.")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error)
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> int:
    """Prints one sentence about an error; its exit code."""
    usage = getattr(error, "format_message", None)  # what typer raises for a wrong command line
    if usage is not None:
        text = usage().strip()
        if text:
            print_error(" ".join(text.split()))
        return WRONG_USAGE
    if isinstance(error, (WrongUsageError, NotCoveredError, PlanError, UnknownNameError)):
        print_error(str(error))
        return WRONG_USAGE
    if isinstance(error, RadiiError):
        print_error(str(error))
        return FAILED
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f" {str(error.filename)!r}" if error.filename else ""
        print_error(
            f"a file cannot be written or read{where}: {error.strerror}; nothing half-written "
            f"stays: make space or change permissions, and run the same command again."
        )
        return FAILED
    print_error(f"{type(error).__name__}: {error} (run again with --debug for the traceback)")
    return FAILED


def main() -> None:
    """The entry point of the `radii` command."""
    sys.exit(run(sys.argv[1:]))
