"""What is asked of a Weaviate server, and what a search of it finds, without its client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.model import JSON

Operator = Literal[
    "AND",
    "OR",
    "NOT",
    "EQUAL",
    "NOT_EQUAL",
    "GREATER_THAN",
    "GREATER_THAN_EQUAL",
    "LESS_THAN",
    "LESS_THAN_EQUAL",
    "LIKE",
    "IS_NULL",
    "CONTAINS_ANY",
    "CONTAINS_ALL",
]

ID = "_id"
"""What a condition calls the id of an object."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter as Weaviate has them: a property compared with a value, or others joined.

    Attributes:
        property: by name, or ID; "" of AND, OR and NOT.
        value: of the property's own type; a list, all of one type and never empty, of CONTAINS_ANY
            and CONTAINS_ALL.
        parts: of AND and OR; one of NOT.
    """

    operator: Operator
    property: str = ""
    value: bool | int | float | str | Sequence[bool | int | float | str] = False
    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A search, or a page that is read.

    Attributes:
        limit: the most objects to return.
        properties: by name; None for all but blobs and references.
        references: collections that each asked-for reference may point to, by its name.
        vectors: which to return, by name; None for the only one.
        after: a cursor: the objects behind it, in the order of their ids.
        ids: these objects alone.
        equal: (property, value): the objects that have it. A text that is split into words
            equals every text that holds them all.
        filter: the objects that fulfil it.
        near: the vector whose nearest objects are wanted, and `near_name`, which of theirs.
        words: what is looked for by keyword in `searched`.
        alpha: weight of `near` where both are given: then ranks are fused.
    """

    collection: str
    tenant: str
    limit: int
    properties: Sequence[str] | None = ()
    references: Mapping[str, Sequence[str]] | None = None
    vectors: Sequence[str | None] = ()
    after: UUID | None = None
    ids: Sequence[UUID] = ()
    equal: tuple[str, JSON] | None = None
    filter: Condition | None = None
    near: NDArray[np.float32] | None = None
    near_name: str | None = None
    words: str | None = None
    searched: Sequence[str] = ()
    alpha: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An object that a search found.

    Attributes:
        distance: of a search near a vector; 0 of others.
        score: of a keyword or hybrid search; 0 of others.
    """

    id: UUID
    distance: float
    score: float
    properties: Mapping[str, JSON]
