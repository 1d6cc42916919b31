"""`greenlang-vectors snapshots restore|restore-to-time|drill|failover`: getting back to work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from greenlang_vectors.commands.common import as_json_option, bar, bars, errors, output, print_json
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings

if TYPE_CHECKING:
    from greenlang_vectors.backup.aurora.restoring import Placement, Restored

Command = TypeVar("Command", bound=Callable[..., Any])


def _placed(command: Command) -> Command:
    """Options for where a restored cluster lives."""
    for option in (
        click.option("--instance-class", help="Such as db.r6g.2xlarge."),
        click.option("--subnet-group", help="Its subnet group."),
        click.option("--security-group", multiple=True, help="A VPC security group; repeatable."),
        click.option("--cluster-parameter-group", help="Parameter group of the cluster."),
        click.option("--instance-parameter-group", help="Parameter group of the instance."),
        click.option("--kms-key", help="The KMS key that encrypts it."),
    ):
        command = option(command)
    return command


def _placement(
    instance_class: str | None,
    subnet_group: str | None,
    security_group: tuple[str, ...],
    cluster_parameter_group: str | None,
    instance_parameter_group: str | None,
    kms_key: str | None,
) -> Placement:
    from greenlang_vectors.backup.aurora.restoring import Placement  # noqa: PLC0415

    return Placement(
        instance_class=instance_class,
        subnet_group=subnet_group,
        security_groups=list(security_group),
        cluster_parameter_group=cluster_parameter_group,
        instance_parameter_group=instance_parameter_group,
        kms_key=kms_key,
    )


@click.command("restore")
@click.argument("snapshot")
@click.option("--as", "new", required=True, metavar="CLUSTER", help="The new cluster's name.")
@click.option("--copies", is_flag=True, help="From a copy, in the region that copies go to.")
@_placed
@as_json_option
def restore_from_snapshot(
    snapshot: str,
    new: str,
    copies: bool,
    as_json: bool,
    **placed: Any,  # noqa: ANN401
) -> None:
    """Restore SNAPSHOT into a new cluster with an instance, ready for use.

    Whatever is not given is as in the cluster the snapshot is of. A restore that was interrupted
    goes on when it is repeated.
    """
    from greenlang_vectors.backup.aurora import snapshots  # noqa: PLC0415
    from greenlang_vectors.backup.aurora.deployment import deployment  # noqa: PLC0415
    from greenlang_vectors.backup.aurora.restoring import restore_snapshot  # noqa: PLC0415

    aurora = deployment(get_settings())
    region = aurora.region(of_copies=copies)
    found = snapshots.get(region, aurora.cluster, snapshot)
    with bars() as shown:
        restored = restore_snapshot(region, found, new, _placement(**placed), bar(shown, "restore"))
    _print_restored(restored, as_json)


@click.command("restore-to-time")
@click.argument("moment", metavar="TIME")
@click.option("--as", "new", required=True, metavar="CLUSTER", help="The new cluster's name.")
@_placed
@as_json_option
def restore_cluster_to_time(
    moment: str,
    new: str,
    as_json: bool,
    **placed: Any,  # noqa: ANN401
) -> None:
    """Restore the cluster as it was at TIME into a new cluster with an instance, ready for use.

    TIME is such as 2026-02-03T10:00:00Z, or `latest`: the newest there is, some minutes ago.
    """
    from greenlang_vectors.backup.aurora.deployment import deployment  # noqa: PLC0415
    from greenlang_vectors.backup.aurora.restoring import restore_to_time  # noqa: PLC0415

    wanted, aurora = _moment(moment), deployment(get_settings())
    with bars() as shown:
        restored = restore_to_time(
            aurora.rds,
            aurora.cluster,
            new,
            wanted,
            _placement(**placed),
            bar(shown, "restore"),
        )
    _print_restored(restored, as_json)


@click.command("drill")
@click.argument("snapshot", required=False)
@click.option("--copies", is_flag=True, help="Of a copy, in the region that copies go to.")
@_placed
@as_json_option
def drill_snapshot(
    snapshot: str | None,
    copies: bool,
    as_json: bool,
    **placed: Any,  # noqa: ANN401
) -> None:
    """Prove SNAPSHOT, or the newest: restore it, read and search in all of it, remove it again.

    It is tagged as verified; a scratch cluster runs meanwhile, in the cluster's own network.
    """
    from greenlang_vectors.backup.aurora import drill, snapshots  # noqa: PLC0415
    from greenlang_vectors.backup.aurora.deployment import deployment  # noqa: PLC0415

    settings = get_settings()
    aurora = deployment(settings)
    region = aurora.region(of_copies=copies)
    found = (
        drill.newest(snapshots.all_of(region, aurora.cluster))
        if snapshot is None
        else snapshots.get(region, aurora.cluster, snapshot)
    )
    with bars() as shown:
        proven = drill.drill(region, found, settings, _placement(**placed), bar(shown, "drill"))
    if as_json:
        print_json(
            {
                "snapshot": proven.snapshot,
                "seconds": proven.seconds,
                "within_rto": proven.within_rto,
                "collections": [each.model_dump() for each in proven.collections],
            }
        )
        return
    for each in proven.collections:
        output.print(f"{each.collection}: {each.rows} rows, recall@10 {each.recall_at_10:.3f}")
    within = "within" if proven.within_rto else "beyond"
    output.print(
        f"{proven.snapshot} is proven; it was back after {proven.seconds:.0f} s, {within} the"
        f" {drill.RTO} of PRD 12.4.",
        soft_wrap=True,
    )


@click.command("failover")
@click.option("--to", metavar="INSTANCE", help="The reader that takes over; any by default.")
@click.option("--yes", is_flag=True, help="Do it; without it, only say who would take over.")
@as_json_option
@click.pass_context
def fail_over_cluster(context: click.Context, to: str | None, yes: bool, as_json: bool) -> None:
    """Let a reader take over from the writer, and say how long that took.

    Connections to the writer break. Code 1 where it took longer than the 5 minutes of PRD 12.4.
    """
    from greenlang_vectors.backup.aurora import failover  # noqa: PLC0415
    from greenlang_vectors.backup.aurora.deployment import deployment  # noqa: PLC0415

    aurora = deployment(get_settings())
    if not yes:
        writer, reader = failover.successor(aurora.rds, aurora.cluster, to)
        if as_json:
            print_json({"cluster": aurora.cluster, "writer": writer, "would_be": reader})
        else:
            output.print(f"{reader} would take over from {writer}; --yes does it.")
        return
    with bars() as shown:
        done = failover.fail_over(aurora.rds, aurora.cluster, to, bar(shown, "failover"))
    if as_json:
        print_json({**asdict(done), "within_rto": done.within_rto})
    else:
        output.print(f"{done.writer} has taken over from {done.writer_before}.")
        within = "within" if done.within_rto else "beyond"
        errors.print(f"It took {done.seconds:.0f} s, {within} the 5 minutes of PRD 12.4.")
    if not done.within_rto:
        context.exit(1)


def _moment(text: str) -> datetime | None:
    from greenlang_vectors.backup.aurora.restoring import LATEST  # noqa: PLC0415

    if text == LATEST:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(
            f"{text!r} is no time with a time zone.", "Say 2026-02-03T10:00:00Z, or `latest`."
        )
    return moment


def _print_restored(restored: Restored, as_json: bool) -> None:
    if as_json:
        print_json(asdict(restored))
        return
    output.print(f"{restored.endpoint}:{restored.port}", soft_wrap=True, highlight=False)
    errors.print(
        f"{restored.cluster} holds {restored.restored_from}; its instance {restored.instance} was"
        f" ready after {restored.seconds:.0f} s."
    )
