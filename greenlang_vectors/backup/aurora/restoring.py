"""A new cluster, out of a snapshot or as the cluster was at a time, with an instance in it.

Aurora restores a cluster without any instance (PRD 12.3.1). Both restores here end when an
instance answers, and both may be repeated after a kill: the cluster carries a tag that says what
it was restored from, and a repeat of the same restore goes on where the first was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from greenlang_vectors.backup.aurora import clusters, names, waiting
from greenlang_vectors.backup.aurora.clusters import ENGINE, Cluster
from greenlang_vectors.backup.aurora.errors import NameTaken, RestoreFailed, UnknownCluster
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.backup.aurora.snapshots import AVAILABLE, Snapshot
from greenlang_vectors.progress import Progress, silent

LATEST = "latest"
INSTANCE_SUFFIX = "-instance"

_NEVER = {
    *("failed", "deleting", "deleted", "stopped", "stopping", "cloning-failed"),
    *("migration-failed", "restore-error", "storage-full"),
    *("inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable"),
}
_NEVER_PREFIX = "incompatible-"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a restored cluster lives; what is left out is as in the source cluster.

    Attributes:
        instance_class: such as db.r6g.2xlarge.
        kms_key: None for the key of the snapshot, or of the source cluster.
    """

    instance_class: str | None = None
    subnet_group: str | None = None
    security_groups: list[str] = field(default_factory=list)
    cluster_parameter_group: str | None = None
    instance_parameter_group: str | None = None
    kms_key: str | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored cluster that takes connections.

    Attributes:
        seconds: how long this call took; of a repeated one, only its own part.
    """

    cluster: str
    instance: str
    endpoint: str
    port: int
    restored_from: str
    seconds: float


def restore_snapshot(
    rds: Rds,
    snapshot: Snapshot,
    new: str,
    placement: Placement,
    progress: Progress = silent,
) -> Restored:
    """The cluster `new` out of a snapshot of this region (PRD 12.3.2).

    Raises:
        NameTaken: something else is called `new`.
        UnknownCluster: the source cluster is not in this region, and the placement leaves out
            what would be taken from it.
        RestoreFailed: the snapshot is not available, or the cluster or its instance did not come.
    """
    if snapshot.status != AVAILABLE:
        raise RestoreFailed(f"The snapshot {snapshot.id} is {snapshot.status}.")
    source = clusters.find(rds, snapshot.cluster)
    return _restore(
        rds,
        new,
        source,
        _complete(rds, source, placement, snapshot.cluster),
        restored_from=snapshot.arn,
        operation="restore_db_cluster_from_snapshot",
        asked={
            "SnapshotIdentifier": snapshot.id,
            "Engine": ENGINE,
            "EngineVersion": snapshot.engine_version,
        },
        progress=progress,
    )


def restore_to_time(
    rds: Rds,
    cluster: str,
    new: str,
    moment: datetime | None,
    placement: Placement,
    progress: Progress = silent,
) -> Restored:
    """The cluster `new` as `cluster` was at a time (PRD 12.3.1).

    Args:
        moment: with a time zone, to the second; None for the newest restorable time.

    Raises:
        OutsideWindow: Aurora cannot go back to it; refused before the call.
        UnknownCluster, NameTaken, RestoreFailed: see `restore_snapshot`.
    """
    source = clusters.get(rds, cluster)
    asked: dict[str, object] = {"UseLatestRestorableTime": True}
    said = LATEST
    if moment is not None:
        moment = moment.astimezone(UTC).replace(microsecond=0)
        asked, said = {"RestoreToTime": moment}, f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        if not _begun(clusters.find(rds, names.valid(new)), f"{cluster}@{said}"):
            clusters.within_window(source, moment)
    return _restore(
        rds,
        new,
        source,
        _complete(rds, source, placement, cluster),
        restored_from=f"{cluster}@{said}",
        operation="restore_db_cluster_to_point_in_time",
        asked={"SourceDBClusterIdentifier": cluster, **asked},
        progress=progress,
    )


def _restore(
    rds: Rds,
    new: str,
    source: Cluster | None,
    placement: Placement,
    *,
    restored_from: str,
    operation: str,
    asked: dict[str, object],
    progress: Progress,
) -> Restored:
    began = time.monotonic()
    new, instance = names.valid(new), names.valid(f"{new}{INSTANCE_SUFFIX}")
    _free(rds, new, instance, restored_from)
    progress(0, 3, "steps")
    if clusters.find(rds, new) is None:
        rds.call(
            operation,
            DBClusterIdentifier=new,
            Tags=names.tag_list({names.MADE_BY: names.PRODUCT, names.RESTORED_FROM: restored_from}),
            **asked,
            **_cluster_arguments(source, placement),
        )
    progress(1, 3, "steps")
    waiting.until(
        lambda: clusters.get(rds, new),
        lambda seen: _is_up(seen.status, f"The restored cluster {new}"),
        what=f"the restored cluster {new}",
        limit=waiting.RESTORE_LIMIT,
    )
    progress(2, 3, "steps")
    if clusters.find_instance(rds, instance) is None:
        rds.call(
            "create_db_instance",
            DBInstanceIdentifier=instance,
            DBClusterIdentifier=new,
            Engine=ENGINE,
            **_instance_arguments(placement),
        )
    waiting.until(
        lambda: clusters.find_instance(rds, instance),
        lambda seen: seen is not None and _is_up(seen.status, f"Its instance {instance}"),
        what=f"the instance {instance}",
        limit=waiting.RESTORE_LIMIT,
    )
    progress(3, 3, "steps")
    ready = clusters.get(rds, new)
    return Restored(
        cluster=new,
        instance=instance,
        endpoint=ready.endpoint,
        port=ready.port,
        restored_from=restored_from,
        seconds=time.monotonic() - began,
    )


def _begun(found: Cluster | None, restored_from: str) -> bool:
    """Whether this is the cluster that an interrupted call of the same restore began."""
    return found is not None and found.tags.get(names.RESTORED_FROM) == restored_from


def _free(rds: Rds, new: str, instance: str, restored_from: str) -> None:
    found = clusters.find(rds, new)
    if found is not None and not _begun(found, restored_from):
        raise NameTaken(
            f"There is a cluster {new} in {rds.region}, which this restore did not begin.",
            "Choose another name with --as.",
        )
    holder = clusters.find_instance(rds, instance)
    if holder is not None and (found is None or holder.cluster != new):
        raise NameTaken(
            f"There is an instance {instance} in {rds.region} already.",
            "Choose another name with --as.",
        )


def _is_up(status: str, what: str) -> bool:
    if status in _NEVER or status.startswith(_NEVER_PREFIX):
        raise RestoreFailed(f"{what} is {status}.", "Its events in AWS say why; then delete it.")
    return status == AVAILABLE


def _complete(rds: Rds, source: Cluster | None, given: Placement, source_name: str) -> Placement:
    """The placement with what the source cluster has in place of what was left out.

    Raises:
        UnknownCluster: there is no source cluster to take it from.
    """
    if source is None:
        if given.instance_class and given.subnet_group and given.security_groups:
            return given
        raise UnknownCluster(
            f"{source_name} is not in {rds.region}, so nothing can be taken from it.",
            "Give --instance-class, --subnet-group and --security-group.",
        )
    member = source.writer or next(iter(source.readers), None)
    like = None if member is None else clusters.find_instance(rds, member)
    instance_class = given.instance_class or (None if like is None else like.instance_class)
    instance_parameters = given.instance_parameter_group or (
        None if like is None else like.parameter_group
    )
    if instance_class is None:
        raise UnknownCluster(
            f"{source.id} has no instance whose class could be taken.", "Give --instance-class."
        )
    record = source.record
    groups = [group["VpcSecurityGroupId"] for group in record.get("VpcSecurityGroups") or []]
    return Placement(
        instance_class=instance_class,
        subnet_group=given.subnet_group or record.get("DBSubnetGroup"),
        security_groups=given.security_groups or groups,
        cluster_parameter_group=given.cluster_parameter_group
        or record.get("DBClusterParameterGroup"),
        instance_parameter_group=instance_parameters,
        kms_key=given.kms_key,
    )


def _cluster_arguments(source: Cluster | None, placement: Placement) -> dict[str, object]:
    """What both restores take; whatever is None is left to AWS."""
    record = {} if source is None else source.record
    scaling = record.get("ServerlessV2ScalingConfiguration") or {}
    bounds = {name: scaling[name] for name in ("MinCapacity", "MaxCapacity") if name in scaling}
    arguments = {
        "DBSubnetGroupName": placement.subnet_group,
        "VpcSecurityGroupIds": placement.security_groups,
        "DBClusterParameterGroupName": placement.cluster_parameter_group,
        "KmsKeyId": placement.kms_key,
        "EnableIAMDatabaseAuthentication": record.get("IAMDatabaseAuthenticationEnabled"),
        "EnableCloudwatchLogsExports": record.get("EnabledCloudwatchLogsExports"),
        "ServerlessV2ScalingConfiguration": bounds,
    }
    return {name: value for name, value in arguments.items() if value not in (None, [], {})}


def _instance_arguments(placement: Placement) -> dict[str, object]:
    arguments: dict[str, object] = {"DBInstanceClass": placement.instance_class}
    if placement.instance_parameter_group:
        arguments["DBParameterGroupName"] = placement.instance_parameter_group
    return arguments
