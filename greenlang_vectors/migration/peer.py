"""What a move asks of Weaviate: its objects in pages, some of them by id, writing, deleting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.migration.asking import Condition, Found, Search
from greenlang_vectors.migration.errors import (
    MessageTooLarge,
    WeaviateRefused,
    WeaviateUnavailable,
)
from greenlang_vectors.migration.objects import NO_TENANT, WeaviateObject
from greenlang_vectors.migration.schema import (
    REFERENCE,
    CollectionInfo,
    PropertyInfo,
    collection_info,
)
from greenlang_vectors.settings import Settings

if TYPE_CHECKING:
    from greenlang_vectors.migration.server import Server

__all__ = [
    "CollectionInfo",
    "Found",
    "MessageTooLarge",
    "Peer",
    "PropertyInfo",
    "WeaviateRefused",
    "WeaviateUnavailable",
    "open_peer",
]

MOST_RESULTS = 10_000
"""What a server returns of one search at most (its QUERY_MAXIMUM_RESULTS)."""

MOST_IN_ONE_MESSAGE = 500
"""Objects written, deleted or fetched by id at once."""

NIL = UUID(int=0)
"""Before every object."""

EXPORTS_FROM = (1, 37)
"""The first version of Weaviate that exports collections."""

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


class Peer:
    """A Weaviate server; a context manager. Calls of several threads run at once.

    Every call may raise WeaviateUnavailable (run again later) or WeaviateRefused (mend it first).
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._described: dict[str, CollectionInfo] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def describe(self, collection: str) -> CollectionInfo:
        """A collection as it is now.

        Raises:
            UsageError: there is none of this name.
        """
        definition = self._server.get(f"schema/{quote(collection, safe='')}")
        if definition is None:
            classes = (self._server.get("schema") or {}).get("classes") or ()
            known = ", ".join(sorted(each["class"] for each in classes)) or "none"
            raise UsageError(f"Weaviate has no collection {collection!r}.", f"It has: {known}.")
        self._described[collection] = collection_info(definition, self._server.version)
        return self._described[collection]

    def tenants(self, collection: str) -> list[str]:
        """The tenants of a collection, sorted; `[NO_TENANT]` where it is not split by tenant."""
        if self._info(collection).multi_tenant:
            return sorted(self._server.tenants(collection))
        return [NO_TENANT]

    def count(self, collection: str, tenant: str) -> int:
        """How many objects there are, as the server counts them."""
        return self._server.count(collection, tenant)

    def pages(
        self,
        collection: str,
        tenant: str,
        *,
        after: UUID | None,
        last: UUID,
        size: int,
        properties: Sequence[str] | None,
        vectors: Sequence[str | None],
    ) -> Iterator[list[WeaviateObject]]:
        """Pages of the objects behind `after` up to `last`, in the order of their ids.

        A page that is more than one message holds is asked for again with half as many objects.
        There is no snapshot: what is written meanwhile may be seen or not.

        Args:
            after: None begins with the first.
            properties: by name, blobs and references among them; None for all but those two.
            vectors: by name, None for the only one; an object lacks those it has not.
        """
        # Without a cursor the order is not promised, so that the first page has one, too.
        cursor, most = after or NIL, min(size, MOST_RESULTS)
        while cursor < last:
            try:
                page = self._server.read(
                    self._search(
                        collection,
                        tenant,
                        most,
                        properties=properties,
                        vectors=vectors,
                        after=cursor,
                    )
                )
            except MessageTooLarge:
                if most == 1:
                    raise
                most //= 2
                continue
            if not page:
                return
            cursor = page[-1].id
            if wanted := page if cursor <= last else [each for each in page if each.id <= last]:
                yield wanted

    def fetch(
        self,
        collection: str,
        tenant: str,
        ids: Iterable[UUID],
        *,
        properties: Sequence[str] | None = None,
        vectors: Sequence[str | None] = (None,),
    ) -> dict[UUID, WeaviateObject]:
        """Those of the objects that are there; arguments as of `pages`."""

        def read(part: Sequence[UUID]) -> list[WeaviateObject]:
            return self._server.read(
                self._search(
                    collection,
                    tenant,
                    len(part),
                    properties=properties,
                    vectors=vectors,
                    ids=part,
                )
            )

        found = _in_parts(read, list(dict.fromkeys(ids)))
        return {each.id: each for part in found for each in part}

    def ids_of(self, collection: str, tenant: str, source_property: str, value: JSON) -> set[UUID]:
        """The objects whose property has exactly this value.

        Raises:
            WeaviateRefused: they are more than a server returns of one search.
        """
        found = self._server.read(
            self._search(
                collection,
                tenant,
                MOST_RESULTS,
                properties=[source_property],
                equal=(source_property, value),
            )
        )
        if len(found) == MOST_RESULTS:
            raise WeaviateRefused(
                collection, f"{MOST_RESULTS} objects or more have {source_property} {value!r}"
            )
        return {each.id for each in found if each.properties.get(source_property) == value}

    def upsert(
        self, collection: str, tenant: str, objects: Sequence[WeaviateObject]
    ) -> dict[UUID, str]:
        """Write objects in place of those with their ids; why some were refused, by id."""
        known = self._info(collection).properties

        def write(part: Sequence[WeaviateObject]) -> dict[UUID, str]:
            errors = self._server.write(collection, tenant, part, known)
            return {part[place].id: error for place, error in errors.items()}

        refused: dict[UUID, str] = {}
        for errors in _in_parts(write, objects):
            refused.update(errors)
        return refused

    def delete(self, collection: str, tenant: str, ids: Iterable[UUID]) -> None:
        """Delete objects; those that are gone already do no harm."""

        def delete(part: Sequence[UUID]) -> None:
            if failed := self._server.delete(collection, tenant, part):
                raise WeaviateRefused(collection, f"{failed} objects were not deleted")

        _in_parts(delete, list(ids))

    def find(
        self,
        collection: str,
        tenant: str,
        k: int,
        *,
        near: NDArray[np.float32] | None = None,
        near_name: str | None = None,
        words: str | None = None,
        searched: Sequence[str] = (),
        alpha: float | None = None,
        properties: Sequence[str] | None = None,
        filter: Condition | None = None,
    ) -> list[Found]:
        """The objects that answer best, the best first; asked once, without retries.

        Args:
            near: the vector whose nearest objects are wanted.
            near_name: of a named vector, which of theirs.
            words: what is looked for by BM25; with `near`, both searches' ranks are fused.
            searched: the properties in which the words are looked for.
            alpha: weight of the vector search where both are asked, 0 to 1.
        """
        return self._server.find(
            self._search(
                collection,
                tenant,
                k,
                properties=properties,
                filter=filter,
                near=near,
                near_name=near_name,
                words=words,
                searched=searched,
                alpha=alpha,
            )
        )

    def can_export(self) -> bool:
        """Whether the server is new enough to export collections by itself (1.37)."""
        return not self._server.is_older_than(*EXPORTS_FROM)

    def export_status(self, backend: str, export: str) -> dict[str, Any] | None:
        """How far an export of the server's is; None where there is none of this name."""
        path = f"export/{quote(backend, safe='')}/{quote(export, safe='')}"
        found: dict[str, Any] | None = self._server.get(path)
        return found

    def start_export(self, backend: str, export: str, collection: str) -> None:
        """Have the server export a collection, as it is now, to one of its backends."""
        body: dict[str, JSON] = {"id": export, "file_format": "parquet", "include": [collection]}
        self._server.post(f"export/{quote(backend, safe='')}", body)

    def _info(self, collection: str) -> CollectionInfo:
        return self._described.get(collection) or self.describe(collection)

    def _search(
        self,
        collection: str,
        tenant: str,
        limit: int,
        *,
        properties: Sequence[str] | None,
        **rest: Any,  # noqa: ANN401 - fields of Search
    ) -> Search:
        known = self._info(collection).properties if properties else {}
        references = {
            name: known[name].targets
            for name in properties or ()
            if name in known and known[name].data_type == REFERENCE
        }
        return Search(collection, tenant, limit, properties, references, **rest)


