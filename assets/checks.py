"""The library's checks as asset checks, one for each, partitioned like the asset they judge."""

import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning

from assets.metadata import records_table
from assets.stage import NAMESPACES, explained
from greenlang_vectors.quality.checks import CHECKS, CheckContext, CheckOutcome, run_check
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database
from resources.embedding import EmbeddingResource


def stage_checks(stage: str) -> dg.AssetChecksDefinition:
    """The checks of one stage as one step of a run; in the UI each can be executed alone.

    A blocking check that fails stops the stages that follow it, for its namespace alone.
    """
    checks = {check.name: check for check in CHECKS if check.stage == stage}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)  # partitions_def on a check
        specs = [
            dg.AssetCheckSpec(
                check.name,
                asset=stage,
                description=check.description,
                blocking=check.blocking,
                partitions_def=NAMESPACES,
            )
            for check in checks.values()
        ]

    @dg.multi_asset_check(name=f"{stage}_checks", specs=specs, can_subset=True)
    def judge(
        context: dg.AssetCheckExecutionContext,
        database: dg.ResourceParam[Database],
        embedding: EmbeddingResource,
        settings: dg.ResourceParam[Settings],
    ) -> Iterator[dg.AssetCheckResult]:
        with explained(context), database.connection() as connection:
            embedders = embedding.embedders(database)
            judged = [
                CheckContext(each.leaf, settings, embedders.of(each).model.spec.max_tokens)
                for each in embedders.collections(connection, context.partition_key)
            ]
            for key in sorted(context.selected_asset_check_keys):
                check = checks[key.name]
                outcome = run_check(connection, check, *judged)
                yield dg.AssetCheckResult(
                    asset_key=key.asset_key,
                    check_name=check.name,
                    passed=outcome.passed,
                    severity=dg.AssetCheckSeverity.ERROR
                    if check.blocking
                    else dg.AssetCheckSeverity.WARN,
                    description=outcome.message,
                    metadata={**outcome.numbers, **_examples(outcome)},
                )

    return judge


def _examples(outcome: CheckOutcome) -> dict[str, dg.MetadataValue[Any]]:
    if not outcome.examples:
        return {}
    rows = [list(example.values()) for example in outcome.examples]
    return {"examples": records_table(list(outcome.examples[0]), rows)}


ASSET_CHECKS = [stage_checks(stage) for stage in dict.fromkeys(c.stage for c in CHECKS)]
