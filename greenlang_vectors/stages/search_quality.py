"""Stage 5: how many of the exact answers each collection's index finds, and how fast."""

from __future__ import annotations

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.comparison import Measurement, measure
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database


def measure_search(
    database: Database,
    name: str,
    *,
    embedders: Embedders,
    settings: Settings,
    progress: Progress = silent,
) -> dict[str, Measurement]:
    """Measure every collection of the namespace and keep the figures, the serving one's first.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError, ModelUnavailable: as `measure` does.
    """
    with database.connection() as connection:
        found = embedders.collections(connection, name)
    return {
        each.name: measure(
            database, each, embedders=embedders, settings=settings, progress=progress
        )
        for each in found
    }
