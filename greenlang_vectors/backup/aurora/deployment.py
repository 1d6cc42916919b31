"""The cluster that is backed up, as the settings name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from greenlang_vectors.backup.aurora import names
from greenlang_vectors.backup.aurora.errors import AuroraNotConfigured
from greenlang_vectors.backup.aurora.rds import Rds
from greenlang_vectors.settings import Settings

SET_CLUSTER = "Set GREENLANG_AURORA_CLUSTER to the cluster to back up."


@dataclass(frozen=True, slots=True)
class Deployment:
    """One cluster, where its copies go, and how long what is kept.

    Attributes:
        rds: of the cluster's region.
        copies: RDS of the region that copies go to; None where none is set.
        quota: manual snapshots the account may have in a region.
    """

    cluster: str
    rds: Rds
    copies: Rds | None
    copy_key: str | None
    keep: Mapping[str, timedelta]
    automated_days: int
    quota: int

    def region(self, *, of_copies: bool) -> Rds:
        """The cluster's region, or the one that copies go to.

        Raises:
            AuroraNotConfigured: none is set for copies.
        """
        if not of_copies:
            return self.rds
        if self.copies is None:
            raise AuroraNotConfigured(
                "No region is set for copies of snapshots.", "Set GREENLANG_AURORA_DR_REGION."
            )
        return self.copies


def deployment(settings: Settings) -> Deployment:
    """What the settings say.

    Raises:
        AuroraNotConfigured: they name no cluster.
        AuroraUnavailable: boto3 is missing, or no region is known.
    """
    if settings.aurora_cluster is None:
        raise AuroraNotConfigured("No Aurora cluster is set.", SET_CLUSTER)
    kept = timedelta(days=settings.aurora_snapshot_days)
    monthly = settings.aurora_monthly_days
    return Deployment(
        cluster=names.valid(settings.aurora_cluster),
        rds=Rds(settings.aurora_region),
        copies=Rds(settings.aurora_dr_region) if settings.aurora_dr_region else None,
        copy_key=settings.aurora_dr_kms_key,
        keep={
            "daily": kept,
            "weekly": kept,
            "monthly": kept if monthly is None else timedelta(days=monthly),
        },
        automated_days=settings.aurora_automated_days,
        quota=settings.aurora_snapshot_quota,
    )
