"""Versions of one act among the documents of a namespace: which of them is the newest.

Documents are versions of one act where their CELEX numbers say so and their language is the same.
A consolidated version is newer than the act as it was adopted, a later one newer than an earlier.
"""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

import psycopg

from greenlang_vectors.documents.celex import version_of
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.store.encryption.cipher import Cipher
from greenlang_vectors.store.encryption.columns import open_metadata


def link(connection: psycopg.Connection, namespace: str, cipher: Cipher | None = None) -> int:
    """Note with every document of an act which newer version supersedes it.

    Searches leave superseded documents out unless they ask for all versions; the collections of
    the namespace say whether there are any. A version supersedes none before it is embedded.

    Args:
        cipher: that of an encrypted namespace.

    Returns:
        How many documents are superseded.
    """
    with connection.transaction():
        rows = connection.execute(
            """
            SELECT id, metadata, language,
                   EXISTS (SELECT FROM vector_embeddings e
                           WHERE e.namespace = d.namespace AND e.source_id = d.id)
            FROM documents d
            WHERE namespace = %s AND origin = 'source' AND metadata ? 'celex' ORDER BY id
            """,
            [namespace],
        ).fetchall()
        versions: dict[tuple[str, str], list[tuple[str, UUID]]] = defaultdict(list)
        newest: dict[tuple[str, str], tuple[str, UUID]] = {}
        for identity, metadata, language, embedded in rows:
            clear = metadata if cipher is None else open_metadata(cipher, identity, metadata)
            if version := version_of(str(clear["celex"])):
                act = version.act, _language(clear, language)
                versions[act].append((version.date, identity))
                if embedded:
                    newest[act] = max(newest.get(act, ("", identity)), versions[act][-1])
        newer = {
            identity: newest[act][1]
            for act in newest
            for date, identity in versions[act]
            if date < newest[act][0]
        }
        connection.execute(
            """
            UPDATE documents d SET superseded_by = wanted.newer
            FROM (SELECT d.id, w.newer
                  FROM documents d
                  LEFT JOIN unnest(%s::uuid[], %s::uuid[]) AS w (id, newer) ON w.id = d.id
                  WHERE d.namespace = %s AND d.superseded_by IS DISTINCT FROM w.newer) wanted
            WHERE d.namespace = %s AND d.id = wanted.id
            """,
            [list(newer), list(newer.values()), namespace, namespace],
        )
        connection.execute(
            """
            UPDATE embedding_collections SET superseded = %(any)s
            WHERE namespace = %(namespace)s AND superseded <> %(any)s
            """,
            {"namespace": namespace, "any": bool(newer)},
        )
    return len(newer)


def _language(metadata: dict[str, JSON], configuration: str | None) -> str:
    """What tells languages apart: what the document says, else how its words are searched."""
    said = metadata.get("language")
    return said[:2].lower() if isinstance(said, str) and said else configuration or ""
