"""`slo report`: whether a month's searches kept what was promised."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import click
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, opened, output, print_json
from greenlang_vectors.monitoring import probes, slo
from greenlang_vectors.monitoring.slo import Level
from greenlang_vectors.settings import get_settings


@click.group("slo")
def slo_group() -> None:
    """The service levels that are promised (PRD 14.1)."""


@slo_group.command("report")
@click.option("--month", metavar="YYYY-MM", help="This month by default; in UTC.")
@click.option("--prometheus", metavar="URL", help="Ask this Prometheus what was up meanwhile.")
@as_json_option
def report_slo(month: str | None, prometheus: str | None, as_json: bool) -> None:
    """Show a month's availability, latency, recall and error budget, by the search log."""
    settings = get_settings()
    with opened(settings) as database, database.connect() as connection:
        report = slo.report(connection, settings, month, datetime.now(UTC))
    seen = None if prometheus is None else probes.uptime(prometheus, report.start, report.until)
    if as_json:
        print_json({**report.as_json(), "probes": seen and asdict(seen)})
        return
    table = Table(
        "namespace",
        "searches",
        "failed",
        "availability",
        "error budget left",
        "P50",
        "P99",
        "recall@10",
        "missed",
        title=f"{report.month}, {report.since:%d %H:%M} to {report.until:%d %H:%M} UTC",
    )
    for level in report.levels:
        table.add_row(*_cells(level))
    table.add_section()
    table.add_row(*_cells(report.total))
    output.print(table)
    output.print(
        f"Promised: availability {slo.AVAILABILITY:.1%}, P50 below {slo.P50_MS:g} ms, P99 below"
        f" {slo.P99_MS:g} ms, recall as each namespace says.",
        highlight=False,
    )
    if seen is not None:
        output.print(
            f"Probes: the database was up in {_number(seen.database, '{:.3%}')} of scrapes, the API"
            f" in {_number(seen.api, '{:.3%}')}.",
            highlight=False,
        )
    for remark in report.remarks:
        errors.print(remark, highlight=False)


def _cells(level: Level) -> list[str]:
    recall = _number(level.recall_at_10, "{:.3f}")
    if level.recall_target is not None:
        recall += f" of {level.recall_target:g}"
    return [
        level.namespace or "all",
        f"{level.searches:,}",
        f"{level.failed:,}",
        _number(level.availability, "{:.3%}"),
        _number(level.budget_left, "{:.0%}"),
        _number(level.latency_p50_ms, "{:.1f} ms"),
        _number(level.latency_p99_ms, "{:.1f} ms"),
        recall,
        ", ".join(level.missed),
    ]


def _number(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
