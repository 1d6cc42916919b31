"""The table embedding_jobs (PRD 6.2) as who embeds or stores writes it: a row a run, or a write.

A run keeps its counts as it goes, and holds a lock named after its job for as long as it lives: a
job that says it is running while nobody holds its lock was killed (`store.jobs`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Literal, Protocol
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.store import locks

SourceType = Literal[
    "document", "import", "kafka", "sdk", "weaviate", "follow", "repair", "archive"
]
"""How the work came: by the pipeline, from a file, from a topic, by an application; from Weaviate
by a backfill, a follower or a repair; out of an archive."""

LOCK = "job"

IDLE_SECONDS = 60
"""A job of what comes bit by bit ends once nothing has come for so long."""


class Counting(Protocol):
    """A job as who stores passages sees it."""

    def add(self, *, processed: int, cache_hits: int) -> None:
        """Count passages that are stored, within the transaction that stores them."""


class EmbeddingJob:
    """One run of embedding work, its counts kept as it goes."""

    def __init__(
        self, connection: psycopg.Connection, namespace: str, model: str | None, identity: UUID
    ) -> None:
        self._connection = connection
        self._key = {"namespace": namespace, "model": model, "id": identity}

    def add(
        self, *, source: int = 0, processed: int = 0, failed: int = 0, cache_hits: int = 0
    ) -> None:
        """Count on.

        Args:
            source: passages that are to be stored.
            processed, failed: those of them that are, and that became dead letters.
            cache_hits: distinct texts among them that the embedding cache held.
        """
        self._connection.execute(
            _ADD,
            {
                **self._key,
                "source": source,
                "processed": processed,
                "failed": failed,
                "cache_hits": cache_hits,
            },
        )

    def finish(self, status: str, error: str | None = None) -> None:
        """Close the job."""
        self._connection.execute(
            """
            UPDATE embedding_jobs
            SET status = %(status)s, error_message = %(error)s, completed_at = now()
            WHERE (namespace, id) = (%(namespace)s, %(id)s)
            """,
            {**self._key, "status": status, "error": error},
        )


@contextmanager
def embedding_job(
    connection: psycopg.Connection,
    namespace: str,
    model: str | None,
    source_type: SourceType,
    *,
    source: str | None = None,
    source_count: int = 0,
) -> Iterator[EmbeddingJob]:
    """Open a job for the body and close it with how the body ended.

    Jobs of the same work that were killed are marked as interrupted: this one goes on with it.

    Args:
        connection: a session of its own, in autocommit.
        model: of the collection whose rows are counted, which need not be there yet; None for the
            one that serves.
        source: the file, topic or archive that it comes from.
        source_count: passages that are to be stored, as far as that is known.

    Raises:
        DatabaseUnavailable: the connection leads through a pooler.
    """
    identity = uuid4()
    job = EmbeddingJob(connection, namespace, model, identity)
    with locks.exclusive(connection, LOCK, str(identity)):
        values = {
            "namespace": namespace,
            "model": model,
            "id": identity,
            "source_type": source_type,
            "source": source,
            "count": source_count,
            "lock": locks.named(LOCK, ""),
        }
        connection.execute(_INTERRUPT, values)
        connection.execute(_BEGIN, values)
        try:
            yield job
        except Exception as error:
            with suppress(psycopg.Error):  # the connection may be what failed
                job.finish("failed", in_a_line(error))
            raise
        except BaseException:
            with suppress(psycopg.Error):  # a command that was interrupted may be in progress still
                job.finish("interrupted")
            raise
        job.finish("succeeded")


class Burst:
    """One job for what comes bit by bit, or not at all: open while it comes, it ends once nothing
    does, and where nothing comes there is none.

    Args:
        connection, namespace, source_type, source: as of `embedding_job`; rows are counted in the
            collection that serves.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        namespace: str,
        source_type: SourceType,
        source: str | None = None,
    ) -> None:
        self._opened = partial(
            embedding_job, connection, namespace, None, source_type, source=source
        )
        self._stack = ExitStack()
        self._job: EmbeddingJob | None = None
        self._last = 0.0

    def add(
        self, *, source: int = 0, processed: int = 0, failed: int = 0, cache_hits: int = 0
    ) -> None:
        """Count on (see `EmbeddingJob.add`), in a new job where none is open."""
        if self._job is None:
            self._job = self._stack.enter_context(self._opened())
        self._job.add(source=source, processed=processed, failed=failed, cache_hits=cache_hits)

    @contextmanager
    def bit(self, *, going_on: bool = True) -> Iterator[None]:
        """Work that has come; if it fails, the job has failed, and the next bit begins another.

        Args:
            going_on: whether more may come; if not, the job ends with this.
        """
        try:
            yield
        except BaseException:
            self._job = None
            self._stack.__exit__(*sys.exc_info())
            raise
        self._last = time.monotonic()
        if not going_on:
            self.close()

    def rest(self) -> None:
        """Nothing has come: end the job if that has been so for `IDLE_SECONDS`."""
        if time.monotonic() - self._last > IDLE_SECONDS:
            self.close()

    def close(self) -> None:
        """End the job, if one is open: all that came is stored."""
        self._job = None
        self._stack.close()


