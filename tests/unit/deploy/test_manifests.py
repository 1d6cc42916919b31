"""Kubernetes takes every manifest, and what they name exists: settings, commands, routes, each
other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from greenlang_vectors.api.routes import operations
from greenlang_vectors.cli import app
from greenlang_vectors.settings import Settings

from .manifests import (
    CUSTOM,
    OVERLAYS,
    ROOT,
    WORKLOADS,
    Manifest,
    breaches,
    called,
    containers,
    everything,
    of_kind,
    parse,
    pod,
    references,
    rendered,
    written,
)

KUBERNETES = "1.35"
MADE_BY_PEOPLE = {  # docs/kubernetes.md says how
    *(("Secret", f"greenlang-{name}") for name in ("search", "exporter", "schema", "ingest")),
    *(("Secret", name) for name in ("dagster-postgresql", "pgbouncer-tls", "pgbouncer-users")),
    ("ConfigMap", "rds-ca"),
}
MADE_BY_DAGSTERS_CHART = {("ConfigMap", "dagster-instance")}
GENERATED = {("ConfigMap", name) for name in ("settings", "pipeline-settings", "pgbouncer")}

workloads = pytest.mark.parametrize("workload", of_kind(everything(), *WORKLOADS), ids=called)


def service(name: str) -> Manifest:
    return next(each for each in written("base") if called(each) == f"Deployment/{name}")


def problems(manifest: Manifest) -> list[str]:
    """What the schema of Kubernetes says of a manifest, unknown fields included."""
    validate = pytest.importorskip("kubernetes_validate", reason="needs the extra dev")
    if manifest["apiVersion"].startswith(CUSTOM):
        return []
    try:
        validate.validate(manifest, KUBERNETES, strict=True)
    except validate.ValidationError as error:
        return [f"{called(manifest)}: {'.'.join(map(str, error.path))}: {error.message}"]
    return []


@pytest.mark.parametrize("manifest", everything(), ids=called)
def test_kubernetes_takes_each_manifest(manifest: Manifest) -> None:
    assert problems(manifest) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_what_each_overlay_makes(overlay: str) -> None:
    made = rendered(overlay)
    assert [each for manifest in made for each in problems(manifest)] == []
    assert len({called(each) for each in made}) == len(made)
    for workload in of_kind(made, *WORKLOADS):
        for container in containers(pod(workload)):
            assert re.fullmatch(r"[^:]+/[^:]+:\d+\.\d+\.\d+", container["image"]), container[
                "image"
            ]


@workloads
def test_pods_keep_the_restricted_profile(workload: Manifest) -> None:
    assert breaches(pod(workload)) == []


@workloads
def test_what_pods_name_is_there(workload: Manifest) -> None:
    here = {(each["kind"], each["metadata"]["name"]) for each in everything()}
    named = {*references(pod(workload))}
    named.add(("ServiceAccount", pod(workload)["spec"]["serviceAccountName"]))
    assert named - here - GENERATED - MADE_BY_PEOPLE - MADE_BY_DAGSTERS_CHART == set()


def test_what_people_are_to_make_is_named_and_told_of() -> None:
    named = {
        each
        for workload in everything()
        if workload["kind"] in WORKLOADS
        for each in references(pod(workload))
    }
    assert named >= MADE_BY_PEOPLE - {("Secret", "greenlang-ingest")}
    told = (ROOT.parents[1] / "docs" / "kubernetes.md").read_text()
    for _, name in MADE_BY_PEOPLE:
        assert name in told


@workloads
def test_commands_are_the_programs_own(workload: Manifest) -> None:
    for container in containers(pod(workload)):
        if container["image"].startswith("greenlang-vectors"):
            program, *arguments = container["args"]
            assert program == "greenlang-vectors"
            parse(app, arguments)


@pytest.mark.parametrize(
    "path",
    [*ROOT.rglob("*.*"), ROOT.parents[1] / "docs" / "kubernetes.md"],
    ids=lambda path: path.name,
)
def test_settings_are_settings(path: Any) -> None:  # noqa: ANN401 - a Path
    known = {f"GREENLANG_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bGREENLANG_[A-Z_]*[A-Z]\b", path.read_text())) - known == set()


def test_probes_ask_what_the_api_answers() -> None:
    [container] = containers(pod(service("api")))
    routes = {route.path for route in operations.router.routes}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["path"] in routes
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["timeoutSeconds"] > operations.PROBE_SECONDS


@pytest.mark.parametrize("name", ["api", "exporter"])
def test_services_listen_where_they_are_asked(name: str) -> None:
    [container] = containers(pod(service(name)))
    port = container["args"][container["args"].index("--port") + 1]
    assert [str(each["containerPort"]) for each in container["ports"]] == [port]


def test_pods_have_the_time_to_end_that_they_need() -> None:
    """Traffic stops during the pause; then requests, or transactions, are waited for."""
    waits = {"api": Settings.model_fields["api_shutdown_seconds"].default, "pgbouncer": 30}
    for name, seconds in waits.items():
        [container] = containers(pod(service(name)))
        pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod(service(name))["spec"]["terminationGracePeriodSeconds"] >= pause + seconds + 5


def test_selectors_select() -> None:
    here = written("base")
    labels = [pod(each)["metadata"]["labels"] for each in of_kind(here, *WORKLOADS)]
    for each in of_kind(here, "Service", "PodDisruptionBudget", "Deployment"):
        selector = each["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= given.items() for given in labels), called(each)
    for name in ("api", "exporter", "pgbouncer"):
        assert {
            f"{kind}/{name}" for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy")
        } <= {called(each) for each in here}


def test_the_autoscaler_has_the_prds_thresholds() -> None:
    """PRD 9.2: processors up above 70%, down below 30%; memory 60%; three pods (PRD 4.2)."""
    [scaler] = of_kind(written("base"), "HorizontalPodAutoscaler")
    targets = {
        each["resource"]["name"]: each["resource"]["target"]["averageUtilization"]
        for each in scaler["spec"]["metrics"]
    }
    assert targets == {"cpu": 50, "memory": 60}
    for direction, bound in (("scaleUp", 70), ("scaleDown", 30)):
        tolerance = float(scaler["spec"]["behavior"][direction]["tolerance"])
        sign = 1 if direction == "scaleUp" else -1
        assert round(targets["cpu"] * (1 + sign * tolerance)) == bound
    assert scaler["spec"]["minReplicas"] == 3
    assert "replicas" not in service("api")["spec"]
