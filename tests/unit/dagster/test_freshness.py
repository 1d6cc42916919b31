"""What schedules make once a day has a policy that is missed neither in silence nor in vain."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import yaml
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from greenlang_vectors.definitions import defs


def made_daily() -> set[dg.AssetKey]:
    """What the jobs of schedules materialize that run once a day."""
    schedules = defs.get_repository_def().schedule_defs
    daily = [each for each in schedules if str(each.cron_schedule).endswith("* * *")]
    return {
        key
        for each in daily
        if not str(each.cron_schedule).split()[1].startswith("*")
        for key in defs.resolve_job_def(each.job_name).asset_layer.executable_asset_keys
    }


def test_everything_that_is_made_daily_has_a_policy_and_nothing_else_has() -> None:
    policies = {
        spec.key: spec.freshness_policy
        for spec in defs.resolve_all_asset_specs()
        if spec.freshness_policy is not None
    }
    assert set(policies) == made_daily()
    assert {key.to_user_string() for key in policies} >= {
        *("documents", "chunks", "embeddings", "vector_index", "search_quality"),
        *("backup_export", "restore_drill", "aurora_snapshots"),
    }
    for policy in policies.values():
        assert isinstance(policy, TimeWindowFreshnessPolicy)
        assert policy.warn_window is not None
        day = timedelta(days=1)
        warns, fails = policy.warn_window.to_timedelta(), policy.fail_window.to_timedelta()
        assert day < warns < fails < 2 * day


def test_the_daemon_judges_freshness(repository: Path) -> None:
    settings = yaml.safe_load((repository / "dagster.yaml").read_text())
    del settings["storage"]
    with dg.instance_for_test(overrides=settings) as instance:
        assert "FRESHNESS_DAEMON" in instance.get_required_daemon_types()
