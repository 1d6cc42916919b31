"""Jobs say how work ended, whoever does it, and which of it was killed; old ones go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from greenlang_vectors.errors import EmbeddingFailed
from greenlang_vectors.store import embedding_jobs, jobs, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import Burst, embedding_job, one_write
from greenlang_vectors.store.jobs import Job

pytestmark = pytest.mark.integration


@pytest.fixture
def namespace(connection: psycopg.Connection) -> str:
    return namespaces.register(connection, f"j-{uuid4().hex[:10]}").name


@pytest.fixture
def look(connection: psycopg.Connection, namespace: str) -> Callable[..., list[Job]]:
    """The namespace's jobs, the newest first."""
    return lambda **options: jobs.newest(connection, [namespace], **{"most": 100, **options})


def counts(job: Job) -> tuple[object, ...]:
    return job.status, job.source_count, job.processed_count, job.failed_count, job.cache_hits


@pytest.fixture
def killed(
    database: Database, connection: psycopg.Connection, namespace: str
) -> Callable[[str], None]:
    """Leaves a job as a process that was killed does."""

    def leave(source: str) -> None:
        with database.connect() as other:
            opened = embedding_job(other, namespace, None, "import", source=source)
            opened.__enter__()
            pid = other.info.backend_pid
            assert connection.execute("SELECT pg_terminate_backend(%s, 9000)", [pid]).fetchone()
            error = psycopg.OperationalError("the connection is lost")
            assert not opened.__exit__(type(error), error, None)

    return leave


def test_a_job_says_how_its_work_ended(
    connection: psycopg.Connection, namespace: str, look: Callable[..., list[Job]]
) -> None:
    def run(error: BaseException | None = None) -> Job:
        with embedding_job(
            connection, namespace, None, "import", source="/a b", source_count=5
        ) as job:
            [running] = look(most=1)
            assert running.status == "running"
            job.add(processed=2, cache_hits=1)
            job.add(source=1, failed=1)
            if error is not None:
                raise error
        [ended] = look(most=1)
        return ended

    done = run()
    assert counts(done) == ("succeeded", 6, 2, 1, 1)
    assert (done.seconds is not None, done.resume, done.error_message) == (True, None, None)
    for error, status, message in (
        (EmbeddingFailed("It\nfailed.", "Ask."), "failed", "It failed. Ask."),
        (ValueError("no\n number"), "failed", "ValueError: no number"),
        (KeyboardInterrupt(), "interrupted", None),
        (SystemExit(0), "interrupted", None),
    ):
        with pytest.raises(type(error)):
            run(error)
        [ended] = look(most=1)
        assert (ended.status, ended.error_message) == (status, message)
        assert ended.resume == f"greenlang-vectors import '/a b' --namespace {namespace}"


def test_an_error_of_the_database_is_kept_without_the_row_it_quotes(
    connection: psycopg.Connection, namespace: str, look: Callable[..., list[Job]]
) -> None:
    connection.execute("CREATE TEMP TABLE kept (text text CHECK (text <> 'secret words'))")
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="secret words"),
        embedding_job(connection, namespace, None, "document"),
    ):
        connection.execute("INSERT INTO kept VALUES ('secret words')")
    [failed] = look()
    assert str(failed.error_message).startswith("CheckViolation: new row")
    assert "secret words" not in str(failed.error_message)


def test_a_job_that_was_killed_is_stuck_until_the_same_work_goes_on(
    connection: psycopg.Connection,
    namespace: str,
    look: Callable[..., list[Job]],
    killed: Callable[[str], None],
) -> None:
    killed("one")
    killed("two")
    assert [job.status for job in look()] == ["stuck", "stuck"]
    with embedding_job(connection, namespace, None, "import", source="one"):
        assert [(job.source, job.status) for job in look()] == [
            ("one", "running"),
            ("two", "stuck"),
            ("one", "interrupted"),
        ]
        assert [job.source for job in look(status="stuck")] == ["two"]
        assert [job.source for job in look(status="running", most=1)] == ["one"]


