"""A plan as rows of tables and as JSON, for the command line and for Dagster alike."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from greenlang_vectors.planning.builds import BuildPlan
from greenlang_vectors.planning.plan import Plan, duration
from greenlang_vectors.planning.sizes import LeafSizes

SIZE_NAMES = {
    "heap": "rows",
    "toast": "vectors out of line (TOAST)",
    "primary_key": "primary key",
    "unique_key": "unique key",
    "cell_index": "index on segment and cell",
    "filter_index": "index on metadata",
    "ann_index": "ANN index",
    "texts": "documents, chunks and their words",
    "audit": "audit log",
}
WAL_NAMES = {"load_wal": "WAL of loading the rows", "index_wal": "WAL of building the ANN index"}


def bytes_of(sizes: LeafSizes) -> list[tuple[str, int]]:
    """Each part that is stored, with its bytes; the sum is not among them."""
    return [(title, getattr(sizes, name)) for name, title in SIZE_NAMES.items()]


def human(size: float) -> str:
    """An amount of bytes in the unit that suits it (1 kB is 1,000 bytes, as AWS bills)."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= length:
            return f"{size / length:,.1f} {unit}"
    return f"{size / 1000:,.1f} kB"


def build_words(build: BuildPlan) -> str:
    """How long a build takes, and with how much memory."""
    said = f"{duration(build.seconds)} with {human(build.memory_bytes)} of maintenance_work_mem"
    if build.fits:
        return said
    given = "not at all" if build.seconds_given is None else duration(build.seconds_given)
    return f"{said}; {given} with {human(build.given_bytes)}"


def as_json(plan: Plan) -> dict[str, Any]:
    """Everything a plan says, for machines."""
    workload, sizes, prices = plan.workload, plan.sizes, plan.prices
    return {
        "workload": {
            "vectors": workload.vectors,
            "dimensions": workload.dimensions,
            "model": workload.model,
            "profile": workload.profile,
            "qps": workload.qps,
            "monthly_rows": workload.monthly_rows,
            "index": plan.index.as_json(),
            "shape": asdict(workload.shape),
        },
        "bytes": {**asdict(sizes), "leaf": sizes.leaf, "total": sizes.total},
        "build": asdict(plan.build),
        "machines": asdict(plan.machines),
        "monthly": {
            "currency": prices.currency,
            "total": plan.bill.usd,
            "io_optimized": plan.bill.io_optimized,
            "total_other_configuration": plan.bill.other_usd,
            "total_reserved": plan.bill.reserved_usd,
            "instances_serverless": plan.serverless_usd,
            "components": [asdict(each) for each in plan.bill.costs],
            "prd_15_1": prices.budget[workload.profile].total,
            "prd_3_2": prices.key_result.total,
            "prd_15_2": prices.alternatives,
        },
        "embedding": asdict(plan.embedding),
        "one_instance_holds": [asdict(each) for each in plan.limits],
        "beyond": [asdict(each) for each in plan.ways],
        "remarks": list(plan.remarks),
        "prices": {
            "dated": prices.dated.isoformat(),
            "region": prices.region,
            "verified": prices.verified,
        },
    }
