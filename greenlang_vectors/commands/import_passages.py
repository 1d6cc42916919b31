"""`greenlang-vectors import`: documents whose passages, and perhaps vectors, others have made."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    embedders_of,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.settings import get_settings


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--namespace", required=True, metavar="NAME", help="Where they go.")
@click.option("--model", metavar="NAME", help="The model that made the vectors of the file.")
@click.option("--dry-run", is_flag=True, help="Check every row, and store nothing.")
@as_json_option
def import_command(
    file: Path, namespace: str, model: str | None, dry_run: bool, as_json: bool
) -> None:
    """Store the passages of FILE, .jsonl or .parquet, with their vectors or without.

    Repeating it, or going on after it was stopped, writes what is not there yet. Rows that cannot
    be stored are dead letters, and the command ends with code 1.
    """
    from greenlang_vectors.ingest.importing import import_passages  # noqa: PLC0415 - loads slowly
    from greenlang_vectors.ingest.passage_files import PassageFile  # noqa: PLC0415

    settings, passages = get_settings(), PassageFile(file)
    with opened(settings) as database, bars() as shown:
        report = import_passages(
            database,
            namespace,
            passages,
            embedders=embedders_of(database, settings),
            model=model,
            batch_size=settings.embedding_batch_size,
            cache_seconds=settings.embedding_cache_seconds,
            dry_run=dry_run,
            progress=bar(shown, file.name),
        )
    if as_json:
        print_json({"dry_run": dry_run, **asdict(report)})
    else:
        would = "would be" if dry_run else "are"
        output.print(
            f"{report.rows:,} rows make {report.documents:,} documents: {report.unchanged:,} were"
            f" stored already, {report.written:,} embeddings were written; {report.failed:,} rows"
            f" {would} dead letters.",
            soft_wrap=True,
            highlight=False,
        )
    for item, problem in report.problems.items():
        errors.print(f"{item}: {problem}", soft_wrap=True, highlight=False, markup=False)
    if report.ignored_columns:
        errors.print(f"Columns that were passed over: {', '.join(report.ignored_columns)}.")
    if report.failed:
        sys.exit(1)
