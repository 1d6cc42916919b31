"""Stage 5: how wide each collection is searched to keep its promise, what that finds, how fast."""

from __future__ import annotations

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.comparison import Measurement, measure
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import collections
from greenlang_vectors.store.database import Database


def measure_search(
    database: Database,
    name: str,
    *,
    embedders: Embedders,
    settings: Settings,
    progress: Progress = silent,
) -> dict[str, Measurement]:
    """Tune and measure every collection of the namespace, the serving one's figures first.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError, SourceUnavailable, ModelUnavailable: as `measure` does.
    """
    with database.connection() as connection:
        embedders.collections(connection, name)
        found = collections.list_all(connection, name)
    return {
        each.name: measure(
            database, each, embedders=embedders, settings=settings, tune=True, progress=progress
        )
        for each in found
    }
