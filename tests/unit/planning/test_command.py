"""`greenlang-vectors plan` on a machine without a database."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from greenlang_vectors.commands.plan import plan_command
from greenlang_vectors.errors import UsageError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(plan_command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("text", "vectors"),
    [("250000", 250_000), ("100k", 100_000), ("1.5M", 1_500_000), ("1B", 10**9)],
)
def test_numbers_are_written_as_people_do(text: str, vectors: int) -> None:
    assert json.loads(run("--vectors", text, "--json"))["workload"]["vectors"] == vectors


def test_what_is_asked_for_is_planned() -> None:
    asked = ("--index", "hnsw", "--storage", "halfvec", "--qps", "100", "--family", "r8g")
    said = json.loads(run("--vectors", "10M", *asked, "--model", "all-mpnet-base-v2", "--json"))
    assert said["workload"]["dimensions"] == 768
    assert said["workload"]["index"]["storage"] == "halfvec"
    assert said["machines"]["writer"].startswith("db.r8g.")


def test_people_see_tables_with_the_date_of_the_prices() -> None:
    said = run("--vectors", "100M", "--qps", "100")
    for words in ("ANN index", "maintenance_work_mem", "PRD 15.1", "Citus", "not verified"):
        assert words in said


def test_mistakes_are_refused() -> None:
    for wrong in (("--vectors", "many"), ("--vectors", "1k", "--storage", "int8"), ()):
        assert CliRunner().invoke(plan_command, wrong).exit_code == 2
    with pytest.raises(UsageError, match="at least 1"):
        run("--vectors", "0")
