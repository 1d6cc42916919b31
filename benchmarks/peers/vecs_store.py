"""Supabase vecs: the seconds `upsert` takes, printed."""

# mypy: ignore-errors
from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from uuid import uuid4

import numpy as np
import vecs


def main(url: str, folder: Path) -> None:
    """Write the rows of the folder into a new collection."""
    vectors = np.load(folder / "vectors.npy")
    rows = json.loads((folder / "rows.json").read_text())
    with vecs.create_client(url.replace("postgresql://", "postgresql+psycopg2://", 1)) as client:
        collection = client.get_or_create_collection(
            f"vecs_{uuid4().hex[:8]}", dimension=vectors.shape[1]
        )
        records = [
            (str(uuid4()), vector, {**metadata, "content_hash": digest, "preview": preview})
            for vector, (digest, preview, metadata) in zip(vectors, rows, strict=True)
        ]
        began = time.perf_counter()
        collection.upsert(records)
        print(time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
