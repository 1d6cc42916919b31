"""LangChain's PGVectorStore: the seconds `add_embeddings` takes, printed."""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from uuid import uuid4

import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_postgres import PGEngine, PGVectorStore


def main(url: str, folder: Path) -> None:
    """Write the rows of the folder into a new table."""
    vectors = np.load(folder / "vectors.npy")
    rows = json.loads((folder / "rows.json").read_text())
    # psycopg 3 is the faster of its two drivers here
    engine = PGEngine.from_connection_string(
        url.replace("postgresql://", "postgresql+psycopg://", 1)
    )
    dimensions = vectors.shape[1]
    table = f"langchain_{uuid4().hex[:8]}"
    engine.init_vectorstore_table(table, dimensions)
    store = PGVectorStore.create_sync(engine, DeterministicFakeEmbedding(size=dimensions), table)
    texts = [preview for _, preview, _ in rows]
    metadata = [{**metadata, "content_hash": digest} for digest, _, metadata in rows]
    ids = [str(uuid4()) for _ in rows]
    embeddings = vectors.tolist()
    began = time.perf_counter()
    store.add_embeddings(texts, embeddings, metadata, ids)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
