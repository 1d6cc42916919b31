"""How many chunks of a namespace hold each word: what tells rare words from common ones."""

from __future__ import annotations

import psycopg

from greenlang_vectors.store.locks import exclusive


def refresh(connection: psycopg.Connection, namespace: str) -> bool:
    """Count the words of a namespace's chunks anew if chunks came or went since the last time.

    Returns:
        Whether they were counted.
    """
    with exclusive(connection, "text statistics", namespace), connection.transaction():
        row = connection.execute(
            """
            WITH present AS (
                SELECT language, count(*) AS chunks, max(created_at) AS newest
                FROM document_chunks WHERE namespace = %(namespace)s AND language IS NOT NULL
                GROUP BY language
            ), counted AS (
                SELECT language, chunks, newest FROM text_statistics WHERE namespace = %(namespace)s
            )
            SELECT EXISTS (SELECT FROM present FULL JOIN counted USING (language, chunks, newest)
                           WHERE present IS NULL OR counted IS NULL)
            """,
            {"namespace": namespace},
        ).fetchone()
        if row == (False,):
            return False
        clear(connection, namespace)
        connection.execute(
            """
            INSERT INTO text_statistics (namespace, language, chunks, mean_tokens, newest)
            SELECT namespace, language, count(*), avg(token_count), max(created_at)
            FROM document_chunks WHERE namespace = %s AND language IS NOT NULL
            GROUP BY namespace, language
            """,
            [namespace],
        )
        connection.execute(
            """
            INSERT INTO text_terms (namespace, language, lexeme, chunks)
            SELECT namespace, language, word, ndoc
            FROM text_statistics, ts_stat(format(
                'SELECT words FROM document_chunks WHERE namespace = %%L AND language = %%L',
                namespace, language))
            WHERE namespace = %s AND ndoc > 1
            """,
            [namespace],
        )
    return True


def clear(connection: psycopg.Connection, namespace: str) -> None:
    """Forget every word of a namespace."""
    connection.execute("DELETE FROM text_terms WHERE namespace = %s", [namespace])
    connection.execute("DELETE FROM text_statistics WHERE namespace = %s", [namespace])
