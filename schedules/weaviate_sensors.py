"""Sensors of moves from Weaviate: both sides stay alike, gates are watched, steps are shown.

Where nothing moves each of them costs a query, and Weaviate's client is not even imported.
"""

import json
import logging

import dagster as dg

from assets.weaviate_migration import weaviate_steps
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.migration import gates
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import weaviate_migrations
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.weaviate_migrations import Step
from schedules.described import described

NOTHING = "Nothing waits to be carried to or from Weaviate."


@described(
    dg.sensor,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def weaviate_relay(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> dg.SkipReason:
    """One pass over every namespace that is written to both sides: what applications wrote to the
    primary is carried to the other.

    A pass that takes longer than a tick may (DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS) has kept what it
    carried. `greenlang-vectors migrate relay` and `follow` do the same without Dagster.
    """
    from greenlang_vectors.migration.passes import carry  # noqa: PLC0415 - loads slowly

    try:
        carried = carry(database, settings)
    except GreenLangError as error:
        return dg.SkipReason(str(error))
    for each in carried:
        if each.said:
            context.log.log(logging.ERROR if each.failed else logging.INFO, "%s", each.said)
    return dg.SkipReason(" ".join(filter(None, (each.said for each in carried))) or NOTHING)


@described(
    dg.sensor,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def weaviate_gates(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[Database]
) -> dg.SensorResult:
    """Callers are shifted back where a gate is breached; each step of a move is shown once.

    Steps are observations of the asset `weaviate_steps`, with the evidence they rested on.
    """
    shown: dict[str, int] = json.loads(context.cursor or "{}")
    with database.connect() as connection:
        for back in gates.watch(connection):
            context.log.error(
                "%s: pgvector answers %s%% of callers instead of %s%%: %s.",
                *(back.namespace, back.to_share, back.from_share, gates.said(back.gates)),
            )
        steps = {
            state.namespace: weaviate_migrations.steps(connection, state.namespace)
            for state in weaviate_migrations.list_all(connection)
        }
    return dg.SensorResult(
        asset_events=[
            _observation(namespace, step)
            for namespace, taken in steps.items()
            for step in taken[shown.get(namespace, 0) :]
        ],
        cursor=json.dumps({namespace: len(taken) for namespace, taken in steps.items()}),
    )


def _observation(namespace: str, step: Step) -> dg.AssetObservation:
    return dg.AssetObservation(
        weaviate_steps.key,
        partition=namespace,
        description=f"{step.step}: phase {step.phase}, pgvector answers {step.share}% of callers",
        metadata={
            "step": step.step,
            "phase": step.phase,
            "share": step.share,
            "taken_at": dg.MetadataValue.timestamp(step.taken_at),
            "taken_by": step.taken_by,
            "evidence": dg.MetadataValue.json(step.evidence),
        },
    )


WEAVIATE_SENSORS = [weaviate_relay, weaviate_gates]
