"""Stage 5: search_quality."""

import json
from collections.abc import Mapping

import dagster as dg
import numpy as np

from assets import plots
from assets.freshness import DAILY
from assets.metadata import Metadata, markdown_table, records_table, table_metadata
from assets.stage import stage_asset
from assets.vector_index import vector_index
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.search_quality import measure_search
from greenlang_vectors.store import collections, records, search_logs
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import identifier
from greenlang_vectors.store.records import SearchQuality
from resources.embedding import EmbeddingResource
from resources.progress import StageProgress

SHOWN = ("ef_search", "recall_at_10", "latency_p50_ms", "latency_p99_ms")
PLOTTED = (*SHOWN, "queries", "recall_target")

HISTORY = 90
"""Measurements that are drawn over time, three months of nightly runs."""

EARLIER = 30
"""Of them, those whose curves are drawn beside the last one."""

LOGGED_DAYS = 7
"""Days whose searches are drawn."""


@stage_asset(
    deps=[vector_index],
    code_version="2",
    kinds={"python", "postgres"},
    freshness=DAILY,
)
def search_quality(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    embedding: EmbeddingResource,
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[StageProgress],
) -> dg.MaterializeResult[None]:
    """How many of the exact ten nearest passages each collection's searches find, and how fast.

    Large collections are tuned first: from now on they are searched as wide as their namespace's
    recall target needs, without a filter and inside those that searches use. Where the source
    holds judged questions, also how good the answers are. The figures are those of the
    collection that serves; the tables have them all.
    """
    namespace = context.partition_key
    reports = measure_search(
        database,
        namespace,
        embedders=embedding.embedders(database),
        settings=settings,
        progress=progress.listener(context),
    )
    report = next(iter(reports.values()))
    measured = {name: each.quality for name, each in reports.items() if each.quality is not None}
    for name, quality in measured.items():
        if quality.recall_before is not None:
            context.log.error(
                "recall@10 of %s had fallen to %.4f, below the target of %s; it is searched at "
                "width %s now.",
                *(name, quality.recall_before, quality.recall_target, quality.ef_search),
            )
    return dg.MaterializeResult(
        metadata={
            "collections": records_table(
                ["collection", "rows", *SHOWN, *report.retrieval],
                [
                    [
                        name,
                        reports[name].rows,
                        *(getattr(quality, figure) for figure in SHOWN),
                        *reports[name].retrieval.values(),
                    ]
                    for name, quality in measured.items()
                ],
            ),
            "rows": report.rows,
            **(
                {
                    **{figure: getattr(report.quality, figure) for figure in PLOTTED},
                    "lowest_recall_at_10": report.quality.lowest[0],
                }
                if report.quality
                else {}
            ),
            **{f"retrieval {name}": value for name, value in report.retrieval.items()},
            **_pictures(database, measured),
            "filters": dg.MetadataValue.md(filter_table(measured)),
            **_searches(database, namespace),
            **table_metadata(
                database, "search_quality", relation=identifier(f"search_quality_{namespace}")
            ),
        }
    )


def _pictures(database: Database, measured: Mapping[str, SearchQuality]) -> Metadata:
    """Recall against width of each collection that was tuned, and what was measured over time."""
    curves, histories = [], []
    with database.connection() as connection:
        for name, quality in measured.items():
            leaf = collections.get(connection, name).leaf
            history = records.search_quality_history(connection, leaf, HISTORY)
            if quality.curve:
                earlier = [each.curve for _, each in history[1 : EARLIER + 1]]
                curves.append(plots.recall_curve(name, quality, earlier))
            if len(history) > 1:
                histories.append(plots.history(name, history[::-1]))
    return {
        "curve": dg.MetadataValue.md("\n\n".join([*curves, curve_table(measured)])),
        "history": dg.MetadataValue.md(
            "\n\n".join(histories) or "It was measured once: there is nothing to compare with."
        ),
    }


def _searches(database: Database, namespace: str) -> Metadata:
    """How long people's searches took: numbers over time, and a picture of now."""
    with database.connection() as connection:
        milliseconds = search_logs.latencies(connection, namespace, LOGGED_DAYS)
    if not len(milliseconds):
        return {"searches": dg.MetadataValue.int(0)}
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return {
        "searches": dg.MetadataValue.int(len(milliseconds)),
        "searches_p50_ms": dg.MetadataValue.float(float(p50)),
        "searches_p99_ms": dg.MetadataValue.float(float(p99)),
        "latency": dg.MetadataValue.md(plots.latencies(milliseconds, LOGGED_DAYS)),
    }


def curve_table(measured: Mapping[str, SearchQuality]) -> str:
    """Recall against the width of the search, of every collection that was tuned."""
    return markdown_table(
        ["collection", "ef_search or probes", "recall@10", "lowest, filters included", "p50 ms"],
        [
            [
                name,
                f"**{point['width']}**" if point["width"] == quality.ef_search else point["width"],
                f"{point['recall_at_10']:.4f}",
                f"{point['lowest_recall']:.4f}",
                f"{point['latency_p50_ms']:.2f}",
            ]
            for name, quality in measured.items()
            for point in quality.curve
        ],
        "Nothing was tuned: there are few rows, or a person set the width.",
    )


def filter_table(measured: Mapping[str, SearchQuality]) -> str:
    """Recall inside the filters that searches use most."""
    return markdown_table(
        ["collection", "filter", "queries", "recall@10"],
        [
            [
                name,
                f"`{json.dumps(each['filter'], ensure_ascii=False)}`",
                each["queries"],
                f"{each['recall_at_10']:.4f}",
            ]
            for name, quality in measured.items()
            for each in quality.filtered
        ],
        "The search log holds no search with a filter.",
    )
