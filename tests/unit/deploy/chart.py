"""What Dagster's chart makes of deploy/kubernetes/dagster: dagster.yaml, as its template does.

Helm is not needed to run the tests: the parts of the template that the values touch are told again
here, from helm/dagster/templates/configmap-instance.yaml and its helpers in
https://github.com/dagster-io/dagster (chart 1.13).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from .manifests import ROOT

FOLDER = ROOT / "dagster"
NAMESPACE = "greenlang-vectors"
RELEASE = "dagster"

Values = dict[str, Any]


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """As Helm does with two files of values: maps are merged, all else is replaced."""
    both = {
        key: merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **both}


def values(environment: str) -> Values:
    files = (FOLDER / "values.yaml", FOLDER / f"values-{environment}.yaml")
    shared, own = (yaml.safe_load(path.read_text()) for path in files)
    return merged(shared, own)


def snake(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by the names that dagster.yaml has for them."""
    return {
        "".join(f"_{each.lower()}" if each.isupper() else each for each in key): (
            snake(value) if isinstance(value, dict) else value
        )
        for key, value in settings.items()
    }


def instance(given: Values) -> dict[str, Any]:
    """dagster.yaml."""
    database = given["postgresql"]
    storage = {
        "postgres_db": {
            "username": database["postgresqlUsername"],
            "password": {"env": "DAGSTER_PG_PASSWORD"},
            "hostname": database["postgresqlHost"],
            "db_name": database["postgresqlDatabase"],
            "port": database["service"]["port"],
            "params": database["postgresqlParams"],
            "scheme": database["postgresqlScheme"],
        }
    }
    storages = {
        "schedule_storage": ("dagster_postgres.schedule_storage", "PostgresScheduleStorage"),
        "run_storage": ("dagster_postgres.run_storage", "PostgresRunStorage"),
        "event_log_storage": ("dagster_postgres.event_log", "PostgresEventLogStorage"),
    }
    daemon = given["dagsterDaemon"]
    return {
        **{
            name: {"module": module, "class": class_, "config": storage}
            for name, (module, class_) in storages.items()
        },
        "scheduler": {
            "module": "dagster.core.scheduler",
            "class": given["scheduler"]["type"],
        },
        "run_launcher": {
            "module": "dagster_k8s",
            "class": given["runLauncher"]["type"],
            "config": _launcher(given),
        },
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": daemon["runCoordinator"]["type"],
        },
        "compute_logs": {
            "module": "dagster.core.storage.noop_compute_log_manager",
            "class": given["computeLogManager"]["type"],
        },
        "run_monitoring": snake(daemon["runMonitoring"]),
        "run_retries": snake(daemon["runRetries"]),
        "retention": snake({k: v for k, v in given["retention"].items() if k != "enabled"}),
        "concurrency": snake({k: v for k, v in given["concurrency"].items() if k != "enabled"}),
        "telemetry": {"enabled": given["telemetry"]["enabled"]},
        **given["additionalInstanceConfig"],
    }


def _launcher(given: Values) -> dict[str, Any]:
    own = given["runLauncher"]["config"]["k8sRunLauncher"]
    return {
        "load_incluster_config": own["loadInclusterConfig"],
        "job_namespace": NAMESPACE,
        "image_pull_policy": own["imagePullPolicy"],
        "service_account_name": given["global"]["serviceAccountName"],
        "dagster_home": given["global"]["dagsterHome"],
        "instance_config_map": f"{RELEASE}-instance",
        "postgres_password_secret": given["global"]["postgresqlSecretName"],
        "env_config_maps": [each["name"] for each in own["envConfigMaps"]],
        "env_secrets": [each["name"] for each in own["envSecrets"]],
        "env_vars": own["envVars"],
        "volume_mounts": own["volumeMounts"],
        "volumes": own["volumes"],
        "labels": own["labels"],
        "resources": own["resources"],
        "security_context": own["securityContext"],
        "run_k8s_config": {
            "pod_spec_config": own["runK8sConfig"]["podSpecConfig"],
            "job_spec_config": own["runK8sConfig"]["jobSpecConfig"],
        },
    }
