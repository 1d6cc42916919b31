"""`greenlang-vectors snapshots`: cluster snapshots of Aurora, their copies, and what they hold."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import click
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    output,
    print_json,
)
from greenlang_vectors.commands.snapshot_restores import (
    drill_snapshot,
    fail_over_cluster,
    restore_cluster_to_time,
    restore_from_snapshot,
)
from greenlang_vectors.settings import get_settings

if TYPE_CHECKING:
    from greenlang_vectors.backup.aurora.deployment import Deployment
    from greenlang_vectors.backup.aurora.names import Tier
    from greenlang_vectors.backup.aurora.snapshots import Snapshot

copies_option = click.option("--copies", is_flag=True, help="In the region that copies go to.")


@click.group("snapshots")
def snapshots_group() -> None:
    """Snapshots of the Aurora cluster that GREENLANG_AURORA_CLUSTER names."""


@snapshots_group.command("create")
@click.option(
    "--tier",
    type=click.Choice(["daily", "weekly", "monthly"]),
    help="The one that is due on the day by default.",
)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Today (UTC) by default.")
@as_json_option
def create_snapshot(tier: str | None, day: datetime | None, as_json: bool) -> None:
    """Make the snapshot of the day and wait for it; again on the same day finds it."""
    from greenlang_vectors.backup.aurora import making, names  # noqa: PLC0415

    aurora, date = _deployment(), (day or datetime.now(UTC)).date()
    wanted = names.due_tier(date) if tier is None else cast("Tier", tier)
    with bars() as shown:
        made = making.create(
            aurora.rds,
            aurora.cluster,
            wanted,
            date,
            quota=aurora.quota,
            progress=bar(shown, "snapshot"),
        )
    _print_one(made, as_json, "is available")


@snapshots_group.command("copy")
@click.argument("snapshot")
@as_json_option
def copy_snapshot(snapshot: str, as_json: bool) -> None:
    """Copy SNAPSHOT to GREENLANG_AURORA_DR_REGION, under that region's KMS key, and wait."""
    from greenlang_vectors.backup.aurora import making, snapshots  # noqa: PLC0415

    aurora = _deployment()
    source = snapshots.get(aurora.rds, aurora.cluster, snapshot)
    with bars() as shown:
        copied = making.copy(
            source,
            aurora.region(of_copies=True),
            kms_key=aurora.copy_key,
            quota=aurora.quota,
            progress=bar(shown, "copy"),
        )
    _print_one(copied, as_json, "is available")


@snapshots_group.command("list")
@copies_option
@as_json_option
def list_snapshots(copies: bool, as_json: bool) -> None:
    """Show the snapshots of the cluster, the newest first."""
    from greenlang_vectors.backup.aurora import snapshots  # noqa: PLC0415

    aurora = _deployment()
    _print_all(snapshots.all_of(aurora.region(of_copies=copies), aurora.cluster), as_json)


@snapshots_group.command("prune")
@copies_option
@click.option("--delete", is_flag=True, help="Delete them; without it they are only shown.")
@as_json_option
def prune_snapshots(copies: bool, delete: bool, as_json: bool) -> None:
    """Show the snapshots that are older than their tier is kept, or delete them.

    The newest snapshot of each tier, the newest whose restore was proven, what is pinned, and
    whatever was not made here stay.
    """
    from greenlang_vectors.backup.aurora import pruning  # noqa: PLC0415

    aurora, now = _deployment(), datetime.now(UTC)
    region = aurora.region(of_copies=copies)
    gone = pruning.prune(region, aurora.cluster, aurora.keep, now, dry_run=not delete)
    _print_all(gone, as_json, {"deleted": delete})
    if not as_json:
        errors.print(
            f"{len(gone)} snapshots were deleted."
            if delete
            else f"{len(gone)} snapshots would be deleted; --delete does it."
        )


@snapshots_group.command("pin")
@click.argument("snapshot")
@copies_option
@as_json_option
def pin_snapshot(snapshot: str, copies: bool, as_json: bool) -> None:
    """Keep SNAPSHOT, whatever its age."""
    _set_pin(snapshot, copies, as_json, pinned=True)


