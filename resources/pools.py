"""Pools: of the assets of one, as many run at once as dagster.yaml allows."""

from __future__ import annotations

from contextlib import suppress

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

EMBEDDING_MODEL = "embedding_model"
INDEX_BUILD = "index_build"
BACKUP = "backup"
RESTORE_DRILL = "restore_drill"
WEAVIATE_BACKFILL = "weaviate_backfill"
POOLS = (EMBEDDING_MODEL, INDEX_BUILD, BACKUP, RESTORE_DRILL, WEAVIATE_BACKFILL)


def make_known(instance: dg.DagsterInstance) -> None:
    """Give an instance the pools that it does not know yet.

    Dagster does so when the first run asks for a slot of one; where two do at the same moment, on
    PostgreSQL one of them fails.
    """
    storage = instance.event_log_storage
    for pool in sorted({*POOLS} - storage.get_concurrency_keys()):
        with suppress(SQLAlchemyError):  # another process was quicker
            storage.initialize_concurrency_limit_to_default(pool)
