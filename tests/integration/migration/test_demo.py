"""`make migration-demo`: four phases told in order, and nothing of it left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from greenlang_vectors.settings import get_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def own_settings(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("weaviate", reason="needs the extra weaviate")
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(data_dir))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.usefixtures("own_settings")
def test_it_tells_all_phases_and_leaves_nothing(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from local.migration_demo import DATABASE_NAME, main

    assert main(["--objects", "200"]) == 0
    said = capsys.readouterr().out
    told = [
        *("Phase 1, parallel operation", "20 objects written there, 5 deleted"),
        *("Phase 2, backfill", "195 written", "20 that were here already left alone"),
        *("the comparison fails and names", "1 object is mended"),
        *("Phase 3, traffic", "answers 10%", "answers 50%", "answers 100%"),
        *("Phase 4, decommission", "# regulations has left Weaviate", "curl -X DELETE"),
    ]
    places = [said.index(each) for each in told]
    assert places == sorted(places)
    with psycopg.connect(server) as connection:
        left = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", [DATABASE_NAME]
        ).fetchone()
    assert left is None
