"""Peak memory while the corpus grows: 1, 4 and 16 copies of the same documents, each different.

The model is replaced by random vectors, so that what is seen is the pipeline's own memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.common import ROOT, console, measured, namespaces_of, new_database
from benchmarks.common import server as own_server
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.models import ModelSpec, resolve_model
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.status import namespace_status

COPIES = (1, 8, 64)
DOCUMENT_CHARACTERS = 100_000


class RandomModel:
    """Random vectors of the packaged model's size."""

    spec: ModelSpec = resolve_model("all-MiniLM-L6-v2")

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._tokenizer = self.spec.tokenizer()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As the packaged model counts."""
        return self._tokenizer.counts(list(texts))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (len(texts), 384)."""
        size = (len(texts), self.spec.dimensions)
        return self._random.normal(size=size).astype(np.float32)


def main() -> None:
    """Print a table: documents, chunks, peak memory."""
    text = "\n\n".join(
        path.read_text()
        for folder in namespaces_of(ROOT / "samples")
        for path in sorted(folder.glob("*.md"))
    )[:DOCUMENT_CHARACTERS]
    table = Table(title="memory by corpus size")
    for column in ("documents", "chunks", "seconds", "peak MiB"):
        table.add_column(column, justify="right")
    with own_server() as server_url:
        for copies in COPIES:
            table.add_row(*_filled(server_url, text, copies))
    console.print(table)


def _filled(server_url: str, text: str, copies: int) -> tuple[str, str, str, str]:
    database = new_database(server_url)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(copies):
            copy = "\n".join(f"{line} ({number})" for line in text.splitlines())
            (Path(folder) / f"{number}.md").write_text(copy)
        with database.connect() as connection:
            namespaces.register(connection, "growing", source_uri=folder)
        with measured() as took:
            fill(
                database,
                "growing",
                embedders=Embedders.only(Embedder(RandomModel())),
                settings=Settings(),
                progress=lambda _: silent,
            )
    with database.connect() as connection:
        [status] = namespace_status(connection)
    database.close()
    return (
        f"{status.documents:,}",
        f"{status.chunks:,}",
        f"{took.seconds:.1f}",
        f"{took.peak_mib:,.0f}",
    )
