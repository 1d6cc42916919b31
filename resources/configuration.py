"""The settings of the deployment, read from `GREENLANG_*` when a run begins."""

from __future__ import annotations

import dagster as dg

from greenlang_vectors.settings import Settings, get_settings


class SettingsResource(dg.ConfigurableResource[Settings]):
    """Every setting of the deployment; each has a default and is changed by GREENLANG_<NAME>."""

    def create_resource(self, context: dg.InitResourceContext) -> Settings:  # noqa: ARG002
        """The settings of this process."""
        return get_settings()
