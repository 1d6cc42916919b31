"""What the overlays of deploy/kubernetes call things is what Terraform calls them."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from . import evaluation
from .configuration import PROFILES, ROOT, module
from .evaluation import GIVEN, evaluated

pytestmark = pytest.mark.skipif(
    evaluation.TERRAFORM is None, reason="there is no terraform on this machine"
)

OVERLAYS = ROOT.parent / "kubernetes" / "overlays"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluation.root(tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize("profile", PROFILES)
def test_an_overlay_names_what_terraform_makes(root: Path, profile: str) -> None:
    overlay = OVERLAYS / profile
    accounts = list(yaml.safe_load_all((overlay / "roles.yaml").read_text("utf-8")))
    arns = {
        each["metadata"]["name"]: each["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
        for each in accounts
    }
    [number] = {arn.split(":")[4] for arn in arns.values()}
    oidc = GIVEN["oidc_provider_arn"].replace("123456789012", number)
    file = ROOT / "environments" / f"{profile}.tfvars"
    found = evaluated(root, file, **(GIVEN | {"oidc_provider_arn": oidc}))
    _roles_match(arns, profile)
    _settings_match(overlay, found)
    _servers_match(overlay, found["database"])


def _roles_match(arns: dict[str, str], profile: str) -> None:
    workloads = module(ROOT).variables["workloads"]["default"]
    takers = {
        account: name for name, each in workloads.items() for account in each["service_accounts"]
    }
    for account, arn in arns.items():
        assert arn.endswith(f":role/greenlang-vectors-{profile}-{takers[account]}"), account


def _settings_match(overlay: Path, found: dict[str, Any]) -> None:
    lines = (overlay / "settings.env").read_text("utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    made = found["environment"]["backup"] | found["environment"]["snapshots"]
    for name, value in settings.items():
        alias = re.fullmatch(r"alias/[\w-]+-(\w+)", value)
        if alias:  # of the key whose ARN Terraform says
            assert made[name].endswith(f"/{alias[1]}"), name
        else:
            assert value == made[name], name
    # What the application would otherwise decide by itself, and Terraform would set back.
    automated = settings.get("GREENLANG_AURORA_AUTOMATED_DAYS", "35")
    assert automated == made["GREENLANG_AURORA_AUTOMATED_DAYS"]
    aurora = {name for name in made if name.startswith("GREENLANG_AURORA_DR_")}
    assert aurora <= set(settings)


def _servers_match(overlay: Path, made: dict[str, Any]) -> None:
    read = configparser.ConfigParser()
    read.read_string((overlay / "databases.ini").read_text("utf-8"))
    hosts = [re.sub(r".*host=([\w-]+)\..*", r"\1", value) for value in read["databases"].values()]
    names = [endpoint.partition(".")[0] for endpoint in made["instances"]]
    assert hosts == [made["writer"].partition(".")[0], *names[1:]]
