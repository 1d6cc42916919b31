"""Answers scrapes of Prometheus out of the database, whatever state it is in (PRD 11.1)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.monitoring import (
    backups,
    embeddings,
    endpoints,
    moves,
    postgres,
    quality,
    work,
)
from greenlang_vectors.monitoring.families import gauge
from greenlang_vectors.store.database import Database

logger = logging.getLogger(__name__)

PARTS: dict[str, Callable[[psycopg.Connection], list[Metric]]] = {
    "embeddings": embeddings.metrics,
    "postgres": postgres.metrics,
    "quality": quality.metrics,
    "work": work.metrics,
    "backups": backups.metrics,
    "moves": moves.metrics,
}

SCRAPE_SECONDS = 5.0
"""What all questions of a scrape may take; Prometheus waits 10 s by default."""

LOCK_SECONDS = 1.0
"""How long one of them waits for a table that somebody is changing."""


class Exporter(Collector):
    """What one database is like at the moment of a scrape; scrapes take turns.

    A part that fails or takes too long is left out, and `greenlang_vectors_part_success` says
    which. Where the database cannot be reached `greenlang_vectors_up` is 0: that is an answer, too.

    Args:
        open_database: opens it; tried again with each scrape until it succeeds.
    """

    def __init__(self, open_database: Callable[[], Database]) -> None:
        self._open = open_database
        self._database: Database | None = None
        self._turn = threading.Lock()
        self._down = False

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        with self._turn:
            began = time.monotonic()
            found = self._read(began + SCRAPE_SECONDS)
            took = time.monotonic() - began
        text = "How long the database was asked, in seconds."
        yield gauge("greenlang_vectors_scrape_seconds", text, (), [(took,)])
        yield from found

    def close(self) -> None:
        """End the connections."""
        if self._database is not None:
            self._database.close()

    def _read(self, deadline: float) -> list[Metric]:
        found: list[Metric] = []
        success: dict[str, bool] = {}
        try:
            if self._database is None:
                self._database = self._open()
            with self._database.connection() as connection:
                for name, ask in PARTS.items():
                    part = _part(connection, name, ask, deadline)
                    success[name] = part is not None
                    found += part or []
        except (GreenLangError, psycopg.Error) as error:
            if not self._down:
                logger.warning("The database cannot be asked: %s", error)
            found, self._down = [], True
        else:
            self._down = False
        if self._database is not None:
            found += endpoints.metrics(self._database.endpoints())
        return [
            gauge(
                "greenlang_vectors_up",
                "1 where the database answers.",
                (),
                [(not self._down,)],
            ),
            gauge(
                "greenlang_vectors_part_success",
                "1 where this part of the metrics could be read.",
                ("part",),
                success.items(),
            ),
            *found,
        ]


def _part(
    connection: psycopg.Connection,
    name: str,
    ask: Callable[[psycopg.Connection], list[Metric]],
    deadline: float,
) -> list[Metric] | None:
    """One part, read only and within what is left of the time; None where that fails."""
    left = max(1, round((deadline - time.monotonic()) * 1000))
    try:
        with connection.transaction():
            connection.execute(
                "SELECT set_config('transaction_read_only', 'on', true),"
                " set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
                [f"{left}ms", f"{round(LOCK_SECONDS * 1000)}ms"],
            )
            return ask(connection)
    except psycopg.Error as error:
        if connection.closed:
            raise
        logger.warning("The metrics of %s could not be read: %s", name, error)
        return None
