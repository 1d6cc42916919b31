"""A LlamaIndex vector store over one namespace (extra `llamaindex`).

With a model name the store keeps the embeddings LlamaIndex made, in a collection of its own;
without one the namespace's own model embeds texts and questions, and what the pipeline brought in
is found beside the nodes that were added. Coroutines run the blocking methods in threads.
"""

# ruff: noqa: ANN401 - signatures are LlamaIndex's

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UnknownCollection, UsageError
from greenlang_vectors.integrations.metadata_filters import comparison
from greenlang_vectors.integrations.places import place_of, text_of
from greenlang_vectors.integrations.relevance import diverse
from greenlang_vectors.landing import SuppliedVectors
from greenlang_vectors.search import filters
from greenlang_vectors.search.filters import Filter
from greenlang_vectors.search.model import Mode, SearchAnswer, SearchRequest, SearchResult
from greenlang_vectors.service import BlockingEmbeddingService, EmbeddingService

SOURCE_TYPE = "llamaindex"
"""PRD 6.1 `source_type` of what a store adds, unless it is given another."""

PREFETCH_FACTOR = 4.0
"""Candidates of a search by marginal relevance for each node asked, unless the caller says."""

MODES: dict[VectorStoreQueryMode, Mode] = {
    VectorStoreQueryMode.DEFAULT: "vector",
    VectorStoreQueryMode.MMR: "vector",
    VectorStoreQueryMode.TEXT_SEARCH: "text",
    VectorStoreQueryMode.SPARSE: "text",
    VectorStoreQueryMode.HYBRID: "hybrid",
}
_OPERATORS = {
    FilterOperator.EQ: "eq",
    FilterOperator.NE: "ne",
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
    FilterOperator.IN: "in",
    FilterOperator.NIN: "nin",
    FilterOperator.CONTAINS: "contains",
    FilterOperator.ALL: "contains",
}


