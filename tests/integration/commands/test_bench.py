"""`greenlang-vectors bench embedding`: what runs here is measured, judged and recommended."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from greenlang_vectors.embedding.backends import PRECISIONS
from greenlang_vectors.quality import backends
from greenlang_vectors.settings import get_settings

from ..conftest import Cli

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def few_texts(tiny_mpnet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "TEXTS", 4)
    monkeypatch.setenv("GREENLANG_EMBEDDING_MODEL", str(tiny_mpnet))
    get_settings.cache_clear()


def test_the_documented_json(cli: Cli, retrieval_set: Path) -> None:
    found = cli("bench", "embedding", str(retrieval_set), "--json").json
    made = {(each["backend"], each["precision"]): each for each in found["measured"]}
    assert list(made) == [
        (backend, precision)
        for backend, precisions in PRECISIONS.items()
        for precision in precisions
    ]
    reference = made["torch", "float32"]
    assert (reference["times"], reference["loss"]) == (1.0, 0.0)
    assert reference["cosine"] == pytest.approx(1, abs=1e-5)
    best = made[found["fastest"]["backend"], found["fastest"]["precision"]]
    assert best["loss"] < 0.005
    assert best["times"] == max(e["times"] for e in found["measured"] if e["loss"] < 0.005)
    assert found["unavailable"] == []


def test_for_people_and_without_a_backend(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    shown = cli("bench", "embedding")
    assert shown.code == 0
    assert "GREENLANG_EMBEDDING_BACKEND=" in shown.out
    assert "onnx float32: " in shown.err
    assert "nDCG" not in shown.out


def test_a_model_of_another_machine_is_a_mistake(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLANG_EMBEDDING_MODEL", "text-embedding-3-small")
    get_settings.cache_clear()
    refused = cli("bench", "embedding")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "another machine" in refused.err
