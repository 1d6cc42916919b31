"""Sources that are listed and read: a folder, a corpus file; what a bucket shares with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import MIB, new_database
from benchmarks.sources.way import Section, Way, take
from greenlang_vectors.documents.source import Source, source_from_uri
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

NEW = 10
"""Documents that come after the first run."""


def folder_and_corpus(server_url: str, made: Sequence[str], folder: Path) -> list[Section]:
    """A folder of files and a corpus file of the same documents."""
    acts, corpus = folder / "acts", folder / "corpus.jsonl"
    acts.mkdir()

    def put(place: int, text: str) -> None:
        (acts / f"{place:05}.md").write_text(text)

    def append(place: int, text: str) -> None:
        with corpus.open("a") as file:
            file.write(json.dumps({"_id": f"{place:05}", "text": text}) + "\n")

    for place, text in enumerate(made):
        put(place, text)
        append(place, text)
    size = sum(map(len, made))
    files = take(
        "floor: bytes of the folder",
        len(made),
        size,
        lambda: [path.read_bytes() for path in acts.iterdir()],
    )
    one = take("floor: bytes of the corpus file", len(made), size, corpus.read_bytes)
    return [
        ("documents", [files, *followed(server_url, str(acts), "folder", made, put)]),
        ("documents", [one, *followed(server_url, str(corpus), "corpus file", made, append)]),
    ]


def followed(
    server_url: str, uri: str, kind: str, made: Sequence[str], put: Callable[[int, str], None]
) -> list[Way]:
    """A source listed and read, then stored, then looked at again, as it was and with new ones.

    Args:
        put: adds a document of this number.
    """
    source, count, size = source_from_uri(uri), len(made), sum(map(len, made))
    database = new_database(server_url)
    with database.connect() as connection:
        namespaces.register(connection, "acts", source_uri=uri)
    ways = [
        take(f"{kind}, listed and read", count, size, lambda: _read(source)),
        take(f"{kind}, stored", count, size, lambda: _load(database)),
        take(f"{kind} again, nothing changed", count, 0, lambda: _load(database)),
    ]
    for place in range(count, count + NEW):
        put(place, f"New {made[place - count]}")
    again = take(f"{kind} again, {NEW} are new", count + NEW, 0, lambda: _load(database))
    database.close()
    return [*ways, again]


def _read(source: Source) -> None:
    for item in source.list():
        source.read(item, MIB)


def _load(database: Database) -> None:
    load_documents(database, "acts", max_bytes=64 * MIB, cache_seconds=0)
