"""A model run by ONNX Runtime and OpenVINO makes the vectors that it makes itself."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from greenlang_vectors.embedding.backends import PRECISIONS, local_model
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.exported import exported
from greenlang_vectors.embedding.graph_model import AGREEMENT, GraphModel
from greenlang_vectors.embedding.models import EmbeddingModel, ModelSpec, resolve_model
from greenlang_vectors.embedding.sentence_transformer import SentenceTransformerModel
from greenlang_vectors.errors import ModelUnavailable, UsageError
from greenlang_vectors.settings import Backend, Precision

pytestmark = pytest.mark.integration

GRAPHS: list[tuple[Backend, Precision]] = [
    (backend, precision)
    for backend, precisions in PRECISIONS.items()
    for precision in precisions
    if backend != "torch"
]
PASSAGES = [
    "Undertakings shall disclose how they are exposed to climate-related risks.",
    "Operators shall not place on the market products that are not deforestation-free.",
    "CBAM",
    "The authorised CBAM declarant shall submit a declaration by 31 May of each year. " * 12,
]


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is exported is kept, for all tests."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture
def tiny(tiny_mpnet: Path) -> ModelSpec:
    return resolve_model(str(tiny_mpnet))


@pytest.mark.parametrize(("backend", "precision"), GRAPHS)
def test_the_real_model_makes_its_own_vectors(
    real_model: SentenceTransformerModel, graphs: Path, backend: Backend, precision: Precision
) -> None:
    spec = replace(real_model.spec, precision=precision)
    vectors = Embedder(local_model(spec, backend, graphs)).embed(PASSAGES).vectors
    own = Embedder(real_model).embed(PASSAGES).vectors
    assert np.sum(vectors * own, axis=1).min() >= AGREEMENT[precision]


@pytest.mark.parametrize(("backend", "precision"), GRAPHS)
def test_a_model_without_token_types_and_with_another_padding_is_run_too(
    tiny: ModelSpec, graphs: Path, backend: Backend, precision: Precision
) -> None:
    texts = ["soil", "water forest due carbon soil", "forest water", "water"]
    model = local_model(replace(tiny, precision=precision), backend, graphs)
    together = model.encode(texts)
    alone = np.concatenate([model.encode([text]) for text in texts])
    assert together.shape == (4, tiny.dimensions)
    assert together == pytest.approx(alone, abs=0.01)
    own = SentenceTransformerModel(tiny).encode(texts)
    assert together == pytest.approx(own, abs=0.01)


def test_texts_of_several_threads_do_not_mix(tiny: ModelSpec, graphs: Path) -> None:
    model = local_model(tiny, "openvino", graphs)
    texts = ["soil", "water", "forest", "due", "carbon"] * 20
    expected = {text: model.encode([text])[0] for text in set(texts)}
    with ThreadPoolExecutor(4) as threads:
        for text, vectors in zip(
            texts, threads.map(lambda t: model.encode([t]), texts), strict=True
        ):
            assert vectors[0] == pytest.approx(expected[text], abs=1e-5)


def test_openvino_tells_nobody_that_it_is_used(tiny: ModelSpec, graphs: Path) -> None:
    assert np.isfinite(local_model(tiny, "openvino", graphs).encode(["soil"])).all()
    assert sys.modules["openvino_telemetry"] is None
    assert "openvino.tools.ovc.telemetry_stub" in sys.modules


def test_a_text_too_long_is_refused_not_cut(tiny: ModelSpec, graphs: Path) -> None:
    model = local_model(tiny, "onnx", graphs)
    longest = " ".join(["soil"] * 510)
    assert np.isfinite(model.encode([longest])).all()
    with pytest.raises(ValueError, match="513 tokens"):
        model.encode([longest + " soil"])


def test_what_makes_other_vectors_is_not_used(
    tiny: ModelSpec, graphs: Path, tmp_path: Path
) -> None:
    kept = exported(tiny, graphs).graph.parent
    shutil.copytree(kept, tmp_path / kept.name)
    others = np.roll(np.load(kept / "probes.npy"), 1, axis=0)
    np.save(tmp_path / kept.name / "probes.npy", others)
    with pytest.raises(ModelUnavailable, match=r"makes other vectors than its own \(cosine"):
        local_model(tiny, "openvino", tmp_path).encode(["soil"])


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_damaged_graph_is_an_error_that_says_what_helps(
    tiny: ModelSpec, graphs: Path, tmp_path: Path, backend: Backend
) -> None:
    kept = exported(tiny, graphs).graph.parent
    shutil.copytree(kept, tmp_path / kept.name)
    graph = tmp_path / kept.name / "model.onnx"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    with pytest.raises(ModelUnavailable) as caught:
        local_model(tiny, backend, tmp_path).encode(["soil"])
    assert "GREENLANG_EMBEDDING_BACKEND=torch" in caught.value.remedy


@pytest.mark.parametrize(
    ("backend", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")]
)
def test_a_backend_that_is_not_installed_is_named(
    tiny: ModelSpec,
    graphs: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: Backend,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelUnavailable) as caught:
        local_model(tiny, backend, graphs).encode(["soil"])
    assert f"greenlang-vectors[{backend}]" in caught.value.remedy


def test_an_export_that_fails_leaves_nothing(
    tiny: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: 1 / 0)
    with pytest.raises(ModelUnavailable, match="cannot be exported"):
        exported(tiny, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_that_export_at_once_both_have_it(tiny: ModelSpec, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        models: list[EmbeddingModel] = [GraphModel(tiny, "onnx", tmp_path) for _ in range(2)]
        first, second = threads.map(lambda model: model.encode(["soil"]), models)
    assert first == pytest.approx(second)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_precision_that_a_backend_has_not_is_refused(tiny: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="onnx does not run a model in int8"):
        local_model(replace(tiny, precision="int8"), "onnx", tmp_path)


def test_vectors_of_another_precision_are_another_make(tiny: ModelSpec) -> None:
    prints = {
        replace(tiny, precision=precision).fingerprint(True)
        for precision in ("float32", "bfloat16", "int8")
    }
    assert len(prints) == 3
