"""Which namespaces `make run` fills, and from which folders."""

from __future__ import annotations

from pathlib import Path

import psycopg

from greenlang_vectors.errors import InvalidNamespaceName, UsageError
from greenlang_vectors.quality.comparison import held_back
from greenlang_vectors.settings import PROJECT_ROOT
from greenlang_vectors.store import namespaces

SAMPLES = PROJECT_ROOT / "samples"
MOST_QUESTIONS = 10


def register_samples(connection: psycopg.Connection) -> list[str]:
    """Register the PRD's namespaces that are missing, each over its samples; return all names."""
    known = {namespace.name for namespace in namespaces.list_all(connection)}
    for name in namespaces.PRD_NAMESPACES:
        if name not in known:
            namespaces.register(connection, name, source_uri=str(SAMPLES / name))
    return [namespace.name for namespace in namespaces.list_all(connection)]


def register_folder(connection: psycopg.Connection, folder: Path) -> tuple[list[str], list[str]]:
    """Make each sub-folder the source of the namespace it is named after.

    The PRD's namespaces without a sub-folder are registered too, without a source.

    Returns:
        the names of these namespaces, and a line for each sub-folder that cannot be one.

    Raises:
        UsageError: there is no such folder, or no sub-folder that can be a namespace.
    """
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {str(folder)!r}.",
            "Give a folder that holds one sub-folder of documents for each namespace.",
        )
    names: list[str] = []
    skipped: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")) or not path.is_dir():
            continue
        try:
            namespaces.validate_name(path.name)
        except InvalidNamespaceName as error:
            skipped.append(f"The folder is left out: {error}")
        else:
            namespaces.register(connection, path.name, source_uri=str(path.resolve()))
            names.append(path.name)
    if not names:
        raise UsageError(
            " ".join([f"{str(folder)!r} has no sub-folder that can be a namespace.", *skipped]),
            "Put the documents of each namespace into a sub-folder such as csrd.",
        )
    known = {namespace.name for namespace in namespaces.list_all(connection)}
    for name in namespaces.PRD_NAMESPACES:
        if name not in known:
            namespaces.register(connection, name)
    return names, skipped


def example_questions(connection: psycopg.Connection, name: str) -> list[str]:
    """Questions the namespace should answer: held-back ones, or else what its headings name.

    Headings of documents with pages come first, for the answer to have one.
    """
    uri = namespaces.get(connection, name).source_uri
    questions, _ = held_back(uri)
    if questions:
        return list(questions.values())[:MOST_QUESTIONS]
    rows = connection.execute(
        """
        SELECT coalesce(topic, title)
        FROM documents d LEFT JOIN LATERAL (
            SELECT regexp_replace(heading ->> 2, '^.* – ', '') AS topic
            FROM jsonb_array_elements(d.headings) AS heading
        ) topics ON length(topic) BETWEEN 15 AND 80 AND topic <> upper(topic)
        WHERE namespace = %s
        ORDER BY topic IS NULL, page_starts = '{}', source_key, length(topic) DESC
        LIMIT %s
        """,
        [name, MOST_QUESTIONS],
    )
    return [str(row[0]) for row in rows]
