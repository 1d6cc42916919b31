"""What the runs of a job are on Kubernetes: with whose rights, and how large.

Elsewhere nobody reads these tags. A run without one, as the asset graph starts them, is of the
account and size that deploy/kubernetes/dagster/values.yaml gives to all.
"""

from __future__ import annotations

from typing import Any


def workload(*, cpu: str, memory: str, account: str | None = None) -> dict[str, Any]:
    """Tags of a job for Dagster's K8sRunLauncher.

    Args:
        cpu: processors, as Kubernetes writes them ("500m"); asked for, and the most.
        memory: the same of memory ("2Gi").
        account: the service account, whose IAM role has other rights than greenlang-ingest's. A
            Secret of its name, if there is one, adds to the environment: another login.
    """
    size = {"cpu": cpu, "memory": memory}
    container: dict[str, Any] = {"resources": {"requests": size, "limits": size}}
    config: dict[str, Any] = {"container_config": container}
    if account is not None:
        container["env_from"] = [{"secret_ref": {"name": account, "optional": True}}]
        config["pod_spec_config"] = {"service_account_name": account}
    return {"dagster-k8s/config": config}