class GreenLangVectorStore(BasePydanticVectorStore):
    """Nodes of LlamaIndex in one namespace: each is a document with one passage.

    Args:
        service: the SDK over the database.
        namespace: a registered one.
        model: what the store calls the model whose embeddings the nodes carry; they go into the
            collection "<namespace>/<model>", made when the first node is added. None for the
            namespace's own model.
        source_type: which of the namespace's documents are this store's: only those are read back,
            deleted and cleared.
        fresh: query the writer, so that what has just been added is found at once also where
            reading replicas lag.
    """

    stores_text: bool = True
    is_embedding_query: bool = True
    namespace: str
    model: str | None = None
    source_type: str = SOURCE_TYPE
    fresh: bool = False

    _service: BlockingEmbeddingService = PrivateAttr()

    def __init__(
        self,
        service: EmbeddingService | BlockingEmbeddingService,
        namespace: str = "default",
        *,
        model: str | None = None,
        source_type: str = SOURCE_TYPE,
        fresh: bool = False,
    ) -> None:
        fields: dict[str, Any] = {
            "namespace": namespace,
            "model": model,
            "source_type": source_type,
            "fresh": fresh,
            "is_embedding_query": model is not None,
        }
        super().__init__(**fields)
        self._service = service.sync if isinstance(service, EmbeddingService) else service

    @classmethod
    def class_name(cls) -> str:
        """Its name where LlamaIndex stores one."""
        return "GreenLangVectorStore"

    @property
    def client(self) -> BlockingEmbeddingService:
        """The SDK."""
        return self._service

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Add nodes, or replace those of the same ids, in one transaction; return their ids.

        Raises:
            UsageError: a node without text, or with metadata that is not JSON.
            ValueError: a node without an embedding, where the store has a model.
            UnknownNamespace: the namespace is not registered.
        """
        supplied = None
        if self.model is not None and nodes:
            vectors = np.array([node.get_embedding() for node in nodes], dtype=np.float32)
            supplied = SuppliedVectors(self.model, vectors)
        self._service.put(self.namespace, [self._item(node) for node in nodes], supplied)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Remove the nodes of a document."""
        self._delete(self._matching(filters.parse(comparison("ref_doc_id", "eq", ref_doc_id))))

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **_: Any,
    ) -> None:
        """Remove nodes by id, by filter, or by both; nothing where neither is given."""
        if node_ids is not None or filters is not None:
            self._delete(self._chosen(node_ids, filters))

    def clear(self) -> None:
        """Remove every node that was added."""
        self._service.delete(self.namespace, None, self.source_type)

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """The nodes with these ids, those that pass the filter, or both; all where neither is
        given. An id that is not there is left out."""
        found = self._service.get(self.namespace, self._chosen(node_ids, filters), self.source_type)
        return [metadata_dict_to_node(dict(each.metadata), each.texts[0]) for each in found]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that answer a query, best first.

        In mode HYBRID ranks are fused (PRD 8.1.3): `alpha` is the weight of the vector ranks,
        1 - alpha that of the words'; equal ones where it is None. Both arms search as deep as
        they need to, whatever `sparse_top_k`.

        Args:
            kwargs: for mode MMR `mmr_threshold` (1 for the most similar, towards 0 for the most
                different, 0.5 by default), `mmr_prefetch_k` or `mmr_prefetch_factor`; for every
                mode `parents` and `max_tokens` of `search.model.SearchRequest`: with `parents` a
                node's text is the parent's, and its metadata `passages` says where in it the
                passages stand that were found.

        Raises:
            UsageError: a mode, an operator or a value that cannot be asked for.
            UnknownNamespace: the namespace is not registered.
        """
        diversified = query.mode == VectorStoreQueryMode.MMR
        top_k = _prefetched(query, kwargs) if diversified else _top_k(query)
        answer = self._find(query, top_k, kwargs)
        results = answer.results if answer is not None else []
        if answer is not None and diversified:
            threshold = query.mmr_threshold
            if threshold is None:
                threshold = kwargs.get("mmr_threshold", 0.5)
            results = diverse(self._service, answer, query.similarity_top_k, threshold)
        nodes = [self._node(each) for each in results]
        return VectorStoreQueryResult(
            nodes=nodes,
            similarities=[each.score for each in results],
            ids=[node.node_id for node in nodes],
        )

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """See `add`."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """See `delete`."""
        await asyncio.to_thread(self.delete, ref_doc_id, **delete_kwargs)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """See `delete_nodes`."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **delete_kwargs)

    async def aclear(self) -> None:
        """See `clear`."""
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """See `get_nodes`."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """See `query`."""
        return await asyncio.to_thread(self.query, query, **kwargs)

    @property
    def _collection(self) -> str | None:
        return None if self.model is None else f"{self.namespace}/{self.model}"

    def _item(self, node: BaseNode) -> DirectDocument:
        """A node as it is stored: an empty list is none, for the filter IS_EMPTY."""
        metadata = node_to_metadata_dict(node, remove_text=True)
        return DirectDocument(
            node.node_id,
            [node.get_content(MetadataMode.NONE)],
            {key: value for key, value in metadata.items() if value != []},
            source_type=self.source_type,
        )

    def _node(self, found: SearchResult) -> BaseNode:
        """The node that was added; of other passages one that says where they stand."""
        if found.source_type == self.source_type:
            return metadata_dict_to_node(found.metadata, found.content)
        return TextNode(
            id_=f"{found.document}#{found.chunk_index}",
            text=text_of(found),
            metadata=place_of(found) | found.metadata,
        )

    def _find(
        self, query: VectorStoreQuery, top_k: int, options: dict[str, Any]
    ) -> SearchAnswer | None:
        """What a search found; None where the store's collection is not made yet."""
        if query.mode not in MODES:
            known = ", ".join(mode.value for mode in MODES)
            raise UsageError(f"There is no query mode {query.mode.value}.", f"Known: {known}.")
        mode = MODES[query.mode]
        vector = None
        if self.model is not None and mode != "text" and query.query_embedding is not None:
            vector = np.array(query.query_embedding, dtype=np.float32)
        request = SearchRequest(
            query.query_str,
            self.namespace,
            top_k,
            mode,
            vector=vector,
            filter=filter_of(query),
            collection=self._collection,
            weights=_weights(query) if mode == "hybrid" else (1.0, 1.0),
            fresh=self.fresh,
            parents=options.get("parents", False),
            max_tokens=options.get("max_tokens"),
        )
        try:
            return self._service.find(request)
        except UnknownCollection:
            self._service.get(self.namespace, [])
            return None

    def _chosen(self, node_ids: list[str] | None, given: MetadataFilters | None) -> list[str]:
        if node_ids is not None and given is None:
            return node_ids
        matching = self._matching(None if given is None else filters.parse(as_json(given)))
        return matching if node_ids is None else [key for key in node_ids if key in set(matching)]

    def _matching(self, condition: Filter | None) -> list[str]:
        try:
            return self._service.matching(
                self.namespace, condition, self.source_type, self._collection
            )
        except UnknownCollection:
            return []

    def _delete(self, keys: list[str]) -> None:
        self._service.delete(self.namespace, keys, self.source_type)