class Ending:
    """A connection that sees a job end between the look at its row and the next one."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection, self.cursor = connection, connection.cursor

    def execute(self, *arguments: Any) -> Any:  # noqa: ANN401
        self.connection.execute("UPDATE embedding_jobs SET status = 'succeeded'")
        return self.connection.execute(*arguments)


def test_a_job_that_ends_while_it_is_looked_at_is_not_stuck(
    connection: psycopg.Connection, namespace: str, killed: Callable[[str], None]
) -> None:
    killed("one")
    ending: Any = Ending(connection)
    assert [job.status for job in jobs.newest(ending, [namespace], most=1)] == ["succeeded"]


def test_what_lives_is_not_marked_by_others_of_its_kind(
    database: Database,
    connection: psycopg.Connection,
    namespace: str,
    look: Callable[..., list[Job]],
) -> None:
    with (
        database.connect() as other,
        embedding_job(other, namespace, None, "kafka", source="acts"),
        embedding_job(connection, namespace, None, "kafka", source="acts"),
    ):
        assert [job.status for job in look()] == ["running", "running"]


def fails(burst: Burst) -> None:
    with burst.bit():
        burst.add(source=1)
        raise EmbeddingFailed("It failed.")


def test_what_comes_bit_by_bit_is_one_job_until_nothing_comes(
    connection: psycopg.Connection,
    namespace: str,
    look: Callable[..., list[Job]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    burst = Burst(connection, namespace, "kafka", "acts")
    with burst.bit():
        pass
    burst.rest()
    assert look() == []
    for _ in range(3):
        with burst.bit():
            burst.add(source=2, processed=1, failed=1)
        burst.rest()
    [job] = look()
    assert counts(job) == ("running", 6, 3, 3, 0)
    monkeypatch.setattr(embedding_jobs, "IDLE_SECONDS", 0)
    burst.rest()
    with pytest.raises(EmbeddingFailed):
        fails(burst)
    with burst.bit():
        burst.add(source=1, processed=1)
    with pytest.raises(SystemExit), burst.bit():
        raise SystemExit(0)
    with burst.bit():
        burst.add(source=1, processed=1)
    burst.close()
    statuses = [job.status for job in look()]
    assert statuses == ["succeeded", "interrupted", "failed", "succeeded"]


def taken_back(connection: psycopg.Connection, namespace: str) -> None:
    with one_write(connection, namespace, None, 4) as job, connection.transaction():
        job.add(processed=4, cache_hits=0)
        raise EmbeddingFailed("It failed.")


def test_a_write_leaves_its_job_with_its_rows_or_not_at_all(
    connection: psycopg.Connection, namespace: str, look: Callable[..., list[Job]]
) -> None:
    with one_write(connection, namespace, None, 3) as job:
        job.add(processed=3, cache_hits=2)
    with pytest.raises(EmbeddingFailed):
        taken_back(connection, namespace)
    with pytest.raises(KeyboardInterrupt), one_write(connection, namespace, None, 5):
        raise KeyboardInterrupt
    failed, done = look()
    assert counts(done) == ("succeeded", 3, 3, 0, 2)
    assert counts(failed) == ("failed", 4, 0, 4, 0)
    assert (failed.error_message, failed.resume) == ("It failed.", None)
    with pytest.raises(EmbeddingFailed), one_write(connection, "nowhere", None, 1):
        raise EmbeddingFailed("It failed.")


def test_a_page_begins_where_the_one_before_ended(
    connection: psycopg.Connection, namespace: str, look: Callable[..., list[Job]]
) -> None:
    for passages in range(5):
        with one_write(connection, namespace, None, passages) as job:
            job.add(processed=passages, cache_hits=0)
    first = look(most=3)
    assert [job.source_count for job in first] == [4, 3, 2]
    assert [job.source_count for job in look(after=first[-1].id)] == [1, 0]
    assert look(after=uuid4()) == []


def test_old_jobs_go_and_what_they_stored_is_counted_on(
    connection: psycopg.Connection,
    namespace: str,
    look: Callable[..., list[Job]],
    killed: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def age(days: int) -> None:
        connection.execute(
            """
            UPDATE embedding_jobs
            SET started_at = now() - make_interval(days => %(days)s),
                completed_at = CASE WHEN status <> 'running'
                               THEN now() - make_interval(days => %(days)s) END
            WHERE namespace = %(namespace)s AND started_at > now() - interval '1 day'
            """,
            {"days": days, "namespace": namespace},
        )

    def write(passages: int) -> None:
        with one_write(connection, namespace, None, passages) as job:
            job.add(processed=passages, cache_hits=1)

    write(3)
    write(4)
    killed("old")
    age(91)
    killed("young")
    age(89)
    write(5)
    age(88)
    with embedding_job(connection, namespace, None, "document"):
        age(365)
        monkeypatch.setattr(jobs, "ROWS_AT_ONCE", 2)
        assert jobs.prune(connection, 90) == 3
        assert jobs.prune(connection, 90) == 0
        assert [job.status for job in look()] == ["succeeded", "stuck", "running"]
        monkeypatch.setattr(jobs, "MOST_KEPT", 1)
        jobs.prune(connection, 90)
        assert [job.status for job in look()] == ["succeeded", "running"]
    assert connection.execute(
        "SELECT pruned_job_chunks, pruned_job_cache_hits FROM namespaces WHERE name = %s",
        [namespace],
    ).fetchone() == (7, 2)
