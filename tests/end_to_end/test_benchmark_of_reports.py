from __future__ import annotations

import pytest

from tests.end_to_end.test_benchmarks import run


@pytest.mark.slow
def test_reporting_times_a_browser_and_a_large_run(tmp_path):
    said, results = run(
        *("reporting.py", tmp_path, "--runs", "3", "--inputs", "40", "--large", "500"),
    )
    assert set(results["measured"]) == {"browser", "one page", "large run"}
    for row in results["measured"].values():
        assert 0 < row["cpu_seconds"]
        assert row["peak_mb"] > 50
    assert "limits: 10 s for the browser" in said
