"""What is stored, how it grows, and what it will take: `plan` for what is there now."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from assets.freshness import DAILY
from assets.metadata import markdown_table, records_table
from assets.stage import OWNERS, explained
from greenlang_vectors.planning import report
from greenlang_vectors.planning.forecast import Forecast, Seen, forecast
from greenlang_vectors.planning.present import Present, present
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

GROUP = "capacity"
ROWS, AT = "rows", "seen at (s since 1970)"
"""What the next materialization reads of this one: growth is told by the two."""


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "postgres"},
    code_version="1",
    freshness_policy=DAILY,
    metadata={"stage": "greenlang_vectors.planning.present"},
)
def capacity_plan(
    context: dg.AssetExecutionContext,
    database: dg.ResourceParam[Database],
    settings: dg.ResourceParam[Settings],
) -> dg.MaterializeResult[None]:
    """Rows and bytes of every leaf beside what the model predicts, growth since the last time, when
    the index outgrows the memory of its instance, and what all of it would cost on Aurora.

    Out of the catalogue and statistics alone: no row is read, however many there are.
    """
    with explained(context), database.connection() as connection:
        found = present(connection, settings)
        ahead = forecast(found, settings, _before(context))
    return dg.MaterializeResult(metadata={**figures(found, ahead), **tables(found, ahead)})


def figures(found: Present, ahead: Forecast) -> dict[str, float]:
    """Numbers, which Dagster plots; what is not known yet is left out."""
    told = {
        ROWS: found.rows,
        AT: found.at.timestamp(),
        "database bytes": found.database_bytes,
        "leaf bytes": sum(each.bytes for each in found.leaves),
        "ANN index bytes": sum(each.ann_bytes for each in found.leaves),
        "to keep in memory (bytes)": ahead.hot_bytes,
        "memory for it (bytes)": ahead.cache_bytes,
        "rows a day": ahead.rows_a_day,
        "days until memory is full": ahead.days_left,
        "model off by, at most (%)": ahead.worst_deviation,
        "builds over the calibration's": found.machine,
        "$ a month on Aurora": ahead.monthly_usd,
    }
    return {name: value for name, value in told.items() if value is not None}


def tables(found: Present, ahead: Forecast) -> Mapping[str, dg.MetadataValue[Any]]:
    """The leaves, measured beside predicted; the plans of now and of later; remarks."""
    leaves = [
        [
            each.collection.name,
            f"{each.rows:,}",
            report.human(each.bytes),
            report.human(each.predicted.leaf),
            "" if each.deviation is None else f"{each.deviation:+.1%}",
            report.human(each.ann_bytes),
        ]
        for each in found.leaves
    ]
    columns = ["collection", "rows", "bytes", "predicted", "off by", "ANN index"]
    later = [
        [
            when,
            f"{plan.workload.vectors:,}",
            report.human(plan.sizes.total),
            plan.machines.writer or "none",
            f"{plan.machines.readers} x {plan.machines.reader or 'none'}",
            f"{plan.bill.usd:,.0f}",
        ]
        for when, plan in ahead.plans.items()
    ]
    return {
        "leaves": dg.MetadataValue.md(
            markdown_table(columns, leaves, "No namespace holds an embedding yet.")
        ),
        "plans": dg.MetadataValue.md(
            markdown_table(
                ["when", "vectors", "stored", "writer", "readers", "$ a month"],
                later,
                "There is nothing to plan for yet.",
            )
        ),
        "parts": records_table(
            ["collection", *(asdict(found.leaves[0].predicted) if found.leaves else ())],
            [
                [each.collection.name, *map(report.human, asdict(each.predicted).values())]
                for each in found.leaves
            ],
        ),
        "remarks": dg.MetadataValue.md("\n".join(f"- {each}" for each in ahead.remarks) or "None."),
    }


def _before(context: dg.AssetExecutionContext) -> Seen | None:
    """What the last materialization found; None without one."""
    event = context.instance.get_latest_materialization_event(context.asset_key)
    if event is None or event.asset_materialization is None:
        return None
    said = event.asset_materialization.metadata
    if ROWS not in said or AT not in said:
        return None
    return Seen(rows=int(said[ROWS].value), at=float(said[AT].value))
