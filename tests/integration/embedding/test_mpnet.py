"""A model of all-mpnet-base-v2's kind and dimensions, from a folder; its weights are random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import resolve_model
from greenlang_vectors.embedding.sentence_transformer import SentenceTransformerModel

pytestmark = pytest.mark.integration

WHOLE_WINDOW = " ".join(["soil"] * 510)  # with <s> and </s> 512 tokens


@pytest.fixture(scope="module")
def model(tiny_mpnet: Path) -> SentenceTransformerModel:
    return SentenceTransformerModel(resolve_model(str(tiny_mpnet)))


def test_its_sizes_are_those_of_the_real_one(model: SentenceTransformerModel) -> None:
    assert (model.spec.name, model.spec.dimensions, model.spec.max_tokens) == (
        "tiny-mpnet",
        768,
        512,
    )


def test_texts_become_vectors_that_tell_them_apart(model: SentenceTransformerModel) -> None:
    vectors = Embedder(model).embed(["soil", "water", "soil"]).vectors
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.allclose(vectors[0], vectors[2], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


def test_the_last_of_512_tokens_is_read_and_one_more_is_refused(
    model: SentenceTransformerModel,
) -> None:
    changed = WHOLE_WINDOW.removesuffix("soil") + "water"
    assert model.count_tokens([WHOLE_WINDOW, changed]) == [512, 512]
    first, second = model.encode([WHOLE_WINDOW, changed])
    assert np.abs(first - second).max() > 1e-6
    batch = Embedder(model).embed([WHOLE_WINDOW + " soil"])
    assert batch.failures[0].reason == "too_long"
