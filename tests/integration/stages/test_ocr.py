"""Naming languages has scanned pages read, and nothing else again."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenlang_vectors.stages.documents import DocumentsReport, load_documents
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.database import Database

from ...scans import needs_tesseract, pdf

pytestmark = [pytest.mark.integration, needs_tesseract]

NAME = "scans"


def test_scans_that_were_dead_letters_are_documents(database: Database, tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(pdf(printed=False, scanned=True))
    (tmp_path / "mixed.pdf").write_bytes(pdf(printed=True, scanned=True))
    (tmp_path / "note.md").write_text("# Note\n\nText needs no recognition.")
    with database.connect() as connection:
        namespaces.register(connection, NAME, source_uri=str(tmp_path))

    def run(languages: str) -> DocumentsReport:
        return load_documents(
            database, NAME, max_bytes=10**6, cache_seconds=60, ocr_languages=languages
        )

    def texts() -> dict[str, str]:
        with database.connect() as connection:
            return dict(
                connection.execute(
                    "SELECT source_key, text FROM documents WHERE namespace = %s", [NAME]
                ).fetchall()
            )

    def dead() -> dict[str, str]:
        with database.connect() as connection:
            return {each.item: each.reason for each in dead_letters.list_all(connection, NAME)}

    report = run("")
    assert (report.added, report.failed) == (2, 1)
    assert dead() == {"scan.pdf": "no_text"}
    report = run("eng")
    assert (report.added, report.changed, report.unchanged, report.failed) == (1, 1, 1, 0)
    assert dead() == {}
    for name in ("scan.pdf", "mixed.pdf"):
        assert "Operators shall monitor the emissions of each installation." in texts()[name]
    assert run("eng").unchanged == 3
    report = run("")
    assert (report.changed, report.unchanged, report.failed) == (1, 1, 1)
    assert "Operators" in texts()["scan.pdf"], "what was read stays"
    assert "Operators" not in texts()["mixed.pdf"]
