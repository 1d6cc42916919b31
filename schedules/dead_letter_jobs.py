"""The job that tries dead letters again."""

from uuid import UUID

import dagster as dg
from pydantic import Field

from assets.metadata import records_table
from assets.stage import NAMESPACES, explained
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.database import Database
from resources import pools
from resources.embedding import EmbeddingResource
from resources.progress import LoggedProgress


class ReplayConfig(dg.Config):
    """Which dead letters of the namespace; by default all open ones that can be replayed."""

    stage: str | None = Field(
        default=None,
        description="Only those of this stage: documents, chunks, embeddings or kafka.",
    )
    ids: list[str] = Field(
        default=[], description="Only these, as `greenlang-vectors dead-letters list` has them."
    )


@dg.op(pool=pools.EMBEDDING_MODEL)
def replay_letters(
    context: dg.OpExecutionContext,
    config: ReplayConfig,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
) -> None:
    """Each letter once more through the stage it failed at, a message of a topic as it came; the
    table says what became of it.

    What comes through goes on with the namespace's next run of `ingest`.
    """
    from greenlang_vectors.ingest.replay import replay, split  # noqa: PLC0415

    namespace, progress = context.partition_key, LoggedProgress().listener(context)
    with explained(context):
        with database.connection() as connection:
            if config.ids:
                found = dead_letters.find(connection, [UUID(each) for each in config.ids])
            else:
                found = dead_letters.list_all(connection, namespace, config.stage)
            letters, _ = split(
                connection,
                [
                    letter
                    for letter in found
                    if letter.namespace == namespace and config.stage in {None, letter.stage}
                ],
            )
        results = replay(
            database,
            letters,
            embedders=embedding.embedders(database),
            settings=settings,
            progress=lambda _: progress,
        )
    context.add_output_metadata(
        {
            "replayed": len(results),
            "settled": sum(each.again is None for each in results),
            "failed_again": sum(each.again is not None for each in results),
            "letters": records_table(
                ["stage", "item", "result", "reason", "message", "remedy"],
                [
                    [each.letter.stage, each.letter.item, "settled", "", "", ""]
                    if each.again is None
                    else [
                        *(each.again.stage, each.again.item, "failed again"),
                        *(each.again.reason, each.again.message, each.again.remedy),
                    ]
                    for each in results
                ],
            ),
        }
    )


@dg.job(partitions_def=NAMESPACES, executor_def=dg.in_process_executor)
def replay_dead_letters() -> None:
    """Try the dead letters of a namespace again, each through the stage it failed at alone."""
    replay_letters()
