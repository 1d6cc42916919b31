"""Texts to vectors through cache and model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.embedding.embedder import Embedder, EmbeddingCounts
from greenlang_vectors.errors import EmbeddingFailed, ModelUnavailable

from .conftest import DIMENSIONS, SPEC, DictCache, WordModel, vector_of

WORDS = st.lists(st.sampled_from(["soil", "Wald", "émission", "炭"]), min_size=1, max_size=14)
TEXTS = st.lists(WORDS.map(" ".join), max_size=90)


@given(TEXTS, st.booleans())
def test_every_row_is_the_vector_of_its_text(texts: list[str], cached: bool) -> None:
    model = WordModel()
    cache = DictCache(SPEC.fingerprint(normalize=False)) if cached else None
    embedder = Embedder(model, cache, normalize=False)
    for _ in range(2):
        batch = embedder.embed(texts)
        assert batch.failures == {}
        assert batch.vectors.shape == (len(texts), DIMENSIONS)
        assert batch.vectors.dtype == np.float32
        for text, vector in zip(texts, batch.vectors, strict=True):
            assert np.array_equal(vector, vector_of(text))
    seen = [text for call in model.calls for text in call]
    assert sorted(seen) == sorted(list(set(texts)) * (1 if cached else 2))


def test_no_texts_give_no_rows(model: WordModel) -> None:
    assert Embedder(model).embed([]).vectors.shape == (0, DIMENSIONS)
    assert model.calls == []


def test_the_model_sees_mini_batches_of_like_length(model: WordModel) -> None:
    texts = [" ".join(["w"] * (number % 13 + 1)) + f" {number}" for number in range(70)]
    Embedder(model).embed(texts)
    assert [len(call) for call in model.calls] == [32, 32, 6]
    lengths = [len(text.split()) for call in model.calls for text in call]
    assert lengths == sorted(lengths, reverse=True)


def test_a_cached_text_does_not_touch_the_model(model: WordModel, cache: DictCache) -> None:
    first = Embedder(model, cache).embed(["forest", "soil"])

    def unavailable(_: Sequence[str]) -> None:
        raise ModelUnavailable("must not be asked")

    model.fault = unavailable
    second = Embedder(model, cache).embed(["soil", "forest"])
    assert np.array_equal(first.vectors[::-1], second.vectors)


def test_counts_tell_cache_from_model_and_add_up(model: WordModel, cache: DictCache) -> None:
    embedder = Embedder(model, cache)
    embedder.embed(["a", "b"])
    batch = embedder.embed(["a", "b", "c", "c", "\ud800"])
    counts = batch.counts
    assert batch.made == [2]
    assert (counts.texts, counts.cache_hits, counts.model_texts) == (5, 2, 1)
    assert 0 < counts.model_seconds < 1
    assert counts + EmbeddingCounts(1, 2, 3, 4.0) == EmbeddingCounts(
        6, 4, 4, counts.model_seconds + 4.0
    )


def test_a_text_longer_than_the_model_reads_fails_and_is_not_cut(model: WordModel) -> None:
    fits, too_long = " ".join("x" * 14), " ".join("x" * 15)
    batch = Embedder(model).embed([too_long, fits, too_long])
    assert {row: error.reason for row, error in batch.failures.items()} == {
        0: "too_long",
        2: "too_long",
    }
    assert "17 tokens" in str(batch.failures[0])
    assert model.calls == [[fits]]
    assert np.isnan(batch.vectors[[0, 2]]).all()


def test_a_lone_surrogate_fails_alone(model: WordModel, cache: DictCache) -> None:
    batch = Embedder(model, cache).embed(["good", "half \ud83c of a pair"])
    assert [error.reason for error in batch.failures.values()] == ["invalid_unicode"]
    assert list(batch.failures) == [1]
    assert np.isfinite(batch.vectors[0]).all()


def test_failures_follow_their_texts_and_are_not_cached(model: WordModel, cache: DictCache) -> None:
    def refuses(texts: Sequence[str]) -> None:
        if "bad" in texts:
            raise ValueError("bad")

    model.fault = refuses
    batch = Embedder(model, cache).embed(["a long good text", "bad", "good", "bad"])
    assert sorted(batch.failures) == [1, 3]
    assert set(cache.kept) == {content_hash("a long good text"), content_hash("good")}


def test_what_was_embedded_before_a_failure_is_cached(model: WordModel, cache: DictCache) -> None:
    texts = [f"text {number}" for number in range(64)]

    def second_batch(_: Sequence[str]) -> None:
        if len(model.calls) == 2:
            raise EmbeddingFailed("out of quota")

    model.fault = second_batch
    embedder = Embedder(model, cache)
    with pytest.raises(EmbeddingFailed):
        embedder.embed(texts)
    assert len(cache.kept) == 32
    assert embedder.embed(texts).counts.cache_hits == 32


def test_a_cache_of_other_settings_is_refused(model: WordModel, cache: DictCache) -> None:
    with pytest.raises(ValueError, match="other settings"):
        Embedder(model, cache, normalize=False)
