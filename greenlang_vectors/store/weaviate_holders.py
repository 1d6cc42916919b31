"""The documents that hold Weaviate's passages: made as they land, and locked meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import psycopg

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.store.bulk import as_columns, id_array
from greenlang_vectors.store.weaviate_removal import ORIGIN

if TYPE_CHECKING:
    from greenlang_vectors.store.weaviate_rows import Passage

_AS_NUMBER = attrgetter("int")
"""Orders UUIDs as they order themselves, ten times as fast."""


class _Named(NamedTuple):
    """What a document is called; of several titles the first in order counts, its key last."""

    source_type: str
    source_key: str
    title: str

    @property
    def rank(self) -> tuple[bool, str]:
        return self.title == self.source_key, self.title


def opened(
    connection: psycopg.Connection,
    namespace: str,
    language: str,
    passages: Sequence[Passage],
    *,
    replace: bool,
) -> set[UUID]:
    """Make the documents that are missing, within a transaction; return those that are Weaviate's.

    They stay locked until it ends. One that an application or a source has written is none of
    them, nor is one that was deleted here.

    Args:
        language: text search configuration of the passages.
        replace: give documents that are there the titles that the passages say.
    """
    named: dict[UUID, _Named] = {}
    for each in passages:
        given = _Named(each.source_type, each.source_key, each.title)
        known = named.get(each.document_id)
        if known is None or given.rank < known.rank:
            named[each.document_id] = given
    values = {
        "namespace": namespace,
        "empty": content_hash(""),
        "origin": ORIGIN,
        "language": language,
        "replace": replace,
    }
    # Each is planned anew: a plan made while the table was empty reads all of it.
    ordered = sorted(named, key=_AS_NUMBER)
    made = connection.execute(_NEW, {**values, **_given(named, ordered)}, prepare=False)
    own = {identity for (identity,) in made}
    others = id_array(each for each in ordered if each not in own)
    rows = connection.execute(_HELD, {**values, "ids": others}, prepare=False)
    held = [identity for (identity,) in rows]
    if renamed := [each for each in held if replace or not named[each].rank[0]]:
        connection.execute(_TITLES, {**values, **_given(named, renamed)}, prepare=False)
    return own.union(held)


def _given(named: Mapping[UUID, _Named], chosen: Sequence[UUID]) -> dict[str, object]:
    kinds, keys, titles = as_columns((named[each] for each in chosen), 3)
    return {"ids": id_array(chosen), "kinds": kinds, "keys": keys, "titles": titles}


_NEW = """
    INSERT INTO documents
        (namespace, id, origin, source_type, source_key, title, media_type, size_bytes, file_hash,
         text, text_hash, characters, page_starts, headings, extraction_version, language,
         chunking_fingerprint)
    SELECT %(namespace)s::varchar, id, %(origin)s::varchar, kind, key, title, 'text/plain', 0,
           %(empty)s::bpchar, '', %(empty)s::bpchar, 0, '{}', '[]', %(origin)s::varchar,
           %(language)s, %(origin)s::varchar
    FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(keys)s::text[], %(titles)s::text[])
        AS given (id, kind, key, title)
    WHERE NOT EXISTS (SELECT FROM weaviate_deletions
                      WHERE namespace = %(namespace)s::varchar AND document_id = given.id)
      AND NOT EXISTS (SELECT FROM documents d
                      WHERE namespace = %(namespace)s::varchar AND d.id = given.id)
    ON CONFLICT DO NOTHING RETURNING id
"""
_HELD = """
    SELECT id FROM documents
    WHERE namespace = %(namespace)s AND id = ANY(%(ids)s::uuid[]) AND origin = %(origin)s
    ORDER BY id FOR NO KEY UPDATE
"""
_TITLES = """
    UPDATE documents known SET title = given.title
    FROM unnest(%(ids)s::uuid[], %(titles)s::text[]) AS given (id, title)
    WHERE known.namespace = %(namespace)s AND known.id = given.id AND CASE WHEN %(replace)s
        THEN given.title <> known.title
        ELSE (given.title = known.source_key, given.title COLLATE "C")
            < (known.title = known.source_key, known.title COLLATE "C") END
"""
