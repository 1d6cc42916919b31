"""`greenlang-vectors migrate`: a namespace leaves Weaviate, phase by phase, and can go back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.commands.migrate_running import follow, relay
from greenlang_vectors.commands.migrate_status import rollback, status, traffic
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import weaviate_migrations


@click.group("migrate")
def migrate_group() -> None:
    """Leave Weaviate in four phases, each with a way back (docs/migration.md)."""


@migrate_group.command()
@click.argument("namespace")
@click.option(
    "--file",
    "plan_file",
    type=Path,
    required=True,
    help="The plan as JSON; docs/migration.md lists its fields.",
)
@as_json_option
def plan(namespace: str, plan_file: Path, as_json: bool) -> None:
    """Plan the move of NAMESPACE, or plan it otherwise as long as it has not begun."""
    from greenlang_vectors.migration.plan import parse  # noqa: PLC0415

    try:
        planned = parse(plan_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The plan {str(plan_file)!r} cannot be read ({error}).") from error
    with opened(get_settings()) as database, database.connection() as connection:
        state = weaviate_migrations.save_plan(
            connection, namespace, planned.model_dump(mode="json")
        )
    if as_json:
        print_json({"namespace": namespace, "phase": state.phase, "plan": state.plan})
    else:
        errors.print(
            f"{namespace} is to move from {planned.collection}. What that would bring:"
            f" greenlang-vectors migrate dry-run {namespace}",
            soft_wrap=True,
            highlight=False,
        )


@migrate_group.command("dry-run")
@click.argument("namespace")
@as_json_option
def dry_run(namespace: str, as_json: bool) -> None:
    """Show what the move of NAMESPACE would bring, and what would not fit; change nothing.

    Ends with code 1 where something does not fit.
    """
    from greenlang_vectors.commands.migrate_tables import show_dry_run  # noqa: PLC0415
    from greenlang_vectors.migration import dry_run as rehearsal  # noqa: PLC0415
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415
    from greenlang_vectors.migration.server_export import exports_of  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database, open_peer(settings) as peer:
        found = rehearsal.dry_run(database, peer, namespace, exports=exports_of(settings))
    if as_json:
        print_json(found.as_json())
    else:
        show_dry_run(found)
    if any(each.fatal for each in found.problems):
        sys.exit(1)


@migrate_group.command()
@click.argument("namespace")
@as_json_option
def start(namespace: str, as_json: bool) -> None:
    """Begin the move of NAMESPACE: from now on both sides are written to."""
    from greenlang_vectors.migration import phases  # noqa: PLC0415
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database, open_peer(settings) as peer:
        started = phases.start(database, peer, namespace)
    if as_json:
        print_json(
            {
                "namespace": namespace,
                "phase": started.state.phase,
                "noted": started.noted,
                "warnings": [asdict(each) for each in started.warnings],
            }
        )
        return
    for each in started.warnings:
        errors.print(f"Warning: {each.message} {each.remedy}", soft_wrap=True, highlight=False)
    if started.state.plan["primary"] == "weaviate":
        said = "follows Weaviate; `migrate follow` carries what applications change there."
    else:
        said = f"is written to both sides; {started.noted:,} documents wait for Weaviate."
    errors.print(f"{namespace} {said}", highlight=False)


@migrate_group.command()
@click.argument("namespace")
@as_json_option
def backfill(namespace: str, as_json: bool) -> None:
    """Carry over every object of Weaviate that is not in NAMESPACE, then build the indexes.

    A run that was ended goes on where it was. What cannot be carried becomes a dead letter.
    """
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415
    from greenlang_vectors.migration import backfill as carrying  # noqa: PLC0415
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415
    from greenlang_vectors.migration.plan import Plan  # noqa: PLC0415
    from greenlang_vectors.migration.server_export import exports_of  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database, open_peer(settings) as peer, bars() as shown:
        report = carrying.backfill(
            database,
            namespace,
            peer=peer,
            location=open_location(settings.backup_location),
            exports=exports_of(settings),
            progress=bar(shown, "backfill"),
        )
        with database.connection() as connection:
            state = weaviate_migrations.get(connection, namespace)
        planned = Plan.model_validate(state.plan)
        carrying.finish(database, namespace, planned, settings, bar(shown, "indexes"))
    if as_json:
        print_json({"phase": state.phase, **asdict(report)})
        return
    output.print(
        f"{report.objects:,} objects were read, {report.read:,} of them now: {report.written:,}"
        f" written, {report.left_alone:,} left alone, {report.failed:,} dead letters;"
        f" {report.parts:,} parts of an archive.",
        highlight=False,
    )


@migrate_group.command()
@click.argument("namespace")
@click.option("--queries", type=click.IntRange(1), default=20, show_default=True)
@as_json_option
def verify(namespace: str, queries: int, as_json: bool) -> None:
    """Compare NAMESPACE with Weaviate, object by object and bit by bit.

    QUERIES stored vectors are searched for on both sides. Ends with code 1 unless it is clean.
    """
    from greenlang_vectors.commands.migrate_tables import show_verification  # noqa: PLC0415
    from greenlang_vectors.migration import verification  # noqa: PLC0415
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database, open_peer(settings) as peer, bars() as shown:
        found = verification.verify(
            database, peer, namespace, queries=queries, progress=bar(shown, "verify")
        )
    if as_json:
        print_json(found.as_json())
    else:
        show_verification(found)
    if not found.clean:
        sys.exit(1)


@migrate_group.command()
@click.argument("namespace")
@as_json_option
def repair(namespace: str, as_json: bool) -> None:
    """Mend exactly the objects that the newest verification of NAMESPACE names.

    Ends with code 1 where some could not be mended.
    """
    from greenlang_vectors.commands.migrate_tables import show_repaired  # noqa: PLC0415
    from greenlang_vectors.migration import repair as mending  # noqa: PLC0415
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database, open_peer(settings) as peer, bars() as shown:
        report = mending.repair(database, peer, namespace, progress=bar(shown, "repair"))
    if as_json:
        print_json(report.as_json())
    else:
        show_repaired(report)
    if report.left:
        sys.exit(1)


@migrate_group.command()
@click.argument("namespace")
@click.option("--by", required=True, metavar="NAME", help="Who signs the report.")
@as_json_option
def decommission(namespace: str, by: str, as_json: bool) -> None:
    """End the move of NAMESPACE: compare once more, archive, and sign a report.

    Nothing is deleted in Weaviate; what to run for that is printed.
    """
    from greenlang_vectors.commands.migrate_tables import show_decommissioned  # noqa: PLC0415
    from greenlang_vectors.lifecycle.location import open_location  # noqa: PLC0415
    from greenlang_vectors.migration import decommission as ending  # noqa: PLC0415
    from greenlang_vectors.migration.peer import open_peer  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database, open_peer(settings) as peer, bars() as shown:
        done = ending.decommission(
            database,
            peer,
            open_location(settings.backup_location),
            namespace,
            by=by,
            progress=bar(shown, "decommission"),
        )
    if as_json:
        print_json(done.as_json())
    else:
        show_decommissioned(done)


for command in (traffic, rollback, status, relay, follow):
    migrate_group.add_command(command)
