"""What Dagster loads: the graph, its checks and its automation, quickly and in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from greenlang_vectors.definitions import defs
from greenlang_vectors.quality.checks import CHECKS
from resources import pools

GRAPH = {
    "documents": (set(), None),
    "chunks": ({"documents"}, None),
    "embeddings": ({"chunks"}, "embedding_model"),
    "vector_index": ({"embeddings"}, "index_build"),
    "search_quality": ({"vector_index"}, None),
}
BESIDE = {"collection_comparison": ({"search_quality"}, None)}
WEAVIATE = {
    "weaviate_backfill": (set(), "weaviate_backfill"),
    "weaviate_verification": ({"weaviate_backfill"}, None),
}
BACKUP = {
    "backup_export": ({"search_quality"}, "backup"),
    "restore_drill": ({"backup_export"}, "restore_drill"),
}
BACKUP_CHECKS = {  # and whether they block
    "export_intact": True,
    "export_proven": True,
    "recovery_time": False,
    "recovery_point": False,
}
AURORA = {"aurora_snapshots": (set(), None)}
CAPACITY = {"capacity_plan": (set(), None)}
GROUPS = {
    **dict.fromkeys(GRAPH, "ingestion"),
    **dict.fromkeys(BESIDE, "collections"),
    **dict.fromkeys(WEAVIATE, "weaviate"),
    **dict.fromkeys(BACKUP | AURORA, "backup"),
    **dict.fromkeys(CAPACITY, "capacity"),
}
TIMES_DAGSTER = 3.5
HEAVY = [
    *("torch", "sentence_transformers", "transformers", "great_expectations", "pandas"),
    *("weaviate", "grpc", "pyarrow", "boto3", "botocore", "matplotlib", "PIL"),
]

LOAD = f"""
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from greenlang_vectors.definitions import defs
    defs.get_repository_def()
