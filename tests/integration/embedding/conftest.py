"""The real model, loaded once."""

from __future__ import annotations

import os
import sys
import tempfile

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
