"""The root module worked out by Terraform itself, without a provider and without an account.

Modules are replaced by ones with the same variables and checks, whose outputs are made up; so all
of the root's expressions are evaluated, and what it gives a module must be of the type that the
module declares.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .configuration import MODULES, ROOT, module

TERRAFORM = shutil.which("terraform") or shutil.which("tofu")

# What is a platform team's own.
GIVEN: dict[str, Any] = {
    "vpc_id": "vpc-0abc",
    "private_subnet_ids": ["subnet-0a", "subnet-0b", "subnet-0c"],
    "client_security_group_ids": {"EKS": "sg-0a", "embedding service": "sg-0b"},
    "oidc_provider_arn": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.example/id/X",
    "alert_emails": ["sre@example.org"],
}

_KEYS = ("alerts", "application", "database", "objects", "secrets")

# What the modules would answer; "${…}" is worked out by Terraform.
ANSWERS: dict[str, dict[str, Any]] = {
    "alarms": {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:alerts"},
    "bucket": {"name": "${var.name}", "arn": "arn:aws:s3:::${var.name}"},
    "cache": {"url": "rediss://cache.example:6379/0"},
    "database": {
        "cluster": "${var.name}",
        "resource_id": "cluster-ABC",
        "endpoint": "${var.name}.cluster-x.rds.example",
        "instance_endpoints": '${[for n in range(1 + var.readers) : "${var.name}-${n + 1}.x"]}',
        "reader_endpoint": "${var.name}.cluster-ro-x.rds.example",
        "port": 5432,
        "master_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds",
    },
    "dr": {
        "kms_key_arns": {
            key: f"arn:aws:kms:eu-central-1:123456789012:key/{key}"
            for key in ("application", "database")
        },
        "bucket_names": '${{ for name, bucket in var.buckets : name => "${bucket.name}-dr" }}',
        "placement": {
            "region": "${var.dr.region}",
            "subnet_group": None,
            "security_group_id": None,
            "cluster_parameter_group": "cluster-group",
            "instance_parameter_group": "instance-group",
        },
    },
    "events": {
        "queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/${var.name}",
        "queue_arn": "arn:aws:sqs:eu-west-1:123456789012:${var.name}",
    },
    "iam": {"role_arns": '${{ for name in keys(var.workloads) : name => "role/${name}" }}'},
    "kms": {
        "arns": {key: f"arn:aws:kms:eu-west-1:123456789012:key/{key}" for key in _KEYS},
        "ids": {key: f"mrk-{key}" for key in _KEYS},
    },
    "network": {
        "subnet_group": "subnets",
        "security_group_id": "sg-0d",
        "zones": ["eu-west-1a", "eu-west-1b", "eu-west-1c"],
    },
    "parameters": {"cluster_group": "cluster-group", "instance_group": "instance-group"},
    "scaling": {},
    "secrets": {"arns": '${{ for name in keys(var.secrets) : name => "secret:${name}" }}'},
}


class Refused(Exception):
    """Terraform did not accept the configuration or its variables."""


def root(folder: Path) -> Path:
    """The root module over modules that only answer, ready to be evaluated."""
    for path in ROOT.glob("*.tf"):
        if path.name != "versions.tf":
            content = re.sub(r"\n  providers += .*", "", path.read_text("utf-8"))
            (folder / path.name).write_text(content, "utf-8")
    for path in MODULES.iterdir():
        assert set(ANSWERS[path.name]) == set(module(path).outputs), path.name
        stub = folder / "modules" / path.name
        stub.mkdir(parents=True)
        shutil.copy(path / "variables.tf", stub)
        answers = {name: {"value": value} for name, value in ANSWERS[path.name].items()}
        if answers:
            (stub / "outputs.tf.json").write_text(json.dumps({"output": answers}), "utf-8")
    return _made(folder)


def part(folder: Path, name: str, file: str, outputs: dict[str, str]) -> Path:
    """The locals of one file of a module, ready to be evaluated.

    Args:
        outputs: what is asked for, by name; an expression each.
    """
    for each in ("variables.tf", file):
        shutil.copy(MODULES / name / each, folder)
    asked = {key: {"value": f"${{{expression}}}"} for key, expression in outputs.items()}
    (folder / "outputs.tf.json").write_text(json.dumps({"output": asked}), "utf-8")
    return _made(folder)


def evaluated(folder: Path, *files: Path, **variables: object) -> dict[str, Any]:
    """The outputs with these variables.

    Raises:
        Refused: with what Terraform says.
    """
    own = folder / "own.tfvars.json"
    own.write_text(json.dumps(variables), "utf-8")
    options = [f"-var-file={each}" for each in (*files, own)]
    _terraform(folder, "apply", "-auto-approve", "-input=false", *options)
    said = json.loads(_terraform(folder, "output", "-json"))
    return {name: output["value"] for name, output in said.items()}


def _made(folder: Path) -> Path:
    _terraform(folder, "init", "-input=false")
    return folder


def _terraform(folder: Path, *arguments: str) -> str:
    assert TERRAFORM is not None
    found = subprocess.run(
        [TERRAFORM, f"-chdir={folder}", arguments[0], "-no-color", *arguments[1:]],
        capture_output=True,
        text=True,
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"},
        check=False,
    )
    if found.returncode:
        raise Refused(" ".join(re.sub(r"[│╷╵]", "", found.stderr).split()))
    return found.stdout
