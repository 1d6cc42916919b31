"""What a cluster costs a month, component by component, beside PRD 15.1's budget.

Rules of AWS that decide more than prices do: automated backups are free up to the size of the
volume; a manual snapshot is charged whole once it is older than the automated backups are kept;
copies in another region are whole, always (AuroraUserGuide, "Understanding Aurora backup storage
usage" and "Copying a DB cluster snapshot").
"""

from __future__ import annotations

from dataclasses import dataclass

from greenlang_vectors.planning.machines import Machines
from greenlang_vectors.planning.prices import HOURS, Budget, Prices
from greenlang_vectors.planning.sizes import LeafSizes
from greenlang_vectors.settings import ProfileName, Settings
from greenlang_vectors.store.server_settings import CACHE_SHARE

GB = 1e9
GIB = 2**30
SECONDS = HOURS * 3600

WRITE_UNIT = 4096
"""Bytes of WAL that one write request carries at most (Aurora FAQ)."""

ANSWER_PAGES = 10
"""Pages a search reads of the heap: the rows of its answers, each on another."""

ANSWER_BYTES = 30_000
"""What a search sends back: ten passages with their metadata."""

ZONES_APART = 2 / 3
"""Of three zones, the share of callers that are in another than the instance that answers."""

DUMPED_ROWS = 0.88
"""A compressed export over the leaf's rows: 482 MB of 200,000 (docs/benchmarks.md)."""
DUMPED_TEXTS = 0.35
"""The same over texts and words; reckoned, not measured."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long backups are kept (PRD 12.1 and its settings).

    Attributes:
        automated_days: of Aurora's own, 35 at most.
        snapshot_days: of manual snapshots, one a day.
        exports: how many are there at a time.
        copies: whether every snapshot is copied to another region.
        daily_change: share of the volume that is written anew in a day.
    """

    automated_days: int = 35
    snapshot_days: int = 90
    exports: int = 51
    copies: bool = True
    daily_change: float = 0.01


