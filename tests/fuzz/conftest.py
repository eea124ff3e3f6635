"""What all tests of malformed inputs share: how many examples there were, at the end."""

from __future__ import annotations

import pytest

from tests.fuzz.oracle import counted


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if counted["examples"]:
        terminalreporter.write_line(f"{counted['examples']:,} malformed inputs")