def filter_of(query: VectorStoreQuery) -> Filter | None:
    """What a query restricts its nodes to: filters, ids of documents, ids of nodes.

    An empty list of ids is no restriction: LlamaIndex's retriever gives one where none was asked.

    Raises:
        UsageError: an operator or a value that cannot be asked for.
    """
    parts: list[JSON] = []
    if query.filters is not None:
        parts.append(as_json(query.filters))
    if query.doc_ids:
        parts.append(comparison("ref_doc_id", "in", list(query.doc_ids)))
    if query.node_ids:
        parts.append({"field": "document", "op": "in", "value": list(query.node_ids)})
    return filters.parse({"and": parts}) if parts else None


def as_json(given: MetadataFilters) -> JSON:
    """Metadata filters in this package's filter language; without a filter all nodes pass.

    Raises:
        UsageError: an operator that cannot be asked for.
    """
    parts = [
        as_json(each) if isinstance(each, MetadataFilters) else _comparison(each)
        for each in given.filters
    ]
    if not parts or given.condition in {None, FilterCondition.AND}:
        return {"and": parts}
    any_of: JSON = {"or": parts}
    return any_of if given.condition == FilterCondition.OR else {"not": any_of}


def _comparison(given: MetadataFilter) -> JSON:
    value: Any = given.value
    match given.operator:
        case FilterOperator.ANY if isinstance(value, list):
            return {"or": [comparison(given.key, "contains", each) for each in value]}
        case FilterOperator.ALL if not isinstance(value, list):
            raise UsageError(f"The operator all takes a list, not {value!r}.")
        case FilterOperator.IS_EMPTY:
            nothing = comparison(given.key, "exists", False)
            return {"or": [nothing, comparison(given.key, "eq", "")]}
        case FilterOperator.TEXT_MATCH if isinstance(value, str):
            literal = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return comparison(given.key, "like", f"%{literal}%")
        case operator if operator in _OPERATORS:
            return comparison(given.key, _OPERATORS[operator], value)
    known = ", ".join(
        [*(each.value for each in _OPERATORS), "any", "is_empty", "text_match of a text"]
    )
    raise UsageError(
        f"A filter cannot ask {given.operator.value} of {value!r}.", f"Possible: {known}."
    )


def _top_k(query: VectorStoreQuery) -> int:
    if query.mode == VectorStoreQueryMode.HYBRID and query.hybrid_top_k is not None:
        return query.hybrid_top_k
    return query.similarity_top_k


def _prefetched(query: VectorStoreQuery, options: dict[str, Any]) -> int:
    factor = options.get("mmr_prefetch_factor", PREFETCH_FACTOR)
    wanted: int = options.get("mmr_prefetch_k", int(factor * query.similarity_top_k))
    return max(wanted, query.similarity_top_k)


def _weights(query: VectorStoreQuery) -> tuple[float, float]:
    return (1.0, 1.0) if query.alpha is None else (query.alpha, 1 - query.alpha)
