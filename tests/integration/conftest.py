"""Content for a real database, without a model: documents, chunks and random unit vectors."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from greenlang_vectors.chunking.model import Chunk, content_hash
from greenlang_vectors.cli import main
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.models import PACKAGED_MODEL, resolve_model
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.lifecycle.location import Location, open_location
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import chunks, documents, embeddings, leaves, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

DIMENSIONS = 8
FINGERPRINT = "test"


class ToyModel:
    """Vectors out of a hash of the model's name and the text; the name ends with their length."""

    def __init__(self, name: str) -> None:
        packaged = resolve_model(PACKAGED_MODEL)
        self.spec = replace(packaged, name=name, dimensions=int(name.rpartition("-")[2]))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        salted = [f"{self.spec.name}: {text}" for text in texts]
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in salted]
        size = self.spec.dimensions
        return np.array([np.random.default_rng(seed).normal(size=size) for seed in seeds], "f4")


@dataclass
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - what JSON holds
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """Standard error on one line."""
        return " ".join(self.err.split())


Cli = Callable[..., Result]

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
Launch = Callable[..., subprocess.Popen[str]]


def cut(passages: Sequence[str]) -> list[Chunk]:
    """The passages as chunks of the text that joins them with blank lines."""
    starts = np.cumsum([0, *(len(passage) + 2 for passage in passages)]).tolist()
    return [
        Chunk(i, start, start + len(passage), passage, len(passage.split()) + 2, None, None, ())
        for i, (start, passage) in enumerate(zip(starts, passages, strict=False))
    ]


@pytest.fixture
def cli(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    """Runs the command line in this process, over the test's database."""
    monkeypatch.setenv("GREENLANG_DATABASE_URL", database.url)
    get_settings.cache_clear()

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["greenlang-vectors", *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        return Result(int(exit_.value.code or 0), captured.out, captured.err)

    yield run
    get_settings.cache_clear()


def wait_until_gone(connection: psycopg.Connection, logins: list[str]) -> None:
    """Wait for the servers of closed connections, which clear away what was temporary."""
    until = time.monotonic() + 30
    here = "SELECT FROM pg_stat_activity WHERE usename = ANY(%s)"
    while connection.execute(here, [logins]).fetchone() is not None:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def launch(data_dir: Path, repository: Path) -> Iterator[Launch]:
    """Starts the command line in a process of its own, over the database of this URL."""
    running: list[subprocess.Popen[str]] = []

    def run(url: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        own = {"GREENLANG_DATABASE_URL": url, "GREENLANG_DATA_DIR": str(data_dir)}
        process = subprocess.Popen(
            [sys.executable, "-m", "greenlang_vectors", *arguments],
            cwd=repository,
            env={**os.environ, **own, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is a test's backup location."""
    return tmp_path / "backups"


@pytest.fixture
def location(folder: Path) -> Location:
    return open_location(str(folder))


@pytest.fixture(scope="session")
def add_document() -> AddDocument:
    """Stores a document of these passages with its chunks; returns its id."""

    def add(
        connection: psycopg.Connection, namespace: str, key: str, passages: Sequence[str]
    ) -> UUID:
        text = "\n\n".join(passages)
        identity = documents.save(
            connection,
            namespace,
            key,
            ExtractedDocument(text, title=key, media_type="text/plain"),
            file_hash=content_hash(text),
            size_bytes=len(text),
            extraction_version="1",
        )
        chunks.replace(
            connection,
            namespace,
            identity,
            cut(passages),
            text_hash=content_hash(text),
            fingerprint="cut",
            cache_seconds=3600,
        )
        return identity

    return add


@pytest.fixture(scope="session")
def embed_all() -> Callable[[psycopg.Connection, Leaf], int]:
    """Gives every chunk of the leaf's namespace that lacks one a random unit vector."""

    def embed(connection: psycopg.Connection, leaf: Leaf) -> int:
        leaves.ensure_leaf(connection, leaf)
        total = embeddings.plan_work(connection, leaf, FINGERPRINT)
        pending = embeddings.pending(connection, leaf, 0, total)
        vectors = np.random.default_rng(total).normal(size=(len(pending), leaf.dimensions))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return embeddings.write(
            connection, leaf, pending, vectors.astype(np.float32), fingerprint=FINGERPRINT
        ).written

    return embed


@pytest.fixture(scope="session")
def toys() -> Embedders:
    """Toy models of any name that ends with a number; the first collection is of toy-16."""
    return Embedders("toy-16", lambda model: Embedder(ToyModel(model)))


@pytest.fixture(scope="module")
def embedder(database: Database) -> Embedder:
    """The packaged model behind the module's own cache."""
    return open_embedder(database, PACKAGED_MODEL, cache_seconds=3600)


@pytest.fixture
def leaf(database: Database, request: pytest.FixtureRequest) -> Leaf:
    """An empty leaf in a namespace of the test's own."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    with database.connect() as connection:
        namespaces.register(connection, name)
        made = Leaf(name, "test-model", DIMENSIONS)
        leaves.ensure_leaf(connection, made)
    return made


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    """A connection to the test's database, in autocommit."""
    with database.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def retrieval_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "Tiny"
    folder.mkdir()
    corpus = {
        "d1": "Cement makers report the emissions of each tonne of clinker.",
        "d2": "A cocoa trader keeps the coordinates of every plot of land.",
        "d3": "The auditor signs a limited assurance report.",
    }
    lines = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in corpus.items()]
    (folder / "corpus.jsonl").write_text("\n".join([*lines, "this line is broken"]))
    queries = {"q1": "Where was the cocoa grown?", "q2": "Who assures the report?"}
    lines = [json.dumps({"_id": key, "text": text}) for key, text in queries.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td3\t2\n")
    return folder


@pytest.fixture
def evaluated(cli: Cli, retrieval_set: Path) -> Result:
    """The set, loaded and measured; again at no cost when it is there."""
    return cli("evaluate", str(retrieval_set), "--json")


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
