"""Every named error of the library leads to a page, and every page is found from the index."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from greenlang_vectors.notifications import help as helping
from greenlang_vectors.notifications.help import (
    CHECKS,
    ERRORS,
    STAGES,
    Help,
    command_of,
    help_for,
    runbook_of,
)

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
INDEX = (RUNBOOKS / "README.md").read_text("utf-8")

OF_POSTGRESQL = {"OperationalError", "InterfaceError", "DiskFull"}
"""Errors of psycopg by which runs fail."""


def classes() -> dict[str, set[str]]:
    """The classes of the library and their bases, by name."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "greenlang_vectors").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {each.id for each in node.bases if isinstance(each, ast.Name)}
                found.setdefault(node.name, set()).update(bases)
    return found


def descendants(of: str, known: dict[str, set[str]]) -> Iterator[str]:
    """A class and all that are made of it."""
    yield of
    for name, bases in known.items():
        if of in bases:
            yield from descendants(name, known)


@cache
def named_errors() -> set[str]:
    """Errors that a person can meet and that are no mistake in what he asked for."""
    known = classes()
    asked_wrongly = set(descendants("UsageError", known))
    named = set(descendants("GreenLangError", known)) - asked_wrongly - {"GreenLangError"}
    return {name for name in named if not name.startswith("_")}


def helps() -> list[Help]:
    return [*STAGES.values(), *CHECKS.values(), *ERRORS.values(), helping.CHECK, helping.UNKNOWN]


def test_every_named_error_has_a_page_that_names_it() -> None:
    assert {"DatabaseUnavailable", "SealBroken", "TookTooLong"} <= named_errors()
    assert named_errors() | OF_POSTGRESQL <= set(ERRORS)
    for name, each in ERRORS.items():
        assert f"`{name}`" in (ROOT / runbook_of(each)).read_text("utf-8"), name
        assert f"`{name}`" in INDEX or name in OF_POSTGRESQL, name


def test_every_asset_has_a_page() -> None:
    assets = {path.stem for path in (ROOT / "assets").glob("*.py")}
    assert {"documents", "vector_index", "backup_export", "restore_drill"} <= assets & set(STAGES)
    for each in helps():
        assert (ROOT / runbook_of(each)).is_file(), each.page


def test_every_page_is_found_from_the_index_and_says_what_to_do() -> None:
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([^)/]+\.md)\)", INDEX))
    alerts = (ROOT / "deploy" / "monitoring" / "alerts.yml").read_text("utf-8")
    for page in pages:
        text = (RUNBOOKS / page).read_text("utf-8")
        assert "what to do" in text.lower(), page
        if f"alert: {page.removesuffix('.md')}\n" not in alerts:
            assert "## What you see" in text, page
            assert "## When it is over" in text, page


@pytest.mark.parametrize(
    ("stage", "error", "check", "page", "command"),
    [
        ("documents", None, False, "run-failed-at-documents", "dead-letters list --namespace csrd"),
        ("documents", "SourceUnavailable", False, "source-unavailable", "namespaces list"),
        ("embeddings", "EmbeddingFailed", False, "embedding-failed", "dead-letters list"),
        ("chunks", None, True, "blocking-check-failed", "status"),
        ("restore_drill", None, True, "PgvectorDrillFailed", "drill csrd"),
        (
            "weaviate_backfill",
            "ExportFailed",
            False,
            "weaviate-move-stopped",
            "migrate status csrd",
        ),
        ("anything", "ZeroDivisionError", False, "run-failed", "status"),
    ],
)
def test_the_error_knows_best_and_then_the_stage(
    stage: str, error: str | None, check: bool, page: str, command: str
) -> None:
    found = help_for(stage, error, check=check)
    assert found.page == page
    assert command in (command_of(found, "csrd") or "")


def test_a_command_that_needs_a_namespace_is_left_out_without_one() -> None:
    assert command_of(STAGES["restore_drill"], None) is None
    assert command_of(STAGES["vector_index"], None) == "greenlang-vectors collections list"
