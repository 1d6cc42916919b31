"""Passages by their words (PRD 8.1.3): websearch syntax, each passage in its own language.

Ranked by BM25 (Robertson and Zaragoza 2009): PostgreSQL's ts_rank does not know rare words from
common ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.conditions import condition
from greenlang_vectors.search.filters import Filter
from greenlang_vectors.search.model import Candidate, Found
from greenlang_vectors.search.terms import MARKS, Asked, quoted
from greenlang_vectors.search.words import Words, read
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.namespaces import partition

K1, B = 1.2, 0.75
"""Of BM25: how soon more of a word stops to matter, and how much a long passage is held back."""

AFFORDABLE = (2_500, 25_000, None)
"""Passages compared at first, where those are fewer than asked for, and at last: all."""

_TYPICAL_TOKENS = 200.0
"""Mean length of a passage as long as nothing has been counted."""


def matching(
    connection: psycopg.Connection,
    leaf: Leaf,
    query: str,
    k: int,
    *,
    filter: Filter | None = None,
) -> Found:
    """The k best passages of the leaf that hold words of the query.

    Quoted phrases and `-excluded` words are kept to, and so is `or` beside them, or in capitals.
    Beyond that, passages with all the words come before those with some, each by BM25, ties by
    document and chunk. A value of 1 and more tells of all the words.

    Raises:
        UsageError: the namespace is encrypted, so that the database knows no words of it; or the
            query is longer than `words.MAX_CHARACTERS`.
    """
    asked = [each for each in _ask(connection, leaf, read(query)) if each.lexemes]
    if not asked:
        return Found([], "full text: no word to look up")
    for most in AFFORDABLE:
        complete = all(each.is_complete(most) for each in asked)
        statement, parameters = _statement(leaf, asked, most, filter, narrow=complete)
        rows = connection.execute(statement, {**parameters, "k": k}).fetchall()
        if len(rows) >= k or complete:
            break
    how = "by BM25" if complete else "common words where they stand out, by BM25"
    return Found(
        [Candidate(*row) for row in rows],
        f"full text in {', '.join(each.language for each in asked)}, {how}",
    )


def _ask(connection: psycopg.Connection, leaf: Leaf, words: Words) -> list[Asked]:
    """The question in each language of the namespace's documents.

    Raises:
        UsageError: the namespace is encrypted.
    """
    statement = sql.SQL(
        """
        WITH RECURSIVE known AS (
            SELECT min(language) AS language FROM {documents}
            UNION ALL
            SELECT (SELECT min(d.language) FROM {documents} d WHERE d.language > known.language)
            FROM known WHERE known.language IS NOT NULL
        ), configured AS (
            SELECT language, ('pg_catalog.' || language)::regconfig AS configuration
            FROM known WHERE language IS NOT NULL
        )
        SELECT language,
               websearch_to_tsquery(configuration, %(every)s)::text AS every,
               websearch_to_tsquery(configuration, %(required)s)::text AS required,
               coalesce(lexemes, '{{}}') AS lexemes, coalesce(holding, '{{}}') AS holding,
               coalesce(counted.chunks, 1) AS chunks,
               coalesce(counted.mean_tokens, %(typical)s) AS mean_tokens
        FROM configured
        LEFT JOIN {statistics} counted USING (language)
        CROSS JOIN LATERAL (
            SELECT array_agg(lexeme ORDER BY holding, lexeme) AS lexemes,
                   array_agg(holding ORDER BY holding, lexeme) AS holding
            FROM (
                SELECT lexeme, ARRAY(
                    SELECT coalesce(t.chunks, 1)
                    FROM unnest(%(marks)s::text[]) WITH ORDINALITY AS marks (mark, place)
                    LEFT JOIN {terms} t
                        ON t.language = configured.language AND t.lexeme = wanted.lexeme || mark
                    ORDER BY place) AS holding
                FROM unnest(to_tsvector(configuration, %(wanted)s)) wanted
            ) looked_up
        ) terms
        """
    ).format(
        documents=partition("documents", leaf.namespace),
        statistics=partition("text_statistics", leaf.namespace),
        terms=partition("text_terms", leaf.namespace),
    )
    with connection.cursor(row_factory=class_row(Asked)) as cursor:
        asked = cursor.execute(
            statement,
            {
                "every": words.every,
                "required": words.required,
                "wanted": words.wanted,
                "marks": list(MARKS),
                "typical": _TYPICAL_TOKENS,
            },
        ).fetchall()
    if not asked and _is_encrypted(connection, leaf.namespace):
        raise UsageError(
            f"The namespace {leaf.namespace} is encrypted: its words cannot be searched.",
            "Search by vectors.",
        )
    return asked


def _is_encrypted(connection: psycopg.Connection, namespace: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM encrypted_namespaces WHERE namespace = %s)", [namespace]
    ).fetchone()
    return row == (True,)


def _statement(
    leaf: Leaf,
    asked: list[Asked],
    most: int | None,
    filter: Filter | None,
    *,
    narrow: bool,
) -> tuple[sql.Composed, dict[str, Any]]:
    """The k best of the passages that are candidates; its parameters but for k.

    Args:
        narrow: look at what the filter lets through before ranking: right where passages are
            many; otherwise the ranked are looked up in the leaf, the best first.
    """
    parameters: dict[str, Any] = {"namespace": leaf.namespace}
    allowed = sql.Composed([])
    if filter is not None:
        written, bound = condition(filter, "e")
        allowed = sql.SQL(" AND {}").format(written)
        parameters |= bound
    embedded = sql.SQL(
        "SELECT FROM {leaf} e WHERE e.source_id = c.document_id AND e.chunk_index = c.chunk_index"
        "{allowed}"
    ).format(leaf=leaf.table, allowed=allowed)
    first = sql.SQL(" AND EXISTS ({})" if narrow and filter is not None else "").format(embedded)
    branches = []
    for number, each in enumerate(asked):
        branches.append(_branch(leaf, each, most, first, _Bindings(parameters, number)))
    statement = sql.SQL(
        """
        WITH ranked AS MATERIALIZED ({branches})
        SELECT c.document_id, c.chunk_index, c.value
        FROM (SELECT * FROM ranked ORDER BY value DESC, document_id, chunk_index) c
        CROSS JOIN LATERAL ({embedded} LIMIT 1) e
        ORDER BY c.value DESC, c.document_id, c.chunk_index LIMIT %(k)s
        """
    ).format(branches=sql.SQL(" UNION ALL ").join(branches), embedded=embedded)
    return statement, parameters


def _branch(
    leaf: Leaf, asked: Asked, most: int | None, first: sql.Composable, bind: _Bindings
) -> sql.Composed:
    """The candidates of one language, with their values.

    Of a term the value is its share of all weights times (1 - n / (tf + n)), BM25 but for the
    constant k1 + 1; ts_rank_cd of a single lexeme is how often it occurs, tf. To ask first
    whether it occurs at all makes it three times as fast.
    """
    shares = [
        sql.SQL(
            "CASE WHEN words @@ {lexeme}::tsquery THEN {share} * "
            "(1 - n / (n + ts_rank_cd('{{1, 1, 1, 1}}', words, {lexeme}::tsquery))) ELSE 0 END"
        ).format(share=bind(share), lexeme=bind(quoted(term.lexeme)))
        for term, share in zip(asked.terms, asked.shares(), strict=True)
    ]
    wanted = sql.SQL("{}::tsquery").format(bind(asked.candidates(most)))
    if asked.required:
        wanted = sql.SQL("({}::tsquery && {})").format(bind(asked.required), wanted)
    return sql.SQL(
        """
        SELECT document_id, chunk_index,
               (words @@ {every}::tsquery)::integer + {shares} AS value
        FROM (SELECT *, {k1} * (1 - {b} + {b} * token_count / {mean_tokens}::float8) AS n
              FROM {chunks}) c
        WHERE language = {language} AND words @@ {wanted}{first}
        """
    ).format(
        every=bind(asked.every),
        shares=sql.SQL(" + ").join(shares),
        k1=sql.Literal(K1),
        b=sql.Literal(B),
        mean_tokens=bind(asked.mean_tokens),
        chunks=partition("document_chunks", leaf.namespace),
        language=bind(asked.language),
        wanted=wanted,
        first=first,
    )


class _Bindings:
    """Binds the values of one branch to parameters of its own."""

    def __init__(self, parameters: dict[str, Any], number: int) -> None:
        self._parameters = parameters
        self._names: Iterator[str] = (f"t{number}_{place}" for place in range(10**6))

    def __call__(self, value: object) -> sql.Placeholder:
        name = next(self._names)
        self._parameters[name] = value
        return sql.Placeholder(name)
