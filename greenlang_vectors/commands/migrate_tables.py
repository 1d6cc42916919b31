"""What `greenlang-vectors migrate` shows people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import output
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.migration.objects import NO_TENANT

if TYPE_CHECKING:
    from greenlang_vectors.migration.comparison import Difference
    from greenlang_vectors.migration.decommission import Decommissioned
    from greenlang_vectors.migration.dry_run import DryRun
    from greenlang_vectors.migration.gates import Gate
    from greenlang_vectors.migration.overview import Overview
    from greenlang_vectors.migration.repair import Repaired
    from greenlang_vectors.migration.verification import Verification
    from greenlang_vectors.store.weaviate_migrations import Step

SHOWN = 20
"""Differences, and other items of a long list, that are shown; `--json` has all of them."""

STEPS = 8
"""Steps that are shown, the newest."""

CELL = 60
"""Characters of a mapped row's cell that are shown."""


def show_overview(seen: Overview) -> None:
    """Print all of one move."""
    state, waiting = seen.state, seen.waiting
    table = Table(title=state.namespace, title_justify="left", show_header=False, box=None)
    table.add_row("phase", f"[bold]{state.phase}[/bold]")
    table.add_row(
        "answered by pgvector", f"{state.share}% of callers since {_moment(state.share_since)}"
    )
    table.add_row(
        "backfill",
        f"{seen.backfill.objects:,} objects, {seen.backfill.done} of {seen.backfill.ranges} ranges",
    )
    refused = f", {waiting.refused:,} of them refused" if waiting.refused else ""
    oldest = f", the oldest for {waiting.oldest_seconds:,.0f} s" if waiting.oldest_seconds else ""
    table.add_row("wait for Weaviate", f"{waiting.documents:,} documents{refused}{oldest}")
    table.add_row("verification", _verified(seen))
    failed = ", ".join(f"{stage} {count:,}" for stage, count in seen.dead_letters.items() if count)
    table.add_row("dead letters", f"[red]{failed}[/red]" if failed else "none")
    output.print(table)
    if seen.gates:
        output.print(gates_table(seen.gates))
    output.print(steps_table(seen.steps[-STEPS:]))


