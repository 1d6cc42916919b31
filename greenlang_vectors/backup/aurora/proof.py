"""Whether a restored database holds: all of it is read, and every collection is searched in."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from greenlang_vectors.backup.aurora.errors import RestoreFailed
from greenlang_vectors.errors import UsageError
from greenlang_vectors.quality.recall import Questions, Truth
from greenlang_vectors.quality.workload import SEED, sample_vectors
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections, namespaces, schema
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.tokens import iam_tokens

QUESTIONS = 20


@dataclass(frozen=True, slots=True)
class Proven:
    """What was read and asked of one collection.

    Attributes:
        rows: embeddings, each read whole.
        recall_at_10: of searches through the index with stored vectors.
    """

    collection: str
    rows: int
    recall_at_10: float


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
    region = settings.database_iam_region
    return Database(
        make_conninfo(credentials(settings), host=endpoint, port=port),
        tokens=iam_tokens(region) if region else None,
    )


def prove(connection: psycopg.Connection) -> list[Proven]:
    """Read every embedding and search in every collection that has any; write nothing.

    Raises:
        RestoreFailed: nothing is stored, the schema is another, or a search finds less than its
            namespace is promised.
        psycopg.Error: something cannot be read.
    """
    version = schema.current(connection)
    if version != schema.head():
        raise RestoreFailed(
            f"The restored database has schema {version}; this version reads {schema.head()}.",
            "Prove it with the version that wrote it.",
        )
    proven = [_prove(connection, each) for each in collections.list_all(connection)]
    if not sum(each.rows for each in proven):
        raise RestoreFailed("The restored database holds no embeddings.")
    for each in proven:
        target = namespaces.get(connection, each.collection.partition("/")[0]).recall_target
        if each.rows and each.recall_at_10 < target:
            raise RestoreFailed(
                f"Searches in the restored {each.collection} have a recall of"
                f" {each.recall_at_10:.3f}; {target:g} is promised."
            )
    return proven


def _prove(connection: psycopg.Connection, collection: Collection) -> Proven:
    leaf = collection.leaf
    read = sql.SQL("SELECT count(md5(vector_send(embedding))) FROM {}").format(leaf.table)
    rows = sum(count for (count,) in connection.execute(read))
    if not rows:
        return Proven(collection.name, 0, 0.0)
    questions = Questions(sample_vectors(connection, leaf, QUESTIONS, SEED))
    truth = Truth(connection, leaf, questions, collection.index)
    return Proven(collection.name, rows, truth.ask(collection.searched).mean)
