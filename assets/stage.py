"""What all stages have in common as Dagster assets: partitions, owners, limits, failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps

import dagster as dg
import psycopg

from greenlang_vectors.errors import DatabaseUnavailable, GreenLangError

NAMESPACES = dg.DynamicPartitionsDefinition(name="namespace")
"""One partition a namespace. Each is a run of its own, also in a backfill, so that what happens
to one namespace never touches another."""

GROUP = "ingestion"
OWNERS = ["team:data-platform"]

TRANSIENT = (DatabaseUnavailable, psycopg.OperationalError, psycopg.InterfaceError)
MAX_RETRIES = 3
FIRST_WAIT_SECONDS = 2

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext
Stage = Callable[..., dg.MaterializeResult[None]]


def stage_asset(
    *,
    code_version: str,
    kinds: set[str],
    deps: Sequence[dg.AssetsDefinition] = (),
    pool: str | None = None,
    freshness: dg.FreshnessPolicy | None = None,
    group: str = GROUP,
    module: str | None = None,
) -> Callable[[Stage], dg.AssetsDefinition]:
    """Make a stage's function an asset; its docstring is what the UI says about it.

    Args:
        code_version: to be raised when the same input gives another result.
        kinds: the technologies the UI shows.
        pool: at most as many of a pool's assets run at once as dagster.yaml allows.
        freshness: how old it may become; None for what nobody makes regularly.
        group: the job `ingest` runs all assets of the group `GROUP`.
        module: what does the work; None for the stage of the function's name.
    """

    def asset(run: Stage) -> dg.AssetsDefinition:
        @dg.asset(
            deps=deps,
            partitions_def=NAMESPACES,
            group_name=group,
            owners=OWNERS,
            kinds=kinds,
            code_version=code_version,
            pool=pool,
            freshness_policy=freshness,
            metadata={"stage": module or f"greenlang_vectors.stages.{run.__name__}"},
        )
        @wraps(run)
        def stage(
            context: dg.AssetExecutionContext, **resources: object
        ) -> dg.MaterializeResult[None]:
            began = time.monotonic()
            with explained(context):
                result = run(context, **resources)
            seconds = time.monotonic() - began
            return result._replace(metadata={"seconds": seconds, **(result.metadata or {})})

        return stage

    return asset


@contextmanager
def explained(context: Context) -> Iterator[None]:
    """Errors of the library as Dagster understands them.

    What passes (a lost connection, a database that starts) is tried again after 2, 4 and 8
    seconds; what does not fails at once, saying what happened and what helps. Anything else is a
    defect and keeps its stack trace.
    """
    try:
        yield
    except TRANSIENT as error:
        if context.retry_number < MAX_RETRIES:
            raise dg.RetryRequested(
                max_retries=MAX_RETRIES,
                seconds_to_wait=FIRST_WAIT_SECONDS * 2**context.retry_number,
            ) from error
        raise _failure(error) from error
    except GreenLangError as error:
        raise _failure(error) from error


def _failure(error: Exception) -> dg.Failure:
    return dg.Failure(
        description=" ".join(str(error).split()),
        metadata={
            "error": type(error).__name__,
            "what_helps": getattr(error, "remedy", "") or "Run the namespace again.",
        },
        allow_retries=False,
    )
