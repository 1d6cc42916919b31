"""What both sides hold of the same objects, told apart: two streams in the order of ids, merged.

Nothing here reads a side. `verification` brings each into the form that is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from uuid import UUID

from greenlang_vectors.documents.model import JSON

Kind = Literal[
    "missing in pgvector",
    "missing in Weaviate",
    "document",
    "content",
    "metadata",
    "vector",
    "refused",
]


class Fault(NamedTuple):
    """What is wrong with an object even before it is compared, and what it makes differ."""

    kind: Kind
    detail: str


class Held(NamedTuple):
    """What one side holds of one object.

    Attributes:
        id: the object's uuid, 16 bytes: both sides order them as bytes.
        document: source type, source key, title and chunk index of the passage.
        content_hash: SHA-256 of the passage's text, 32 bytes; None where there is no text.
        vectors: in the order of the plan's, as `vector_send` gives their numbers: big-endian
            float32; None where there is none.
        fault: None where there is none.
    """

    id: bytes
    document: tuple[str, str, str, int] | None
    content_hash: bytes | None
    metadata: dict[str, JSON]
    vectors: tuple[bytes | None, ...]
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """An object that is not the same on both sides.

    Attributes:
        kinds: all of it that differs.
        detail: where exactly, in words for people; values are not told.
    """

    object_id: UUID
    tenant: str
    kinds: tuple[Kind, ...]
    detail: str

    @property
    def kind(self) -> str:
        """The kinds in one word for people and tables."""
        return ", ".join(self.kinds)

    def as_json(self) -> dict[str, JSON]:
        """As commands and assets report it."""
        return {
            "object_id": str(self.object_id),
            "tenant": self.tenant,
            "kind": self.kind,
            "detail": self.detail,
        }


def merged(
    pgvector: Iterable[Held], weaviate: Iterable[Held]
) -> Iterator[tuple[Held | None, Held | None]]:
    """Each object once, as (pgvector's, Weaviate's), with None on the side that lacks it.

    Args:
        pgvector, weaviate: each ascending by id, no id twice. They are read in step: no more of
            one is taken than the other has come to.

    Raises:
        ValueError: a stream does not ascend.
    """
    left, right = _ascending(pgvector), _ascending(weaviate)
    here, there = next(left, None), next(right, None)
    while here is not None and there is not None:
        if here.id == there.id:
            yield here, there
            here, there = next(left, None), next(right, None)
        elif here.id < there.id:
            yield here, None
            here = next(left, None)
        else:
            yield None, there
            there = next(right, None)
    while here is not None:
        yield here, None
        here = next(left, None)
    while there is not None:
        yield None, there
        there = next(right, None)


def difference(
    here: Held | None, there: Held | None, tenant: str, names: Sequence[str]
) -> Difference | None:
    """What is not the same of one object; None where all is.

    Args:
        here, there: pgvector's and Weaviate's, as `merged` gives them.
        names: of the vectors, in words for people.
    """
    if here is not None and there is not None:
        if here == there and here.fault is None and same_json(here.metadata, there.metadata):
            return None
        faults = list(_differing(here, there, names))
        return _told(here.id, tenant, faults) if faults else None
    if there is not None:
        detail = "no passage is stored" if there.fault is None else there.fault.detail
        return _told(there.id, tenant, [Fault("missing in pgvector", detail)])
    if here is not None:
        return _told(here.id, tenant, [Fault("missing in Weaviate", "no such object is there")])
    return None


def same_json(one: JSON, other: JSON) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, but not true.

    A key that says null is one that is missing: Weaviate knows no difference.
    """
    if isinstance(one, dict):
        return isinstance(other, dict) and all(
            same_json(one.get(key), other.get(key)) for key in one.keys() | other.keys()
        )
    if isinstance(one, list):
        return (
            isinstance(other, list) and len(one) == len(other) and all(map(same_json, one, other))
        )
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _ascending(stream: Iterable[Held]) -> Iterator[Held]:
    last = b""
    for each in stream:
        if each.id <= last:
            raise ValueError(f"{UUID(bytes=each.id)} came after {UUID(bytes=last)}")
        last = each.id
        yield each


def _differing(here: Held, there: Held, names: Sequence[str]) -> Iterator[Fault]:
    for fault in (there.fault, here.fault):
        if fault is not None:
            yield fault
    if there.fault is not None:
        return
    if here.document != there.document:
        yield Fault("document", _places(here.document, there.document))
    if here.content_hash != there.content_hash:
        yield Fault("content", "the text is another")
    if not same_json(here.metadata, there.metadata):
        keys = sorted(
            key
            for key in here.metadata.keys() | there.metadata.keys()
            if not same_json(here.metadata.get(key), there.metadata.get(key))
        )
        yield Fault("metadata", f"metadata {', '.join(keys)}")
    for name, stored, given in zip(names, here.vectors, there.vectors, strict=True):
        if stored != given:
            yield Fault("vector", f"{name} {_numbers(stored, given)}")


def _places(
    stored: tuple[str, str, str, int] | None, given: tuple[str, str, str, int] | None
) -> str:
    if stored is None or given is None:
        return "it belongs to no document here"
    parts = ("source type", "source", "title", "chunk index")
    other = [name for name, a, b in zip(parts, stored, given, strict=True) if a != b]
    return f"{', '.join(other)}: another"


def _numbers(stored: bytes | None, given: bytes | None) -> str:
    if stored is None:
        return "is missing in pgvector"
    if given is None:
        return "is missing in Weaviate"
    if len(stored) != len(given):
        return f"has {len(stored) // 4} dimensions in pgvector and {len(given) // 4} in Weaviate"
    other = sum(stored[i : i + 4] != given[i : i + 4] for i in range(0, len(stored), 4))
    return f"differs in {other} of {len(stored) // 4} numbers"


def _told(identity: bytes, tenant: str, faults: Sequence[Fault]) -> Difference:
    kinds = tuple(dict.fromkeys(fault.kind for fault in faults))
    detail = "; ".join(dict.fromkeys(fault.detail for fault in faults))
    return Difference(UUID(bytes=identity), tenant, kinds, detail)