def keeping(settings: Settings, profile: ProfileName) -> Keeping:
    """What is kept by these settings; copies in another region are production's and staging's."""
    weekly = max(0, settings.backup_weekly_days - settings.backup_daily_days) // 7
    monthly = max(0, settings.backup_monthly_days - settings.backup_weekly_days) // 30
    return Keeping(
        automated_days=settings.aurora_automated_days,
        snapshot_days=settings.aurora_snapshot_days,
        exports=settings.backup_daily_days + weekly + monthly,
        copies=profile != "dev",
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of a month's bill.

    Attributes:
        basis: how it was reckoned.
        budget: what PRD 15.1 has for it; None where it has no line of its own.
    """

    component: str
    usd: float
    basis: str
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """A month.

    Attributes:
        io_optimized: whether Aurora I/O-Optimized is the cheaper configuration.
        other_usd: of the other one.
        reserved_usd: with instances reserved for a year (PRD 15.3).
    """

    costs: tuple[Cost, ...]
    io_optimized: bool
    other_usd: float
    reserved_usd: float

    @property
    def usd(self) -> float:
        """All of it."""
        return sum(each.usd for each in self.costs)


def bill(
    sizes: LeafSizes,
    machines: Machines,
    *,
    qps: float,
    written_rows: float,
    rows: int,
    keeping: Keeping,
    prices: Prices,
    budget: Budget,
) -> Bill:
    """The cheaper of Aurora's two configurations.

    Args:
        written_rows: a month.
        rows: that `sizes` is of.
    """
    standard = _instances(machines, prices, budget, 1.0)
    optimized = _instances(machines, prices, budget, prices.storage.io_optimized_instances)
    stored = sizes.total / GB
    reads = qps * ANSWER_PAGES * _cold(sizes, machines, prices) * SECONDS
    writes = written_rows * sizes.load_wal / rows / WRITE_UNIT
    requests = (reads + writes) / 1e6
    standard += [
        _gb("storage", stored, prices.storage.standard_gb_month),
        Cost(
            "I/O requests",
            requests * prices.storage.io_million,
            f"{requests:,.0f} million at ${prices.storage.io_million:g}",
        ),
    ]
    optimized.append(_gb("storage", stored, prices.storage.io_optimized_gb_month))
    rest = [
        *_backups(sizes, stored, keeping, prices, budget),
        _traffic(qps, prices, budget),
    ]
    cheap, dear = sorted((standard, optimized), key=_total)
    saved = sum(each.usd for each in cheap[:2]) * prices.reserved.saving
    return Bill(
        costs=(*cheap, *rest),
        io_optimized=cheap is optimized,
        other_usd=_total([*dear, *rest]),
        reserved_usd=_total([*cheap, *rest]) - saved,
    )


def serverless_usd(machines: Machines, prices: Prices) -> float:
    """The same instances as Serverless v2 that never scale down, a month."""
    gib = [_gib(name, prices) for name in (machines.writer, *_readers(machines))]
    return sum(gib) / prices.serverless.gib_per_acu * prices.serverless.acu_hour * HOURS


def _cold(sizes: LeafSizes, machines: Machines, prices: Prices) -> float:
    """The share of the heap that the memory of whoever searches does not hold beside the index."""
    searched = machines.reader if machines.readers else machines.writer
    left = _gib(searched, prices) * GIB * CACHE_SHARE - machines.reader_bytes
    return 1 - min(1.0, max(0.0, left / (sizes.heap + sizes.toast)))


def _instances(machines: Machines, prices: Prices, budget: Budget, times: float) -> list[Cost]:
    writer = _hourly(machines.writer, prices) * times
    readers = _hourly(machines.reader, prices) * machines.readers * times
    optimized = "" if times == 1 else f", I/O-Optimized (times {times:g})"
    return [
        Cost(
            "writer",
            writer * HOURS,
            f"{machines.writer or 'none is large enough'}{optimized}",
            budget.primary,
        ),
        Cost(
            "readers",
            readers * HOURS,
            f"{machines.readers} x {machines.reader or 'none is large enough'}{optimized}",
            budget.readers,
        ),
    ]


def _backups(
    sizes: LeafSizes, stored: float, keeping: Keeping, prices: Prices, budget: Budget
) -> list[Cost]:
    automated = stored * max(0.0, keeping.daily_change * keeping.automated_days - 1)
    beyond = max(0, keeping.snapshot_days - keeping.automated_days)
    backup = prices.backup.gb_month
    costs = [
        Cost(
            "backup storage",
            (automated + beyond * stored) * backup,
            f"{beyond} snapshots older than {keeping.automated_days} days x {stored:,.0f} GB",
            budget.backup,
        )
    ]
    if keeping.copies:
        moved = stored * HOURS / 24
        costs.append(
            Cost(
                "DR copies",
                keeping.snapshot_days * stored * backup
                + moved * prices.transfer.between_regions_gb,
                f"{keeping.snapshot_days} whole copies, one sent a day",
            )
        )
    exported = (sizes.heap + sizes.toast) * DUMPED_ROWS + sizes.texts * DUMPED_TEXTS
    costs.append(_gb("S3 exports", exported / GB * keeping.exports, prices.s3.gb_month))
    return costs


def _traffic(qps: float, prices: Prices, budget: Budget) -> Cost:
    sent = qps * ANSWER_BYTES * SECONDS / GB * ZONES_APART
    return Cost(
        "data transfer",
        sent * prices.transfer.between_zones_gb,
        f"{sent:,.0f} GB of answers to other zones",
        budget.transfer,
    )


def _gb(component: str, amount: float, price: float) -> Cost:
    return Cost(component, amount * price, f"{amount:,.0f} GB at ${price:g}")


def _total(costs: list[Cost]) -> float:
    return sum(each.usd for each in costs)


def _hourly(name: str | None, prices: Prices) -> float:
    return prices.instances[name].hour if name else 0.0


def _gib(name: str | None, prices: Prices) -> int:
    return prices.instances[name].gib if name else 0


def _readers(machines: Machines) -> list[str | None]:
    return [machines.reader] * machines.readers
