"""Integrity checks that are one query each: the server counts, only examples leave it.

What the server cannot read, in an encrypted namespace, `quality.sealed` judges.

What became a dead letter at a stage is not held against that stage: a warning names it.
"""

from __future__ import annotations

from typing import LiteralString, cast

import psycopg
from psycopg import sql

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.quality import sealed
from greenlang_vectors.quality.outcome import MAX_EXAMPLES, CheckContext, CheckOutcome, judged
from greenlang_vectors.store.completeness import dead_letter_ending
from greenlang_vectors.store.encryption.data_keys import cipher_of

NORM_TOLERANCE = 1e-3
"""How far the length of a normalised vector may be from 1."""

WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""All that Python strips; PostgreSQL's own classes leave some of it out."""


def documents_intact(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Texts match their hashes and are not empty; pages and headings lie within them, in order.

    A document that came from Weaviate has no text but its passages.
    """
    cipher = cipher_of(connection, context.namespace)
    if cipher is not None:
        return sealed.documents_intact(connection, context.namespace, cipher)
    return _judge(
        connection,
        context,
        "documents",
        "are damaged",
        "SELECT count(*) AS documents FROM documents WHERE namespace = %(namespace)s",
        """
        SELECT document, problem FROM (
            SELECT source_key AS document, concat_ws('; ',
                CASE WHEN encode(sha256(convert_to(text, 'UTF8')), 'hex') <> text_hash
                     THEN 'the text does not match its hash' END,
                CASE WHEN origin <> 'weaviate' AND btrim(text, %(white_space)s) = ''
                     THEN 'the text is empty' END,
                CASE WHEN page_starts[1] <> 0 OR EXISTS (
                         SELECT FROM (
                             SELECT start, lag(start) OVER (ORDER BY page) AS before
                             FROM unnest(page_starts) WITH ORDINALITY AS pages (start, page)
                         ) starts WHERE start < before OR start > length)
                     THEN 'a page starts outside the text or out of order' END,
                CASE WHEN EXISTS (
                         SELECT FROM (
                             SELECT (heading ->> 0)::integer AS start,
                                    lag((heading ->> 0)::integer, 1, 0) OVER (ORDER BY place)
                                        AS before
                             FROM jsonb_array_elements(headings)
                                 WITH ORDINALITY AS listed (heading, place)
                         ) starts WHERE start < before OR start >= length)
                     THEN 'a heading stands outside the text or out of order' END
            ) AS problem
            FROM documents CROSS JOIN LATERAL (SELECT char_length(text) AS length OFFSET 0) size
            WHERE namespace = %(namespace)s
        ) looked_at
        WHERE problem <> '' ORDER BY document
        """,
    )


def chunks_complete(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Every document has been cut and has a searched chunk; every chunk has its document."""
    return _judge(
        connection,
        context,
        "documents",
        "are out of step with their chunks",
        """
        SELECT (SELECT count(*) FROM documents WHERE namespace = %(namespace)s) AS documents,
               (SELECT count(*) FROM document_chunks WHERE namespace = %(namespace)s) AS chunks
        """,
        """
        SELECT coalesce(d.source_key, c.document_id::text) AS document,
               CASE WHEN d.id IS NULL THEN c.chunks || ' chunks belong to no document'
                    WHEN d.chunking_fingerprint IS NULL THEN 'it has not been cut'
                    ELSE 'it has no searched chunk' END AS problem
        FROM (SELECT id, source_key, chunking_fingerprint FROM documents
              WHERE namespace = %(namespace)s) d
        FULL JOIN (
            SELECT document_id, count(*) AS chunks, count(*) FILTER (WHERE level = 0) AS searched
            FROM document_chunks WHERE namespace = %(namespace)s GROUP BY document_id
        ) c ON c.document_id = d.id
        WHERE (d.id IS NULL OR d.chunking_fingerprint IS NULL OR c.searched IS NULL
               OR c.searched = 0)
          AND NOT EXISTS (
              SELECT FROM dead_letters l WHERE l.namespace = %(namespace)s
                AND l.stage = 'chunks' AND l.item = d.source_key)
        ORDER BY document
        """,
    )


def chunks_numbered(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """A document's chunks are numbered from 0 without holes; parents are chunks of level 1.

    Passages that came from Weaviate keep the numbers they had there.
    """
    return _judge(
        connection,
        context,
        "chunks",
        "are misnumbered or lack their parent",
        "SELECT count(*) AS chunks FROM document_chunks WHERE namespace = %(namespace)s",
        """
        SELECT d.source_key AS document, wrong.chunk_index, wrong.problem FROM (
            SELECT document_id, chunk_index,
                   'its number should be ' || expected AS problem
            FROM (
                SELECT document_id, chunk_index,
                       row_number() OVER (PARTITION BY document_id ORDER BY chunk_index) - 1
                           AS expected
                FROM document_chunks WHERE namespace = %(namespace)s
            ) numbered
            WHERE chunk_index <> expected AND NOT EXISTS (
                SELECT FROM documents
                WHERE namespace = %(namespace)s AND id = document_id AND origin = 'weaviate')
            UNION ALL
            SELECT c.document_id, c.chunk_index,
                   'chunk ' || c.parent_index || ' is not a parent'
            FROM document_chunks c
            LEFT JOIN document_chunks p ON p.namespace = %(namespace)s AND p.level = 1
                AND p.document_id = c.document_id AND p.chunk_index = c.parent_index
            WHERE c.namespace = %(namespace)s AND c.parent_index IS NOT NULL
              AND p.chunk_index IS NULL
        ) wrong
        LEFT JOIN documents d ON d.namespace = %(namespace)s AND d.id = wrong.document_id
        ORDER BY document, wrong.chunk_index
        """,
    )


def chunk_hashes_match(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Every chunk's hash is that of its content."""
    cipher = cipher_of(connection, context.namespace)
    if cipher is not None:
        return sealed.chunk_hashes_match(connection, context.namespace, cipher)
    return _judge(
        connection,
        context,
        "chunks",
        "differ from their hash",
        "SELECT count(*) AS chunks FROM document_chunks WHERE namespace = %(namespace)s",
        """
        SELECT d.source_key AS document, c.chunk_index,
               'the content does not match its hash' AS problem
        FROM document_chunks c
        LEFT JOIN documents d ON d.namespace = %(namespace)s AND d.id = c.document_id
        WHERE c.namespace = %(namespace)s
          AND encode(sha256(convert_to(c.content, 'UTF8')), 'hex') <> c.content_hash
        ORDER BY document, c.chunk_index
        """,
    )


def embeddings_match_chunks(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Every searched chunk is embedded, here or in an archive; every embedding has its chunk."""
    return _judge(
        connection,
        context,
        "chunks",
        "are out of step with their embedding",
        """
        SELECT (SELECT count(*) FROM document_chunks
                WHERE namespace = %(namespace)s AND level = 0) AS chunks,
               (SELECT count(*) FROM vector_embeddings
                WHERE namespace = %(namespace)s AND embedding_model = %(model)s) AS embeddings
        """,
        """
        SELECT coalesce(d.source_key, wrong.document_id::text) AS document, wrong.chunk_index,
               CASE WHEN wrong.embedded IS NULL THEN 'the chunk has no embedding'
                    WHEN wrong.cut IS NULL THEN 'the embedding has no chunk'
                    ELSE 'the embedding is of another content' END AS problem
        FROM (
            SELECT coalesce(c.document_id, e.source_id) AS document_id,
                   coalesce(c.chunk_index, e.chunk_index) AS chunk_index,
                   c.content_hash AS cut, e.content_hash AS embedded
            FROM (SELECT document_id, chunk_index, content_hash FROM document_chunks
                  WHERE namespace = %(namespace)s AND level = 0) c
            FULL JOIN (SELECT source_id, chunk_index, content_hash FROM vector_embeddings
                       WHERE namespace = %(namespace)s AND embedding_model = %(model)s) e
                ON e.source_id = c.document_id AND e.chunk_index = c.chunk_index
            WHERE c.content_hash IS DISTINCT FROM e.content_hash
        ) wrong
        LEFT JOIN documents d ON d.namespace = %(namespace)s AND d.id = wrong.document_id
        WHERE NOT EXISTS (
            SELECT FROM dead_letters l WHERE l.namespace = %(namespace)s
              AND l.stage = 'embeddings' AND wrong.embedded IS NULL
              AND l.item = wrong.document_id || '/' || wrong.chunk_index || %(ending)s)
          AND NOT EXISTS (
            SELECT FROM archived_embeddings a
            WHERE a.namespace = %(namespace)s AND a.embedding_model = %(model)s
              AND wrong.embedded IS NULL AND a.document_id = wrong.document_id
              AND a.chunk_index = wrong.chunk_index AND a.content_hash = wrong.cut)
        ORDER BY document, wrong.chunk_index
        """,
    )


def vectors_sound(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Vectors have the model's dimensions and length 1, which NaN and infinity have not.

    Those that came from Weaviate keep the length they had there.
    """
    return _judge(
        connection,
        context,
        "embeddings",
        "have a wrong length or number of dimensions",
        """
        SELECT count(*) AS embeddings, min(vector_norm(embedding)) AS smallest_norm,
               max(vector_norm(embedding)) AS largest_norm
        FROM vector_embeddings WHERE namespace = %(namespace)s AND embedding_model = %(model)s
        """,
        """
        SELECT coalesce(d.source_key, wrong.source_id::text) AS document, wrong.chunk_index,
               wrong.dimensions, wrong.norm,
               CASE WHEN wrong.dimensions <> %(dimensions)s
                    THEN 'the vector has ' || wrong.dimensions || ' dimensions'
                    ELSE 'the vector has the norm ' || round(wrong.norm::numeric, 6) END AS problem
        FROM (
            SELECT source_id, chunk_index, vector_dims(embedding) AS dimensions,
                   vector_norm(embedding) AS norm
            FROM vector_embeddings WHERE namespace = %(namespace)s AND embedding_model = %(model)s
        ) wrong
        LEFT JOIN documents d ON d.namespace = %(namespace)s AND d.id = wrong.source_id
        WHERE wrong.dimensions <> %(dimensions)s
           OR (wrong.norm NOT BETWEEN 1 - %(tolerance)s::float8 AND 1 + %(tolerance)s::float8
               AND d.origin IS DISTINCT FROM 'weaviate')
        ORDER BY document, wrong.chunk_index
        """,
    )


def _judge(
    connection: psycopg.Connection,
    context: CheckContext,
    subject: str,
    fault: str,
    numbers: LiteralString,
    offenders: LiteralString,
) -> CheckOutcome:
    """Run both queries as one statement, hence on one snapshot, and judge what they say.

    Args:
        subject, fault: see `judged`.
        numbers: a query for one row of counts.
        offenders: a query for the rows that are wrong.
    """
    row = connection.execute(
        sql.SQL(
            """
            WITH offenders AS MATERIALIZED ({offenders})
            SELECT (SELECT row_to_json(counted) FROM ({numbers}) counted),
                   (SELECT count(*) FROM offenders),
                   (SELECT coalesce(json_agg(row_to_json(example)), '[]')
                    FROM (SELECT * FROM offenders LIMIT %(examples)s) example)
            """
        ).format(offenders=sql.SQL(offenders), numbers=sql.SQL(numbers)),
        {
            "namespace": context.namespace,
            "model": context.leaf.model,
            "ending": dead_letter_ending(context.leaf),
            "dimensions": context.leaf.dimensions,
            "tolerance": NORM_TOLERANCE,
            "white_space": WHITE_SPACE,
            "examples": MAX_EXAMPLES,
        },
    ).fetchone()
    counted, failed, examples = cast(
        "tuple[dict[str, int | float | None], int, list[dict[str, JSON]]]", row
    )
    known = {name: number for name, number in counted.items() if number is not None}
    return judged(subject, fault, known, failed, examples)