class Write:
    """A write that is one transaction: its job is noted, finished, with its rows or not at all."""

    def __init__(
        self, connection: psycopg.Connection, namespace: str, model: str | None, passages: int
    ) -> None:
        self._connection = connection
        self._values = {"namespace": namespace, "model": model, "count": passages}
        self._began = time.monotonic()

    def add(self, *, processed: int, cache_hits: int) -> None:
        """Note the job, within the transaction that stores the passages."""
        self._note("succeeded", processed=processed, cache_hits=cache_hits)

    def refused(self, error: Exception) -> None:
        """Note that nothing was stored, and why; of a namespace that is not there, nothing."""
        with suppress(psycopg.Error):
            self._note("failed", failed=self._values["count"], error=in_a_line(error))

    def _note(self, status: str, **counts: object) -> None:
        values = {"processed": 0, "failed": 0, "cache_hits": 0, "error": None, **counts}
        seconds = time.monotonic() - self._began
        self._connection.execute(
            _NOTE, {**self._values, **values, "status": status, "seconds": seconds}
        )


@contextmanager
def one_write(
    connection: psycopg.Connection, namespace: str, model: str | None, passages: int
) -> Iterator[Write]:
    """The job of an application's write, which the body stores in one transaction.

    A write that is refused or fails leaves a job that says so. One that is killed leaves neither
    rows nor a job.

    Args:
        model: of the vectors that it brings; None for the collection that serves.
        passages: how many are to be stored.
    """
    write = Write(connection, namespace, model, passages)
    try:
        yield write
    except Exception as error:
        write.refused(error)
        raise


def in_a_line(error: Exception) -> str:
    """What a job keeps of an error; of PostgreSQL's without the details, which quote rows."""
    if isinstance(error, GreenLangError):
        return " ".join(str(error).split())
    words = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return f"{type(error).__name__}: {' '.join((words or str(error)).split())}"


_COLLECTION = sql.SQL(
    """
    (SELECT id FROM embedding_collections
     WHERE namespace = %(namespace)s
       AND CASE WHEN %(model)s::text IS NULL THEN serving ELSE embedding_model = %(model)s END)
    """
)

_INTERRUPT = sql.SQL(
    """
    UPDATE embedding_jobs SET status = 'interrupted', completed_at = now()
    WHERE namespace = %(namespace)s AND status = 'running' AND source_type = %(source_type)s
      AND source IS NOT DISTINCT FROM %(source)s
      AND (collection_id IS NULL OR collection_id = {collection})
      AND hashtextextended(%(lock)s || id::text, 0) NOT IN ({held})
    """
).format(collection=_COLLECTION, held=locks.HELD)

_BEGIN = sql.SQL(
    """
    INSERT INTO embedding_jobs (namespace, id, collection_id, source_type, source, source_count)
    VALUES (%(namespace)s::text, %(id)s, {collection}, %(source_type)s, %(source)s, %(count)s)
    """
).format(collection=_COLLECTION)

_ADD = sql.SQL(
    """
    UPDATE embedding_jobs
    SET collection_id = coalesce(collection_id, {collection}),
        source_count = source_count + %(source)s,
        processed_count = processed_count + %(processed)s,
        failed_count = failed_count + %(failed)s,
        cache_hits = cache_hits + %(cache_hits)s
    WHERE (namespace, id) = (%(namespace)s, %(id)s)
    """
).format(collection=_COLLECTION)

_NOTE = sql.SQL(
    """
    INSERT INTO embedding_jobs
        (namespace, collection_id, source_type, status, source_count, processed_count,
         failed_count, cache_hits, error_message, started_at, completed_at)
    SELECT name, {collection}, 'sdk', %(status)s, %(count)s, %(processed)s, %(failed)s,
           %(cache_hits)s, %(error)s, clock_timestamp() - make_interval(secs => %(seconds)s),
           clock_timestamp()
    FROM namespaces WHERE name = %(namespace)s
    """
).format(collection=_COLLECTION)
