"""Parents hold exactly their children."""

from __future__ import annotations

from itertools import groupby, pairwise

from greenlang_vectors.chunking import ChunkingConfig, Tokenizer, chunk_document
from greenlang_vectors.documents.model import ExtractedDocument


def test_children_tile_their_parents_and_parents_are_the_semantic_chunks(
    tokenizer: Tokenizer, directive: ExtractedDocument
) -> None:
    config = ChunkingConfig.of("hierarchical")
    chunks = list(chunk_document(directive, config, tokenizer))
    children = [chunk for chunk in chunks if chunk.level == 0]
    for index, group in groupby(children, key=lambda chunk: chunk.parent_index):
        assert index is not None
        family = list(group)
        parent = chunks[index]
        assert (parent.start, parent.end) == (family[0].start, family[-1].end)
        assert [chunk.index for chunk in family] == list(range(index + 1, index + 1 + len(family)))
        for before, after in pairwise(family):
            assert directive.text[before.end : after.start].isspace()
    parents = [(chunk.start, chunk.end) for chunk in chunks if chunk.level == 1]
    semantic = chunk_document(directive, ChunkingConfig(), tokenizer)
    assert parents == [(chunk.start, chunk.end) for chunk in semantic]


def test_a_parent_as_short_as_a_child_has_one(tokenizer: Tokenizer) -> None:
    document = ExtractedDocument("A short text.", "", "text/plain")
    parent, child = chunk_document(document, ChunkingConfig.of("hierarchical"), tokenizer)
    assert (parent.level, child.level) == (1, 0)
    assert child.parent_index == parent.index == 0
    assert child.content == parent.content
