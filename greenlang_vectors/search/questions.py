"""The vectors of questions: embedded by the collection's model, the latest kept in memory.

A question goes past the cache in the database: reading it would cost a search a connection to the
writer, and keeping what people ask there serves nobody.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from typing import cast

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.filters import And, Filter, Newest
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.search.validation import check_vector
from greenlang_vectors.store.collections import Collection

KEPT = 1024


class Questions:
    """Embeds questions, each once while it is among the latest; safe to call from threads."""

    def __init__(self, embedders: Embedders) -> None:
        self._embedders = embedders
        self._kept: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def vector(self, collection: Collection, query: str) -> NDArray[np.float32]:
        """The vector of a question, shape (collection.dimensions,).

        Raises:
            UsageError: it is longer than the model reads.
            ModelUnavailable, EmbeddingFailed: of the collection's model.
        """
        embedder = self._embedders.of(collection)
        key = embedder.model.spec.fingerprint(embedder.normalize), query
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        vector = _embed(embedder, query)
        with self._lock:
            self._kept[key] = vector
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return vector


class Asked:
    """A request put to a collection.

    Attributes:
        made_vector: what is searched with; None until it is first needed.
        embed_seconds: what making it took.
    """

    def __init__(
        self, request: SearchRequest, collection: Collection, questions: Questions
    ) -> None:
        self.request = request
        self.collection = collection
        self.embed_seconds = 0.0
        self._questions = questions
        self.made_vector = request.vector
        if request.vector is not None:
            check_vector(request.vector, collection)

    def again(self, request: SearchRequest) -> Asked:
        """Another search for the same question, whose vector, if it is made, is made no more."""
        other = copy.copy(self)
        other.request = request
        return other

    @property
    def filter(self) -> Filter | None:
        """Which passages may be found: where acts have several versions, those of the newest."""
        asked = self.request.filter
        if self.request.all_versions or not self.collection.superseded:
            return asked
        return Newest(And(()) if asked is None else asked)

    @property
    def vector(self) -> NDArray[np.float32]:
        """What is searched with; raises as `Questions.vector`."""
        self.make_vector()
        return cast("NDArray[np.float32]", self.made_vector)

    def make_vector(self) -> None:
        """Embed the question unless that is done; raises as `Questions.vector`."""
        if self.made_vector is None:
            began = time.perf_counter()
            self.made_vector = self._questions.vector(self.collection, self.request.query or "")
            self.embed_seconds = time.perf_counter() - began


def _embed(embedder: Embedder, query: str) -> NDArray[np.float32]:
    batch = Embedder(embedder.model, normalize=embedder.normalize).embed([query])
    if batch.failures:
        raise UsageError(f"The question cannot be embedded: {batch.failures[0]}")
    vector: NDArray[np.float32] = batch.vectors[0]
    return vector
