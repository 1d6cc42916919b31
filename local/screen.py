"""What `make run` shows while it works: a line for each stage of each namespace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from greenlang_vectors.progress import Progress

SECONDS_BETWEEN_LINES = 10
BAR_WIDTH = 30


@dataclass
class _Stage:
    namespace: str
    name: str
    started: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    unit: str = ""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def amount(self) -> str:
        if not self.total:
            return "done"
        rate = self.done / self.seconds if self.seconds > 0 else 0.0
        return f"{self.done:,} of {self.total:,} {self.unit} · {rate:,.1f}/s"

    def line(self) -> str:
        return f"{self.namespace:<12} {self.name:<15} {self.amount:<44} {self.seconds:6.1f} s"

    def __rich__(self) -> Table:
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self.total or None, completed=self.done, width=BAR_WIDTH)
        amount = self.amount if self.total else ""
        row.add_row(f"{self.namespace:<12}", f"{self.name:<15}", bar, amount)
        return row


class Screen:
    """The stage that runs moves at the bottom of a terminal; each that has ended is a line above.

    Where the output is no terminal there are the lines alone, and one every few seconds while a
    stage lasts.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage: _Stage | None = None
        self._live: Live | None = None
        self._next_line = 0.0

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show progress while the body runs."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=8, transient=True) as self._live:
            yield
        self._live = None

    def listener(self, context: dg.AssetExecutionContext) -> Progress:
        """The listener of the stage that begins; the one before it has ended."""
        self.end_stage()
        stage = self._stage = _Stage(context.partition_key, context.asset_key.to_user_string())
        self._next_line = stage.started + SECONDS_BETWEEN_LINES
        if self._live is not None:
            self._live.update(stage)

        def report(done: int, total: int, unit: str) -> None:
            stage.done, stage.total, stage.unit = done, total, unit
            due = self._live is None and time.monotonic() >= self._next_line
            if due and done < total:
                self._print(stage.line())
                self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

        return report

    def end_stage(self) -> None:
        """Leave the line of the stage that has ended."""
        if self._stage is not None:
            self._print(self._stage.line())
            self._stage = None
            if self._live is not None:
                self._live.update(Text())

    def _print(self, line: str) -> None:
        self._console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)
