"""Windows overlap by exactly the tokens asked for."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenlang_vectors.chunking import ChunkingConfig, Tokenizer, chunk_document
from greenlang_vectors.chunking.fixed import windows
from greenlang_vectors.chunking.model import StrategyName
from greenlang_vectors.chunking.tokenmap import TokenMap
from greenlang_vectors.documents.model import ExtractedDocument

_words = st.text(
    st.sampled_from("abcdefghiklmnorstuvwyzäéßžжиш-.,(عربة漢字😀\u0301ก"), min_size=1, max_size=12
)


@given(st.lists(_words, min_size=1).map(" ".join), st.integers(0, 14), st.integers(15, 40))
@settings(deadline=None)
def test_windows_of_any_text_share_exactly_the_overlap(
    tokenizer: Tokenizer, text: str, overlap: int, budget: int
) -> None:
    starts = tokenizer.spans(text)[:, 0].tolist()
    spans = list(windows(TokenMap(text, tokenizer), budget, overlap))
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert bisect_left(starts, end) - bisect_left(starts, start) == overlap
    for start, end in spans:
        assert bisect_left(starts, end) - bisect_left(starts, start) <= budget


def test_windows_do_not_part_the_tokens_of_one_character(tokenizer: Tokenizer) -> None:
    text = "각" * 30
    starts = tokenizer.spans(text)[:, 0].tolist()
    assert len(starts) == 3 * len(set(starts))
    for start, end in windows(TokenMap(text, tokenizer), 20, 0):
        assert bisect_left(starts, end) - bisect_left(starts, start) <= 20


@pytest.mark.parametrize(("strategy", "overlap"), [("fixed", 64), ("sliding_window", 128)])
def test_windows_of_a_directive_are_full_exact_and_between_words(
    tokenizer: Tokenizer, directive: ExtractedDocument, strategy: StrategyName, overlap: int
) -> None:
    text = directive.text
    chunks = list(chunk_document(directive, ChunkingConfig.of(strategy), tokenizer))
    shared = [
        tokenizer.count(text[after.start : before.end]) - tokenizer.special_tokens
        for before, after in itertools.pairwise(chunks)
    ]
    assert set(shared) == {overlap}
    full = [chunk.token_count for chunk in chunks[:-1]]
    assert median(full) == 512
    assert min(full) >= 500
    for chunk in chunks:
        assert not (text[chunk.start - 1 : chunk.start].isalnum() and chunk.content[0].isalnum())
        assert not (text[chunk.end : chunk.end + 1].isalnum() and chunk.content[-1].isalnum())


def test_a_short_text_is_one_window(tokenizer: Tokenizer) -> None:
    document = ExtractedDocument(" A short text. ", "", "text/plain")
    (chunk,) = chunk_document(document, ChunkingConfig.of("fixed"), tokenizer)
    assert chunk.content == "A short text."
