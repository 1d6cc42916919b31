"""Parameter groups are PRD 18.2's and 10.4's, and alarms are 9.2's, for each size of instance."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from greenlang_vectors.store.audit import PGAUDIT_SETTINGS

from . import evaluation
from .configuration import MODULES, ROOT, module, parsed
from .evaluation import evaluated

pytestmark = pytest.mark.skipif(
    evaluation.TERRAFORM is None, reason="there is no terraform on this machine"
)

GIB = 2**30

# PRD 18.2, in bytes: on the 64 GiB that its numbers are of.
PRD = {
    "effective_cache_size": 48 * GIB,
    "maintenance_work_mem": 2 * GIB,
    "work_mem": 256 * 2**20,
}
UNITS = {"shared_buffers": 8192, "effective_cache_size": 8192}
"""Bytes of a number; 1,024 for the others."""


def bytes_of(name: str, formula: str, memory: int) -> int:
    """What AWS makes of a formula on an instance with so many bytes."""
    found = re.fullmatch(r"\{DBInstanceClassMemory/(\d+)\}", formula)
    assert found, formula
    return memory // int(found[1]) * UNITS.get(name, 1024)


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = evaluation.part(
        tmp_path_factory.mktemp("parameters"),
        "parameters",
        "settings.tf",
        {
            "instance": "local.instance_settings",
            "cluster": "local.cluster_settings",
            "static": "local.static_settings",
            "family": "local.family",
        },
    )
    default = module(ROOT).variables["shared_buffers_percent"]["default"]
    return evaluated(folder, name="x", engine_version="17.7", shared_buffers_percent=default)


def test_memory_is_that_of_the_prd_and_grows_with_the_instance(groups: dict[str, Any]) -> None:
    for name, wanted in PRD.items():
        formula = groups["instance"][name]
        assert bytes_of(name, formula, 64 * GIB) == pytest.approx(wanted, rel=0.001), name
        assert bytes_of(name, formula, 16 * GIB) == pytest.approx(wanted / 4, rel=0.001), name


def test_buffers_are_what_aurora_has_in_place_of_a_page_cache(groups: dict[str, Any]) -> None:
    formula = groups["instance"]["shared_buffers"]
    share = bytes_of("shared_buffers", formula, 64 * GIB) / (64 * GIB)
    assert share == pytest.approx(0.65, rel=0.001)
    [said] = [
        line
        for line in (ROOT.parents[1] / "docs" / "aws.md").read_text("utf-8").splitlines()
        if line.startswith("| `shared_buffers")
    ]
    assert "65 by default" in said


def test_the_planner_is_told_what_the_prd_says(groups: dict[str, Any]) -> None:
    assert groups["instance"]["random_page_cost"] == "1.1"
    assert groups["instance"]["max_parallel_workers_per_gather"] == "4"


def test_nothing_of_the_prd_is_missing_but_what_a_search_sets_itself(
    groups: dict[str, Any],
) -> None:
    prd = {*PRD, "shared_buffers", "random_page_cost", "max_parallel_workers_per_gather"}
    assert set(groups["instance"]) == prd  # and hnsw.ef_search, which is no parameter of AWS's


def test_audit_is_that_of_the_prd(groups: dict[str, Any]) -> None:
    plain = {"on": "1", "off": "0"}
    for name, value in PGAUDIT_SETTINGS.items():
        wanted = plain.get(value, value.replace(" ", ""))
        assert groups["cluster"][name] == wanted, name
    assert "pgaudit" in groups["cluster"]["shared_preload_libraries"].split(",")


def test_tls_is_forced_and_parameters_are_not_logged(groups: dict[str, Any]) -> None:
    cluster = groups["cluster"]
    assert cluster["rds.force_ssl"] == "1"
    assert cluster["log_parameter_max_length"] == "0"
    assert cluster["log_statement"] == "none"


def test_the_family_is_that_of_the_version(groups: dict[str, Any]) -> None:
    assert groups["family"] == "aurora-postgresql17"
    assert set(groups["static"]) <= set(groups["instance"]) | set(groups["cluster"])


def test_alarms_are_raised_where_the_prd_says(tmp_path: Path) -> None:
    folder = evaluation.part(tmp_path, "alarms", "thresholds.tf", {"alarms": "local.by_part"})
    found = evaluated(
        folder,
        name="x",
        cluster="x",
        memory_gib={"WRITER": 64, "READER": 32},
        connections=200,
        kms_key_arn="x",
        emails=[],
    )["alarms"]
    limits = {name: (alarm["comparison"], alarm["threshold"]) for name, alarm in found.items()}
    assert limits["writer-cpu"] == ("GreaterThanThreshold", 70)
    assert limits["writer-memory"] == ("LessThanThreshold", 64 * GIB * 0.2)
    assert limits["reader-memory"] == ("LessThanThreshold", 32 * GIB * 0.2)
    assert limits["reader-connections"] == ("GreaterThanThreshold", 160)


def test_readers_are_scaled_towards_the_prds_targets() -> None:
    scaling = module(MODULES / "scaling")
    assert scaling.variables["cpu_percent"]["default"] == 50
    [policy] = [each for (kind, _), each in scaling.resources.items() if kind.endswith("_policy")]
    assert set(policy["for_each"]) == {
        "RDSReaderAverageCPUUtilization",
        "RDSReaderAverageDatabaseConnections",
    }
    assert "/ 2" in module(ROOT).calls["scaling"]["connections"]


def test_production_is_as_the_prd_sizes_and_keeps_it() -> None:
    production = parsed(ROOT / "environments" / "production.tfvars")
    assert production["writer_class"] == "db.r6g.2xlarge"  # 5.4.1, 4.2
    assert production["reader_class"] == "db.r6g.xlarge"
    assert production["readers"] == 2
    assert production["automated_backup_days"] == 35  # 12.1
    assert production["snapshot_days"] == 90
    assert production["dr"]["region"] != production["region"]
    assert parsed(ROOT / "environments" / "dev.tfvars")["writer_class"] == "db.r6g.large"
    assert parsed(ROOT / "environments" / "staging.tfvars")["writer_class"] == "db.r6g.xlarge"
