"""The composition root: everything Dagster loads, put together in one place.

`dagster definitions validate`, the UI and the daemon load `defs`; `make run` and the tests call
`build_defs` with resources of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from assets.aurora_snapshots import aurora_snapshots, recovery_objectives
from assets.backup_export import backup_export, export_intact
from assets.capacity_plan import capacity_plan
from assets.checks import ASSET_CHECKS
from assets.chunks import chunks
from assets.collection_comparison import collection_comparison
from assets.documents import documents
from assets.embedding_jobs import no_job_is_stuck
from assets.embeddings import embeddings
from assets.freshness import every_namespace_refreshed
from assets.restore_drill import DRILL_CHECKS, restore_drill
from assets.search_quality import search_quality
from assets.vector_index import vector_index
from assets.weaviate_migration import (
    weaviate_backfill,
    weaviate_equal,
    weaviate_steps,
    weaviate_verification,
)
from resources.configuration import SettingsResource
from resources.database import DatabaseResource
from resources.embedding import EmbeddingResource
from resources.progress import LoggedProgress
from schedules.backups import BACKUP_SCHEDULES, back_up, prove_exports, prune_exports
from schedules.capacity import daily_capacity_plan, look_ahead
from schedules.dead_letter_jobs import replay_dead_letters
from schedules.failure_sensor import FAILURE_SENSORS
from schedules.jobs import (
    archive_embeddings,
    housekeeping,
    ingest,
    maintain_indexes,
    switch_collection,
)
from schedules.schedules import SCHEDULES
from schedules.sensors import SENSORS
from schedules.snapshots import (
    SNAPSHOT_SCHEDULES,
    check_recovery_objectives,
    make_aurora_snapshots,
)
from schedules.sources import SOURCE_SENSORS
from schedules.topics import TOPIC_SENSORS, consume_topic
from schedules.weaviate_jobs import migrate_from_weaviate, repair_from_weaviate
from schedules.weaviate_sensors import WEAVIATE_SENSORS


def build_defs(*, resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors over one set of resources.

    Args:
        resource_overrides: resources to use instead of the usual ones, by name.
    """
    return dg.Definitions(
        assets=[
            *(documents, chunks, embeddings, vector_index, search_quality, collection_comparison),
            *(weaviate_backfill, weaviate_verification, weaviate_steps),
            *(backup_export, restore_drill, aurora_snapshots, capacity_plan),
        ],
        asset_checks=[
            *(*ASSET_CHECKS, no_job_is_stuck, every_namespace_refreshed, weaviate_equal),
            *(recovery_objectives, export_intact, *DRILL_CHECKS),
        ],
        jobs=[
            *(ingest, maintain_indexes, switch_collection, archive_embeddings, housekeeping),
            *(replay_dead_letters, consume_topic, migrate_from_weaviate, repair_from_weaviate),
            *(make_aurora_snapshots, check_recovery_objectives),
            *(back_up, prove_exports, prune_exports, look_ahead),
        ],
        schedules=[*SCHEDULES, *BACKUP_SCHEDULES, *SNAPSHOT_SCHEDULES, daily_capacity_plan],
        sensors=[
            *(*SENSORS, *SOURCE_SENSORS, *TOPIC_SENSORS, *FAILURE_SENSORS, *WEAVIATE_SENSORS),
        ],
        resources={
            "database": DatabaseResource(),
            "embedding": EmbeddingResource(),
            "progress": LoggedProgress(),
            "settings": SettingsResource(),
            **(resource_overrides or {}),
        },
        executor=dg.in_process_executor,
    )


defs = build_defs()
