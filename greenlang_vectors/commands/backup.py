"""`greenlang-vectors backup`: exports of namespaces in the backup location (PRD 12.1)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import namespaces

if TYPE_CHECKING:
    from greenlang_vectors.backup.exports import Export


@click.group("backup")
def backup_group() -> None:
    """Exports of namespaces: made, listed, verified, kept and pruned."""


@backup_group.command("create")
@click.argument("names", nargs=-1, metavar="[NAMESPACE]...")
@as_json_option
def create(names: tuple[str, ...], as_json: bool) -> None:
    """Export each NAMESPACE, or all of them, one after the other.

    It is good once `greenlang-vectors drill` has restored it.
    """
    from greenlang_vectors.backup import export  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    settings = get_settings()
    location = open_location(settings.backup_location)
    made = []
    with opened(settings) as database, bars() as shown:
        with database.connection() as connection:
            known = [each.name for each in namespaces.list_all(connection)]
        for name in names or known:
            exported = export.create(
                database, location, name, settings=settings, progress=bar(shown, name)
            )
            if exported is not None:
                made.append(exported)
            else:
                errors.print(f"{name} holds nothing yet; nothing was exported.")
    if as_json:
        print_json({"exports": [asdict(each) for each in made]})
    for each in () if as_json else made:
        output.print(
            f"{each.rows} rows went to {each.export} ({each.size_bytes / 1e6:.1f} MB,"
            f" {each.seconds:.1f} s).",
            soft_wrap=True,
        )


@backup_group.command("list")
@click.option("--namespace", help="Of this namespace alone.")
@as_json_option
def list_backups(namespace: str | None, as_json: bool) -> None:
    """Show the exports of the backup location, and what their drills found."""
    from greenlang_vectors.backup import exports  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    listed = exports.list_exports(open_location(get_settings().backup_location), namespace)
    if as_json:
        print_json({"exports": [_described(each) for each in listed]})
        return
    table = Table("export", "tier", "rows", "MB", "state", "restored in", "pinned", "problem")
    for each in listed:
        seconds = each.drill.restore_seconds if each.drill else None
        table.add_row(
            each.id,
            each.tier,
            "" if each.manifest is None else str(each.manifest.rows),
            "" if each.manifest is None else f"{each.manifest.size_bytes / 1e6:.1f}",
            each.state,
            "" if seconds is None else f"{seconds:.1f} s",
            "yes" if each.pinned else "",
            each.problem or "",
        )
    output.print(table)


@backup_group.command("verify")
@click.argument("export_id", metavar="EXPORT")
@as_json_option
def verify(export_id: str, as_json: bool) -> None:
    """Read all of EXPORT back and compare every byte with its manifest.

    Whether it also restores to what was exported, `greenlang-vectors drill` tells.
    """
    from greenlang_vectors.backup import exports, verification  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    settings = get_settings()
    location = open_location(settings.backup_location)
    with opened(settings) as database, database.connection() as connection, bars() as shown:
        manifest = exports.opened(connection, location, export_id)
        verification.verify(location, manifest, bar(shown, "verify"))
    if as_json:
        print_json(
            {
                "export": export_id,
                "rows": manifest.rows,
                "objects": len(manifest.objects),
                "size_bytes": manifest.size_bytes,
            }
        )
    else:
        output.print(f"All {len(manifest.objects)} objects are as they were written.")


@backup_group.command("prune")
@click.option("--delete", is_flag=True, help="Delete it; without this nothing is changed.")
@as_json_option
def prune(delete: bool, as_json: bool) -> None:
    """Show what is older than it is kept (GREENLANG_BACKUP_DAILY_DAYS and so on), and what killed
    runs left; with --delete, delete it.

    The newest good exports, pinned and damaged ones always stay.
    """
    from greenlang_vectors.backup import pruning  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    settings = get_settings()
    location = open_location(settings.backup_location)
    with opened(settings) as database, database.connect() as connection:
        found = pruning.prune(
            connection, location, settings=settings, now=datetime.now(UTC), delete=delete
        )
    if as_json:
        print_json(
            {
                "deleted": found.deleted,
                "expired": [_described(each) for each in found.expired],
                "unfinished": [each.id for each in found.unfinished],
                "uploads": found.uploads,
                "kept": found.kept,
            }
        )
        return
    done = "is deleted" if found.deleted else "would be deleted"
    for each in found.expired:
        output.print(f"{each.id} ({each.tier}) {done}.", soft_wrap=True)
    for left in (*(each.id for each in found.unfinished), *found.uploads):
        output.print(f"{left} was never finished and {done}.", soft_wrap=True)
    errors.print(f"{found.kept} exports stay.")


@backup_group.command("pin")
@click.argument("export_id", metavar="EXPORT")
@click.option("--remove", is_flag=True, help="Let it go with the others again.")
@as_json_option
def pin(export_id: str, remove: bool, as_json: bool) -> None:
    """Keep EXPORT, however old it is."""
    from greenlang_vectors.backup import exports  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415

    exports.pin(open_location(get_settings().backup_location), export_id, keep=not remove)
    if as_json:
        print_json({"export": export_id, "pinned": not remove})
    else:
        errors.print(f"{export_id} is {'no more pinned' if remove else 'pinned'}.")


def _described(each: Export) -> dict[str, Any]:
    manifest, drill = each.manifest, each.drill
    return {
        "export": each.id,
        "namespace": each.namespace,
        "made_at": each.made_at.isoformat(),
        "tier": each.tier,
        "state": each.state,
        "pinned": each.pinned,
        "rows": manifest and manifest.rows,
        "size_bytes": manifest and manifest.size_bytes,
        "schema_version": manifest and manifest.schema_version,
        "server_version": manifest and manifest.server_version,
        "pgvector_version": manifest and manifest.pgvector_version,
        "drilled_at": drill and drill.drilled_at.isoformat(),
        "restore_seconds": drill and drill.restore_seconds,
        "problem": each.problem,
    }
