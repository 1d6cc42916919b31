"""The plan of a deployment: sizes, memory, builds, machines, a month's bill, what comes after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from greenlang_vectors.errors import UsageError
from greenlang_vectors.monitoring.slo import P50_MS, P99_MS
from greenlang_vectors.planning import outlook
from greenlang_vectors.planning.builds import BuildPlan, build_plan
from greenlang_vectors.planning.costs import Bill, Keeping, bill, serverless_usd
from greenlang_vectors.planning.embedding_work import EmbeddingWork, embedding_work
from greenlang_vectors.planning.machines import Machines, machines
from greenlang_vectors.planning.prices import Prices, prices
from greenlang_vectors.planning.sizes import LeafSizes, RowShape, leaf_sizes
from greenlang_vectors.settings import PROFILES, ProfileName
from greenlang_vectors.store.index_settings import IndexSettings, resolved
from greenlang_vectors.store.server_settings import ENVIRONMENTS, MAINTENANCE_SHARE

GIB = 2**30

BACKUPS = ("backup storage", "DR copies")


@dataclass(frozen=True, slots=True)
class Workload:
    """What is planned for.

    Attributes:
        vectors: how many embeddings, each of one chunk.
        model: that makes them.
        index: what is None follows profile and rows.
        qps: searches a second.
        monthly_rows: embeddings written a month, new and changed.
        family: of the instances, such as "r6g".
        machine: how many times as long builds take as on the machine of docs/capacity.md.
    """

    vectors: int
    dimensions: int
    model: str
    index: IndexSettings
    qps: float = 10.0
    profile: ProfileName = "production"
    monthly_rows: int = 0
    family: str = "r6g"
    shape: RowShape = field(default_factory=RowShape)
    keeping: Keeping = field(default_factory=Keeping)
    machine: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a workload takes.

    Attributes:
        index: with every number that its kind needs.
        build: on the writer that was chosen, with the `maintenance_work_mem` of PRD 18.2 for it.
        serverless_usd: of the instances alone, as Serverless v2.
        limits, ways: see `outlook`.
        remarks: what does not hold of what the PRD promises, and what helps.
        prices: what was reckoned with.
    """

    workload: Workload
    index: IndexSettings
    sizes: LeafSizes
    build: BuildPlan
    machines: Machines
    bill: Bill
    serverless_usd: float
    embedding: EmbeddingWork
    limits: tuple[outlook.Limit, ...]
    ways: tuple[outlook.Way, ...]
    remarks: tuple[str, ...]
    prices: Prices


def plan(workload: Workload) -> Plan:
    """The plan.

    Raises:
        UsageError: pgvector cannot build such an index, or the family is unknown.
    """
    known = prices()
    if workload.family not in known.families:
        raise UsageError(
            f"There are no prices of the family {workload.family!r}.",
            f"Known: {', '.join(known.families)}.",
        )
    workload.index.check(workload.dimensions)
    profile = PROFILES[workload.profile]
    index = resolved(workload.index, profile, workload.vectors)
    sizes = leaf_sizes(index, workload.dimensions, workload.vectors, workload.shape)
    chosen = machines(
        index,
        workload.dimensions,
        workload.vectors,
        sizes,
        qps=workload.qps,
        profile=workload.profile,
        family=workload.family,
        prices=known,
    )
    instance = known.instances[chosen.writer or ENVIRONMENTS[workload.profile].instance]
    build = build_plan(
        index,
        workload.dimensions,
        workload.vectors,
        cores=instance.vcpu,
        given_bytes=int(instance.gib * GIB * MAINTENANCE_SHARE),
        machine=workload.machine,
    )
    reckoned = bill(
        sizes,
        chosen,
        qps=workload.qps,
        written_rows=workload.monthly_rows,
        rows=workload.vectors,
        keeping=workload.keeping,
        prices=known,
        budget=known.budget[workload.profile],
    )
    made = Plan(
        workload=workload,
        index=index,
        sizes=sizes,
        build=build,
        machines=chosen,
        bill=reckoned,
        serverless_usd=serverless_usd(chosen, known),
        embedding=embedding_work(workload.model, workload.vectors, workload.shape.tokens, known),
        limits=tuple(
            outlook.limits(
                workload.index,
                workload.dimensions,
                profile,
                workload.shape,
                family=workload.family,
                prices=known,
            )
        ),
        ways=outlook.WAYS,
        remarks=(),
        prices=known,
    )
    return replace(made, remarks=tuple(_remarks(made)))


def _remarks(made: Plan) -> list[str]:
    said = []
    chosen, workload = made.machines, made.workload
    if chosen.writer is None or chosen.reader is None:
        said.append(
            "No instance keeps this index in memory, so the bill lacks what there is none for: see"
            " what comes after one instance."
        )
    if not made.build.fits:
        said.append(_build_remark(made.build, chosen))
    if chosen.search_ms > P50_MS:
        missed = "P50 and P99" if chosen.search_ms > P99_MS else "P50"
        said.append(
            f"A search takes {chosen.search_ms:,.0f} ms of a core: it misses the {missed} of PRD"
            f" 14.1 ({P50_MS:g} and {P99_MS:g} ms)."
        )
    budget, result = made.prices.budget[workload.profile].total, made.prices.key_result.total
    if made.bill.usd > budget:
        said.append(
            f"${made.bill.usd:,.0f} a month is {made.bill.usd / budget:.1f} times PRD 15.1's"
            f" ${budget:,.0f} for {workload.profile}."
        )
    backups = sum(each.usd for each in made.bill.costs if each.component in BACKUPS)
    if backups > 0.25 * made.bill.usd:
        said.append(
            f"Snapshots and their copies are ${backups:,.0f} of it, as each is charged whole: keep"
            " manual ones for fewer days (GREENLANG_AURORA_SNAPSHOT_DAYS). Exports cost less."
        )
    if budget > result:
        said.append(
            f"PRD 15.1 (${budget:,.0f}) and 3.2 (below ${result:,.0f} an environment) disagree:"
            " both cannot be kept."
        )
    return said


def _build_remark(build: BuildPlan, chosen: Machines) -> str:
    wants = f"{build.memory_bytes / GIB:,.1f} GiB of maintenance_work_mem"
    has = f"{build.given_bytes / GIB:,.1f} GiB (PRD 18.2)"
    if build.seconds_given is None:
        return f"The build asks for {wants} and does not begin with {has}: choose fewer lists."
    where = (
        "the writer has it beside its cache"
        if build.memory_bytes <= chosen.spare_bytes
        else "build on a larger instance for that time, or with halfvec or bit"
    )
    return (
        f"The build wants {wants}; with {has} the graph spills after {build.rows_in_memory:,} rows"
        f" and takes {duration(build.seconds_given)} instead of {duration(build.seconds)}: {where}."
    )


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:,.0f} s"
