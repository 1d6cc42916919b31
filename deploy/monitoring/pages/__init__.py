"""The dashboards, one module each."""

from __future__ import annotations

from deploy.monitoring.pages.backup import BACKUP
from deploy.monitoring.pages.namespace import NAMESPACE
from deploy.monitoring.pages.overview import OVERVIEW

PAGES = (OVERVIEW, NAMESPACE, BACKUP)
