"""`greenlang-vectors archive`: old embeddings move to the backup location, and return."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta

import click
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings

_AGE = re.compile(r"(\d{1,5})([dw])")
_DAYS = {"d": 1, "w": 7}


@click.group("archive")
def archive_group() -> None:
    """Archives of old embeddings in the backup location."""


@archive_group.command("run")
@click.argument("namespace")
@click.option("--older-than", required=True, metavar="AGE", help="Such as 180d or 26w.")
@click.option("--model", help="Of this embedding model alone.")
@click.option("--dry-run", is_flag=True, help="Say what would be archived, and change nothing.")
@as_json_option
def run_archive(
    namespace: str, older_than: str, model: str | None, dry_run: bool, as_json: bool
) -> None:
    """Move the embeddings of NAMESPACE last written longer ago than AGE to an archive.

    A row leaves the database only after it was read back from the archive and compared.
    """
    from greenlang_vectors.lifecycle import archive  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    age, settings = _age(older_than), get_settings()
    with opened(settings) as database:
        if dry_run:
            found = archive.candidates(database, namespace, older_than=age, model=model)
            if as_json:
                print_json({"candidates": [asdict(candidates) for candidates in found]})
            for candidates in () if as_json else found:
                output.print(
                    f"{candidates.model}: {candidates.rows} rows last written before "
                    f"{candidates.cutoff:%Y-%m-%d %H:%M} would be archived."
                )
            return
        location = open_location(settings.backup_location)
        with bars() as shown:
            reports = archive.archive(
                database,
                location,
                namespace,
                older_than=age,
                model=model,
                progress=bar(shown, namespace),
            )
    if as_json:
        print_json({"archives": [asdict(report) for report in reports]})
        return
    for report in reports:
        kept = f" {report.kept} changed meanwhile and stayed." if report.kept else ""
        output.print(f"{report.archived} rows went to {report.archive}.{kept}", soft_wrap=True)
    if not reports:
        errors.print(f"Nothing in {namespace} is older than {older_than}.")


@archive_group.command("list")
@as_json_option
def list_archives(as_json: bool) -> None:
    """Show the archives of the backup location."""
    from greenlang_vectors.lifecycle import reading  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415
    from greenlang_vectors.store import archived  # noqa: PLC0415

    settings = get_settings()
    listed = reading.list_archives(open_location(settings.backup_location))
    with opened(settings) as database, database.connection() as connection:
        remembered = archived.remembered(connection)
    described = [
        {
            "archive": entry.archive,
            "namespace": entry.manifest and entry.manifest.namespace,
            "model": entry.manifest and entry.manifest.model,
            "created_at": entry.manifest and entry.manifest.created_at.isoformat(),
            "rows": entry.manifest and entry.manifest.rows,
            "archived": remembered.get(entry.archive, 0),
            "size_bytes": entry.manifest and entry.manifest.size_bytes,
            "problem": entry.problem,
        }
        for entry in listed
    ]
    if as_json:
        print_json({"archives": described})
        return
    table = Table("archive", "model", "rows", "archived", "MB", "problem")
    for entry in described:
        size = entry["size_bytes"]
        table.add_row(
            str(entry["archive"]),
            str(entry["model"] or ""),
            str(entry["rows"] or ""),
            str(entry["archived"]),
            f"{size / 1e6:.1f}" if isinstance(size, int) else "",
            str(entry["problem"] or ""),
        )
    output.print(table)


@archive_group.command("verify")
@click.argument("archive_id", metavar="ARCHIVE")
@as_json_option
def verify_archive(archive_id: str, as_json: bool) -> None:
    """Read all of ARCHIVE back and compare it with its manifest."""
    from greenlang_vectors.lifecycle import reading  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    settings = get_settings()
    location = open_location(settings.backup_location)
    with opened(settings) as database, database.connection() as connection, bars() as shown:
        manifest = reading.opened(connection, location, archive_id)
        reading.verify(location, manifest, bar(shown, "verify"))
    if as_json:
        print_json({"archive": archive_id, "rows": manifest.rows, "parts": len(manifest.parts)})
    else:
        output.print(f"All {manifest.rows} rows are as they were written.")


@archive_group.command("restore")
@click.argument("archive_id", metavar="ARCHIVE")
@as_json_option
def restore_archive(archive_id: str, as_json: bool) -> None:
    """Write the rows of ARCHIVE back where nothing newer has taken their place."""
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415
    from greenlang_vectors.lifecycle.restore import restore  # noqa: PLC0415

    settings = get_settings()
    location = open_location(settings.backup_location)
    with opened(settings) as database, bars() as shown:
        report = restore(database, location, archive_id, progress=bar(shown, "restore"))
    if as_json:
        print_json(asdict(report))
        return
    output.print(
        f"{report.restored} rows are back in {report.namespace}; {report.present} were there, "
        f"{report.gone} have lost their passage, {report.refused} were refused."
    )


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not an age.", "Say 180d (days) or 26w (weeks).")
    return timedelta(days=int(match[1]) * _DAYS[match[2]])
