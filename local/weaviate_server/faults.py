"""Faults that a test asks for while the server runs, and counts of what the server was asked.

A method is named as gRPC names it (`Search`), or by verb and resource over REST (`PUT objects`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection as Some
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import grpc

from local.weaviate_server.errors import Refused
from local.weaviate_server.store import Sent, Store


class Page(NamedTuple):
    """A page that was read: of what, after which id, and the ids on it."""

    collection: str
    tenant: str
    after: str
    ids: tuple[str, ...]


@dataclass
class Counted:
    """What the server was asked since it was last told to forget.

    Args:
        calls: by method.
        reads: how often each object was returned by a search, by id.
        pages: every search without a vector or a filter.
    """

    calls: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    pages: list[Page] = field(default_factory=list)


class Change(NamedTuple):
    """A write of someone else: these objects are put, and those ids are deleted."""

    collection: str
    put: Sequence[Sent] = ()
    delete: Sequence[str] = ()
    tenant: str = ""


@dataclass
class _Fault:
    """Strikes so many calls (or until a moment of `time.monotonic`) of these methods, or of all."""

    calls: int = 0
    until: float = 0.0
    methods: Some[str] = ()

    def strikes(self, method: str) -> bool:
        if self.methods and method not in self.methods:
            return False
        if self.calls > 0:
            self.calls -= 1
            return True
        return time.monotonic() < self.until


class Faults:
    """What is to go wrong, and what was counted."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.counted = Counted()
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Let everything work again."""
        with self._lock:
            self._unavailable = _Fault()
            self._lost = _Fault()
            self._cut = _Fault()
            self._cut_after = 0
            self._delays: dict[str, float] = {}
            self._changes: dict[int, list[Change]] = {}
            self._pages_seen = 0

    def unavailable(self, calls: int = 0, seconds: float = 0.0, methods: Some[str] = ()) -> None:
        """Answer the next calls, or those of the next seconds, UNAVAILABLE (503 over REST)."""
        with self._lock:
            self._unavailable = _Fault(calls, time.monotonic() + seconds, methods)

    def lose_answers(self, calls: int, methods: Some[str] = ()) -> None:
        """Do what the next calls ask, and let the answer be lost: UNAVAILABLE, a closed socket."""
        with self._lock:
            self._lost = _Fault(calls, 0.0, methods)

    def cut(self, after_bytes: int, calls: int = 1, methods: Some[str] = ("Search",)) -> None:
        """Close the gRPC connection when so many bytes of the next answers are sent.

        The server must have been started with `relayed=True`.
        """
        with self._lock:
            self._cut = _Fault(calls, 0.0, methods)
            self._cut_after = after_bytes

    def slow(self, seconds: float, method: str = "Search") -> None:
        """Answer each call of a method so much later; 0 makes it fast again."""
        with self._lock:
            self._delays[method] = seconds

    def at_page(self, page: int, change: Change) -> None:
        """Make a change just before a page is read: 1 is the next one."""
        with self._lock:
            self._changes.setdefault(self._pages_seen + page, []).append(change)

    def begin(self, method: str) -> None:
        """A call has come in: count it, and let it wait or fail.

        Raises:
            Refused: UNAVAILABLE.
        """
        with self._lock:
            self.counted.calls[method] += 1
            struck = self._unavailable.strikes(method)
            delay = self._delays.get(method, 0.0)
        if struck:
            raise Refused("the server is not ready to serve", 503, grpc.StatusCode.UNAVAILABLE)
        time.sleep(delay)

    def begin_page(self) -> None:
        """A page is about to be read: make the changes that were asked for."""
        with self._lock:
            self._pages_seen += 1
            changes = self._changes.pop(self._pages_seen, ())
        for change in changes:
            self.apply(change)

    def end_page(self, page: Page) -> None:
        """Count a page that was read."""
        with self._lock:
            self.counted.pages.append(page)
            self.counted.reads.update(page.ids)

    def loses_answer(self, method: str) -> bool:
        """Whether the answer of this call gets lost."""
        with self._lock:
            return self._lost.strikes(method)

    def cuts(self, method: str) -> int | None:
        """After how many bytes of its answer the connection of this call is closed, if it is."""
        with self._lock:
            return self._cut_after if self._cut.strikes(method) else None

    def apply(self, change: Change) -> None:
        """Make a change at once."""
        self.store.put_all(change.collection, change.put, change.tenant)
        with self.store.lock:
            shard = self.store.get(change.collection).shard(change.tenant)
            for uuid in change.delete:
                shard.delete(uuid)

    def forget(self) -> Counted:
        """Begin to count anew; return what was counted."""
        with self._lock:
            counted, self.counted = self.counted, Counted()
        return counted
