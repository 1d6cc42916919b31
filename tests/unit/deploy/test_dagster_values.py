"""Dagster on Kubernetes: the chart takes its values, Dagster what the chart makes of them, and the
Jobs of runs keep the rules of all pods here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._cli import create_dagster_cli
from dagster._config import validate_config
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.ref import InstanceRef
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._serdes import ConfigurableClassData

from greenlang_vectors.definitions import defs
from resources.pools import EMBEDDING_MODEL, POOLS

from .chart import FOLDER, NAMESPACE, instance, values
from .manifests import OVERLAYS, Manifest, breaches, parse, pod, references, written
from .test_manifests import GENERATED, MADE_BY_PEOPLE, problems

KEPT = ("run_retries", "retention", "telemetry", "nux")
"""What holds of one machine and of Kubernetes alike."""

KEY = "dagster-k8s/config"
SIZED = {job.name: job.tags[KEY] for job in defs.resolve_all_job_defs() if KEY in job.tags}

k8s = pytest.importorskip("dagster_k8s", reason="needs the extra kubernetes")
environments = pytest.mark.parametrize("environment", OVERLAYS)


@environments
def test_the_chart_knows_every_value(environment: str) -> None:
    validators = pytest.importorskip("jsonschema.validators", reason="needs the extra dev")
    schema = json.loads(Path(__file__).with_name("dagster_chart.schema.json").read_text())
    found = validators.Draft202012Validator(schema).iter_errors(values(environment))
    assert [f"{error.json_path}: {error.message}" for error in found] == []


@pytest.fixture
def reference(request: pytest.FixtureRequest, tmp_path: Path) -> InstanceRef:
    """The instance of an environment, as Dagster reads it."""
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance(values(request.param))))
    return InstanceRef.from_dir(str(tmp_path))


@pytest.mark.parametrize("reference", OVERLAYS, indirect=True)
def test_dagster_takes_the_instance(reference: InstanceRef) -> None:
    parts = [each for each in reference if isinstance(each, ConfigurableClassData)]
    assert {"K8sRunLauncher", "PostgresRunStorage", "QueuedRunCoordinator"} <= {
        part.class_name for part in parts
    }
    for part in parts:
        class_ = getattr(__import__(part.module_name, fromlist=["x"]), part.class_name)
        checked = validate_config(class_.config_type(), part.config_dict)
        assert checked.success, checked.errors
    assert reference.settings["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}


def test_runs_are_kept_watched_and_repeated_as_on_one_machine(repository: Path) -> None:
    here = yaml.safe_load((repository / "dagster.yaml").read_text())
    there = instance(values("production"))
    assert {key: there[key] for key in KEPT} == {key: here[key] for key in KEPT}
    waits = "start_timeout_seconds"  # a node may have to be started
    assert there["run_monitoring"].pop(waits) > here["run_monitoring"].pop(waits)
    assert there["run_monitoring"] == here["run_monitoring"]


@pytest.fixture
def launcher(reference: InstanceRef, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    """The run launcher, outside a cluster."""
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    given = reference.run_launcher_data
    assert given is not None
    return k8s.K8sRunLauncher(inst_data=given, **given.config_dict)


def launched(launcher: Any, tags: dict[str, str]) -> Manifest:  # noqa: ANN401
    """The Job of a run with these tags."""
    import kubernetes.client
    from dagster_k8s.job import construct_dagster_k8s_job

    image = "registry.example.com/greenlang-vectors:0.1.0"
    pointer = ModuleCodePointer("greenlang_vectors.definitions", "defs")
    origin = RepositoryPythonOrigin("python", pointer, container_image=image)
    run = dg.DagsterRun("ingest", tags=tags, job_code_origin=JobPythonOrigin("ingest", origin))
    context = launcher.get_container_context_for_run(run)
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(image, launcher),
        ["dagster", "api", "execute_run", "{}"],
        "dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
        component="run_worker",
    )
    made: Manifest = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    return {"apiVersion": "batch/v1", "kind": "Job", **made}


@pytest.mark.parametrize("reference", ["production"], indirect=True)
@pytest.mark.parametrize("job", [None, *SIZED])
def test_a_run_is_a_job_that_keeps_the_rules(launcher: Any, job: str | None) -> None:  # noqa: ANN401
    made = launched(launcher, {} if job is None else {KEY: SIZED[job]})
    assert problems(made) == []
    assert breaches(pod(made)) == []
    assert pod(made)["metadata"]["labels"]["greenlang.io/part"] == "pipeline"
    here = {(each["kind"], each["metadata"]["name"]) for each in written("base")}
    named = {*references(pod(made))}
    named.add(("ServiceAccount", pod(made)["spec"]["serviceAccountName"]))
    assert named - here - GENERATED - MADE_BY_PEOPLE == set()


@pytest.mark.parametrize("reference", ["production"], indirect=True)
def test_jobs_have_the_size_and_the_rights_that_they_name(launcher: Any) -> None:  # noqa: ANN401
    accounts = {}
    for job in ("ingest", "back_up", "archive_embeddings", "make_aurora_snapshots"):
        tags = {KEY: SIZED[job]} if job in SIZED else {}
        spec = pod(launched(launcher, tags))["spec"]
        accounts[job] = spec["serviceAccountName"]
        sources = [
            each["secretRef"]["name"]
            for each in spec["containers"][0]["envFrom"]
            if "secretRef" in each
        ]
        assert sources[0] == "greenlang-ingest"
        assert sources[-1] == accounts[job]  # the last one counts
    assert accounts == {
        "ingest": "greenlang-ingest",
        "back_up": "greenlang-backup",
        "archive_embeddings": "greenlang-archive",
        "make_aurora_snapshots": "greenlang-snapshots",
    }
    whole = pod(launched(launcher, {}))["spec"]["containers"][0]["resources"]
    small = json.loads(SIZED["maintain_indexes"])["container_config"]["resources"]
    made = pod(launched(launcher, {KEY: SIZED["maintain_indexes"]}))
    assert made["spec"]["containers"][0]["resources"] == small != whole


def test_the_code_location_is_this_project() -> None:
    [deployment] = values("production")["dagster-user-deployments"]["deployments"]
    arguments = [*deployment["dagsterApiGrpcArgs"], "-p", str(deployment["port"])]
    parse(create_dagster_cli(), ["api", "grpc", *arguments])
    assert deployment["dagsterApiGrpcArgs"][-1] == "greenlang_vectors.definitions"


def test_every_part_of_dagster_is_the_same_image_in_the_pipelines_network() -> None:
    given = values("production")
    [deployment] = given["dagster-user-deployments"]["deployments"]
    parts = [deployment, given["dagsterDaemon"], given["dagsterWebserver"]]
    assert len({json.dumps(part["image"]) for part in parts}) == 1
    [policy] = [
        each["spec"]
        for each in written("base")
        if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "pipeline"
    ]
    for part in parts:
        assert policy["podSelector"]["matchLabels"].items() <= part["labels"].items()
        template = {
            "spec": {
                "securityContext": part["podSecurityContext"],
                "volumes": part["volumes"],
                "containers": [{"name": "dagster", **part}],
            }
        }
        assert breaches(template) == []
    ports = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert ports == {deployment["port"], given["dagsterWebserver"]["service"]["port"]}
    for probe in ("readinessProbe", "livenessProbe"):
        asked = given["dagsterWebserver"][probe]["httpGet"]["port"]
        assert asked == given["dagsterWebserver"]["service"]["port"]


def test_every_pool_has_a_limit_and_as_many_namespaces_embed_as_runs_may_be() -> None:
    [job] = written("dagster")
    [container] = pod(job)["spec"]["containers"]
    assert pod(job)["metadata"]["labels"]["greenlang.io/part"] == "pipeline"
    assert job["metadata"]["namespace"] == NAMESPACE
    lines = [line.split() for line in container["args"][0].splitlines()]
    for line in lines:
        parse(create_dagster_cli(), line[1:])
    limits = {
        line[4]: int(line[5]) for line in lines if line[1:4] == ["instance", "concurrency", "set"]
    }
    assert limits.keys() == {*POOLS}
    most = max(values(each)["concurrency"]["runs"]["maxConcurrentRuns"] for each in OVERLAYS)
    assert limits[EMBEDDING_MODEL] == most
    assert container["volumeMounts"][0]["mountPath"].startswith(
        yaml.safe_load((FOLDER / "values.yaml").read_text())["global"]["dagsterHome"]
    )
