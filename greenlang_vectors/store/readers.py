"""Which server answers a search (PRD 9.1): a healthy reader, else the writer."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg

from greenlang_vectors.errors import DatabaseBusy, DatabaseUnavailable
from greenlang_vectors.store.connections import Access
from greenlang_vectors.store.endpoints import Endpoint, EndpointState, Limits
from greenlang_vectors.store.monitor import Monitor
from greenlang_vectors.store.pool import Pool


class Readers:
    """The endpoints of one process, watched from the first search on.

    Args:
        written: the writer's connections for all but searches, which a failover concerns, too.
    """

    def __init__(
        self, writer: Access, readers: Sequence[Access], limits: Limits, written: Pool
    ) -> None:
        self._writer = Endpoint(writer, "writer", limits)
        self._readers = [Endpoint(access, "reader", limits) for access in readers]
        self._written = written
        self._monitor = Monitor(self._writer, self._readers, limits, written)

    @contextmanager
    def reading(
        self, *, fresh: bool, avoiding: Endpoint | None = None
    ) -> Iterator[psycopg.Connection]:
        """A connection of the healthy reader that has least to do; of the writer if there is none.

        Args:
            fresh: only of the writer.
            avoiding: a reader that has just failed.

        Raises:
            DatabaseBusy: the chosen endpoint had none free in time.
            DatabaseUnavailable: no endpoint can be reached.
            SearchInterrupted: the body's search broke off; another endpoint may answer it.
        """
        self._monitor.start()
        for endpoint in self._order(fresh, avoiding):
            with ExitStack() as stack:
                try:
                    connection = stack.enter_context(endpoint.pool.connection())
                except DatabaseBusy:
                    raise
                except DatabaseUnavailable as error:
                    endpoint.failed(error)
                    if endpoint is self._writer:
                        raise
                    continue
                with endpoint.searching(connection):
                    yield connection
                return

    def states(self) -> list[EndpointState]:
        """The writer, then the readers, as the last check found them."""
        self._monitor.start()
        return [
            EndpointState(
                name=endpoint.name,
                role=endpoint.role,
                healthy=endpoint.healthy,
                lag_seconds=endpoint.lag_seconds,
                in_use=endpoint.pool.in_use
                + (self._written.in_use if endpoint is self._writer else 0),
                limit=endpoint.pool.size + (self._written.size if endpoint is self._writer else 0),
                problem=endpoint.problem,
            )
            for endpoint in (self._writer, *self._readers)
        ]

    def close(self) -> None:
        """End the checks and every idle connection."""
        self._monitor.stop()
        for endpoint in (self._writer, *self._readers):
            endpoint.pool.expire()

    def _order(self, fresh: bool, avoiding: Endpoint | None) -> list[Endpoint]:
        if fresh:
            return [self._writer]
        willing = [reader for reader in self._readers if reader.healthy and reader is not avoiding]
        random.shuffle(willing)
        return [*sorted(willing, key=lambda reader: reader.pool.in_use), self._writer]
