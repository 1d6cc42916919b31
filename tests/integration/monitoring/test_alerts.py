"""Alerts are what promtool takes, each with a case that fires, one that does not, and a page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "deploy" / "monitoring"


@pytest.fixture(scope="module")
def rules(folder: Path) -> dict[str, Any]:
    groups = yaml.safe_load((folder / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ],
    ids=" ".join,
)
def test_promtool_agrees(folder: Path, arguments: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on this machine (apt install prometheus)")
    run = subprocess.run(
        [promtool, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_is_seen_to_fire_and_not_to_fire(folder: Path, rules: dict[str, Any]) -> None:
    tests = yaml.safe_load((folder / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == silent == set(rules)


def test_every_alert_leads_to_a_page_that_says_what_to_do(
    repository: Path, rules: dict[str, Any]
) -> None:
    pages = {path.stem for path in (repository / "docs" / "runbooks").glob("Pgvector*.md")}
    assert pages == set(rules)
    for name, rule in rules.items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
        page = (repository / rule["annotations"]["runbook"]).read_text("utf-8")
        for heading in (f"# {name}", "## What it means", "## What to do"):
            assert heading in page.splitlines(), name
