"""Which model a name means, read from its folder without loading it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from greenlang_vectors.embedding.models import OPENAI_DIMENSIONS, PACKAGED_MODEL, resolve_model
from greenlang_vectors.errors import ModelUnavailable

from .conftest import SPEC

BERT = {"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}
MEAN = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def model_folder(
    folder: Path, config: dict[str, Any] = BERT, pooling: dict[str, Any] = MEAN
) -> Path:
    modules = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    write(
        folder / "modules.json",
        [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in modules],
    )
    write(folder / "config.json", config)
    write(folder / "1_Pooling" / "config.json", pooling)
    write(folder / "tokenizer.json", {})
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_the_packaged_model_reads_512_tokens_not_the_256_it_is_packaged_with() -> None:
    spec = resolve_model("all-MiniLM-L6-v2")
    assert (spec.name, spec.dimensions, spec.max_tokens) == ("all-MiniLM-L6-v2", 384, 512)


def test_a_local_folder_is_called_by_its_own_name(tmp_path: Path) -> None:
    spec = resolve_model(str(model_folder(tmp_path / "my-model")))
    assert (spec.name, spec.directory) == ("my-model", tmp_path / "my-model")


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        (BERT, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 8194, "pad_token_id": 1}, 8192),
        ({"model_type": "roberta", "max_position_embeddings": 514}, 512),
    ],
)
def test_positions_that_padding_takes_are_not_counted(
    tmp_path: Path, config: dict[str, Any], tokens: int
) -> None:
    assert resolve_model(str(model_folder(tmp_path, config))).max_tokens == tokens


@pytest.mark.parametrize(
    ("pooling", "dimensions"),
    [
        (MEAN, 384),
        (MEAN | {"pooling_mode_max_tokens": True, "pooling_mode_cls_token": False}, 768),
        ({"embedding_dimension": 768, "pooling_mode": "cls"}, 768),
        ({"embedding_dimension": 768, "pooling_mode": ["mean", "max"]}, 1536),
    ],
)
def test_dimensions_are_those_of_the_pooled_vector(
    tmp_path: Path, pooling: dict[str, Any], dimensions: int
) -> None:
    assert resolve_model(str(model_folder(tmp_path, pooling=pooling))).dimensions == dimensions


def test_a_dense_layer_after_pooling_decides_the_dimensions(tmp_path: Path) -> None:
    folder = model_folder(tmp_path)
    modules = json.loads((folder / "modules.json").read_text())
    modules.insert(2, {"type": "sentence_transformers.models.Dense", "path": "2_Dense"})
    write(folder / "modules.json", modules)
    write(folder / "2_Dense" / "config.json", {"in_features": 384, "out_features": 128})
    assert resolve_model(str(folder)).dimensions == 128


@pytest.mark.parametrize(
    "changed", ["model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json"]
)
def test_whatever_shapes_the_vectors_shapes_the_revision(tmp_path: Path, changed: str) -> None:
    original = model_folder(tmp_path / "a" / "model")
    other = model_folder(tmp_path / "b" / "model")
    assert resolve_model(str(original)).revision == resolve_model(str(other)).revision
    third = model_folder(tmp_path / "c" / "model")
    (third / changed).write_bytes((third / changed).read_bytes() + b"\n")
    assert resolve_model(str(original)).revision != resolve_model(str(third)).revision


def test_a_fingerprint_depends_on_everything_but_the_place() -> None:
    elsewhere = replace(SPEC, directory=Path("elsewhere"))
    assert elsewhere.fingerprint(normalize=True) == SPEC.fingerprint(normalize=True)
    others = [
        SPEC.fingerprint(normalize=False),
        *(
            replace(SPEC, **change).fingerprint(normalize=True)
            for change in (
                {"name": "other"},
                {"revision": "f" * 16},
                {"dimensions": 9},
                {"max_tokens": 17},
            )
        ),
    ]
    assert len({SPEC.fingerprint(normalize=True), *others}) == 6


@pytest.mark.parametrize(
    "missing",
    ["modules.json", "config.json", "tokenizer.json", "1_Pooling/config.json"],
)
def test_an_incomplete_folder_says_what_is_missing(tmp_path: Path, missing: str) -> None:
    folder = model_folder(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(ModelUnavailable, match=missing.rpartition("/")[2]):
        resolve_model(str(folder))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("config.json", '{"model_type": "t5"}'),
        ("modules.json", "{}"),
        ("modules.json", '[{"type": "x.Transformer", "path": ""}]'),
    ],
)
def test_a_folder_with_other_contents_is_not_a_model(
    tmp_path: Path, file: str, content: str
) -> None:
    folder = model_folder(tmp_path)
    (folder / file).write_text(content)
    with pytest.raises(ModelUnavailable, match="not a complete"):
        resolve_model(str(folder))


def test_a_model_in_the_hugging_face_cache_is_found(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--sentence-transformers--some-model"
    commit = "c" * 40
    model_folder(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    code = (
        "from greenlang_vectors.embedding.models import resolve_model\n"
        "print(resolve_model('some-model').name)\n"
        "print(resolve_model('sentence-transformers/some-model').name)\n"
    )
    assert run_python(code, HF_HOME=str(tmp_path)).split() == ["some-model", "some-model"]


@pytest.mark.parametrize(
    "name", ["all-mpnet-base-v2", "nobody/nothing", "/no/such/folder", "../x", "", "a b"]
)
def test_a_model_that_is_not_here_says_what_to_set(name: str, tmp_path: Path) -> None:
    code = (
        "from greenlang_vectors.embedding.models import resolve_model\n"
        "from greenlang_vectors.errors import ModelUnavailable\n"
        f"try: resolve_model({name!r})\n"
        "except ModelUnavailable as error: print(error)\n"
    )
    message = run_python(code, HF_HOME=str(tmp_path))
    assert repr(name) in message
    assert "GREENLANG_EMBEDDING_MODEL" in message


def test_a_model_that_could_be_downloaded_says_how(tmp_path: Path) -> None:
    code = (
        "from greenlang_vectors.embedding.models import resolve_model\n"
        "from greenlang_vectors.errors import ModelUnavailable\n"
        "for name in ('all-mpnet-base-v2', 'BAAI/bge-m3'):\n"
        "    try: resolve_model(name)\n"
        "    except ModelUnavailable as error: print(error)\n"
    )
    mpnet, bge = run_python(code, HF_HOME=str(tmp_path)).splitlines()
    assert "`hf download sentence-transformers/all-mpnet-base-v2`" in mpnet
    assert "`hf download BAAI/bge-m3`" in bge


def test_a_folder_may_have_the_name_of_a_remote_model(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "text-embedding-3-small")
    assert resolve_model(str(folder)).directory == folder


def test_models_of_openai_have_a_price_and_those_on_this_machine_have_none() -> None:
    prices = {name: resolve_model(name).price for name in OPENAI_DIMENSIONS}
    assert prices == {
        "text-embedding-3-small": 0.02,
        "text-embedding-3-large": 0.13,
        "text-embedding-ada-002": 0.10,
    }
    assert resolve_model(PACKAGED_MODEL).price == 0


def test_resolving_and_counting_need_no_torch() -> None:
    code = (
        "import sys\n"
        "from greenlang_vectors.embedding import cache, embedder, models, sentence_transformer\n"
        "model = sentence_transformer.SentenceTransformerModel(\n"
        "    models.resolve_model('all-MiniLM-L6-v2'))\n"
        "print(model.count_tokens(['two words']))\n"
        "print({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules))\n"
    )
    assert run_python(code).splitlines() == ["[4]", "set()"]


def run_python(code: str, **environment: str) -> str:
    """Standard output of a fresh interpreter without access to any download."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"https_proxy": "http://127.0.0.1:9"} | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
