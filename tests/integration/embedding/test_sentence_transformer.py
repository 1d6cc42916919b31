"""The real all-MiniLM-L6-v2 on this machine's processor."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import ModelSpec, resolve_model
from greenlang_vectors.embedding.sentence_transformer import SentenceTransformerModel
from greenlang_vectors.errors import EmbeddingFailed, ModelUnavailable

pytestmark = pytest.mark.integration

WHOLE_WINDOW = " ".join(["emission"] * 510)  # with [CLS] and [SEP] 512 tokens


def copy_of(spec: ModelSpec, folder: Path, but: str) -> Path:
    """A folder with links to all files of the model but one; returns the place of that one."""
    for path in spec.directory.rglob("*"):
        target = folder / path.relative_to(spec.directory)
        if path.is_file() and target != folder / but:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    return folder / but


def test_loading_and_encoding_are_silent(
    model_and_noise: tuple[SentenceTransformerModel, str],
) -> None:
    assert model_and_noise[1] == ""


def test_a_question_is_nearest_to_its_answer(real_model: SentenceTransformerModel) -> None:
    passages = [
        "Importers of cement and steel surrender certificates for the carbon they emitted.",
        "Operators shall trace commodities to plots of land that were not deforested.",
        "Large undertakings publish a sustainability statement in their management report.",
    ]
    questions = [
        "Who pays for CO2 of imported metal?",
        "How is forest loss kept out of supply chains?",
        "Which companies must report on sustainability?",
    ]
    vectors = Embedder(real_model).embed(passages + questions).vectors
    assert vectors.shape == (6, 384)
    assert (vectors[3:] @ vectors[:3].T).argmax(axis=1).tolist() == [0, 1, 2]


def test_the_last_of_512_tokens_is_read(real_model: SentenceTransformerModel) -> None:
    changed = WHOLE_WINDOW.removesuffix("emission") + "forest"
    assert real_model.count_tokens([WHOLE_WINDOW, changed]) == [512, 512]
    first, second = real_model.encode([WHOLE_WINDOW, changed])
    assert np.abs(first - second).max() > 1e-4


def test_one_token_more_is_a_failure_not_a_cut(real_model: SentenceTransformerModel) -> None:
    batch = Embedder(real_model).embed([WHOLE_WINDOW + " forest"])
    assert batch.failures[0].reason == "too_long"


def test_tokens_are_counted_as_the_model_reads_them(real_model: SentenceTransformerModel) -> None:
    texts = ["", "Article 3(2) — «due diligence»", "Émission de CO₂", "碳边境", "a\0b", "x" * 300]
    read = real_model._model.tokenizer(texts)["input_ids"]
    assert real_model.count_tokens(texts) == [len(ids) for ids in read]


def test_one_mini_batch_runs_at_a_time(
    real_model: SentenceTransformerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = 0, 0

    def slow(texts: list[str], **_: object) -> NDArray[np.float32]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return np.full((len(texts), 384), len(texts[0]), dtype=np.float32)

    monkeypatch.setattr(real_model._model, "encode", slow)
    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(real_model.encode, [["a"], ["bb"], ["ccc"], ["dddd"]]))
    assert most == 1
    assert [vector[0, 0] for vector in vectors] == [1, 2, 3, 4]


def test_damaged_weights_are_an_unavailable_model(
    real_model: SentenceTransformerModel, tmp_path: Path
) -> None:
    weights = copy_of(real_model.spec, tmp_path, but="model.safetensors")
    weights.write_bytes((real_model.spec.directory / weights.name).read_bytes()[:100_000])
    damaged = SentenceTransformerModel(resolve_model(str(tmp_path)))
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        Embedder(damaged).embed(["text"])


def test_missing_weights_are_an_unavailable_model(
    real_model: SentenceTransformerModel, tmp_path: Path
) -> None:
    copy_of(real_model.spec, tmp_path, but="model.safetensors")
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        SentenceTransformerModel(resolve_model(str(tmp_path))).encode(["text"])


def test_a_word_outside_the_vocabulary_fails_its_text_alone(
    real_model: SentenceTransformerModel, tmp_path: Path
) -> None:
    changed = copy_of(real_model.spec, tmp_path, but="tokenizer.json")
    tokenizer = json.loads((real_model.spec.directory / changed.name).read_text())
    unknown = tokenizer["added_tokens"][-1] | {"id": 30522, "content": "[NEW]"}
    changed.write_text(
        json.dumps(tokenizer | {"added_tokens": [*tokenizer["added_tokens"], unknown]})
    )
    batch = Embedder(SentenceTransformerModel(resolve_model(str(tmp_path)))).embed(
        ["good", "a [NEW] word", "also good"]
    )
    assert {row: error.reason for row, error in batch.failures.items()} == {1: "refused"}
    assert np.isfinite(batch.vectors[[0, 2]]).all()


def test_memory_that_torch_cannot_get_is_a_memory_error(
    real_model: SentenceTransformerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(real_model._model, "encode", lambda *_, **__: torch.empty(1 << 55))
    with pytest.raises(MemoryError):
        real_model.encode(["text"])


def test_another_failure_of_torch_is_named(
    real_model: SentenceTransformerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(
        real_model._model, "encode", lambda *_, **__: torch.ones(2, 3) @ torch.ones(2, 3)
    )
    with pytest.raises(EmbeddingFailed, match="all-MiniLM-L6-v2"):
        real_model.encode(["text"])
