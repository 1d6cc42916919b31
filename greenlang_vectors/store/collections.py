"""Collections: what callers search (PRD 6.2).

A collection is one leaf with its metric and index settings, called "<namespace>/<model>". One of
each namespace's serves; the others are filled beside it until one of them is switched to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from greenlang_vectors.errors import UnknownCollection, UsageError
from greenlang_vectors.store import collection_locks, namespaces, weaviate_migrations
from greenlang_vectors.store.collection_locks import changing
from greenlang_vectors.store.completeness import (
    DEAD_LETTER_STAGE,
    check_finished,
    dead_letter_ending,
)
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import DEFAULT_INDEX, Leaf, drop_leaf, ensure_leaf

SUPPLIED = "supplied:"
"""`Collection.model_source` of a collection whose vectors an application supplies: no model is
called so, neither here nor in the hub."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One leaf as it is searched.

    Attributes:
        name: "<namespace>/<model>".
        model: what the store calls the embedding model.
        model_source: what the model is opened with: a name, or a folder of this machine;
            SUPPLIED where nobody but an application can embed.
        search_width: the ef_search (HNSW) or probes (IVFFlat) that tuning found; None for the
            default.
        serving: whether searches of the namespace ask this one.
        version: another after every change of what is told here.
        superseded: some documents of the namespace are older versions of others.
    """

    id: UUID
    name: str
    namespace: str
    model: str
    model_source: str
    dimensions: int
    index_settings: dict[str, str | int]
    search_width: int | None
    serving: bool
    description: str | None
    created_at: datetime
    version: str = field(compare=False)
    superseded: bool = False

    @property
    def supplied(self) -> bool:
        """Whether its vectors come from an application, ready made.

        Such a collection never serves, and the stages that need a model leave it out: it holds
        what the application put into it. It is indexed as all are.
        """
        return self.model_source == SUPPLIED

    @property
    def leaf(self) -> Leaf:
        """Where its embeddings are."""
        return Leaf(self.namespace, self.model, self.dimensions)

    @property
    def index(self) -> IndexSettings:
        """How it is compared and indexed."""
        return IndexSettings(**self.index_settings)  # type: ignore[arg-type]

    @property
    def searched(self) -> IndexSettings:
        """The same, as wide as tuning found best where no person has set it."""
        if self.search_width is None or self.index.width is not None:
            return self.index
        return self.index.widened(self.search_width)


def get(connection: psycopg.Connection, name: str) -> Collection:
    """The collection of this name.

    Raises:
        UnknownCollection: there is none; the message names those that are.
    """
    for found in _read(connection, sql.SQL("name = %s"), [name]):
        return found
    known = ", ".join(each.name for each in list_all(connection)) or "none yet"
    raise UnknownCollection(f"Unknown collection {name!r}.", f"Known: {known}.")


def list_all(connection: psycopg.Connection, namespace: str | None = None) -> list[Collection]:
    """The collections of one namespace or of all, those that serve first in each."""
    if namespace is None:
        return _read(connection, sql.SQL("true"), [])
    return _read(connection, sql.SQL("namespace = %s"), [namespace])


def serving(connection: psycopg.Connection, namespace: str) -> Collection | None:
    """The collection that searches of a namespace ask; None before the first fill."""
    found = _read(connection, sql.SQL("namespace = %s AND serving"), [namespace])
    return found[0] if found else None


def stands(connection: psycopg.Connection, collection: Collection) -> bool:
    """Whether a collection has not been dropped."""
    return collection.id in {each.id for each in list_all(connection, collection.namespace)}


def unchanged(connection: psycopg.Connection, collection: Collection) -> bool:
    """Whether a collection is what it was when it was read: neither dropped nor changed."""
    row = connection.execute(
        "SELECT xmin::text FROM embedding_collections WHERE id = %s", [collection.id]
    ).fetchone()
    return row == (collection.version,)


def ensure_first(
    connection: psycopg.Connection,
    leaf: Leaf,
    model_source: str,
    index: IndexSettings = DEFAULT_INDEX,
) -> None:
    """Give a namespace that none serves its first, which does.

    Raises:
        UsageError: an application supplies vectors under the model's name.
    """
    with changing(connection, leaf.namespace):
        if serving(connection, leaf.namespace) is None:
            for each in list_all(connection, leaf.namespace):
                if each.model == leaf.model:
                    raise UsageError(
                        f"An application supplies the vectors of the collection {each.name}.",
                        "Drop it, and let the application give its model another name.",
                    )
            _make(connection, leaf, index, model_source, None)


def supplied_fingerprint(leaf: Leaf) -> str:
    """Names what supplied vectors were made with, as far as is known here (32 hex digits)."""
    said = json.dumps([SUPPLIED, leaf.model, leaf.dimensions])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def ensure_supplied(
    connection: psycopg.Connection, leaf: Leaf, index: IndexSettings = DEFAULT_INDEX
) -> Collection:
    """The collection of the vectors that an application supplies, made on first use.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: a collection of this name holds something else.
    """
    namespaces.get(connection, leaf.namespace)
    name = f"{leaf.namespace}/{leaf.model}"
    if not (found := _read(connection, sql.SQL("name = %s"), [name])):
        with changing(connection, leaf.namespace):
            _make(connection, leaf, index, SUPPLIED, None)
        found = [get(connection, name)]
    [collection] = found
    if not collection.supplied or collection.dimensions != leaf.dimensions:
        whose = "an application's" if collection.supplied else "the library's own"
        raise UsageError(
            f"The collection {name} holds {collection.dimensions} dimensions of {whose} model; "
            f"vectors of {leaf.dimensions} were supplied.",
            "Give the application's model another name.",
        )
    return collection


def create(
    connection: psycopg.Connection,
    leaf: Leaf,
    index: IndexSettings,
    *,
    model_source: str,
    max_tokens: int,
    description: str | None = None,
) -> Collection:
    """Add an empty collection to a namespace; it serves only where it is the first.

    Writes of the SDK that began before end first, so that every later one reaches it and a fill
    that begins now finds all others.

    Args:
        max_tokens: the most tokens its model reads.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: it exists, cannot be indexed so, or its model does not read the longest chunk.
        GreenLangError: a long transaction holds the namespace's tables.
    """
    namespaces.get(connection, leaf.namespace)
    index.check(leaf.dimensions)
    name = f"{leaf.namespace}/{leaf.model}"
    with changing(connection, leaf.namespace):
        if any(each.name == name for each in list_all(connection, leaf.namespace)):
            raise UsageError(f"The collection {name} exists already.", "Drop it to begin anew.")
        longest = _longest_chunk(connection, leaf.namespace)
        if longest > max_tokens:
            raise UsageError(
                f"{leaf.model} reads {max_tokens} tokens; the longest chunk of {leaf.namespace} "
                f"has {longest}.",
                f"Set GREENLANG_CHUNK_TOKENS to {max_tokens} or less and ingest again first.",
            )
        _make(connection, leaf, index, model_source, description)
    return get(connection, name)


def switch(connection: psycopg.Connection, name: str, fingerprint: str) -> Collection | None:
    """Make a collection the one that serves its namespace, in one transaction.

    Args:
        fingerprint: of its model and settings now; embeddings made otherwise do not count.

    Returns:
        the collection that served until now; None if this one did already.

    Raises:
        UsageError: it is unknown or unfinished; nothing was changed.
    """
    wanted = get(connection, name)
    if wanted.serving:
        return None
    check_finished(connection, wanted.leaf, name, fingerprint)
    with connection.transaction():
        connection.execute(
            "SELECT FROM embedding_collections WHERE namespace = %s ORDER BY id FOR UPDATE",
            [wanted.namespace],
        )
        get(connection, name)
        before = serving(connection, wanted.namespace)
        for served, collection in ((False, before), (True, wanted)):
            if collection is not None:
                connection.execute(
                    "UPDATE embedding_collections SET serving = %s, updated_at = now()"
                    " WHERE id = %s",
                    [served, collection.id],
                )
    return before


def drop(connection: psycopg.Connection, name: str) -> None:
    """Remove a collection with its leaf, jobs, measurements and dead letters, in one transaction.

    Raises:
        UsageError: it is unknown, serves, is being indexed, or a move from Weaviate fills it;
            nothing was changed.
        GreenLangError: a long transaction holds the namespace's tables.
    """
    collection = get(connection, name)
    with changing(connection, collection.namespace):
        connection.execute(
            "SELECT FROM embedding_collections WHERE namespace = %s ORDER BY id FOR UPDATE",
            [collection.namespace],
        )
        if get(connection, name).serving:
            raise UsageError(
                f"The collection {name} serves {collection.namespace}.",
                "Switch to another collection first.",
            )
        weaviate_migrations.check_unmapped(
            connection, collection.namespace, collection.model, collection.model_source
        )
        if connection.execute(
            "SELECT FROM pg_stat_progress_create_index WHERE relid = to_regclass(%s)",
            [collection.leaf.table.as_string(connection)],
        ).fetchone():
            raise UsageError(f"An index of {name} is being built.", "Try again when it is done.")
        drop_leaf(connection, collection.leaf)
        for statement in (
            "DELETE FROM embedding_jobs WHERE namespace = %(namespace)s AND collection_id = %(id)s",
            "DELETE FROM search_quality"
            " WHERE namespace = %(namespace)s AND embedding_model = %(model)s",
            "DELETE FROM archived_embeddings"
            " WHERE namespace = %(namespace)s AND embedding_model = %(model)s",
            "DELETE FROM index_builds"
            " WHERE namespace = %(namespace)s AND embedding_model = %(model)s",
            "DELETE FROM dead_letters WHERE namespace = %(namespace)s AND stage = %(stage)s"
            " AND right(item, length(%(ending)s)) = %(ending)s",
        ):
            connection.execute(
                statement,
                {
                    "namespace": collection.namespace,
                    "id": collection.id,
                    "model": collection.model,
                    "stage": DEAD_LETTER_STAGE,
                    "ending": dead_letter_ending(collection.leaf),
                },
            )


def remember_width(connection: psycopg.Connection, collection: Collection, width: int) -> None:
    """Let searches of the collection be this wide from now on, unless a person has set another."""
    connection.execute(
        "UPDATE embedding_collections SET search_width = %s, tuned_at = now() WHERE id = %s",
        [width, collection.id],
    )


@contextmanager
def settled(connection: psycopg.Connection, namespace: str) -> Iterator[list[Collection]]:
    """A transaction in which no collection of the namespace is created or dropped.

    Gives the collections. Any number of writers hold this at once; searches need it not.
    """
    with connection.transaction():
        collection_locks.share(connection, namespace)
        yield list_all(connection, namespace)


def _read(
    connection: psycopg.Connection, condition: sql.SQL, parameters: list[str]
) -> list[Collection]:
    query = sql.SQL(
        """
        SELECT id, name, namespace, embedding_model AS model,
               coalesce(metadata ->> 'model_source', embedding_model) AS model_source,
               dimensions, index_settings, search_width, serving, description, created_at,
               xmin::text AS version, superseded
        FROM embedding_collections
        WHERE {} ORDER BY namespace, serving DESC, created_at, name
        """
    ).format(condition)
    with connection.cursor(row_factory=class_row(Collection)) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _make(
    connection: psycopg.Connection,
    leaf: Leaf,
    index: IndexSettings,
    model_source: str,
    description: str | None,
) -> None:
    ensure_leaf(connection, leaf, index, description)
    connection.execute(
        "UPDATE embedding_collections"
        " SET metadata = metadata || jsonb_build_object('model_source', %s::text),"
        " serving = serving AND %s, superseded = EXISTS (SELECT FROM documents"
        " WHERE namespace = %s AND superseded_by IS NOT NULL) WHERE id = %s",
        [model_source, model_source != SUPPLIED, leaf.namespace, leaf.collection_id],
    )


def _longest_chunk(connection: psycopg.Connection, namespace: str) -> int:
    row = connection.execute(
        "SELECT coalesce(max(token_count), 0) FROM document_chunks"
        " WHERE namespace = %s AND level = 0",
        [namespace],
    ).fetchone()
    return cast("tuple[int]", row)[0]
