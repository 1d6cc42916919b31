"""The manifests of deploy/kubernetes: read from their files, or as kubectl renders an overlay."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"
OVERLAYS = ("dev", "staging", "production")
WORKLOADS = ("Deployment", "Job")
CUSTOM = ("monitoring.coreos.com/",)
"""Resources whose schema their operator brings."""

Manifest = dict[str, Any]


def _documents(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each is not None]


def written(folder: str) -> list[Manifest]:
    """What the files of a folder hold, without kustomize's and Helm's own."""
    found = []
    for path in sorted((ROOT / folder).glob("*.yaml")):
        found += [each for each in _documents(path.read_text()) if "apiVersion" in each]
    return [each for each in found if "kustomize" not in each["apiVersion"]]


@cache
def rendered(overlay: str) -> list[Manifest]:
    """What kubectl makes of an overlay; the test is skipped where there is no kubectl."""
    if (kubectl := shutil.which("kubectl")) is None:
        pytest.skip("kubectl is not on this machine")
    made = subprocess.run(
        [kubectl, "kustomize", str(ROOT / "overlays" / overlay)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return _documents(made.stdout)


def everything() -> list[Manifest]:
    """All resources that are written down."""
    return [*written("base"), *written("dagster"), *written("components/prometheus-operator")]


def called(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def pod(workload: Manifest) -> Manifest:
    """The template of a workload's pods."""
    template: Manifest = workload["spec"]["template"]
    return template


def containers(template: Manifest) -> list[Manifest]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def references(template: Manifest) -> Iterator[tuple[str, str]]:
    """The kind and name of each ConfigMap, Secret and claim that a pod cannot start without."""
    for container in containers(template):
        for source in container.get("envFrom", []):
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if key in source and not source[key].get("optional"):
                    yield kind, source[key]["name"]
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                yield "Secret", reference["name"]
    for volume in template["spec"].get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        elif "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        elif "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]


def breaches(template: Manifest) -> list[str]:
    """How pods fall short of the restricted profile, of a read-only file system and of limits.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    found = []
    context = template["spec"].get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) < 1000:
        found.append("it may run as root")
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("no seccomp profile")
    for volume in template["spec"].get("volumes", []):
        kinds = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
        if not kinds & volume.keys():
            found.append(f"volume {volume['name']} is none of {sorted(kinds)}")
    for container in containers(template):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{container['name']}: privileges may grow")
        if own.get("capabilities", {}).get("drop") != ["ALL"]:
            found.append(f"{container['name']}: capabilities stay")
        if own.get("readOnlyRootFilesystem") is not True:
            found.append(f"{container['name']}: its file system can be written to")
        resources = container.get("resources", {})
        for bound in ("requests", "limits"):
            if {"cpu", "memory"} - resources.get(bound, {}).keys():
                found.append(f"{container['name']}: no {bound}")
    return found


def parse(command: click.Command, arguments: list[str]) -> click.Command:
    """The command that these arguments name; click refuses those that it does not know."""
    context = command.make_context(str(command.name), list(arguments), resilient_parsing=False)
    if not isinstance(command, click.Group):
        return command
    rest = [*context._protected_args, *context.args]
    _, chosen, rest = command.resolve_command(context, rest)
    assert chosen is not None, arguments
    return parse(chosen, rest)
