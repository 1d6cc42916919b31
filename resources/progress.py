"""Who is told how far a stage has come: Dagster's log, or the screen of `make run`."""

from __future__ import annotations

import time
from typing import Protocol

import dagster as dg

from greenlang_vectors.progress import Progress


class StageProgress(Protocol):
    """Gives every stage of every namespace its listener."""

    def listener(self, context: dg.AssetExecutionContext) -> Progress:
        """The listener of the stage that runs."""
        ...


class LoggedProgress(dg.ConfigurableResource[None]):
    """Progress as lines of the run's log, at most one in `seconds`; the last always."""

    seconds: float = 5.0

    def listener(self, context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Progress:
        """The listener of the stage, or of the op, that runs."""
        silent_until = time.monotonic() + self.seconds
        whose = context.partition_key if context.has_partition_key else context.asset_key.path[-1]

        def report(done: int, total: int, unit: str) -> None:
            nonlocal silent_until
            now = time.monotonic()
            if done >= total or now >= silent_until:
                context.log.info("%s: %s of %s %s", whose, done, total, unit)
                silent_until = now + self.seconds

        return report
