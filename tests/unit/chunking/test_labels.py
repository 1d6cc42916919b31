"""Chunks of a legal act are noted with the provisions they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenlang_vectors.chunking import Chunk, ChunkingConfig, Tokenizer, chunk_document
from greenlang_vectors.chunking.model import StrategyName
from greenlang_vectors.documents.extract import extract
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.documents.provisions import provisions
from greenlang_vectors.documents.source import RawDocument

SENTENCE = "The operator shall keep the records of each batch for five years. "  # 13 tokens
ACT = "\n\n".join(
    (
        "Whereas:",
        f"(1) {SENTENCE}",
        f"(2) {SENTENCE}",
        "CHAPTER I",
        "Article 1",
        "Short.",
        "Article 2",
        f"1. {SENTENCE * 15}",
        f"2. {SENTENCE * 15}",
        f"3. {SENTENCE * 15}",
        "CHAPTER II",
        "Article 3",
        "Short, too.",
        "ANNEX I",
        "Short.",
        "ANNEX II",
        "Shorter.",
    )
)


def cut(strategy: StrategyName, tokenizer: Tokenizer, text: str = ACT) -> list[Chunk]:
    document = extract(RawDocument(text.encode(), "ACT_32031R0077_EN.txt"))
    return list(chunk_document(document, ChunkingConfig.of(strategy), tokenizer))


def test_no_passage_holds_parts_of_two_articles_however_short(tokenizer: Tokenizer) -> None:
    chunks = cut("semantic", tokenizer)
    assert [(c.content.split("\n")[0][:10], c.metadata.get("article")) for c in chunks] == [
        ("Whereas:", "1"),
        ("Article 2", "2"),
        (chunks[2].content[:10], "2"),
        ("CHAPTER II", "3"),
        ("ANNEX I", None),
        ("ANNEX II", None),
    ]
    assert [c.metadata.get("annex") for c in chunks[-3:]] == [None, "I", "II"]
    assert {c.metadata["celex"] for c in chunks} == {"32031R0077"}


def test_paragraphs_and_recitals_are_listed(tokenizer: Tokenizer) -> None:
    chunks = cut("semantic", tokenizer)
    assert chunks[0].metadata["recitals"] == ["1", "2"]
    assert chunks[0].metadata["recital"] == "1"
    held = [(c.metadata["paragraph"], c.metadata["paragraphs"]) for c in chunks[1:3]]
    assert held == [("1", ["1"]), ("2", ["2", "3"])]


def test_windows_name_the_first_provision_they_hold(tokenizer: Tokenizer) -> None:
    for chunk in cut("fixed", tokenizer):
        assert chunk.metadata["article"] in {"1", "2"}
    hierarchy = cut("hierarchical", tokenizer)
    children = [c for c in hierarchy if c.metadata.get("article") == "2" and c.level == 0]
    assert {c.metadata["paragraph"] for c in children} == {"1", "2", "3"}


def test_what_is_no_act_has_no_metadata(tokenizer: Tokenizer) -> None:
    document = ExtractedDocument(SENTENCE, "x", "text/plain")
    assert [c.metadata for c in chunk_document(document, ChunkingConfig(), tokenizer)] == [{}]


@pytest.mark.parametrize(
    "name", ["eudr/EUDR_32023R1115_OJ_2023-05-31_EN.xhtml", "cbam/CBAM_32023R0956_EN.pdf"]
)
def test_every_article_of_a_real_act_can_be_named(
    shared_data: Path, tokenizer: Tokenizer, name: str
) -> None:
    file = shared_data / "regulations" / name
    act = extract(RawDocument(file.read_bytes(), file.name))
    chunks = list(chunk_document(act, ChunkingConfig(), tokenizer))
    units = {p.unit for p in provisions(act)} - {("", "")}
    named = {(c.metadata.get("annex", ""), c.metadata.get("article", "")) for c in chunks}
    assert units <= named
    for chunk in chunks:
        inside = {p.unit for p in provisions(act) if chunk.start <= p.start < chunk.end}
        assert len(inside - {("", "")}) <= 1
