"""`make run`: fill every namespace through Dagster, show what came of it, answer a question.

Returns 0; 1 if a run or a blocking check failed; 2 for a user's mistake.
A document that cannot be read is no failure.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.database import Database, open_database
from greenlang_vectors.store.status import namespace_status
from local import report
from local.corpus import example_questions, register_folder, register_samples
from local.ingest import Run, ingest_all
from local.instance import DATABASE_ERRORS, end_abandoned_runs, open_instance, prepare_home
from local.screen import Screen
from resources.embedding import EmbeddingResource

ANSWERS = 3
PLAIN_WIDTH = 120


def run(settings: Settings, documents: Path | None, console: Console) -> int:
    """Do it all; return the exit code."""
    console.print("Starting the database …")
    database = open_database(settings)
    try:
        with database.connection() as connection:
            if documents is None:
                names = register_samples(connection)
            else:
                names, skipped = register_folder(connection, documents)
                for line in skipped:
                    console.print(line, style="yellow", markup=False, soft_wrap=True)
        runs = _ingest(settings, names, console)
        _conclude(database, settings, runs, console)
    finally:
        database.close()
    return 1 if any(run.failure for run in runs) else 0


def _ingest(settings: Settings, names: Sequence[str], console: Console) -> list[Run]:
    screen = Screen(console)
    with open_instance(prepare_home(settings)) as instance, screen.showing():
        if ended := end_abandoned_runs(instance):
            console.print(f"Killed before and now marked as failed: {ended} of the earlier runs.")
        return list(ingest_all(instance, names, screen))


def _conclude(
    database: Database, settings: Settings, runs: Sequence[Run], console: Console
) -> None:
    with database.connection() as connection:
        states = {state.namespace: state for state in namespace_status(connection)}
        letters = {run.namespace: dead_letters.list_all(connection, run.namespace) for run in runs}
        searchable = [
            run.namespace
            for run in runs
            if run.failure is None and states[run.namespace].embeddings
        ]
        questions = example_questions(connection, searchable[0]) if searchable else []
    report.show_table(console, runs, states)
    report.show_problems(console, runs, letters)
    engine = SearchEngine(database, EmbeddingResource().embedders(database), settings)
    answers = ((q, engine.search(SearchRequest(q, searchable[0], ANSWERS))) for q in questions)
    answered = [(question, answer.results) for question, answer in answers if answer.results]
    if answered:
        best = max(answered, key=lambda a: (a[1][0].page is not None, a[1][0].score))
        report.show_answer(console, searchable[0], *best)
    console.print("\nThe Dagster UI, with schedules and sensors running: [bold]make ui[/bold]")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run with these arguments (the process's own by default)."""
    parser = argparse.ArgumentParser(prog="make run", description="Fill every namespace.")
    parser.add_argument(
        "--documents", type=Path, metavar="DIR", help="your own folder, one sub-folder a namespace"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.ERROR)
    logging.getLogger("greenlang_vectors").setLevel(logging.WARNING)
    console = Console()
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    try:
        return run(get_settings(), options.documents, console)
    except UsageError as error:
        return _stop(error, 2)
    except GreenLangError as error:
        return _stop(error, 1)
    except DATABASE_ERRORS as error:
        return _stop(f"The database failed ({error}). What was stored stays; run again.", 1)


def _stop(message: object, code: int) -> int:
    print(" ".join(str(message).split()), file=sys.stderr)
    return code
