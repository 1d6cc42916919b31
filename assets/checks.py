"""The library's checks as asset checks, one for each, partitioned like the asset they judge."""

import warnings
from typing import Any

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning

from assets.metadata import records_table
from assets.stage import NAMESPACES, explained
from greenlang_vectors.quality.checks import CHECKS, Check, CheckContext, CheckOutcome, run_check
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.embeddings import leaf_of
from greenlang_vectors.store.database import Database
from resources.embedding import EmbeddingResource


def asset_check(check: Check) -> dg.AssetChecksDefinition:
    """The asset check of one check of the library.

    A blocking check that fails stops the stages that follow it, for its namespace alone.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)  # partitions_def on a check

        @dg.asset_check(
            asset=check.stage,
            name=check.name,
            description=check.description,
            blocking=check.blocking,
            partitions_def=NAMESPACES,
        )
        def judge(
            context: dg.AssetCheckExecutionContext,
            database: dg.ResourceParam[Database],
            embedding: EmbeddingResource,
            settings: dg.ResourceParam[Settings],
        ) -> dg.AssetCheckResult:
            with explained(context), database.connection() as connection:
                embedder = embedding.embedder(database)
                leaf = leaf_of(embedder, context.partition_key)
                outcome = run_check(
                    connection, check, CheckContext(leaf, settings, embedder.model.spec.max_tokens)
                )
            return dg.AssetCheckResult(
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


ASSET_CHECKS = [asset_check(check) for check in CHECKS]
