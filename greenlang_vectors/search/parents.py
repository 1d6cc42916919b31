"""Small to big: passages are searched, and what they stand in is shown (PRD 7.3, hierarchical).

A passage that was cut out of a parent stands in it; any other stands between the one before and
the one after it. Passages in one surrounding are one group, which the best of them ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from greenlang_vectors.search.hits import Hit, Key
from greenlang_vectors.search.model import Child, Parent, SearchResult
from greenlang_vectors.search.passages import Passage
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.encryption.columns import ChunkColumns
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.namespaces import partition


@dataclass(frozen=True, slots=True)
class Group:
    """Hits that stand in one surrounding.

    Attributes:
        key: the parent, or the best of the passages where they have none.
        chunks: what the surrounding is made of, in the order of the document.
        hits: best first.
    """

    key: Key
    chunks: list[Key]
    hits: list[Hit]


class Part(NamedTuple):
    """A chunk of a surrounding, in clear; attributes as of `passages.Passage`."""

    document_id: UUID
    chunk_index: int
    page: int | None
    page_end: int | None
    heading_path: list[str]
    content: str
    tokens: int
    start: int
    end: int


def grouped(hits: Iterable[Hit], found: Mapping[Key, Passage]) -> list[Group]:
    """The hits by what they stand in, the groups in the order of their best.

    No chunk is in two groups. More hits at the end change nothing but what is in the groups.

    Args:
        found: the passages of the hits.
    """
    groups: list[Group] = []
    holder: dict[Key, Group] = {}
    for hit in hits:
        document, chunk = hit.key
        parent = found[hit.key].parent_index
        key = hit.key if parent is None else (document, parent)
        if key in holder:
            holder[key].hits.append(hit)
            continue
        around = [key]
        if parent is None:
            near = [(document, place) for place in (chunk - 1, chunk, chunk + 1)]
            around = [each for each in near if each not in holder]
        groups.append(Group(key, around, [hit]))
        holder.update(dict.fromkeys(around, groups[-1]))
    return groups


def load(
    connection: psycopg.Connection, collection: Collection, groups: Sequence[Group]
) -> dict[Key, Part]:
    """The chunks that the groups' surroundings are made of, of those that are there, by key.

    Raises:
        SealBroken, KeyUnavailable: of an encrypted namespace.
    """
    namespace = collection.leaf.namespace
    keys = [key for group in groups for key in group.chunks]
    if not keys:
        return {}
    rows = connection.execute(
        _statement(namespace),
        {
            "namespace": namespace,
            "documents": [document for document, _ in keys],
            "chunks": [chunk for _, chunk in keys],
        },
    ).fetchall()
    encrypted = bool(rows) and rows[0][-1]
    parts = [Part._make(row[:-1]) for row in rows]
    cipher = cipher_of(connection, namespace) if encrypted else None
    if cipher is not None:
        for place, part in enumerate(parts):
            opened = ChunkColumns(part.content, part.heading_path).opened(cipher, *part[:2])
            parts[place] = part._replace(content=opened.content, heading_path=opened.heading_path)
    return {(part.document_id, part.chunk_index): part for part in parts}


def result(
    group: Group, rank: int, found: Mapping[Key, Passage], parts: Mapping[Key, Part]
) -> SearchResult:
    """The best passage of a group as an answer of this rank, with what it stands in.

    Where that is gone, because the document was replaced meanwhile, it is the passage alone.
    """
    best = found[group.hits[0].key]
    made_of = [parts[key] for key in group.chunks if key in parts]
    content = joined(made_of)
    if best.content not in content:
        made_of = [_as_part(best)]
        content = best.content
    first, last = made_of[0], made_of[-1]
    parent = Parent(
        chunk_indexes=[part.chunk_index for part in made_of],
        content=content,
        page=first.page,
        page_end=last.page_end,
        heading_path=first.heading_path,
        start=first.start,
        end=last.end,
        tokens=sum(part.tokens for part in made_of),
        children=[_child(hit, found[hit.key]) for hit in group.hits],
    )
    return replace(best.result(group.hits[0], rank), parent=parent)


def joined(parts: Sequence[Part]) -> str:
    """The text of chunks that follow one another, what they overlap once.

    Between them is white space that no chunk holds; line breaks stand for it.
    """
    text = parts[0].content if parts else ""
    for before, part in pairwise(parts):
        shared = before.end - part.start
        if shared >= 0 and text.endswith(part.content[:shared]):
            text += part.content[shared:]
        else:
            text += ("\n" if shared == -1 else "\n\n") + part.content
    return text


def _as_part(passage: Passage) -> Part:
    return Part(**{name: getattr(passage, name) for name in Part._fields})


def _child(hit: Hit, passage: Passage) -> Child:
    return Child(
        chunk_index=passage.chunk_index,
        id=passage.id,
        score=hit.score,
        page=passage.page,
        start=passage.start,
        end=passage.end,
        heading_path=passage.heading_path,
        content=passage.content,
    )


@lru_cache(maxsize=1000)
def _statement(namespace: str) -> bytes:
    composed = sql.SQL(
        """
        SELECT c.document_id, c.chunk_index, c.page_start, c.page_end, c.heading_path, c.content,
               c.token_count, c.start_char, c.end_char,
               EXISTS (SELECT FROM encrypted_namespaces WHERE namespace = %(namespace)s)
        FROM unnest(%(documents)s::uuid[], %(chunks)s::integer[]) AS k (document_id, chunk_index)
        JOIN {chunks} c ON c.namespace = %(namespace)s AND c.document_id = k.document_id
            AND c.chunk_index = k.chunk_index
        """
    ).format(chunks=partition("document_chunks", namespace))
    return composed.as_bytes(None)
