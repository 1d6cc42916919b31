"""A namespace in which all is well, for tests that damage it in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.quality.checks import CHECKS, CheckContext, CheckOutcome, run_check
from greenlang_vectors.quality.recall import Questions, Truth, measure
from greenlang_vectors.quality.workload import sample_vectors
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import maintenance, records
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf

MAX_TOKENS = 512


@pytest.fixture
def context(leaf: Leaf, settings: Settings) -> CheckContext:
    """What the checks of the test's namespace are given."""
    return CheckContext(leaf, settings, MAX_TOKENS)


@pytest.fixture
def run_all(database: Database, context: CheckContext) -> Callable[[], dict[str, CheckOutcome]]:
    """Runs every check of the test's namespace; outcomes by name."""

    def run() -> dict[str, CheckOutcome]:
        with database.connect() as connection:
            return {check.name: run_check(connection, check, context) for check in CHECKS}

    return run


@pytest.fixture
def healthy(
    database: Database,
    leaf: Leaf,
    settings: Settings,
    add_document: Callable[[psycopg.Connection, str, str, Sequence[str]], UUID],
    embed_all: Callable[[psycopg.Connection, Leaf], int],
) -> Leaf:
    """Two documents, cut, embedded, indexed and measured."""
    with database.connect() as connection:
        add_document(connection, leaf.namespace, "first.txt", ["one üne", "two", "three 三"])
        add_document(connection, leaf.namespace, "second.txt", ["four", "five"])
        embed_all(connection, leaf)
        maintenance.maintain(database, leaf, settings)
        index = IndexSettings()
        truth = Truth(connection, leaf, Questions(sample_vectors(connection, leaf, 5, 1)), index)
        quality = measure(leaf, [truth], index, settings.index.ef_search)
        records.save_search_quality(connection, leaf.namespace, quality)
    return leaf
