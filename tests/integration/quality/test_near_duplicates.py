"""Documents that say nearly the same are reported, and nothing is changed."""

from __future__ import annotations

import random

import pytest

from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.store import documents, namespaces
from greenlang_vectors.store.database import Database

from ..conftest import Cli

pytestmark = pytest.mark.integration


def test_near_duplicates_are_shown(database: Database, cli: Cli) -> None:
    chosen = random.Random(7)
    text = " ".join(f"word{chosen.randrange(999)}" for _ in range(900))
    texts = {
        "a.txt": text,
        "b.txt": text,
        "c.txt": f"{text} with an ending of its own",
        "d.txt": " ".join(f"word{chosen.randrange(999)}" for _ in range(900)),
    }
    with database.connect() as connection:
        namespaces.register(connection, "alike")
        for key, content in texts.items():
            documents.save(
                connection,
                "alike",
                key,
                ExtractedDocument(content, key, "text/plain"),
                file_hash="0" * 64,
                size_bytes=1,
                extraction_version="1",
            )
    shown = cli("near-duplicates", "alike", "--json")
    assert shown.code == 0
    first, second = shown.json["near_duplicates"]
    assert first == {"document": "b.txt", "of": "a.txt", "likeness": 1.0, "same": True}
    assert (second["document"], second["of"], second["same"]) == ("c.txt", "a.txt", False)
    assert second["likeness"] > 0.9
    assert "equal" in cli("near-duplicates", "alike").out
    assert cli("near-duplicates", "nowhere").code == 2
