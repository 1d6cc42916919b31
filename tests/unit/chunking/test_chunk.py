"""What holds of every chunk of every document under every strategy."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlang_vectors.chunking import (
    Chunk,
    ChunkingConfig,
    Tokenizer,
    chunk_document,
    fingerprint,
)
from greenlang_vectors.chunking import chunk as chunk_module
from greenlang_vectors.chunking.model import STRATEGIES, StrategyName
from greenlang_vectors.chunking.tokenmap import LONGEST_STRIDE
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.errors import ChunkingError, UsageError

from .texts import documents

strategy_names = pytest.mark.parametrize("strategy", STRATEGIES)


def assert_well_cut(
    document: ExtractedDocument,
    chunks: list[Chunk],
    config: ChunkingConfig,
    tokenizer: Tokenizer,
) -> None:
    text = document.text
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    counts = tokenizer.counts([chunk.content for chunk in chunks])
    for chunk, count in zip(chunks, counts, strict=True):
        assert chunk.content == text[chunk.start : chunk.end]
        assert chunk.content
        assert chunk.content == chunk.content.strip()
        assert chunk.token_count == count
        child = config.strategy == "hierarchical" and chunk.level == 0
        assert count <= (config.child_tokens if child else config.max_tokens)
        assert len(chunk.content) <= LONGEST_STRIDE * config.max_tokens
        assert chunk.page_start == document.page_at(chunk.start)
        assert chunk.page_end == document.page_at(chunk.end - 1)
        assert chunk.heading_path == document.heading_path_at(chunk.start)
    levels = {0, 1} if config.strategy == "hierarchical" else {0}
    assert {chunk.level for chunk in chunks} == levels
    for level in levels:
        assert_covers(text, [chunk for chunk in chunks if chunk.level == level])
    if config.strategy in {"semantic", "hierarchical"}:
        for level in levels:
            assert_no_overlap([chunk for chunk in chunks if chunk.level == level])
    for chunk in chunks:
        if (chunk.level, len(levels)) == (0, 2):
            assert chunk.parent_index is not None
            parent = chunks[chunk.parent_index]
            assert parent.level == 1
            assert parent.index < chunk.index
            assert parent.start <= chunk.start < chunk.end <= parent.end
        else:
            assert chunk.parent_index is None


def assert_covers(text: str, chunks: list[Chunk]) -> None:
    reached = 0
    for chunk in chunks:
        assert not text[reached : chunk.start].strip()
        reached = max(reached, chunk.end)
    assert not text[reached:].strip()


def assert_no_overlap(chunks: list[Chunk]) -> None:
    for before, after in itertools.pairwise(chunks):
        assert before.end <= after.start


@st.composite
def configs(draw: st.DrawFn) -> ChunkingConfig:
    strategy = draw(st.sampled_from(STRATEGIES))
    if draw(st.booleans()):
        return ChunkingConfig.of(strategy, draw(st.sampled_from([32, 64, 512])))
    size = draw(st.integers(8, 60))
    overlap = draw(st.integers(0, size - 3)) if strategy in {"fixed", "sliding_window"} else 0
    return ChunkingConfig(strategy, size, overlap, child_tokens=draw(st.integers(8, size)))


@given(documents(), configs())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_document_is_well_cut(
    tokenizer: Tokenizer, document: ExtractedDocument, config: ChunkingConfig
) -> None:
    chunks = list(chunk_document(document, config, tokenizer))
    assert_well_cut(document, chunks, config, tokenizer)


@strategy_names
@pytest.mark.parametrize("which", ["standard", "directive"])
def test_regulations_are_well_cut(
    tokenizer: Tokenizer, strategy: StrategyName, which: str, request: pytest.FixtureRequest
) -> None:
    document: ExtractedDocument = request.getfixturevalue(which)
    config = ChunkingConfig.of(strategy)
    chunks = list(chunk_document(document, config, tokenizer))
    assert_well_cut(document, chunks, config, tokenizer)
    assert chunks == list(chunk_document(document, config, tokenizer))


@strategy_names
@pytest.mark.parametrize(
    "unit",
    ["x", "ab1", "!", "事業", "👩‍👩‍👧", "ผู้ประกอบการ", "يجبعلى", "\u200b", "\u0301", "-a", "각"],
)
def test_texts_without_white_space_are_well_cut(
    tokenizer: Tokenizer, strategy: StrategyName, unit: str
) -> None:
    document = ExtractedDocument(unit * (40_000 // len(unit)), "wall", "text/plain")
    config = ChunkingConfig.of(strategy)
    assert_well_cut(document, list(chunk_document(document, config, tokenizer)), config, tokenizer)


@strategy_names
@pytest.mark.parametrize("unit", ["x", "\u200b", "x" + " " * 40_000])
def test_characters_without_tokens_do_not_make_endless_chunks(
    tokenizer: Tokenizer, strategy: StrategyName, unit: str
) -> None:
    document = ExtractedDocument(unit * (120_000 // len(unit)), "endless", "text/plain")
    config = ChunkingConfig.of(strategy, 32)
    assert_well_cut(document, list(chunk_document(document, config, tokenizer)), config, tokenizer)


@strategy_names
def test_a_text_of_nothing_but_white_space_is_refused(
    tokenizer: Tokenizer, strategy: StrategyName
) -> None:
    document = ExtractedDocument(" \n\u3000", "blank", "text/plain")
    with pytest.raises(ChunkingError, match="white space") as caught:
        chunk_document(document, ChunkingConfig.of(strategy), tokenizer)
    assert caught.value.reason == "empty"


def test_a_character_longer_than_a_chunk_is_refused(tokenizer: Tokenizer) -> None:
    document = ExtractedDocument("각", "Hangul", "text/plain")
    with pytest.raises(ChunkingError) as caught:
        list(chunk_document(document, ChunkingConfig(max_tokens=3), tokenizer))
    assert caught.value.reason == "indivisible"


def test_sizes_that_contradict_each_other_are_refused(tokenizer: Tokenizer) -> None:
    document = ExtractedDocument("text", "", "text/plain")
    with pytest.raises(UsageError):
        ChunkingConfig("sentences")  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        ChunkingConfig("fixed", 64, 64)
    with pytest.raises(UsageError):
        ChunkingConfig("hierarchical", 64, child_tokens=65)
    with pytest.raises(UsageError):
        chunk_document(document, ChunkingConfig("fixed", 64, 62), tokenizer)
    with pytest.raises(UsageError):
        chunk_document(document, ChunkingConfig(max_tokens=2), tokenizer)


def test_the_fingerprint_changes_with_all_that_decides_the_cut(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Tokenizer.__new__(Tokenizer)
    other.fingerprint = "another"
    fingerprints = [
        fingerprint(ChunkingConfig(), tokenizer),
        fingerprint(ChunkingConfig.of("fixed"), tokenizer),
        fingerprint(ChunkingConfig(max_tokens=256), tokenizer),
        fingerprint(ChunkingConfig("hierarchical", child_tokens=64), tokenizer),
        fingerprint(ChunkingConfig("hierarchical"), tokenizer),
        fingerprint(ChunkingConfig("fixed"), tokenizer),
        fingerprint(ChunkingConfig(), other),
    ]
    assert fingerprints[0] == fingerprint(ChunkingConfig.of("semantic"), tokenizer)
    monkeypatch.setattr(chunk_module, "CHUNKING_VERSION", chunk_module.CHUNKING_VERSION + 1)
    fingerprints.append(fingerprint(ChunkingConfig(), tokenizer))
    assert len(set(fingerprints)) == len(fingerprints)
