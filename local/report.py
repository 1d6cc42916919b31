"""What `make run` shows at the end: the table, what went wrong, and a question answered."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from greenlang_vectors.search.model import SearchResult
from greenlang_vectors.status_table import status_table
from greenlang_vectors.store.dead_letters import DeadLetter
from greenlang_vectors.store.status import NamespaceStatus
from local.ingest import Run

MOST_DEAD_LETTERS = 20
PASSAGE_CHARACTERS = 400


def show_table(console: Console, runs: Sequence[Run], states: dict[str, NamespaceStatus]) -> None:
    """One row a namespace."""
    seconds = {run.namespace: run.seconds for run in runs}
    console.print()
    console.print(status_table([states[name] for name in seconds], seconds))
    console.print()


def show_problems(
    console: Console, runs: Sequence[Run], letters: dict[str, list[DeadLetter]]
) -> None:
    """Failed runs and dead letters, a line each."""
    for run in runs:
        if run.failure is not None:
            console.print(f"[bold red]failed[/bold red] {escape(run.failure)}", soft_wrap=True)
    every = [(name, letter) for name, of_one in letters.items() for letter in of_one]
    for name, letter in every[:MOST_DEAD_LETTERS]:
        line = f"{name}/{letter.item} ({letter.stage}): {letter.message} {letter.remedy}"
        console.print(f"[yellow]left out[/yellow] {escape(line)}", soft_wrap=True)
    if len(every) > MOST_DEAD_LETTERS:
        console.print(f"… and {len(every) - MOST_DEAD_LETTERS} more, in the Dagster UI.")


def show_answer(
    console: Console, namespace: str, question: str, results: Sequence[SearchResult]
) -> None:
    """The question, where its answers stand, and the best passage."""
    console.print(f"\n[bold]Example question[/bold] in {namespace}: {escape(question)}")
    for result in results:
        page = "" if result.page is None else f", page {result.page}"
        where = f"{result.rank}. {result.document}{page}  score {result.score:.3f}"
        console.print(f"  [cyan]{escape(where)}[/cyan]", highlight=False)
    if results:
        passage = " ".join(results[0].content.split())
        short = passage[:PASSAGE_CHARACTERS] + ("…" if len(passage) > PASSAGE_CHARACTERS else "")
        console.print(f"  {escape(short)}", highlight=False)
