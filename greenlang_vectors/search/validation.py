"""Which searches can be asked: everything that is wrong with a request, said before any work."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.model import Mode, SearchRequest
from greenlang_vectors.store.collections import Collection

MAX_TOP_K = 1000
MAX_QUERY_CHARACTERS = 20_000


def checked(request: SearchRequest) -> SearchRequest:
    """The request, its question without NUL characters and its vector as float32.

    Raises:
        UsageError: something that cannot be asked, or not together.
    """
    if request.mode not in get_args(Mode):
        raise UsageError(f"Unknown mode {request.mode!r}.", f"Known: {', '.join(get_args(Mode))}.")
    if not 1 <= request.top_k <= MAX_TOP_K:
        raise UsageError(f"top_k must be between 1 and {MAX_TOP_K}, not {request.top_k}.")
    _check_name("namespace", request.namespace)
    _check_name("collection", request.collection)
    _check_order(request)
    if request.mode != "vector" and request.threshold is not None:
        raise UsageError(
            f"A threshold bounds vector scores: it cannot be asked in mode {request.mode}."
        )
    if request.threshold is not None and not isfinite(request.threshold):
        raise UsageError(f"The threshold must be a number, not {request.threshold}.")
    if request.max_tokens is not None and request.max_tokens < 1:
        raise UsageError(f"max_tokens must be 1 or more, not {request.max_tokens}.")
    _check_weights(request)
    return replace(request, query=_question(request), vector=_vector(request))


def check_vector(vector: NDArray[np.float32], collection: Collection) -> None:
    """Refuse a query vector that cannot be compared with a collection's.

    Raises:
        UsageError: of another length, or without a direction under the cosine metric.
    """
    if len(vector) != collection.dimensions:
        raise UsageError(
            f"The query vector has {len(vector)} dimensions; {collection.name} holds "
            f"{collection.dimensions}."
        )
    if collection.index.metric == "cosine" and not vector.any():
        raise UsageError("The query vector is zero: no cosine similarity to it is defined.")


def _question(request: SearchRequest) -> str | None:
    if request.query is None:
        for needed, why in (
            (request.vector is None, "neither a question nor a vector is given"),
            (request.mode != "vector", f"mode {request.mode} searches for words"),
            (request.rerank, "a re-ranker reads the question"),
        ):
            if needed:
                raise UsageError(f"The search needs a question: {why}.")
        return None
    if request.mode == "text" and request.vector is not None:
        raise UsageError("Mode text searches for words: a query vector has no use in it.")
    query = request.query.replace("\x00", "")
    if not query.strip():
        raise UsageError("The question is empty.")
    if len(query) > MAX_QUERY_CHARACTERS:
        raise UsageError(
            f"The question has {len(query)} characters; at most {MAX_QUERY_CHARACTERS} are read."
        )
    if _surrogates(query):
        raise UsageError("The question holds half of a surrogate pair: it is no text.")
    return query


def _vector(request: SearchRequest) -> NDArray[np.float32] | None:
    if request.vector is None:
        return None
    vector = np.asarray(request.vector, dtype=np.float32)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise UsageError("The query vector must be one row of finite numbers.")
    return np.ascontiguousarray(vector)


def _check_order(request: SearchRequest) -> None:
    if request.per_document is not None and request.per_document < 1:
        raise UsageError(f"per_document must be 1 or more, not {request.per_document}.")
    if request.diversity is None:
        return
    if not 0 <= request.diversity <= 1:
        raise UsageError(f"diversity must be between 0 and 1, not {request.diversity}.")
    if request.rerank:
        raise UsageError("diversity and rerank each order the results: choose one of them.")


def _check_weights(request: SearchRequest) -> None:
    weights = tuple(request.weights)
    if len(weights) != 2 or not all(isfinite(w) and w >= 0 for w in weights) or not any(weights):
        raise UsageError(
            "weights must be two numbers, of vector and of text, none below 0 and not both 0."
        )
    if request.mode != "hybrid" and weights != (1.0, 1.0):
        raise UsageError(f"Only a hybrid search weighs ranks; the mode is {request.mode}.")


def _check_name(what: str, name: str | None) -> None:
    if name is not None and ("\x00" in name or _surrogates(name)):
        raise UsageError(f"Unknown {what} {name!r}.")


def _surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
