"""One mini-batch: what is retried, what is halved, and which vectors are believed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from greenlang_vectors.embedding.encoding import encode_batch
from greenlang_vectors.embedding.models import TransientModelError
from greenlang_vectors.errors import EmbeddingFailed, ModelUnavailable

from .conftest import DIMENSIONS, WordModel, vector_of

TEXTS = [f"text {number}" for number in range(8)]


def failing_first(times: int, error: Exception) -> Callable[[Sequence[str]], None]:
    left = iter(range(times))

    def fault(_: Sequence[str]) -> None:
        if next(left, None) is not None:
            raise error

    return fault


def failing_on(text: str, error: Exception) -> Callable[[Sequence[str]], None]:
    def fault(texts: Sequence[str]) -> None:
        if text in texts:
            raise error

    return fault


@pytest.mark.parametrize(
    "error", [ConnectionResetError("gone"), TimeoutError("slow"), TransientModelError("429")]
)
def test_what_may_pass_is_tried_again(model: WordModel, error: Exception) -> None:
    model.fault = failing_first(4, error)
    encoded = encode_batch(model, TEXTS, normalize=False)
    assert encoded.failures == {}
    assert np.array_equal(encoded.vectors, np.stack([vector_of(text) for text in TEXTS]))


def test_what_does_not_pass_is_given_up(model: WordModel) -> None:
    model.fault = failing_first(99, TransientModelError("503"))
    with pytest.raises(EmbeddingFailed, match="503"):
        encode_batch(model, TEXTS, normalize=True)
    assert model.calls == [TEXTS] * 5


@pytest.mark.parametrize("error", [ModelUnavailable("no weights"), EmbeddingFailed("broken")])
def test_what_cannot_pass_is_tried_once(model: WordModel, error: Exception) -> None:
    model.fault = failing_first(1, error)
    with pytest.raises(type(error)):
        encode_batch(model, TEXTS, normalize=True)
    assert len(model.calls) == 1


def test_a_retry_is_logged_and_not_printed(
    model: WordModel, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    model.fault = failing_first(1, TransientModelError("rate limit"))
    with caplog.at_level(logging.WARNING):
        encode_batch(model, TEXTS, normalize=True)
    assert "rate limit" in caplog.text
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("position", range(8))
def test_a_refused_text_fails_alone(model: WordModel, position: int) -> None:
    model.fault = failing_on(TEXTS[position], ValueError("not in vocabulary"))
    encoded = encode_batch(model, TEXTS, normalize=False)
    assert {row: error.reason for row, error in encoded.failures.items()} == {position: "refused"}
    assert "not in vocabulary" in str(encoded.failures[position])
    for row, text in enumerate(TEXTS):
        expected = np.full(DIMENSIONS, np.nan) if row == position else vector_of(text)
        assert np.array_equal(encoded.vectors[row], expected, equal_nan=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0])
def test_an_unusable_vector_fails_its_text_alone(model: WordModel, value: float) -> None:
    def spoiled(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.stack([vector_of(text) for text in texts])
        vectors[3] = value
        return vectors

    model.fault = spoiled
    encoded = encode_batch(model, TEXTS, normalize=True)
    assert {row: e.reason for row, e in encoded.failures.items()} == {3: "unusable_vector"}
    assert np.isnan(encoded.vectors[3]).all()
    assert np.isfinite(np.delete(encoded.vectors, 3, axis=0)).all()


def test_a_model_that_leaves_a_text_out_is_asked_again_in_halves(model: WordModel) -> None:
    def forgetful(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = [vector_of(text) for text in texts if text != TEXTS[5]]
        return np.array(vectors, dtype=np.float32).reshape(-1, DIMENSIONS)

    model.fault = forgetful
    encoded = encode_batch(model, TEXTS, normalize=False)
    assert list(encoded.failures) == [5]
    assert np.array_equal(encoded.vectors[6], vector_of(TEXTS[6]))


def test_vectors_of_another_length_stop_everything(model: WordModel) -> None:
    model.fault = lambda texts: np.ones((len(texts), DIMENSIONS + 1), dtype=np.float32)
    with pytest.raises(EmbeddingFailed, match="8 dimensions"):
        encode_batch(model, TEXTS, normalize=True)
    assert len(model.calls) == 1


def test_a_batch_that_does_not_fit_is_halved_until_it_does(model: WordModel) -> None:
    def small_machine(texts: Sequence[str]) -> None:
        if len(texts) > 2:
            raise MemoryError

    model.fault = small_machine
    encoded = encode_batch(model, TEXTS, normalize=False)
    assert encoded.failures == {}
    assert np.array_equal(encoded.vectors, np.stack([vector_of(text) for text in TEXTS]))


def test_a_single_text_that_does_not_fit_stops_everything(model: WordModel) -> None:
    model.fault = failing_on(TEXTS[2], MemoryError("2 TB"))
    with pytest.raises(EmbeddingFailed, match="2 TB"):
        encode_batch(model, TEXTS, normalize=True)


def test_normalised_vectors_have_length_one_and_keep_their_direction(model: WordModel) -> None:
    vectors = encode_batch(model, TEXTS, normalize=True).vectors
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    for vector, text in zip(vectors, TEXTS, strict=True):
        raw = vector_of(text)
        assert vector @ raw == pytest.approx(np.linalg.norm(raw), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_lengths_are_normalised_without_overflow(model: WordModel, scale: float) -> None:
    model.fault = lambda texts: np.full((len(texts), DIMENSIONS), scale, dtype=np.float32)
    encoded = encode_batch(model, TEXTS, normalize=True)
    assert encoded.failures == {}
    assert encoded.vectors == pytest.approx(DIMENSIONS**-0.5)