stages = ("BetaWarning", "PreviewWarning")
ours = [
    str(w)
    for w in caught
    if "site-packages" not in w.filename or w.category.__name__ in stages
]
assert not ours, ours
heavy = [name for name in {HEAVY!r} if name in sys.modules]
assert not heavy, heavy
"""


@pytest.fixture(scope="module")
def assets() -> list[dg.AssetsDefinition]:
    return [a for a in defs.assets or [] if isinstance(a, dg.AssetsDefinition)]


@pytest.fixture
def bare_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DAGSTER", "GREENLANG", "PYTHONWARNINGS"))
    }


def run(
    command: list[str], repository: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_graph_is_this(assets: list[dg.AssetsDefinition]) -> None:
    graph = {
        asset.key.to_user_string(): (
            {dep.asset_key.to_user_string() for dep in asset.specs_by_key[asset.key].deps},
            asset.op.pool,
        )
        for asset in assets
    }
    assert graph == GRAPH | BESIDE | WEAVIATE | BACKUP | AURORA | CAPACITY


def test_whatever_starts_runs_says_what_it_is() -> None:
    for each in [*(defs.sensors or []), *(defs.schedules or [])]:
        assert len(each.description or "") > 30, each.name


def test_every_asset_says_what_it_is(assets: list[dg.AssetsDefinition]) -> None:
    for asset in assets:
        spec = asset.specs_by_key[asset.key]
        assert spec.description, asset.key
        assert len(spec.description) > 50, asset.key
        assert spec.group_name == GROUPS[asset.key.to_user_string()]
        assert spec.owners == ["team:data-platform"]
        assert "postgres" in spec.kinds
        assert spec.code_version
        if asset.key.to_user_string() not in AURORA | CAPACITY:  # of a whole cluster
            assert spec.partitions_def == dg.DynamicPartitionsDefinition(name="namespace")
        assert spec.automation_condition is None  # schedules and sensors ask for whole runs


def test_every_pool_is_made_known_before_runs_ask_for_it(assets: list[dg.AssetsDefinition]) -> None:
    used = {pool for each in assets for pool in each.op.pools}
    assert used == {*pools.POOLS}
    limits = {"concurrency": {"pools": {"default_limit": 1}}}
    with dg.instance_for_test(overrides=limits) as instance:
        pools.make_known(instance)
        assert instance.event_log_storage.get_concurrency_keys() >= {*pools.POOLS}
        pools.make_known(instance)


def test_every_check_of_the_library_is_an_asset_check_of_a_partition() -> None:
    found = {}
    for definition in defs.asset_checks or []:
        for spec in definition.check_specs:
            if spec.name == "weaviate_equal":
                assert spec.blocking
                continue
            if spec.name in {"every_namespace_refreshed", "no_job_is_stuck"}:
                assert (spec.blocking, spec.partitions_def) == (False, None)
                continue
            if spec.asset_key.to_user_string() in AURORA:
                assert not spec.blocking
                continue
            if spec.asset_key.to_user_string() in BACKUP:
                assert spec.blocking == BACKUP_CHECKS[spec.name]
                continue
            found[spec.name] = (spec.asset_key.to_user_string(), spec.blocking, spec.description)
            assert spec.partitions_def == dg.DynamicPartitionsDefinition(name="namespace")
    assert found == {c.name: (c.stage, c.blocking, c.description) for c in CHECKS}


def test_the_steps_of_a_move_are_observed_beside_it() -> None:
    [steps] = [each for each in defs.assets or [] if isinstance(each, dg.AssetSpec)]
    assert (steps.key.to_user_string(), steps.group_name) == ("weaviate_steps", "weaviate")
    assert steps.partitions_def == dg.DynamicPartitionsDefinition(name="namespace")


def test_the_job_that_moves_a_namespace_compares_it_and_is_no_part_of_others() -> None:
    job = defs.resolve_job_def("migrate_from_weaviate")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(WEAVIATE)
    [check] = job.asset_layer.asset_graph.asset_check_keys
    assert (check.asset_key.to_user_string(), check.name) == (
        "weaviate_verification",
        "weaviate_equal",
    )
    assert job.executor_def is dg.in_process_executor


def test_the_job_runs_all_stages_with_their_checks_in_one_process() -> None:
    job = defs.resolve_job_def("ingest")
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == set(GRAPH)
    checks = {key.name for key in job.asset_layer.asset_graph.asset_check_keys}
    assert checks == {
        *(check.name for check in CHECKS),
        *("every_namespace_refreshed", "no_job_is_stuck"),
    }
    assert job.executor_def is dg.in_process_executor


def test_schedules_and_sensors_run_from_the_start() -> None:
    repository = defs.get_repository_def()
    schedules = {s.name: (s.cron_schedule, s.default_status) for s in repository.schedule_defs}
    on = dg.DefaultScheduleStatus.RUNNING
    assert schedules == {
        "daily_refresh": ("0 3 * * *", on),
        "daily_housekeeping": ("0 5 * * *", on),
        "daily_exports": ("0 1 * * *", on),
        "daily_drills": ("0 2 * * *", on),
        "daily_pruning": ("0 6 * * *", on),
        "daily_aurora_snapshots": ("0 0 * * *", on),
        "hourly_recovery_objectives": ("30 * * * *", on),
        "daily_capacity_plan": ("0 7 * * *", on),
    }
    sensors = {s.name: s.default_status for s in repository.sensor_defs}
    assert sensors == dict.fromkeys(
        [
            *("namespace_registry", "source_changes", "growing_tails", "failed_runs"),
            *("weaviate_relay", "weaviate_gates", "bucket_events", "topic_messages"),
        ],
        dg.DefaultSensorStatus.RUNNING,
    )


def test_the_code_location_loads_lean_and_in_silence(
    repository: Path, bare_environment: dict[str, str]
) -> None:
    loaded = run(["-c", LOAD], repository, bare_environment)
    assert (loaded.returncode, loaded.stdout, loaded.stderr) == (0, "", "")
    plain = run(["-c", "import greenlang_vectors.definitions"], repository, bare_environment)
    assert (plain.returncode, plain.stdout, plain.stderr) == (0, "", "")


def test_the_code_location_loads_in_few_times_what_dagster_takes(
    repository: Path, bare_environment: dict[str, str]
) -> None:
    """The best of three each, in processor time: other programs may be busy."""

    def seconds(module: str) -> float:
        before = os.times()
        run(["-c", f"import {module}"], repository, bare_environment)
        after = os.times()
        return (after.children_user + after.children_system) - (
            before.children_user + before.children_system
        )

    modules = ("dagster", "greenlang_vectors.definitions")
    dagster, ours = (min(seconds(module) for _ in range(3)) for module in modules)
    assert ours < TIMES_DAGSTER * dagster


def test_dagster_validates_it_in_a_fresh_clone(
    repository: Path, bare_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = bare_environment | {"GREENLANG_DATA_DIR": str(tmp_path)}
    validated = run(["-m", "dagster", "definitions", "validate"], repository, environment)
    assert validated.returncode == 0, validated.stderr + validated.stdout
    assert "All code locations passed validation" in validated.stderr + validated.stdout
    assert "WARNING" not in validated.stderr + validated.stdout
