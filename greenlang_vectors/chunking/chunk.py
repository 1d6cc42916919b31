"""From a document to its chunks: plan, measure, number, label."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count, islice

from greenlang_vectors.chunking.fixed import windows
from greenlang_vectors.chunking.labels import Labels
from greenlang_vectors.chunking.measure import measure
from greenlang_vectors.chunking.model import Chunk, ChunkingConfig
from greenlang_vectors.chunking.semantic import Outline
from greenlang_vectors.chunking.tokenmap import TokenMap
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.provisions import provisions
from greenlang_vectors.errors import ChunkingError, UsageError

CHUNKING_VERSION = 2
"""To be raised with every change of the code that cuts or labels any text differently."""

_PARENTS_AT_ONCE = 64
"""Parents whose children are counted together."""


def fingerprint(config: ChunkingConfig, tokenizer: Tokenizer) -> str:
    """A short hash of all that decides where documents are cut; they are cut anew when it changes.

    Returns:
        16 hexadecimal digits.
    """
    parts = [CHUNKING_VERSION, asdict(config), tokenizer.fingerprint]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def chunk_document(
    document: ExtractedDocument, config: ChunkingConfig, tokenizer: Tokenizer
) -> Iterator[Chunk]:
    """A document's chunks in order, a parent before its children; made as they are asked for.

    Each is a span of the text without white space at its ends, counted as it is embedded: alone,
    special tokens included. Nothing but white space lies outside the chunks of a level. Needs some
    20 bytes of memory for each token of the document, and stays linear in its length.

    Raises:
        UsageError: a chunk would hold no token beyond the special ones and the overlap.
        ChunkingError: the text holds nothing but white space, or (while iterating) a single
            character has more tokens than a chunk may have.
    """
    hierarchical = config.strategy == "hierarchical"
    smallest = config.child_tokens if hierarchical else config.max_tokens
    if smallest - tokenizer.special_tokens - config.overlap_tokens < 1:
        raise UsageError(
            f"A chunk of {smallest} tokens has no room beside {tokenizer.special_tokens} special"
            f" tokens and an overlap of {config.overlap_tokens}.",
            "Choose longer chunks or a smaller overlap.",
        )
    if not document.text.strip():
        raise ChunkingError("empty", f"{document.title!r} holds nothing but white space.")
    return (_hierarchy if hierarchical else _sequence)(document, config, tokenizer)


def _sequence(
    document: ExtractedDocument, config: ChunkingConfig, tokenizer: Tokenizer
) -> Iterator[Chunk]:
    tokens = TokenMap(document.text, tokenizer)
    budget = config.max_tokens - tokenizer.special_tokens
    parts = provisions(document)
    if config.strategy == "semantic":
        spans = Outline(document, tokens, parts).spans(budget)
    else:
        spans = windows(tokens, budget, config.overlap_tokens)
    label = Labels(document, parts)
    passages = measure(spans, document.text, config.max_tokens, tokenizer)
    for index, passage in enumerate(passages):
        yield label(index, passage)


def _hierarchy(
    document: ExtractedDocument, config: ChunkingConfig, tokenizer: Tokenizer
) -> Iterator[Chunk]:
    parts = provisions(document)
    outline = Outline(document, TokenMap(document.text, tokenizer), parts)
    budget, child_budget = (
        size - tokenizer.special_tokens for size in (config.max_tokens, config.child_tokens)
    )
    label = Labels(document, parts)
    numbers = count()
    parents = measure(outline.spans(budget), document.text, config.max_tokens, tokenizer)
    while batch := list(islice(parents, _PARENTS_AT_ONCE)):
        spans = (span for p in batch for span in outline.split(p.start, p.end, child_budget))
        children = deque(measure(spans, document.text, config.child_tokens, tokenizer))
        for parent in batch:
            parent_index = next(numbers)
            yield label(parent_index, parent, level=1)
            while children and children[0].end <= parent.end:
                yield label(next(numbers), children.popleft(), parent_index=parent_index)
