"""Semantic chunks respect a text's structure."""

from __future__ import annotations

import re

from greenlang_vectors.chunking import Chunk, ChunkingConfig, Tokenizer, chunk_document
from greenlang_vectors.documents.model import ExtractedDocument, Heading

SENTENCE = "The operator shall keep the records of each batch for five years. "  # 13 tokens


def cut(document: ExtractedDocument, tokenizer: Tokenizer) -> list[Chunk]:
    return list(chunk_document(document, ChunkingConfig(), tokenizer))


def outlined(*sections: tuple[int, str, int]) -> ExtractedDocument:
    """A document of sections: heading level, title, number of sentences."""
    text, headings = "", []
    for level, title, sentences in sections:
        headings.append(Heading(len(text), level, title))
        text += f"{title}\n\n{SENTENCE * sentences}\n\n"
    return ExtractedDocument(text, "outlined", "text/plain", headings=tuple(headings))


def starts(document: ExtractedDocument, tokenizer: Tokenizer) -> list[str]:
    return [chunk.content.partition("\n")[0] for chunk in cut(document, tokenizer)]


def test_each_section_is_a_chunk(tokenizer: Tokenizer) -> None:
    document = outlined((1, "Chapter I", 8), (2, "Article 1", 20), (2, "Article 2", 6))
    assert starts(document, tokenizer) == ["Chapter I", "Article 1", "Article 2"]


def test_inner_headings_share_a_chunk(tokenizer: Tokenizer) -> None:
    document = outlined((1, "Chapter I", 8), (3, "Point 1", 8), (3, "Point 2", 8))
    assert starts(document, tokenizer) == ["Chapter I"]


def test_a_heading_without_text_of_its_own_stays_with_what_follows(tokenizer: Tokenizer) -> None:
    document = outlined(
        (1, "Chapter I", 0), (2, "Article 1", 8), (2, "Empty", 0), (1, "Chapter II", 8)
    )
    assert starts(document, tokenizer) == ["Chapter I", "Empty"]


def test_tiny_sections_join_their_siblings_but_not_another_chapter(tokenizer: Tokenizer) -> None:
    document = outlined(
        (1, "Chapter I", 8),
        (2, "Point 1", 2),
        (2, "Point 2", 2),
        (2, "Point 3", 2),
        (2, "Point 4", 2),
        (1, "Chapter II", 8),
    )
    assert starts(document, tokenizer) == ["Chapter I", "Point 1", "Point 4", "Chapter II"]


def test_a_section_slightly_too_long_is_halved(tokenizer: Tokenizer) -> None:
    chunks = cut(outlined((2, "Article 1", 42)), tokenizer)
    assert len(chunks) == 2
    assert all(200 < chunk.token_count < 350 for chunk in chunks)


def test_the_best_place_within_reach_is_taken(tokenizer: Tokenizer) -> None:
    first, second = SENTENCE * 18, SENTENCE * 24
    document = ExtractedDocument(f"{first.strip()}\n\n{second}", "", "text/plain")
    chunks = cut(document, tokenizer)
    assert [chunk.content for chunk in chunks] == [first.strip(), second.strip()]


def test_without_sentences_words_stay_whole(tokenizer: Tokenizer) -> None:
    document = ExtractedDocument("internationalisation " * 800, "", "text/plain")
    for chunk in cut(document, tokenizer):
        assert set(chunk.content.split()) == {"internationalisation"}


def test_chunks_of_a_directive_begin_where_a_thought_begins(
    tokenizer: Tokenizer, directive: ExtractedDocument
) -> None:
    chunks = cut(directive, tokenizer)
    broken = [
        chunk
        for chunk in chunks
        if not re.match(r"[‘“]?[A-Z(\d_;-]", chunk.content) or chunk.content[-1] == ","
    ]
    assert len(broken) <= 0.03 * len(chunks)
    assert sum(chunk.token_count for chunk in chunks) / len(chunks) > 370


def test_no_heading_of_a_standard_ends_a_chunk_or_is_buried(
    tokenizer: Tokenizer, standard: ExtractedDocument
) -> None:
    chunks = cut(standard, tokenizer)
    begun = {chunk.start for chunk in chunks}
    for chunk in chunks:
        assert not chunk.content.splitlines()[-1].startswith("#")
        assert chunk.token_count >= 64 or len(chunks) == 1
    buried = [h for h in standard.headings if h.level <= 2 and h.start not in begun]
    for heading in buried:
        holder = next(c for c in chunks if c.start < heading.start < c.end)
        assert tokenizer.count(standard.text[holder.start : heading.start]) <= 66
