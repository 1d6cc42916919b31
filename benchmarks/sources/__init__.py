"""Documents a second by every way in, each beside its floor in the same run.

The floor is the same bytes, objects, messages or rows with nothing done about them: read alone,
asked for with boto3 or librdkafka alone, written to disk alone, copied into a bare table. The
stand-in for AWS runs in a process of its own, librdkafka's cluster in this one. Random vectors
stand in for the model's, which would hide all else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.table import Table

from benchmarks.common import console, number
from benchmarks.common import server as own_server
from benchmarks.memory import RandomModel
from benchmarks.sources.bucket import bucket, stand_in
from benchmarks.sources.followed import folder_and_corpus
from benchmarks.sources.sent import imports, topic, uploads
from benchmarks.sources.way import Section, Sizes, texts
from greenlang_vectors.documents.language import language_of
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders


def measure(server_url: str, sizes: Sizes) -> list[Section]:
    """Every way in, one after the other."""
    made = texts(sizes.documents)
    language_of(made[0])  # loads what tells languages, once a process
    embedders = Embedders.only(Embedder(RandomModel()))
    with tempfile.TemporaryDirectory(prefix="glv-") as name:
        folder = Path(name)
        sections = folder_and_corpus(server_url, made, folder)
        with stand_in(made, sizes.listed):
            sections += bucket(server_url, made, sizes)
        sections += uploads(server_url, made, sizes, folder)
        sections.append(topic(server_url, made, embedders))
        sections.append(imports(server_url, sizes, embedders, folder))
    return sections


def main() -> None:
    """Print a table of the ways in; DOCUMENTS, LISTED and ROWS set the sizes."""
    usual = Sizes()
    sizes = Sizes(
        documents=number("DOCUMENTS", usual.documents),
        listed=number("LISTED", usual.listed),
        rows=number("ROWS", usual.rows),
    )
    with own_server() as server_url:
        sections = measure(server_url, sizes)
    table = Table(title="every way in, beside its floor")
    table.add_column("way in", no_wrap=True)
    for column in ("done", "a second", "MB/s", "of its floor", "µs here each"):
        table.add_column(column, justify="right", no_wrap=True)
    for unit, ways in sections:
        floor = ways[0].done / ways[0].seconds
        for way in ways:
            rate = way.done / way.seconds
            table.add_row(
                way.name,
                f"{way.done:,} {unit}",
                f"{rate:,.0f}",
                f"{way.size / way.seconds / 1e6:.1f}" if way.size else "",
                "" if way is ways[0] else f"{rate / floor:.3f}",
                f"{way.processor / way.done * 1e6:,.0f}" if way.processor else "",
            )
        table.add_section()
    console.print(table)
