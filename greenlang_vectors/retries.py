"""Trying again, with exponential backoff: stamina, each attempt that failed in the log."""

from __future__ import annotations

import logging

from stamina import retry, retry_context
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

__all__ = ["retry", "retry_context"]

logger = logging.getLogger(__name__)


def _log_retry(details: RetryDetails) -> None:
    logger.warning(
        "%s: attempt %d failed (%r); next in %.1f s",
        details.name,
        details.retry_num,
        details.caused_by,
        details.wait_for,
    )


# By default stamina writes to standard output where structlog is installed (Dagster brings it).
set_on_retry_hooks([_log_retry])
