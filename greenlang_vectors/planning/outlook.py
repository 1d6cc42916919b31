"""Up to where one instance holds, and what there is beyond: each way with what it cannot do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from greenlang_vectors.planning.prices import Prices
from greenlang_vectors.planning.sizes import RowShape, leaf_sizes
from greenlang_vectors.settings import Profile
from greenlang_vectors.store.index_settings import (
    MAX_DIMENSIONS,
    IndexSettings,
    Storage,
    resolved,
)
from greenlang_vectors.store.server_settings import CACHE_SHARE

GIB = 2**30
TIB = 2**40

TABLE_LIMIT = 32 * TIB
"""Of a leaf (PostgreSQL: Appendix K, with pages of 8 KiB)."""

VOLUME_LIMIT = 128 * TIB
"""Of an Aurora cluster; newer versions take 256."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many vectors one instance holds with one way of storing them in the index.

    Attributes:
        rows: until its memory is full; None where pgvector cannot index so many dimensions.
    """

    storage: Storage
    instance: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class Way:
    """A way on from one instance.

    Attributes:
        cannot: what is lost by it.
    """

    name: str
    what: str
    cannot: str


def limits(
    index: IndexSettings,
    dimensions: int,
    profile: Profile,
    shape: RowShape,
    *,
    family: str,
    prices: Prices,
) -> list[Limit]:
    """What the largest instance there is holds, for each storage that the kind of index offers."""
    classes = prices.family(family) | prices.larger_than(family)
    instance, largest = list(classes.items())[-1]
    storages: tuple[Storage, ...] = ("vector", "halfvec", "bit")
    held = []
    for storage in storages[: 2 if index.kind == "ivfflat" else 3]:
        one = replace(index, storage=storage)
        fits = dimensions <= MAX_DIMENSIONS[storage]
        memory = int(largest.gib * GIB * CACHE_SHARE)
        rows = _most_rows(one, dimensions, profile, shape, memory) if fits else None
        held.append(Limit(storage, instance, rows))
    return held


def _most_rows(
    index: IndexSettings, dimensions: int, profile: Profile, shape: RowShape, memory: int
) -> int:
    sample = 100_000_000
    sizes = leaf_sizes(resolved(index, profile, sample), dimensions, sample, shape)
    by_memory = memory / ((sizes.ann_index + sizes.keys) / sample)
    by_table = TABLE_LIMIT / (sizes.heap / sample)
    by_volume = VOLUME_LIMIT / (sizes.total / sample)
    return int(min(by_memory, by_table, by_volume))


WAYS = (
    Way(
        "halfvec",
        "The index holds two bytes a dimension: 57% of the size, recall lower by at most 0.0013,"
        " searches no slower. Rows keep full precision.",
        "Numbers beyond 65,504; more than 4,000 dimensions.",
    ),
    Way(
        "bit, ranked again",
        "The index holds one bit a dimension, a sixth of the size; 200 rows of the heap are read"
        " and compared exactly for ten answers.",
        "Another metric than cosine. Where the heap is not in memory either, a search waits for 200"
        " reads from storage; measured recall@10 was 0.90 to 0.94, more with a wider search.",
    ),
    Way(
        "leaves apart",
        "Each namespace and model is a leaf with indexes of its own: namespaces move to clusters of"
        " their own, as exports restore into any database. Each cluster is planned for itself.",
        "Search over namespaces of different clusters in one statement; the namespace that alone is"
        " too large.",
    ),
    Way(
        "Aurora Limitless",
        "Shards by a key behind one endpoint; pgvector is among its extensions, and every unique"
        " key of ours could hold the shard key. Each shard has an index of its own, which every"
        " search asks.",
        "Row-level security (no policies), CHECK constraints that call functions (ours on"
        " dimensions), storage parameters (ours that keeps vectors in line), identity columns (our"
        " audit log), read replicas, AWS Backup, clones, a global database. The schema would have"
        " to change first: it is not supported by this version.",
    ),
    Way(
        "Citus",
        "Shards over servers of one's own, by namespace and document; HNSW is built and asked on"
        " each shard.",
        "Aurora and RDS do not offer it: backups, failover and upgrades are one's own again. Unique"
        " keys must hold the distribution column; SET LOCAL (our ef_search) reaches shards only"
        " with citus.propagate_set_commands; triggers on distributed tables are refused by default"
        " (our audit log). Not supported by this version.",
    ),
)
"""From the cheapest on. Sources: docs/benchmarks.md; AuroraUserGuide, "Aurora PostgreSQL Limitless
Database reference" and its requirements; Citus, "SQL reference" and "Configuration reference"."""
