"""Whether a restored database holds: all of it is read, and every collection is searched in."""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from greenlang_vectors.backup.aurora.errors import RestoreFailed
from greenlang_vectors.backup.drill import recalls_of
from greenlang_vectors.backup.manifest import Recall
from greenlang_vectors.errors import UsageError
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, namespaces, schema
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.connections import Access
from greenlang_vectors.store.database import Database


def credentials(settings: Settings) -> str:
    """The URL whose user a restored cluster knows.

    Raises:
        UsageError: GREENLANG_DATABASE_URL is not set.
    """
    if settings.database_url is None:
        raise UsageError(
            "Who may ask a restored cluster is not known.",
            "Set GREENLANG_DATABASE_URL to the cluster the snapshot is of.",
        )
    return settings.database_url.get_secret_value()


def restored_database(settings: Settings, endpoint: str, port: int) -> Database:
    """The database of the settings, on a restored cluster, which has the same roles.

    Raises:
        UsageError: see `credentials`.
    """
    url = make_conninfo(credentials(settings), host=endpoint, port=port)
    access = Access.of(settings, url)
    return Database(access.url, tokens=access.tokens)


def prove(
    connection: psycopg.Connection, settings: Settings, progress: Progress = silent
) -> list[Recall]:
    """Read every embedding and search in every collection that has any; write nothing.

    Args:
        settings: `quality_sample`.

    Raises:
        RestoreFailed: nothing is stored, the schema is another, or searches find less than their
            namespace is promised.
        psycopg.Error: something cannot be read.
    """
    version = schema.current(connection)
    if version != schema.head():
        raise RestoreFailed(
            f"The restored database has schema {version}; this version reads {schema.head()}.",
            "Prove it with the version that wrote it.",
        )
    if not sum(_read(connection, each) for each in collections.list_all(connection)):
        raise RestoreFailed("The restored database holds no embeddings.")
    found = [
        each
        for namespace in namespaces.list_all(connection)
        for each in recalls_of(connection, namespace.name, settings, progress)
    ]
    for each in found:
        if not each.kept:
            raise RestoreFailed(
                f"Searches in the restored {each.collection} have a recall of"
                f" {each.recall_at_10:.3f}; {each.target:g} is promised."
            )
    return found


def _read(connection: psycopg.Connection, collection: Collection) -> int:
    """How many embeddings there are, each read whole."""
    read = sql.SQL("SELECT count(md5(vector_send(embedding))) FROM {}")
    return sum(n for (n,) in connection.execute(read.format(collection.leaf.table)))
