"""The PRD's profiles as numbers: instances (5.4.1), server settings (18.2, 8.2), pooler (8.3).

`doctor` compares a live server with them, `plan` begins with them, and the parameter groups of
`deploy/terraform` are to say the same. HNSW's parameters (5.2.1) are in `settings.PROFILES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from greenlang_vectors.settings import PROFILES, ProfileName

GIB = 2**30
MIB = 2**20

Comparison = Literal["at least", "at most", "is"]


@dataclass(frozen=True, slots=True)
class Environment:
    """The machines of one environment (PRD 5.4.1, 4.2 and 15.1).

    Attributes:
        instance, reader_instance: DB instance classes.
        readers: how many.
        storage_gb: what is expected to be stored; Aurora grows by itself.
    """

    instance: str
    vcpu: int
    memory_gib: int
    storage_gb: int
    readers: int
    reader_instance: str


ENVIRONMENTS: dict[ProfileName, Environment] = {
    "dev": Environment("db.r6g.large", 2, 16, 100, 0, "db.r6g.large"),
    "staging": Environment("db.r6g.xlarge", 4, 32, 500, 2, "db.r6g.large"),
    "production": Environment("db.r6g.2xlarge", 8, 64, 2000, 2, "db.r6g.xlarge"),
}

SHARED_BUFFERS_SHARE = 0.25
CACHE_SHARE = 0.75
"""Of the memory, for what is kept of the tables and indexes (18.2: `effective_cache_size`). Aurora,
which has no cache of the operating system's, gives as much to `shared_buffers` itself."""

MAINTENANCE_SHARE = 1 / 32
"""18.2: 2 GB of 64."""

WORK_MEM: dict[ProfileName, int] = {"dev": 4 * MIB, "staging": 128 * MIB, "production": 256 * MIB}
"""18.2 and 8.2 have 256 MB for 64 GB of memory; half the memory has half. The product needs no more
than PostgreSQL's default: what a statement of its own needs, it sets itself."""

POOLER: dict[str, str] = {
    "pool_mode": "transaction",
    "max_client_conn": "1000",
    "default_pool_size": "50",
    "reserve_pool_size": "10",
    "reserve_pool_timeout": "5",
    "server_idle_timeout": "300",
    "query_timeout": "30",
}
"""PgBouncer (8.3)."""

CONNECTIONS = int(POOLER["default_pool_size"]) + int(POOLER["reserve_pool_size"]) + 40
"""What a server takes: a pool with its reserve (8.3); builds, backups and people beside it."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a setting of the server should be.

    Attributes:
        value: bytes for amounts of memory, else as PostgreSQL counts it.
        restart: whether a change waits for a restart (`postmaster` context).
        source: where the number comes from.
    """

    name: str
    comparison: Comparison
    value: float
    unit: Literal["bytes", ""]
    restart: bool
    source: str

    def kept(self, found: float) -> bool:
        """Whether what was found will do."""
        if self.comparison == "is":
            return found == self.value
        return found >= self.value if self.comparison == "at least" else found <= self.value


def expected(profile: ProfileName, memory_bytes: int, vcpu: int) -> tuple[Expected, ...]:
    """The server settings of a profile on a machine of this size.

    Args:
        memory_bytes, vcpu: of the server, as far as they are its to use; those of PRD 5.4.1 where
            nobody knows (`ENVIRONMENTS`).
    """
    wanted = [
        _at_least("shared_buffers", memory_bytes * SHARED_BUFFERS_SHARE, "18.2", restart=True),
        _at_least("effective_cache_size", memory_bytes * CACHE_SHARE, "18.2"),
        _at_least("maintenance_work_mem", memory_bytes * MAINTENANCE_SHARE, "18.2"),
        _at_least("work_mem", WORK_MEM[profile], "18.2 and 8.2"),
        _number("max_parallel_workers_per_gather", max(1, min(4, vcpu // 2)), "18.2"),
        _number("max_connections", CONNECTIONS, "8.3", restart=True),
        _number("max_parallel_maintenance_workers", max(1, vcpu // 2), "5.2: builds of indexes"),
        _number("hnsw.ef_search", min(100, PROFILES[profile].ef_search), "18.2 and 5.2.1"),
    ]
    if profile != "dev":
        cheap = Expected("random_page_cost", "at most", 1.1, "", restart=False, source="PRD 18.2")
        wanted.append(cheap)
    return tuple(wanted)


def _at_least(name: str, value: float, section: str, *, restart: bool = False) -> Expected:
    return Expected(name, "at least", int(value), "bytes", restart, f"PRD {section}")


def _number(name: str, value: float, section: str, *, restart: bool = False) -> Expected:
    return Expected(name, "at least", value, "", restart, f"PRD {section}")
