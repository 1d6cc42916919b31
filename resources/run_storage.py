"""Where Dagster keeps its runs: dagster.yaml names this class.

Dagster's own configuration can read a URL from the environment, but then nothing works without
it; here `dagster definitions validate` and `dagster dev` work in a fresh clone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from greenlang_vectors.settings import get_settings

URL = "DAGSTER_POSTGRES_URL"


class RunStorageFromEnvironment(DagsterStorage, ConfigurableClass):
    """PostgreSQL at DAGSTER_POSTGRES_URL; SQLite in the data directory when unset."""

    @classmethod
    def config_type(cls) -> Mapping[str, object]:
        """It takes no configuration."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, object],  # noqa: ARG003
    ) -> DagsterStorage:
        """The storage the environment asks for."""
        url = os.environ.get(URL)
        if url:
            return DagsterPostgresStorage(url, should_autocreate_tables=True, inst_data=inst_data)
        folder = get_settings().data_dir / "dagster"
        return DagsterSqliteStorage(str(folder), inst_data=inst_data)
