"""What the UI shows of a materialized stage beside its numbers: its table and dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import dagster as dg
from psycopg import sql

from greenlang_vectors.stages import replay
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.database import Database

MOST_RECORDS = 100

DEAD_LETTERS = ["stage", "item", "reason", "what happened", "what to do", "failed"]

Metadata = dict[str, dg.MetadataValue[Any]]


def table_metadata(
    database: Database, table: str, *, relation: str, rows: int | None = None
) -> Metadata:
    """Name, columns, row count and bytes of a relation that holds one namespace.

    The columns are those the database has, with the comments its schema gives them.

    Args:
        table: the relation it is a partition of, which has the columns and comments.
        relation: its own name.
        rows: how many rows it holds, where that is known already.
    """
    with database.connection() as connection:
        columns = connection.execute(
            """
            SELECT attname, format_type(atttypid, atttypmod), NOT attnotnull,
                   col_description(attrelid, attnum)
            FROM pg_attribute
            WHERE attrelid = to_regclass(quote_ident(%s)) AND attnum > 0 AND NOT attisdropped
            ORDER BY attnum
            """,
            [table],
        ).fetchall()
        identifier = f"{connection.info.dbname}.public.{relation}"
        if rows is None:
            count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(relation))
            (rows,) = cast("tuple[int]", connection.execute(count).fetchone())
        table_bytes, index_bytes = cast(
            "tuple[int, int]",
            connection.execute(
                "SELECT pg_table_size(t), pg_indexes_size(t) FROM to_regclass(quote_ident(%s)) t",
                [relation],
            ).fetchone(),
        )
    schema = dg.TableSchema(
        [
            dg.TableColumn(
                name,
                type=kind,
                description=comment,
                constraints=dg.TableColumnConstraints(nullable=nullable),
            )
            for name, kind, nullable, comment in columns
        ]
    )
    return {
        "dagster/relation_identifier": dg.MetadataValue.text(identifier),
        "dagster/row_count": dg.MetadataValue.int(rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(schema),
        "table_bytes": dg.MetadataValue.int(table_bytes),
        "index_bytes": dg.MetadataValue.int(index_bytes),
    }


def dead_letter_metadata(database: Database, namespace: str, stage: str) -> Metadata:
    """The items that failed at a stage: why, what to do, and what tries them again."""
    with database.connection() as connection:
        letters = dead_letters.list_all(connection, namespace, stage)
    rows = [
        [
            letter.stage,
            letter.item,
            letter.reason,
            letter.message,
            " ".join(dict.fromkeys([letter.remedy, replay.command(letter)])).strip(),
            f"{letter.attempts}×, last {letter.last_failed_at:%Y-%m-%d %H:%M}",
        ]
        for letter in letters
    ]
    return {"dead_letters": records_table(DEAD_LETTERS, rows)}


def reports_table(reports: Mapping[str, Any]) -> dg.MetadataValue[Any]:
    """The figures of every collection, the one that serves first.

    Args:
        reports: dataclasses of one kind, by collection.
    """
    figures = {name: asdict(report) for name, report in reports.items()}
    columns = list(next(iter(figures.values())))
    return records_table(
        ["collection", *columns], [[name, *row.values()] for name, row in figures.items()]
    )


def records_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> dg.MetadataValue[Any]:
    """A table for the UI; of very many rows it shows the first, and how many there are beside."""
    shown = [*rows[:MOST_RECORDS]]
    if len(rows) > MOST_RECORDS:
        rest = f"and {len(rows) - MOST_RECORDS:,} more"
        shown.append([rest, *[""] * (len(columns) - 1)])
    return dg.MetadataValue.table(
        records=[dg.TableRecord(dict(zip(columns, map(_cell, row), strict=True))) for row in shown],
        schema=dg.TableSchema([dg.TableColumn(column) for column in columns]),
    )


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> str:
    """A table in Markdown, or the sentence `empty` where it has no rows."""
    if not rows:
        return empty
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