@snapshots_group.command("unpin")
@click.argument("snapshot")
@copies_option
@as_json_option
def unpin_snapshot(snapshot: str, copies: bool, as_json: bool) -> None:
    """Let SNAPSHOT go when its tier's time is over."""
    _set_pin(snapshot, copies, as_json, pinned=False)


@snapshots_group.command("status")
@as_json_option
@click.pass_context
def snapshot_status(context: click.Context, as_json: bool) -> None:
    """Show what could be restored now, against PRD 12.4; code 1 where a promise is breached."""
    from greenlang_vectors.backup.aurora import runbook  # noqa: PLC0415

    found = runbook.look(_deployment(), datetime.now(UTC))
    if as_json:
        print_json(runbook.as_json(found))
    else:
        table = Table("promise", "state", "newest", "age", "limit")
        for each in found.objectives:
            table.add_row(*runbook.row(each))
        output.print(table)
        for problem in found.problems:
            errors.print(f"{problem[:1].upper()}{problem[1:]}.")
    if found.breached:
        context.exit(1)


@snapshots_group.command("retention")
@click.option("--days", type=int, help="From 1 to 35; GREENLANG_AURORA_AUTOMATED_DAYS by default.")
@click.option("--shorten", is_flag=True, help="Also to fewer days, which deletes what is older.")
@as_json_option
def set_retention(days: int | None, shorten: bool, as_json: bool) -> None:
    """Set for how many days Aurora keeps the cluster's automated backups."""
    from greenlang_vectors.backup.aurora import clusters  # noqa: PLC0415

    aurora = _deployment()
    wanted = aurora.automated_days if days is None else days
    cluster = clusters.get(aurora.rds, aurora.cluster)
    changed = clusters.keep_automated(aurora.rds, cluster, wanted, shorten=shorten)
    if as_json:
        print_json({"cluster": aurora.cluster, "days": wanted, "changed": changed})
    else:
        output.print(f"Automated backups of {aurora.cluster} are kept for {wanted} days.")


snapshots_group.add_command(restore_from_snapshot)
snapshots_group.add_command(restore_cluster_to_time)
snapshots_group.add_command(drill_snapshot)
snapshots_group.add_command(fail_over_cluster)


def _deployment() -> Deployment:
    from greenlang_vectors.backup.aurora.deployment import deployment  # noqa: PLC0415

    return deployment(get_settings())


def _set_pin(snapshot: str, copies: bool, as_json: bool, *, pinned: bool) -> None:
    from greenlang_vectors.backup.aurora import snapshots  # noqa: PLC0415

    aurora = _deployment()
    region = aurora.region(of_copies=copies)
    found = snapshots.get(region, aurora.cluster, snapshot)
    snapshots.pin(region, found, pinned=pinned)
    now = snapshots.get(region, aurora.cluster, snapshot)
    _print_one(now, as_json, "is pinned" if pinned else "is not pinned")


def _print_one(snapshot: Snapshot, as_json: bool, said: str) -> None:
    if as_json:
        print_json(_as_json(snapshot))
    else:
        output.print(f"{snapshot.id} in {snapshot.region} {said}.", soft_wrap=True)


def _print_all(
    found: list[Snapshot], as_json: bool, beside: dict[str, object] | None = None
) -> None:
    if as_json:
        print_json({**(beside or {}), "snapshots": [_as_json(each) for each in found]})
        return
    table = Table("snapshot", "tier", "taken at", "status", "pinned", "verified")
    for each in found:
        taken_at = "" if each.taken_at is None else f"{each.taken_at:%Y-%m-%d %H:%M}"
        table.add_row(
            each.id,
            each.tier or ("" if each.manual else "automated"),
            taken_at,
            each.status,
            "yes" if each.pinned else "",
            each.verified_at or "",
        )
    output.print(table)


def _as_json(snapshot: Snapshot) -> dict[str, Any]:
    taken_at = snapshot.taken_at
    return {**asdict(snapshot), "taken_at": None if taken_at is None else taken_at.isoformat()}
