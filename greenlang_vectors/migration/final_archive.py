"""The last archive of a move: everything that Weaviate holds of it, read anew and read back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from greenlang_vectors.lifecycle.location import Location
from greenlang_vectors.lifecycle.manifest import ArchiveDamaged
from greenlang_vectors.migration import archive, ranges
from greenlang_vectors.migration.archive import MoveManifest
from greenlang_vectors.migration.objects import WeaviateObject
from greenlang_vectors.migration.sides import Sides
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store.weaviate_parts import Part
from greenlang_vectors.store.weaviate_ranges import Range

READERS = 4
"""Ranges read at once; memory holds a batch of each."""


def write(
    location: Location,
    namespace: str,
    sides: Sides,
    noted: Sequence[Part],
    progress: Progress = silent,
) -> MoveManifest:
    """Archive every object of the plan's tenants; what a killed run left goes first.

    Also what the plan leaves out is kept: properties, blobs and references that it names, and
    vectors that it does not map.

    Args:
        noted: parts of the backfill, which stay.

    Raises:
        LocationUnavailable: the location failed.
        WeaviateUnavailable: the server does not answer.
        ArchiveDamaged: what was read back is not what was written.
    """
    archive.remove_strays(location, namespace, noted)
    work = _Work(location, namespace, sides, progress)
    parts = work.run()
    written = archive.seal(
        location, namespace, sides.plan.collection, parts, work.properties, work.vectors
    )
    manifest = archive.load(location, namespace)
    if manifest != written:
        raise ArchiveDamaged(archive.key_of(written), "it was read back as another")
    archive.verify(location, written, progress)
    return written


class _Work:
    """Reading all ranges, each into parts of its own."""

    def __init__(
        self, location: Location, namespace: str, sides: Sides, progress: Progress
    ) -> None:
        self._location, self._namespace, self._sides = location, namespace, sides
        self._progress, self._lock, self._done = progress, threading.Lock(), 0
        plan, info = sides.plan, sides.peer.describe(sides.plan.collection)
        self._total = sum(sides.peer.count(plan.collection, each) for each in sides.tenants)
        self.properties = tuple(dict.fromkeys([*sides.mapper.properties, *plan.left_out]))
        self.vectors = tuple(info.metrics)

    def run(self) -> list[Part]:
        """The parts, by name."""
        split = [
            part
            for tenant in self._sides.tenants
            for part in ranges.split(self._sides.peer, self._sides.plan, tenant)
        ]
        with ThreadPoolExecutor(READERS, thread_name_prefix="archive") as threads:
            try:
                found = list(threads.map(self._range, split))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return sorted(chain.from_iterable(found), key=lambda part: part.name)

    def _range(self, part: Range) -> list[Part]:
        parts: list[Part] = []
        batch: list[WeaviateObject] = []
        for page in self._sides.peer.pages(
            self._sides.plan.collection,
            part.tenant,
            after=part.after,
            last=part.last,
            size=self._sides.plan.page,
            properties=self.properties,
            vectors=self.vectors,
        ):
            batch += page
            if len(batch) >= self._sides.plan.batch:
                parts.append(self._put(batch))
                batch = []
        if batch:
            parts.append(self._put(batch))
        return parts

    def _put(self, batch: Sequence[WeaviateObject]) -> Part:
        part = archive.put(self._location, self._namespace, batch, self.vectors)
        with self._lock:
            self._done += len(batch)
            self._progress(self._done, max(self._done, self._total), "objects")
        return part
