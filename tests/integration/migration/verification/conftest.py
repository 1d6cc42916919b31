"""The verification of a namespace."""

from __future__ import annotations

from typing import Any

import pytest

from greenlang_vectors.migration.peer import Peer
from greenlang_vectors.migration.verification import Verification, verify
from greenlang_vectors.store.database import Database

from .differences import Check


@pytest.fixture
def check(database: Database, peer: Peer, namespace: str) -> Check:
    """Verifies the namespace; what is on its way is not waited for."""

    def run(**options: Any) -> Verification:  # noqa: ANN401 - of `verify`
        return verify(database, peer, namespace, **{"patience": 0.0, "queries": 5, **options})

    return run