def gates_table(gates: Sequence[Gate]) -> Table:
    """What is shown at each gate, and what it wants."""
    table = Table("gate", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("shows", "wants"):
        table.add_column(column, justify="right")
    table.add_column("")
    for gate in gates:
        sign = "≥" if gate.at_least else "≤"
        value = "–" if gate.value is None else f"{gate.value:,.4g}"
        table.add_row(gate.name, value, f"{sign} {gate.limit:,.4g}", _judged(gate))
    return table


def _judged(gate: Gate) -> str:
    if gate.breached:
        return "[red]breached[/red]"
    if not gate.holds:
        return "not yet"
    return "no such search" if gate.value is None else "holds"


def steps_table(steps: Sequence[Step]) -> Table:
    """Steps that were taken, and what each rested on."""
    table = Table("when (UTC)", "who", "step", "phase", "share", "evidence", box=SIMPLE_HEAD)
    for each in steps:
        table.add_row(
            _moment(each.taken_at),
            each.taken_by,
            each.step,
            each.phase,
            f"{each.share}%",
            escape(_said(each.evidence)),
        )
    return table


def show_dry_run(found: DryRun) -> None:
    """Print what a move would bring, and what would not fit."""
    tenants = "" if NO_TENANT in found.tenants else f" of {len(found.tenants):,} tenants"
    output.print(
        f"{found.collection} (Weaviate {found.server_version}): {found.objects:,} objects{tenants};"
        f" {found.sampled:,} were looked at, {found.refused:,} of them cannot be carried.",
        highlight=False,
    )
    way = "page by page" if found.export is None else f"from the server's export to {found.export}"
    output.print(f"A backfill reads it {way}.", highlight=False)
    vectors = Table("vector", "model", "metric", "dimensions", "likeness", "", box=SIMPLE_HEAD)
    for each in found.vectors:
        vectors.add_row(
            each.name or "–",
            each.model,
            each.metric or "–",
            str(each.dimensions or "–"),
            "–" if each.likeness is None else f"{each.likeness:.3f}",
            "searched with ready vectors only" if each.supplied else "",
        )
    output.print(vectors)
    rows = Table("document", "chunk", "title", "content", "metadata", box=SIMPLE_HEAD)
    for row in found.rows:
        shown = (row.document, str(row.chunk_index), row.title, row.content, str(row.metadata))
        rows.add_row(*(escape(_cut(text)) for text in shown))
    output.print(rows)
    for problem in found.problems:
        kind = "[red]does not fit[/red]" if problem.fatal else "[yellow]note[/yellow]"
        output.print(
            f"{kind} {escape(f'{problem.message} {problem.remedy}')}",
            soft_wrap=True,
            highlight=False,
        )


def show_repaired(done: Repaired) -> None:
    """Print what was mended, and what could not be."""
    if not (done.mended or done.left or done.under_way):
        output.print("The newest verification names nothing that differs.")
        return
    output.print(
        f"{len(done.mended):,} objects are the same now; {len(done.left):,} differ still,"
        f" {len(done.under_way):,} are on their way.",
        highlight=False,
    )
    if done.left:
        output.print(_differences(done.left))


def show_decommissioned(done: Decommissioned) -> None:
    """Print how a move ended, and what deletes Weaviate's data."""
    report = done.report
    output.print(
        f"{report.namespace} has left Weaviate: {report.compared.weaviate:,} objects compared,"
        f" {report.manifest.objects:,} archived and read back.",
        highlight=False,
    )
    for name in (done.markdown_key, done.json_key):
        output.print(f"  {name}", soft_wrap=True, highlight=False)
    for warning in report.warnings:
        output.print(f"[red]{escape(warning)}[/red]", soft_wrap=True, highlight=False)
    if report.commands:
        output.print("Weaviate still holds its data. This deletes it, for good:")
    for command in report.commands:
        output.print(f"  {command}", soft_wrap=True, highlight=False, markup=False)


def show_verification(found: Verification) -> None:
    """Print what a verification found."""
    overlap = (
        "" if found.overlap is None else f" overlap@{found.overlap.k} {found.overlap.mean:.3f}."
    )
    output.print(
        f"{found.weaviate:,} objects in Weaviate, {found.pgvector:,} passages in pgvector;"
        f" {found.differing:,} differ, {found.under_way:,} are on their way,"
        f" {found.waiting:,} documents wait.{overlap}",
        highlight=False,
    )
    for failure in found.failures:
        output.print(f"[red]failed[/red] {escape(failure)}", soft_wrap=True, highlight=False)
    if found.differences:
        output.print(_differences(found.differences))
    if found.differing > SHOWN:
        output.print(f"… and {found.differing - SHOWN:,} more; --json names them.")


def _differences(found: Sequence[Difference]) -> Table:
    table = Table("object", "tenant", "differs in", "detail", box=SIMPLE_HEAD)
    for each in found[:SHOWN]:
        table.add_row(str(each.object_id), each.tenant, each.kind, escape(each.detail))
    return table


def _cut(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= CELL else f"{line[: CELL - 1]}…"


def _verified(seen: Overview) -> str:
    found = seen.verified
    if found is None:
        return "never made"
    if found.clean:
        return f"[green]clean[/green] at {_moment(found.finished_at)}"
    open_ = f"{seen.open_differences:,} differences open. " if seen.open_differences else ""
    return f"[red]not clean[/red] at {_moment(found.finished_at)}: {open_}{escape(found.said)}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _said(evidence: Mapping[str, JSON]) -> str:
    """Evidence in words; of what is nested, what was measured."""
    return ", ".join(f"{name} {_value(value)}" for name, value in evidence.items() if value != [])


def _value(value: JSON) -> str:
    if isinstance(value, dict):
        measured = {
            k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in value.items()
        }
        return f"({_said(measured)})"
    if isinstance(value, list):
        return ", ".join(map(str, value)) if len(value) <= 3 else str(len(value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
