"""The job that archives old embeddings, as an operator launches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from greenlang_vectors.definitions import build_defs
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

from .conftest import QUIET, Ingest
from .toy import ToyEmbedding

pytestmark = pytest.mark.integration


def test_old_embeddings_are_archived_and_not_embedded_again(
    fresh: Database,
    instance: dg.DagsterInstance,
    namespace: Callable[[str], Path],
    ingest: Ingest,
    tmp_path: Path,
) -> None:
    namespace("csrd")
    assert ingest("csrd").success
    with fresh.connect() as connection:

        def rows() -> int:
            row = connection.execute("SELECT count(*) FROM vector_embeddings").fetchone()
            return 0 if row is None else int(row[0])

        before = rows()
        connection.execute("UPDATE vector_embeddings SET updated_at = now() - interval '31 days'")
        defs = build_defs(
            resource_overrides={
                "database": fresh,
                "embedding": ToyEmbedding(),
                "settings": Settings(backup_location=str(tmp_path / "backups")),
            }
        )
        config = {"namespace": "csrd", "older_than_days": 30}
        run = defs.resolve_job_def("archive_embeddings").execute_in_process(
            instance=instance,
            run_config={**QUIET, "ops": {"archive_old_embeddings": {"config": config}}},
        )
        assert run.success
        assert before > 0
        assert rows() == 0
        assert list((tmp_path / "backups").rglob("*.parquet"))
        assert ingest("csrd").success
        assert rows() == 0
