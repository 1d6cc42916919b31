"""A namespace's plan: which collection of Weaviate it comes from, and what becomes of an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from greenlang_vectors.errors import UsageError

Primary = Literal["pgvector", "weaviate"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VectorMapping(_Record):
    """One vector of each object, and the store's collection it goes into.

    Attributes:
        name: of a named vector; None for the only one.
        model: what the store calls the model that made it. One that the library can open makes a
            collection that may serve; any other is searched with ready vectors.
    """

    name: str | None = None
    model: str = "all-MiniLM-L6-v2"


class Gates(_Record):
    """What shadow reads must show before more callers are shifted, and for how long.

    Attributes:
        overlap: mean share of the top 10 that both sides have in common, at least, in searches by
            vectors.
        text_overlap: the same in searches by words, alone or fused with vectors: Weaviate cuts no
            word to its stem, as PostgreSQL does, so that equal data answers alike, not equally.
        p99_ms: of pgvector's searches, at most.
        error_rate: of pgvector's searches, at most.
        open_differences: of the newest verification, and documents not relayed yet, at most.
        hold_seconds: the gates must have held for this long.
        reads: so many shadow reads must have been made in that time.
    """

    overlap: float = Field(default=0.9, ge=0, le=1)
    text_overlap: float = Field(default=0.5, ge=0, le=1)
    p99_ms: float = Field(default=100, gt=0)
    error_rate: float = Field(default=0.01, ge=0, le=1)
    open_differences: int = Field(default=0, ge=0)
    hold_seconds: float = Field(default=3600, ge=0)
    reads: int = Field(default=100, gt=0)


class Plan(_Record):
    """How objects become passages.

    Attributes:
        collection: of Weaviate.
        tenants: of a collection that has tenants; None for all of them.
        vectors: which vectors go where; the first one's collection is compared and searched.
        content: the property that holds a passage's text.
        source_type: of the documents (PRD 6.1).
        source_id: the property that says which document an object is a passage of; None where
            each object is a document of its own.
        chunk_index: the property that numbers the passages of a document, an integer; None only
            where each object is a document of its own.
        title: the property that holds the document's title.
        metadata: metadata key by property; None takes every property not named elsewhere, under
            its own name.
        left_out: properties that are not carried over, each by name: a property that cannot be
            carried and is not listed here is refused.
        language: text search configuration of the passages; None finds it from a sample.
        primary: which side applications write to; the other one follows.
        page: objects asked for at once.
        batch: objects written in one transaction (PRD 13.1: 10,000).
        ranges: parts of the uuid space read side by side.
    """

    collection: str = Field(min_length=1)
    tenants: tuple[str, ...] | None = None
    vectors: tuple[VectorMapping, ...] = (VectorMapping(),)
    content: str = Field(default="content", min_length=1)
    source_type: str = Field(default="document", min_length=1, max_length=50)
    source_id: str | None = None
    chunk_index: str | None = None
    title: str | None = None
    metadata: dict[str, str] | None = None
    left_out: tuple[str, ...] = ()
    language: str | None = None
    primary: Primary = "pgvector"
    page: int = Field(default=500, gt=0, le=10_000)
    batch: int = Field(default=10_000, gt=0, le=100_000)
    ranges: int = Field(default=16, gt=0, le=256)
    gates: Gates = Gates()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.source_id is not None and self.chunk_index is None:
            raise ValueError(
                "objects of one source_id need a chunk_index, or they would overwrite each other"
            )
        if self.source_id is None and self.chunk_index is not None:
            raise ValueError("a chunk_index needs a source_id")
        if len({each.name for each in self.vectors}) < len(self.vectors) or not self.vectors:
            raise ValueError("each vector is mapped once, and at least one")
        if len({each.model for each in self.vectors}) < len(self.vectors):
            raise ValueError("each vector goes into a collection of its own")
        return self

    def meets(self, other: Mapping[str, Any]) -> bool:
        """Whether another plan, as it is stored, names some of the same objects."""
        names = {_as_weaviate_has_it(each) for each in (self.collection, other["collection"])}
        tenants = other.get("tenants")
        return len(names) == 1 and (
            self.tenants is None or tenants is None or not {*self.tenants}.isdisjoint(tenants)
        )


def _as_weaviate_has_it(collection: str) -> str:
    """Weaviate begins every name with a capital, and answers to one without."""
    return collection[:1].upper() + collection[1:]


def parse(text: str) -> Plan:
    """The plan of a JSON document.

    Raises:
        UsageError: it is not a plan; the message says which field is wrong.
    """
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the plan"
        raise UsageError(
            f"The migration plan cannot be used: {place}: {first['msg']}.",
            "docs/migration.md lists its fields.",
        ) from error
