"""Jobs by the command line: what was done, what was killed, and what goes on with it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from greenlang_vectors.store import leaves, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import embedding_job
from greenlang_vectors.store.leaves import Leaf
from tests.integration.conftest import Cli

pytestmark = pytest.mark.integration


def test_a_job_that_nobody_works_at_is_stuck(cli: Cli, database: Database) -> None:
    leaf = Leaf("csrd", "test-model", 8)

    def statuses(*options: str) -> list[str]:
        return [job["status"] for job in cli("jobs", "list", "--json", *options).json["jobs"]]

    with database.connect() as connection:
        namespaces.register(connection, "csrd")
        leaves.ensure_leaf(connection, leaf)
        assert statuses() == []
        with embedding_job(connection, "csrd", leaf.model, "document", source_count=7) as job:
            job.add(processed=5, failed=2, cache_hits=1)
        with (
            pytest.raises(ValueError, match="on purpose"),
            embedding_job(connection, "csrd", leaf.model, "document", source_count=3),
        ):
            raise ValueError("on purpose")
        with embedding_job(connection, "csrd", leaf.model, "document", source_count=9):
            assert statuses() == ["running", "failed", "succeeded"]
            assert statuses("--status", "stuck") == []
        connection.execute(  # as a kill leaves it
            "UPDATE embedding_jobs SET status = 'running', completed_at = NULL"
            " WHERE source_count = 9"
        )
    assert statuses("--namespace", "csrd") == ["stuck", "failed", "succeeded"]
    assert statuses("--status", "stuck") == ["stuck"]
    assert statuses("--status", "running") == []
    assert statuses("--most", "1") == ["stuck"]
    command = "greenlang-vectors collections fill csrd/test-model"
    assert command in cli("jobs", "list").said
    [failed] = cli("jobs", "list", "--status", "failed", "--json").json["jobs"]
    assert cli("jobs", "show", failed["id"], "--json").json == failed
    assert (failed["collection"], failed["resume"]) == ("csrd/test-model", command)
    shown = cli("jobs", "show", failed["id"]).out
    assert ("on purpose" in shown, command in shown) == (True, True)
    [done] = cli("jobs", "list", "--status", "succeeded", "--json").json["jobs"]
    counts = ("source_count", "processed_count", "failed_count", "cache_hits", "resume")
    assert [done[name] for name in counts] == [7, 5, 2, 1, None]
    assert cli("jobs", "dismiss", done["id"]).code == 2
    [stuck] = cli("jobs", "list", "--status", "stuck", "--json").json["jobs"]
    dismissed = cli("jobs", "dismiss", stuck["id"], "--json").json
    assert (dismissed["status"], dismissed["completed_at"] is None) == ("interrupted", False)
    assert statuses() == ["interrupted", "failed", "succeeded"]
    assert cli("jobs", "show", str(uuid4())).code == 2
    assert cli("jobs", "list", "--namespace", "nowhere").code == 2
