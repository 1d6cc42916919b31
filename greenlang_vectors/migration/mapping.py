"""From an object of Weaviate to a passage and back, as the plan says, or refused by name.

What PostgreSQL and Weaviate cannot both hold is refused one object at a time, with a reason:
NUL characters, numbers that are not finite, and vectors that are missing or of another length.
What of the whole collection does not fit, `unfit` finds before anything begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import ItemError
from greenlang_vectors.migration.objects import Passage, WeaviateObject
from greenlang_vectors.migration.plan import Plan
from greenlang_vectors.migration.schema import CollectionInfo
from greenlang_vectors.migration.unfit import UNCARRIED, Problem, problems
from greenlang_vectors.store.identity import document_id

MAX_INDEX = 2**31 - 1
"""The largest number of a passage (PostgreSQL's integer)."""

_NUL = "\x00"


class Mapper:
    """Objects of the plan's collection as passages of a namespace, and back.

    Args:
        info: the collection.
        dimensions: of each of the plan's vectors, where they are known.

    Attributes:
        property_of: the property by metadata key.
    """

    def __init__(
        self,
        plan: Plan,
        namespace: str,
        info: CollectionInfo,
        dimensions: Sequence[int] | None = None,
    ) -> None:
        self.plan = plan
        self.namespace = namespace
        self.info = info
        self._dimensions = dimensions
        self._keys = _metadata_keys(plan, info)
        self.property_of = {key: name for name, key in self._keys.items()}

    @property
    def properties(self) -> tuple[str, ...]:
        """What has to be asked of each object (see `Peer.pages`)."""
        plan = self.plan
        named = (plan.content, plan.source_id, plan.chunk_index, plan.title)
        return tuple(dict.fromkeys([*(name for name in named if name), *self._keys]))

    @property
    def vectors(self) -> tuple[str | None, ...]:
        """Which vectors of each."""
        return tuple(each.name for each in self.plan.vectors)

    def problems(self) -> list[Problem]:
        """What of the collection does not fit the plan."""
        return problems(self.plan, self.info)

    def source_key(self, tenant: str, source: JSON, object_id: UUID) -> str:
        """The key of the document that an object with this source id is a passage of.

        Raises:
            ItemError: the source id is missing, or nothing that names a document.
        """
        if self.plan.source_id is None:
            key = str(object_id)
        elif source is None or source == "":
            raise ItemError(
                "no_source_id",
                f"The object has no {self.plan.source_id}.",
                "Give it the id of its source, in Weaviate.",
            )
        elif isinstance(source, bool | float | list | dict):
            raise ItemError(
                "bad_source_id",
                f"{self.plan.source_id} is {type(source).__name__}, which names no document.",
                "Plan with a property of type text, uuid or int.",
            )
        else:
            key = _clean(str(source), self.plan.source_id)
        return f"{tenant}/{key}" if tenant else key

    def source_id(self, tenant: str, source_key: str) -> JSON:
        """The source id of a document's objects, of its property's type; `source_key` back.

        Raises:
            ItemError: the property takes no such key.
        """
        source = source_key.removeprefix(f"{tenant}/") if tenant else source_key
        known = self.info.properties.get(self.plan.source_id or "")
        if known is None or known.data_type != "int":
            return source
        try:
            return int(source)
        except ValueError as error:
            raise ItemError(
                "bad_source_id",
                f"{known.name} of Weaviate takes whole numbers, and the key is {source!r}.",
                "Give the document a key that is one.",
            ) from error

    def passage(self, each: WeaviateObject) -> Passage:
        """What an object becomes.

        Raises:
            ItemError: it cannot be carried; `reason` says why in a word.
        """
        plan, found = self.plan, each.properties
        content = _text(found.get(plan.content), plan.content)
        if not content or content.isspace():
            raise ItemError(
                "empty_text",
                f"{plan.content} is empty.",
                "Leave the object out, or give it a text.",
            )
        source = None if plan.source_id is None else found.get(plan.source_id)
        key = self.source_key(each.tenant, source, each.id)
        title = None if plan.title is None else found.get(plan.title)
        return Passage(
            object_id=each.id,
            tenant=each.tenant,
            source_type=plan.source_type,
            source_key=key,
            document_id=document_id(self.namespace, plan.source_type, key),
            chunk_index=self._chunk_index(found),
            title=_text(title, plan.title or "") or key,
            content=content,
            content_hash=content_hash(content),
            metadata=self._metadata(found),
            vectors=tuple(
                self._vector(each, place, mapped.name) for place, mapped in enumerate(plan.vectors)
            ),
            updated_ms=each.updated_ms,
        )

    def object(self, passage: Passage) -> WeaviateObject:
        """What a passage is in Weaviate; `passage` gives of it the same passage again.

        Metadata becomes properties of the same names; where the plan names which is carried, the
        rest stays here.

        Raises:
            ItemError: Weaviate cannot hold it as the plan says.
        """
        plan = self.plan
        properties: dict[str, JSON] = {
            self.property_of.get(key, key): value
            for key, value in passage.metadata.items()
            if plan.metadata is None or key in self.property_of
        }
        own: dict[str, JSON] = {plan.content: passage.content}
        if plan.source_id is not None and plan.chunk_index is not None:
            own[plan.source_id] = self.source_id(passage.tenant, passage.source_key)
            own[plan.chunk_index] = passage.chunk_index
        if plan.title is not None and passage.title != passage.source_key:
            own[plan.title] = passage.title
        if taken := own.keys() & properties.keys():
            raise ItemError(
                "bad_metadata",
                f"The metadata holds {min(taken)}, which is what the plan takes from elsewhere.",
                "Give it another key.",
            )
        vectors = {
            mapped.name: vector
            for mapped, vector in zip(plan.vectors, passage.vectors, strict=True)
        }
        return WeaviateObject(
            passage.object_id,
            passage.tenant,
            {**properties, **own},
            vectors,
            passage.updated_ms or 0,
        )

    def _chunk_index(self, found: Mapping[str, JSON]) -> int:
        name = self.plan.chunk_index
        if name is None:
            return 0
        value = found.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INDEX:
            return value
        raise ItemError(
            "bad_chunk_index" if value is not None else "no_chunk_index",
            f"{name} is {value!r}, not a whole number from 0.",
            "Number the passages of each source, in Weaviate.",
        )

    def _metadata(self, found: Mapping[str, JSON]) -> dict[str, JSON]:
        """The metadata; what is null is left out, as Weaviate knows no difference."""
        metadata: dict[str, JSON] = {
            key: value for name, key in self._keys.items() if (value := found.get(name)) is not None
        }
        # orjson writes what is not finite as null, which only a list or an object may hold.
        encoded = orjson.dumps(metadata, None, orjson.OPT_PASSTHROUGH_SUBCLASS)
        if b"null" in encoded or b"\\u0000" in encoded:
            _check(metadata, "the metadata")
        return metadata

    def _vector(self, each: WeaviateObject, place: int, name: str | None) -> NDArray[np.float32]:
        vector = each.vectors.get(name)
        what = "The vector" if name is None else f"The vector {name!r}"
        if vector is None:
            raise ItemError("no_vector", f"{what} is missing.", "Let Weaviate make it.")
        if vector.ndim != 1:
            raise ItemError(
                "multi_vector",
                f"{what} is several for one object.",
                "Plan with a vector that is one.",
            )
        if self._dimensions is not None and len(vector) != self._dimensions[place]:
            raise ItemError(
                "wrong_dimensions",
                f"{what} has {len(vector)} dimensions, not {self._dimensions[place]}.",
                "Let Weaviate make it anew, with the model of the others.",
            )
        if not np.isfinite(vector).all():
            raise ItemError(
                "not_finite", f"{what} holds NaN or infinity.", "Let Weaviate make it anew."
            )
        return vector


def _metadata_keys(plan: Plan, info: CollectionInfo) -> dict[str, str]:
    """Metadata key by property, in the order in which they are kept."""
    if plan.metadata is not None:
        return plan.metadata
    own = {plan.content, plan.source_id, plan.chunk_index, plan.title, *plan.left_out}
    return {
        name: name
        for name, known in info.properties.items()
        if name not in own and known.data_type not in UNCARRIED
    }


def _text(value: JSON, name: str) -> str:
    return "" if value is None else _clean(str(value), name)


def _clean(text: str, name: str) -> str:
    if _NUL in text:
        raise ItemError(
            "nul_character",
            f"{name} holds a NUL character, which PostgreSQL cannot store.",
            "Take it out, in Weaviate.",
        )
    return text


def _check(value: JSON, name: str) -> None:
    """Refuse NUL characters and numbers that are not finite, wherever they are."""
    if isinstance(value, str):
        _clean(value, name)
    elif isinstance(value, float) and not isfinite(value):
        raise ItemError("not_finite", "A number is NaN or infinite.", "Give it another value.")
    elif isinstance(value, list):
        for each in value:
            _check(each, name)
    elif isinstance(value, dict):
        for key, each in value.items():
            _clean(key, name)
            _check(each, name)
