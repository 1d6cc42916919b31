"""A bounded pool of connections: who needs one makes it, and meets its error at once.

A pool that connects in the background retries for minutes and cannot tell a server that is down
from one that is busy; here the first fails at once and the second after a bounded wait. Nothing
runs beside the callers, so that a process may fork. A connection that the server has closed is
noticed by its socket, without asking.
"""

from __future__ import annotations

import os
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus

from greenlang_vectors.errors import DatabaseBusy

IDLE_SECONDS = 600
"""A connection that nobody needed for so long is closed."""

LIFETIME_SECONDS = 1800
"""The age at which one is replaced, more or less a tenth: names come to lead elsewhere."""


class _Member:
    """A connection with a second handle of its socket, by which another thread can end it."""

    def __init__(self, connection: psycopg.Connection, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        self.since = time.monotonic()
        self._end = self.since + LIFETIME_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))

    @property
    def usable(self) -> bool:
        """Whether it is in order: nothing comes from a server that was asked nothing."""
        if self.connection.info.transaction_status is not TransactionStatus.IDLE:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return time.monotonic() < self._end and not poll.poll(0)

    def cut(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.connection.close()
        self._socket.close()


class Pool:
    """Connections to one server.

    Args:
        connect: makes a connection.
        prepare: what is done with a new one before its first use.
        size: how many there may be; also an attribute.
        wait_seconds: how long a caller waits for one while all are in use.
        name: of the server, for messages.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        prepare: Callable[[psycopg.Connection], None],
        *,
        size: int,
        wait_seconds: float,
        name: str,
    ) -> None:
        self._connect = connect
        self._prepare = prepare
        self.size = size
        self._wait_seconds = wait_seconds
        self._name = name
        self._places = threading.Semaphore(size)
        self._lock = threading.Lock()
        self._idle: deque[_Member] = deque()
        self._used: set[_Member] = set()
        self._generation = 0

    @property
    def in_use(self) -> int:
        """Connections that callers have."""
        return len(self._used)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """A connection for one exchange; one that is not given back in order is closed.

        Raises:
            DatabaseBusy: all were in use for as long as a caller waits.
            DatabaseUnavailable: a new one could not be made.
        """
        if not self._places.acquire(timeout=self._wait_seconds):
            raise DatabaseBusy(
                f"All {self.size} connections to {self._name} were in use for"
                f" {self._wait_seconds:g} s.",
                "Try again in a moment; GREENLANG_DATABASE_POOL_SIZE says how many there may be.",
            )
        try:
            member = self._take()
            try:
                yield member.connection
            finally:
                self._give_back(member)
        finally:
            self._places.release()

    def expire(self) -> None:
        """Let go of every connection made so far, of those in use as they come back."""
        with self._lock:
            self._generation += 1
            expired = list(self._idle)
            self._idle.clear()
        for member in expired:
            member.close()

    def cut(self, older_than: float = 0) -> None:
        """End what is being asked for more than so many seconds: whoever waits gets an error."""
        with self._lock:
            for member in self._used:
                if time.monotonic() - member.since >= older_than:
                    member.cut()

    def _take(self) -> _Member:
        while (member := self._next_idle()) is not None:
            if member.usable:
                return member
            self._discard(member)
        generation = self._generation
        member = _Member(self._connect(), generation)
        with self._lock:
            self._used.add(member)
        try:
            self._prepare(member.connection)
        except BaseException:
            self._discard(member)
            raise
        return member

    def _next_idle(self) -> _Member | None:
        with self._lock:
            if not self._idle:
                return None
            member = self._idle.pop()
            member.since = time.monotonic()
            self._used.add(member)
            return member

    def _give_back(self, member: _Member) -> None:
        if not member.usable:
            self._discard(member)
            return
        with self._lock:
            self._used.discard(member)
            if current := member.generation == self._generation:
                member.since = time.monotonic()
                self._idle.append(member)
            longest = self._idle[0] if self._idle else member
            if aged := time.monotonic() - longest.since > IDLE_SECONDS:
                self._idle.popleft()
        if aged:
            longest.close()
        if not current:
            member.close()

    def _discard(self, member: _Member) -> None:
        with self._lock:
            self._used.discard(member)
        member.close()
