"""The health check of writer and readers: one thread, which asks each of them every second.

A reader's lag is told by a heartbeat (migration 0011). The writer side of the check leaves the
writer's time in a row, and a reader is as far behind as the time it shows is older than the newest
one known a second ago. That is right on an idle system and whatever replicates, and depends on no
clock but the writer's. What a search reads from a healthy reader is at most the lag limit and two
seconds old. While the writer is away, readers are compared with one another.

An endpoint that refuses, breaks off or does not answer within CHECK_SECONDS gets no more searches
until it answers again. One that stays silent has stopped rather than died, and no network error
will tell those who wait for it: their connections are cut, and their searches go elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import LiteralString

import psycopg

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.store.endpoints import Endpoint, Limits
from greenlang_vectors.store.pool import Pool

EVERY_SECONDS = 1.0
CHECK_SECONDS = 2
SILENT_CHECKS = 2
"""Checks in a row without an answer after which searches are cut that wait for one."""

SILENT_WRITER_CHECKS = 10
"""The same for writes, which have nowhere else to go, and are repeated by whoever asked them."""

OVERDUE_SECONDS = 5.0
"""Beyond the time a search may take, after which it is cut in any case."""

_ALIVE = "SELECT NULL::float8"
_BEAT = """
    SELECT extract(epoch FROM beat())::float8 FROM set_config('synchronous_commit', 'off', true)
"""
_LAST_BEAT = "SELECT extract(epoch FROM beat_at)::float8 FROM heartbeat"


class Monitor:
    """Keeps the health of the endpoints up to date, from `start` to `stop`.

    Args:
        written: the writer's connections for all but searches.
    """

    def __init__(
        self, writer: Endpoint, readers: Sequence[Endpoint], limits: Limits, written: Pool
    ) -> None:
        self._writer = writer
        self._readers = readers
        self._limits = limits
        self._written = written
        self._newest: float | None = None
        self._writer_asked = asyncio.Event()
        self._stopping = asyncio.Event()
        self._probes: list[_Probe] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, args=[self._loop], name="database health", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End the thread, and what it is waiting for."""
        if self._loop is None or self._thread is None:
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(CHECK_SECONDS + EVERY_SECONDS)

    def _end(self) -> None:
        self._stopping.set()
        self._writer_asked.set()
        for probe in self._probes:
            probe.cut()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._watch_all())

    async def _watch_all(self) -> None:
        query = _BEAT if self._readers else _ALIVE
        await asyncio.gather(
            self._watch(self._writer, query),
            *(self._watch(reader, _LAST_BEAT) for reader in self._readers),
        )

    async def _watch(self, endpoint: Endpoint, query: LiteralString) -> None:
        probe = _Probe(endpoint)
        self._probes.append(probe)
        pause, silent = 0.0, 0
        if endpoint is not self._writer:
            await self._writer_asked.wait()
            pause = EVERY_SECONDS
        while True:
            expected = self._newest
            if await self._stopped_within(pause):
                break
            pause = EVERY_SECONDS
            try:
                beat = await probe.ask(query)
            except (psycopg.Error, DatabaseUnavailable, OSError) as error:
                silent = silent + 1 if probe.timed_out else 0
                self._failed(endpoint, error, silent)
            else:
                silent = 0
                self._answered(endpoint, beat, expected)
            if endpoint is self._writer:
                self._writer_asked.set()
            endpoint.pool.cut(self._limits.search_seconds + OVERDUE_SECONDS)
        await probe.close()

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    def _answered(self, endpoint: Endpoint, beat: float | None, expected: float | None) -> None:
        if beat is not None:
            self._newest = max(beat, self._newest or beat)
        if endpoint is self._writer:
            endpoint.answered(0.0)
        else:
            endpoint.answered(max(0.0, (expected or 0.0) - (beat or 0.0)))

    def _failed(self, endpoint: Endpoint, error: Exception, silent: int) -> None:
        endpoint.failed(error)
        if endpoint is self._writer and not silent:
            self._written.expire()
        if silent >= SILENT_CHECKS and self._others_answer(endpoint):
            endpoint.pool.cut()
        if silent >= SILENT_WRITER_CHECKS and endpoint is self._writer:
            self._written.cut()

    def _others_answer(self, endpoint: Endpoint) -> bool:
        others = (self._writer, *self._readers)
        return any(other.healthy for other in others if other is not endpoint)


class _Probe:
    """The connection that one endpoint is checked by; made anew after each failure.

    Attributes:
        timed_out: whether the last question failed for want of an answer.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.timed_out = False
        self._access = endpoint.access
        self._connection: psycopg.AsyncConnection | None = None
        self._socket: socket.socket | None = None

    async def ask(self, query: LiteralString) -> float | None:
        """The one number the query gives, within CHECK_SECONDS."""
        self.timed_out = False
        try:
            connection = self._connection or await self._connect()
            timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._time_out)
            try:
                row = await (await connection.execute(query)).fetchone()
            finally:
                timer.cancel()
        except Exception as error:
            self.timed_out |= isinstance(error, psycopg.errors.ConnectionTimeout)
            await self.close()
            if self.timed_out:
                raise TimeoutError(f"It gave no answer in {CHECK_SECONDS} s.") from error
            raise
        return None if row is None else row[0]

    def cut(self) -> None:
        """Make the question that waits for its answer fail."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None and self._socket is not None:
            await self._connection.close()
            self._socket.close()
            self._connection = self._socket = None

    async def _connect(self) -> psycopg.AsyncConnection:
        made = await psycopg.AsyncConnection.connect(
            self._access.conninfo(),
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=CHECK_SECONDS,
        )
        self._connection, self._socket = made, socket.socket(fileno=os.dup(made.fileno()))
        return made

    def _time_out(self) -> None:
        self.timed_out = True
        self.cut()
