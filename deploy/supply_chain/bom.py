"""The bill of materials (CycloneDX JSON): the packages that run, as they are installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from deploy.supply_chain.packages import licence, runtime

ROOT = Path(__file__).resolve().parents[2]


def bill() -> dict[str, Any]:
    """CycloneDX's own tool lists the environment; what only tests and tools need is left out.

    Its entries are in order and without a time, so that two bills can be compared. The tool's own
    validation is left out: it takes half a minute, and would come before what is left out here.

    Raises:
        subprocess.CalledProcessError: the tool fails.
    """
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable]
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
    options += ["--no-validate", "--of", "JSON"]
    said = subprocess.run([*command, *options], capture_output=True, check=True)  # noqa: S603
    made: dict[str, Any] = json.loads(said.stdout)
    running = runtime()
    named: dict[str, Any] = {canonicalize_name(e["name"]): e for e in made["components"]}
    for name, package in running.items():
        named[name].setdefault("licenses", [{"license": {"name": licence(package)}}])
    made["components"] = [each for name, each in named.items() if name in running]
    kept = {each["bom-ref"] for each in made["components"]}
    kept.add(made["metadata"]["component"]["bom-ref"])
    made["dependencies"] = [
        {**each, "dependsOn": [other for other in each.get("dependsOn", []) if other in kept]}
        for each in made["dependencies"]
        if each["ref"] in kept
    ]
    return made
