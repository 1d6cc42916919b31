"""`plan`: what a deployment of some size takes, and costs a month, before anything is deployed."""

from __future__ import annotations

import re
from typing import cast, get_args

import click
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, output, print_json
from greenlang_vectors.errors import UsageError
from greenlang_vectors.planning import report
from greenlang_vectors.planning.costs import keeping
from greenlang_vectors.planning.embedding_work import dimensions_of
from greenlang_vectors.planning.plan import Plan, Workload, plan
from greenlang_vectors.planning.sizes import RowShape
from greenlang_vectors.settings import ProfileName, get_settings
from greenlang_vectors.store.index_settings import IndexSettings, Kind, Storage

_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMbB]?)")
_TIMES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


class Count(click.ParamType[int]):
    """A number of rows such as 250000, 100k, 1.5M or 1B."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """See `click.ParamType`."""
        matched = _COUNT.fullmatch(str(value).replace(",", "").replace("_", ""))
        if matched is None:
            self.fail(f"{value!r} is no number such as 250000, 100k or 1.5M.", param, ctx)
        return round(float(matched[1]) * _TIMES[matched[2].lower()])


@click.command("plan")
@click.option("--vectors", type=Count(), required=True, help="Embeddings: 250000, 100k, 1.5M, 1B.")
@click.option("--model", default="all-MiniLM-L6-v2", show_default=True, help="That makes them.")
@click.option("--dimensions", type=click.IntRange(1, 16_000), help="The model's, if not known.")
@click.option("--index", "kind", type=click.Choice(get_args(Kind)), default="hnsw")
@click.option("--storage", type=click.Choice(get_args(Storage)), default="vector")
@click.option(
    "--qps", type=click.FloatRange(0), default=10.0, show_default=True, help="Searches/s."
)
@click.option(
    "--monthly", type=Count(), default="0", help="Embeddings written a month, new and changed."
)
@click.option("--tokens", type=click.IntRange(1), help="Of a chunk, on average; 400 by default.")
@click.option("--profile", type=click.Choice(get_args(ProfileName)), default="production")
@click.option("--family", default="r6g", show_default=True, help="Of the instances: r6g, r7g, r8g.")
@as_json_option
def plan_command(
    vectors: int,
    model: str,
    dimensions: int | None,
    kind: str,
    storage: str,
    qps: float,
    monthly: int,
    tokens: int | None,
    profile: str,
    family: str,
    as_json: bool,
) -> None:
    """Say what so many embeddings take: bytes, memory, build time, instances, a month's bill."""
    if vectors < 1:
        raise UsageError("--vectors must be at least 1.")
    made = plan(
        Workload(
            vectors=vectors,
            dimensions=dimensions_of(model, dimensions),
            model=model,
            index=IndexSettings(kind=cast("Kind", kind), storage=cast("Storage", storage)),
            qps=qps,
            monthly_rows=monthly,
            profile=cast("ProfileName", profile),
            family=family,
            keeping=keeping(get_settings(), cast("ProfileName", profile)),
            shape=RowShape(
                model_bytes=len(model), **({} if tokens is None else {"tokens": tokens})
            ),
        )
    )
    if as_json:
        print_json(report.as_json(made))
    else:
        _print(made)


def _print(made: Plan) -> None:
    output.print(_sizes(made), _work(made), _bill(made), _beyond(made), sep="\n")
    for way in made.ways:
        output.print(f"[bold]{way.name}[/]: {way.what} Not with it: {way.cannot}", highlight=False)
    prices = made.prices
    checked = "" if prices.verified else ", not verified with AWS"
    output.print(
        f"Prices of {prices.region}, {prices.dated:%Y-%m-%d}{checked}: planning/prices.toml.",
        highlight=False,
    )
    for remark in made.remarks:
        errors.print(remark, highlight=False)


def _sizes(made: Plan) -> Table:
    workload = made.workload
    table = Table(
        title=f"{workload.vectors:,} x {workload.dimensions}, {made.index.kind}"
        f" {made.index.storage}, {workload.profile}",
        show_header=False,
    )
    table.add_column()
    table.add_column(justify="right")
    for name, size in report.bytes_of(made.sizes):
        table.add_row(name, report.human(size))
    table.add_section()
    table.add_row("stored", report.human(made.sizes.total))
    for field, title in report.WAL_NAMES.items():
        table.add_row(title, report.human(getattr(made.sizes, field)))
    return table


def _work(made: Plan) -> Table:
    machines, embedding = made.machines, made.embedding
    table = Table(title="memory, time and machines", show_header=False)
    hours = "" if embedding.core_hours is None else f"{embedding.core_hours:,.1f} core hours, "
    for name, value in {
        "to keep in memory, writer": report.human(machines.writer_bytes),
        "to keep in memory, readers": report.human(machines.reader_bytes),
        "index build": report.build_words(made.build),
        "one search": f"{machines.search_ms:,.1f} ms of a core, index in memory",
        "searches/s of a reader": f"{machines.reader_qps:,.0f} at half its processors",
        "writer": machines.writer or "none is large enough",
        "readers": f"{machines.readers} x {machines.reader or 'none is large enough'}",
        "embedding": f"{embedding.tokens:,} tokens, {hours}${embedding.dollars:,.2f} once"
        f" ({embedding.basis})",
    }.items():
        table.add_row(name, value)
    return table


def _bill(made: Plan) -> Table:
    budget = made.prices.budget[made.workload.profile]
    table = Table("component", "$ a month", "PRD 15.1", "how", title="a month")
    for cost in made.bill.costs:
        limit = "" if cost.budget is None else f"{cost.budget:,.0f}"
        table.add_row(cost.component, f"{cost.usd:,.0f}", limit, cost.basis)
    table.add_section()
    chosen, other = "I/O-Optimized", "standard"
    if not made.bill.io_optimized:
        chosen, other = other, chosen
    table.add_row("total", f"{made.bill.usd:,.0f}", f"{budget.total:,.0f}", f"storage: {chosen}")
    table.add_row(
        "",
        f"{made.bill.other_usd:,.0f}",
        f"{made.prices.key_result.total:,.0f}",
        f"storage: {other}; beside it PRD 3.2",
    )
    table.add_row("", f"{made.bill.reserved_usd:,.0f}", "", "instances reserved for a year (15.3)")
    table.add_row(
        "", f"{made.serverless_usd:,.0f}", "", "the instances alone, as Serverless v2 at full size"
    )
    table.add_section()
    for name, usd in made.prices.alternatives.items():
        table.add_row(name, f"{usd:,.0f}", "", "PRD 15.2, of 100,000,000 vectors")
    return table


def _beyond(made: Plan) -> Table:
    table = Table("index holds", "vectors, at most", "on", title="one instance")
    for limit in made.limits:
        rows = "too many dimensions" if limit.rows is None else f"{limit.rows:,}"
        table.add_row(limit.storage, rows, limit.instance)
    return table
