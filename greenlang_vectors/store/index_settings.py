"""How a collection is indexed and compared: metric, kind of index, what it stores (PRD 5.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import ceil, sqrt
from typing import Any, Literal, get_args

from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Profile

Metric = Literal["cosine", "l2", "inner_product"]
Kind = Literal["hnsw", "ivfflat"]
Storage = Literal["vector", "halfvec", "bit"]

MAX_DIMENSIONS: dict[Storage, int] = {"vector": 2000, "halfvec": 4000, "bit": 64_000}
"""What pgvector can index."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What a collection's indexes are; what is None follows the profile or the row count.

    Attributes:
        metric: how two vectors are compared.
        kind: "hnsw", or "ivfflat" for a quicker build.
        storage: what the index holds: "vector" (4 bytes a dimension), "halfvec" (2), or "bit"
            (binary quantization; answers are ranked again by their exact distance).
        m, ef_construction, ef_search: of HNSW (PRD 5.2.1); None for the profile's.
        lists: of IVFFlat (PRD 5.2.2); None for what suits the number of rows.
        probes: of IVFFlat; None for what suits the lists.
    """

    metric: Metric = "cosine"
    kind: Kind = "hnsw"
    storage: Storage = "vector"
    m: int | None = None
    ef_construction: int | None = None
    ef_search: int | None = None
    lists: int | None = None
    probes: int | None = None

    @property
    def width(self) -> int | None:
        """How wide a search is: ef_search, or probes of IVFFlat; None for the default."""
        return self.probes if self.kind == "ivfflat" else self.ef_search

    def widened(self, width: int) -> IndexSettings:
        """The same with searches of this width."""
        if self.kind == "ivfflat":
            return replace(self, probes=width)
        return replace(self, ef_search=width)

    def as_json(self) -> dict[str, Any]:
        """What is not left to its default."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def check(self, dimensions: int) -> None:
        """Refuse what pgvector could not build.

        Raises:
            UsageError: an unknown metric, kind or storage, numbers out of range, or more
                dimensions than an index of this storage takes.
        """
        for name, value, known in (
            ("metric", self.metric, get_args(Metric)),
            ("index kind", self.kind, get_args(Kind)),
            ("index storage", self.storage, get_args(Storage)),
        ):
            if value not in known:
                raise UsageError(f"Unknown {name} {value!r}.", f"Known: {', '.join(known)}.")
        for name, number, lowest, highest in (
            ("m", self.m, 2, 100),
            ("ef_construction", self.ef_construction, 4, 1000),
            ("ef_search", self.ef_search, 1, 1000),
            ("lists", self.lists, 1, 32768),
            ("probes", self.probes, 1, 32768),
        ):
            if number is not None and not lowest <= number <= highest:
                raise UsageError(f"{name} must be {lowest} to {highest}, not {number}.")
        if self.m and self.ef_construction and self.ef_construction < 2 * self.m:
            raise UsageError(
                f"ef_construction ({self.ef_construction}) must be at least twice m ({self.m})."
            )
        if self.storage == "bit" and self.kind == "ivfflat":
            raise UsageError(
                "IVFFlat over binary quantization is not offered.", "Choose hnsw, or halfvec."
            )
        if self.storage == "bit" and self.metric != "cosine":
            raise UsageError(
                "Binary quantization keeps directions only: it serves the cosine metric.",
                "Choose halfvec for another metric.",
            )
        if dimensions > MAX_DIMENSIONS[self.storage]:
            raise UsageError(
                f"An index of {self.storage} takes at most {MAX_DIMENSIONS[self.storage]} "
                f"dimensions, not {dimensions}.",
                "Choose halfvec (up to 4000) or bit." if self.storage != "bit" else "",
            )


MIN_PROBES = 20
"""Below it recall@10 fell under 0.95 at every number of lists from 160 to 716 that was tried."""


def probes_of(lists: int) -> int:
    """Lists to search where nobody says: the square root of all (pgvector README), or a few."""
    return min(lists, max(MIN_PROBES, ceil(sqrt(lists))))


def resolved(index: IndexSettings, profile: Profile, rows: int) -> IndexSettings:
    """The same with every number that its kind needs.

    Args:
        profile: gives m, ef_construction and ef_search of HNSW (PRD 5.2.1).
        rows: an IVFFlat index gets as many lists as their square root (PRD 5.2.2).
    """
    if index.kind == "hnsw":
        m = index.m or profile.m
        return replace(
            index,
            m=m,
            ef_construction=index.ef_construction or max(profile.ef_construction, 2 * m),
            ef_search=index.ef_search or profile.ef_search,
        )
    lists = index.lists or max(1, round(sqrt(rows)))
    return replace(index, lists=lists, probes=index.probes or probes_of(lists))
