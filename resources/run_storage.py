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
from dagster_postgres.auth import AwsWifTokenProvider
from sqlalchemy import make_url

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import tls

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
            return _storage(url, inst_data)
        folder = get_settings().data_dir / "dagster"
        return DagsterSqliteStorage(str(folder), inst_data=inst_data)


def _storage(url: str, inst_data: ConfigurableClassData | None) -> DagsterPostgresStorage:
    """Storage at this URL, with the TLS that the settings ask for.

    A login without a password enters by IAM tokens where the settings name a region.

    Raises:
        UsageError: URL and settings contradict each other.
    """
    settings, made = get_settings(), make_url(url)
    if made.password is not None or not made.host:
        settings = settings.model_copy(update={"database_iam_region": None})
    region = settings.database_iam_region
    given = {key: str(value) for key, value in made.query.items()}
    secure = made.update_query_dict(tls.parameters(given, settings, URL))
    return DagsterPostgresStorage(
        secure.render_as_string(hide_password=False),
        should_autocreate_tables=True,
        inst_data=inst_data,
        token_provider=AwsWifTokenProvider(
            hostname=made.host or "",
            port=made.port or 5432,
            username=made.username or "",
            region=region,
        )
        if region
        else None,
    )
