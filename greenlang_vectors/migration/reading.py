"""Ranges read side by side, a page of each at a time: what is read has landed before more is.

The next page of a range is asked for when the one before has landed. So memory holds a page of
each range, and a killed run has read no more than that for nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

import pyarrow as pa

from greenlang_vectors.errors import ItemError
from greenlang_vectors.migration import archive
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import Passage, WeaviateObject
from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.server_export import FILES_AT_ONCE, Exports
from greenlang_vectors.store.weaviate_ranges import Range

READERS = 2
"""Pages read at once: more only wait for each other and for the interpreter (4 took 1.5 times as
long on two processors)."""


@dataclass(eq=False)
class _Open:
    """A range that is read, and its pages that are still to come."""

    part: Range
    pages: Iterator[list[WeaviateObject]]


@dataclass(eq=False)
class Page:
    """A page as it was read; without objects at the end of its range.

    Attributes:
        passages, failures: what its objects become, and why some do not, by object.
        archived: its objects as the archive holds them.
    """

    source: _Open
    objects: list[WeaviateObject]
    archived: pa.RecordBatch
    passages: list[Passage] = field(default_factory=list)
    failures: dict[UUID, ItemError] = field(default_factory=dict)

    @property
    def part(self) -> Range:
        """The range that it is of."""
        return self.source.part


class Reader:
    """Reads what is left of ranges and makes passages of it, in threads of its own."""

    def __init__(self, peer: Peer, mapper: Mapper, exports: Exports | None = None) -> None:
        """Args: exports: where the files are that some ranges are."""
        self._peer, self._mapper, self._plan = peer, mapper, mapper.plan
        self._exports = exports

    def batches(self, parts: Sequence[Range]) -> Generator[list[Page], None, None]:
        """Pages of several ranges that are to land together; those ranges wait until they have.

        Close it if not all of it is taken.

        Raises:
            WeaviateUnavailable, WeaviateRefused: a page cannot be read.
            ExportUnreadable, LocationUnavailable: a file cannot.
        """
        waiting = iter([_Open(each, self._pages(each)) for each in parts])
        at_once = FILES_AT_ONCE if any(each.file for each in parts) else self._plan.ranges
        with ThreadPoolExecutor(READERS, thread_name_prefix="weaviate-read") as readers:
            try:
                reading = {readers.submit(self._next, each) for each in islice(waiting, at_once)}
                ready: list[Page] = []
                while reading or ready:
                    ready += _arrived(reading, block=not self._enough(ready, reading))
                    if not self._enough(ready, reading):
                        continue
                    batch = self._batch(ready)
                    yield batch
                    for page in batch:
                        following = page.source if page.objects else next(waiting, None)
                        if following is not None:
                            reading.add(readers.submit(self._next, following))
            finally:
                readers.shutdown(cancel_futures=True)

    def _enough(self, ready: Sequence[Page], reading: set[Future[Page]]) -> bool:
        """Whether what is ready is worth a transaction: half the ranges, or a batch."""
        return bool(ready) and (
            len(ready) >= len(reading)
            or sum(len(page.objects) for page in ready) >= self._plan.batch
        )

    def _batch(self, ready: list[Page]) -> list[Page]:
        """Take pages of as many objects as one transaction may hold, and at least one page."""
        batch: list[Page] = []
        size = 0
        while ready and (not batch or size + len(ready[0].objects) <= self._plan.batch):
            batch.append(ready.pop(0))
            size += len(batch[-1].objects)
        return batch

    def _pages(self, part: Range) -> Iterator[list[WeaviateObject]]:
        if self._exports is not None and part.file is not None:
            return self._exports.pages(self._mapper, part)
        return self._peer.pages(
            self._plan.collection,
            part.tenant,
            after=part.after,
            last=part.last,
            size=self._plan.page,
            properties=self._mapper.properties,
            vectors=self._mapper.vectors,
        )

    def _next(self, source: _Open) -> Page:
        """The next page of a range and what its objects become; in a thread of the reader's."""
        objects = next(source.pages, [])
        page = Page(source, objects, archive.encoded(objects, self._mapper.vectors))
        for each in objects:
            try:
                page.passages.append(self._mapper.passage(each))
            except ItemError as error:
                page.failures[each.id] = error
        return page


def _arrived(reading: set[Future[Page]], *, block: bool) -> list[Page]:
    """Take the pages that have been read; wait for one if there is nothing else to do."""
    done, _ = wait(reading, None if block else 0, FIRST_COMPLETED)
    reading -= done
    return [each.result() for each in done]
