"""The benchmark of backups measures what it says: run small, for its structure."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import backup

pytestmark = pytest.mark.integration


def test_backup_measures_every_way(server: str, tmp_path: Path) -> None:
    sizes = backup.Sizes(rows=300, summed=200, rounds=1, dimensions=16)
    figures = backup.measure(server, sizes, tmp_path)
    for seconds in (figures.pg_dump, figures.export, figures.pg_restore, figures.restore):
        assert len(seconds) == 2
        assert min(seconds) > 0
    assert len(figures.checksum) == 3
    assert figures.size_bytes > 0