def open_peer(settings: Settings) -> Peer:
    """The Weaviate server of these settings; close it, or use it as a context manager.

    Raises:
        GreenLangError: the extra `weaviate` is not installed.
        WeaviateUnavailable: the server cannot be reached, or does not take the key.
        UsageError: GREENLANG_WEAVIATE_URL is no such URL.
    """
    try:
        from greenlang_vectors.migration import calls, server  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise GreenLangError(
            f"Weaviate's client is not installed ({error.name} is missing).",
            "Install it with `pip install 'greenlang-vectors[weaviate]'`.",
        ) from error
    return Peer(server.Server(calls.connect(settings)))


def _in_parts(call: Callable[[Sequence[_Part]], _Result], items: Sequence[_Part]) -> list[_Result]:
    """The results of as many calls as it takes; a message that is too large is halved."""

    def attempt(part: Sequence[_Part]) -> list[_Result]:
        try:
            return [call(part)]
        except MessageTooLarge:
            if len(part) == 1:
                raise
        middle = len(part) // 2
        return attempt(part[:middle]) + attempt(part[middle:])

    return [
        result
        for start in range(0, len(items), MOST_IN_ONE_MESSAGE)
        for result in attempt(items[start : start + MOST_IN_ONE_MESSAGE])
    ]
