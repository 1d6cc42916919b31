"""The real model, loaded once."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from greenlang_vectors.embedding.models import resolve_model
from greenlang_vectors.embedding.sentence_transformer import SentenceTransformerModel


@pytest.fixture(scope="session")
def model_and_noise() -> tuple[SentenceTransformerModel, str]:
    """The packaged model, and all that loading it wrote to standard output and error."""
    model = SentenceTransformerModel(resolve_model("all-MiniLM-L6-v2"))
    with tempfile.TemporaryFile() as file:
        kept = {fd: os.dup(fd) for fd in (1, 2)}
        for fd in kept:
            os.dup2(file.fileno(), fd)
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (os.fdopen(os.dup(fd), "w") for fd in kept)
        try:
            assert np.isfinite(model.encode(["load"])).all()
        finally:
            sys.stdout.close()
            sys.stderr.close()
            sys.stdout, sys.stderr = streams
            for fd, copy in kept.items():
                os.dup2(copy, fd)
                os.close(copy)
        file.seek(0)
        return model, file.read().decode()


@pytest.fixture(scope="session")
def real_model(model_and_noise: tuple[SentenceTransformerModel, str]) -> SentenceTransformerModel:
    return model_and_noise[0]


@pytest.fixture(scope="session")
def tiny_mpnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model built as all-mpnet-base-v2 is, of one layer and random weights."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from transformers import MPNetConfig, MPNetModel, MPNetTokenizerFast

    folder = tmp_path_factory.mktemp("models")
    words = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>", "soil", "water", "forest", "due", "carbon"]
    tokenizer = MPNetTokenizerFast(vocab={word: row for row, word in enumerate(words)})
    torch.manual_seed(7)
    bare = MPNetModel(
        MPNetConfig(
            vocab_size=len(words),
            num_hidden_layers=1,
            intermediate_size=64,
            max_position_embeddings=514,
        )
    )
    bare.save_pretrained(folder / "bare")
    tokenizer.save_pretrained(folder / "bare")
    transformer = modules.Transformer(str(folder / "bare"), max_seq_length=384)
    pooling = modules.Pooling(transformer.get_embedding_dimension(), "mean")
    SentenceTransformer(modules=[transformer, pooling, modules.Normalize()], device="cpu").save(
        str(folder / "tiny-mpnet"), create_model_card=False
    )
    return folder / "tiny-mpnet"
