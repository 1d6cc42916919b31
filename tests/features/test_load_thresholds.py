"""The load test ends as PRD 14.2's thresholds say; its users rise and fall as PRD 14.2's do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FAST, SLOW = 5.0, 150.0


@pytest.fixture(scope="module")
def locustfile() -> Iterator[ModuleType]:
    """Imported without what locust does to a process it runs in."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LOCUST_SKIP_MONKEY_PATCH", "1")
        from benchmarks.load import locustfile

        yield locustfile


@pytest.mark.parametrize(
    ("milliseconds", "failures", "code"),
    [
        ([FAST] * 200, 0, 0),
        ([FAST] * 199 + [SLOW], 0, 0),
        ([FAST] * 190 + [SLOW] * 10, 0, 1),
        ([25.0] * 200, 0, 1),
        ([FAST] * 200, 1, 0),
        ([FAST] * 200, 5, 1),
        ([], 0, 1),
    ],
    ids=["all fast", "one slow", "p99", "p50", "one failed", "too many failed", "none"],
)
def test_the_exit_code_says_whether_every_threshold_was_met(
    locustfile: ModuleType,
    capsys: pytest.CaptureFixture[str],
    milliseconds: list[float],
    failures: int,
    code: int,
) -> None:
    from locust.env import Environment

    environment = Environment()
    for each in milliseconds:
        environment.stats.log_request("POST", locustfile.SEARCH, each, 100)
    for _ in range(failures):
        environment.stats.log_error("POST", locustfile.SEARCH, "503")
    locustfile.check_thresholds(environment)
    assert environment.process_exit_code == code
    assert ("missed" in capsys.readouterr().out) == (code == 1 and bool(milliseconds))


def test_users_rise_and_fall_as_the_prd_says(locustfile: ModuleType) -> None:
    minutes = {0: 10, 1: 55, 2: 100, 7: 100, 8: 150, 9: 200, 14: 200, 15: 100}
    assert {minute: locustfile.users_at(60 * minute) for minute in minutes} == minutes
    assert locustfile.users_at(16 * 60) is None


def test_an_api_that_is_not_there_misses_them(repository: Path) -> None:
    file = repository / "benchmarks" / "load" / "locustfile.py"
    command = [sys.executable, "-m", "locust", "-f", str(file), "--headless"]
    environment = {
        "LOAD_KEY": "key",
        "LOAD_NAMESPACE": "csrd",
        "LOAD_SCALE": "0.001",
        "PYTHONPATH": str(repository),
    }
    ended = subprocess.run(
        [*command, "--host", "http://127.0.0.1:9"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=repository,
    )
    assert ended.returncode == 1
    assert "failed: 100.0%" in ended.stdout
