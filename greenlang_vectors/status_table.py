"""The table an operator looks at: `greenlang-vectors status`, and the end of `make run`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

from greenlang_vectors.store.status import NamespaceStatus

COLUMNS = (
    *("documents", "chunks", "embeddings", "index", "recall\n@10"),
    *("checks\npassed", "checks\nfailed", "dead\nletters"),
)

KINDS = {"hnsw": "HNSW", "ivfflat": "IVFFlat"}


def status_table(
    states: Iterable[NamespaceStatus], seconds: Mapping[str, float] | None = None
) -> Table:
    """One row a namespace; what should not be so is red.

    Args:
        seconds: how long the run of each namespace took, for one more column.
    """
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("namespace", no_wrap=True)
    table.add_column("serving")
    for column in (*COLUMNS, *(["seconds"] if seconds is not None else [])):
        table.add_column(column, justify="right")
    for state in states:
        table.add_row(
            state.namespace,
            "–" if state.collection is None else state.collection.partition("/")[2],
            f"{state.documents:,}",
            f"{state.chunks:,}",
            f"{state.embeddings:,}",
            KINDS.get(state.index or "", "–"),
            _recall(state),
            str(state.checks_passed),
            f"[red]{state.checks_failed}[/red]" if state.checks_failed else "0",
            str(state.dead_letters),
            *([f"{seconds[state.namespace]:.1f}"] if seconds is not None else []),
        )
    return table


def _recall(state: NamespaceStatus) -> str:
    if state.recall_at_10 is None:
        return "–"
    shown = f"{state.recall_at_10:.3f}"
    return shown if state.recall_at_10 >= state.recall_target else f"[red]{shown}[/red]"
