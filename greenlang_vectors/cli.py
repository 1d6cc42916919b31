"""The command line: search, status, namespaces, evaluate, and the embedded server.

Results go to standard output, everything else to standard error. A user's mistake is one line
and exit code 2, a failure one line and exit code 1.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.archive import archive_group
from greenlang_vectors.commands.audit import audit_group
from greenlang_vectors.commands.collections import collection_of_settings, collections_group
from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    embedders_of,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.commands.encryption import encryption_group
from greenlang_vectors.commands.indexes import indexes_group
from greenlang_vectors.commands.roles import roles_group
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.status_table import status_table
from greenlang_vectors.store import embedded, namespaces
from greenlang_vectors.store.database import DATABASE_NAME
from greenlang_vectors.store.status import NamespaceStatus, namespace_status

EVALUATION_FILES = ("corpus.jsonl", "queries.jsonl", "qrels.tsv")


@click.group()
def app() -> None:
    """Search sustainability regulation, and see what is stored and how well it is found."""


@app.group("namespaces")
def namespaces_group() -> None:
    """The registry of namespaces."""


@app.group("server")
def server_group() -> None:
    """The embedded PostgreSQL."""


@app.command()
@click.argument("query")
@click.option("--namespace", default="default", show_default=True, help="Where to search.")
@click.option("--top-k", default=5, show_default=True, help="The most results.")
@click.option("--collection", help="Ask this one, NAMESPACE/MODEL, instead of what serves.")
@as_json_option
def search(query: str, namespace: str, top_k: int, collection: str | None, as_json: bool) -> None:
    """Find the passages that answer QUERY, by the metric of the collection that is asked."""
    from greenlang_vectors.search.similarity import SearchEngine  # noqa: PLC0415

    settings = get_settings()
    if collection is not None:
        namespace = collection.partition("/")[0]
    with opened(settings) as database:
        engine = SearchEngine(database, embedders_of(database, settings), settings)
        results = engine.search(query, namespace, top_k, collection=collection)
    if as_json:
        print_json(
            {
                "query": query,
                "namespace": namespace,
                "mode": "vector",
                "results": [asdict(result) for result in results],
            }
        )
        return
    for result in results:
        where = [result.document]
        where += [f"page {result.page}"] if result.page is not None else []
        output.print(f"\n[bold]{result.rank}. {escape(result.title)}[/bold]  {result.score:.3f}")
        output.print(f"   [cyan]{escape(' · '.join(where))}[/cyan]")
        if result.heading_path:
            output.print(f"   [dim]{escape(' › '.join(result.heading_path))}[/dim]")
        output.print(escape(result.content))
    if not results:
        errors.print(f"Nothing is stored in {namespace} yet.")


@app.command()
@as_json_option
def status(as_json: bool) -> None:
    """Show what each namespace holds, how well it is found, and which checks pass."""
    with opened(get_settings()) as database, database.connection() as connection:
        states = namespace_status(connection)
    if as_json:
        print_json({"namespaces": [_status_json(state) for state in states]})
    else:
        output.print(status_table(states))


@namespaces_group.command("add")
@click.argument("name")
@click.option("--source", type=Path, help="The folder its documents come from.")
@click.option("--chunking", help="semantic, fixed, sliding_window or hierarchical.")
@click.option(
    "--chunking-for",
    multiple=True,
    metavar="MEDIA_TYPE=STRATEGY",
    help="Another strategy for one media type, e.g. text/plain=fixed; may be repeated.",
)
def add_namespace(
    name: str, source: Path | None, chunking: str | None, chunking_for: tuple[str, ...]
) -> None:
    """Register the namespace NAME, or change the settings that are given."""
    by_type = dict(_media_type_and_strategy(text) for text in chunking_for) or None
    if source is not None and not source.is_dir():
        raise UsageError(f"There is no folder {str(source)!r}.")
    with opened(get_settings()) as database, database.connection() as connection:
        namespaces.register(
            connection,
            name,
            source_uri=None if source is None else str(source.resolve()),
            chunking=chunking,
            chunking_by_media_type=by_type,
        )
    errors.print(f"Namespace {name} is registered.")


@namespaces_group.command("list")
@as_json_option
def list_namespaces(as_json: bool) -> None:
    """Show the registered namespaces and where their documents come from."""
    with opened(get_settings()) as database, database.connection() as connection:
        known = namespaces.list_all(connection)
    if as_json:
        print_json(
            {
                "namespaces": [
                    {
                        "namespace": namespace.name,
                        "source": namespace.source_uri,
                        "chunking": namespace.chunking,
                        "chunking_by_media_type": namespace.chunking_by_media_type,
                    }
                    for namespace in known
                ]
            }
        )
        return
    table = Table("namespace", "source", "chunking")
    for namespace in known:
        exceptions = [f"{t}={s}" for t, s in namespace.chunking_by_media_type.items()]
        table.add_row(
            namespace.name, namespace.source_uri or "", ", ".join([namespace.chunking, *exceptions])
        )
    output.print(table)


@app.command()
@click.argument("folder", type=Path)
@as_json_option
def evaluate(folder: Path, as_json: bool) -> None:
    """Load a retrieval set into a namespace of its own and measure the answers.

    FOLDER holds corpus.jsonl, queries.jsonl and qrels.tsv (BEIR). The namespace is called
    evaluation- and the folder's name; a second run embeds nothing again.
    """
    from greenlang_vectors.quality.evaluation import (  # noqa: PLC0415
        evaluate as evaluate_ranking,
    )
    from greenlang_vectors.quality.evaluation import rank_documents  # noqa: PLC0415
    from greenlang_vectors.quality.retrieval_metrics import (  # noqa: PLC0415
        read_qrels,
        read_queries,
    )
    from greenlang_vectors.search.similarity import SearchEngine  # noqa: PLC0415
    from greenlang_vectors.stages.pipeline import fill  # noqa: PLC0415

    for file in EVALUATION_FILES:
        if not (folder / file).is_file():
            raise UsageError(
                f"There is no {file} in {str(folder)!r}.",
                f"A retrieval set is {', '.join(EVALUATION_FILES)}.",
            )
    queries, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.tsv")
    if not any(score > 0 for query in queries for score in qrels.get(query, {}).values()):
        raise UsageError(f"No question in {str(folder)!r} has a relevant judgement.")
    name = namespaces.validate_name(f"evaluation-{folder.resolve().name.lower()}")
    settings = get_settings()
    with opened(settings) as database, bars() as shown:
        embedders = embedders_of(database, settings)
        with database.connection() as connection:
            namespaces.register(
                connection, name, source_uri=str((folder / "corpus.jsonl").resolve())
            )
            collection = collection_of_settings(connection, name, embedders)
        fill(
            database,
            name,
            embedders=embedders,
            settings=settings,
            progress=lambda stage: bar(shown, stage),
        )
        engine = SearchEngine(database, embedders, settings)
        metrics = evaluate_ranking(
            rank_documents(engine, name, collection=collection),
            queries,
            qrels,
            bar(shown, "questions"),
        )
        with database.connection() as connection:
            documents = next(
                state.documents for state in namespace_status(connection) if state.namespace == name
            )
    modes = {"vector": metrics}
    if as_json:
        print_json({"documents": documents, "queries": len(queries), "modes": modes})
        return
    table = Table("mode", *metrics, title=f"{documents} documents, {len(queries)} queries")
    for mode, values in modes.items():
        table.add_row(mode, *(f"{value:.4f}" for value in values.values()))
    output.print(table)


@server_group.command("url")
def server_url() -> None:
    """Start the embedded server unless it runs, and print the URL of the database."""
    server = embedded.start(get_settings().data_dir)
    output.print(embedded.owned_database(server, DATABASE_NAME), soft_wrap=True, highlight=False)


@server_group.command("stop")
def stop_server() -> None:
    """Stop the embedded server."""
    stopped = embedded.stop(get_settings().data_dir)
    errors.print("The embedded PostgreSQL has stopped." if stopped else "It was not running.")


app.add_command(archive_group)
app.add_command(audit_group)
app.add_command(collections_group)
app.add_command(encryption_group)
app.add_command(indexes_group)
app.add_command(roles_group)


def main() -> None:
    """Run the command line; every mistake and failure is one line on standard error."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        code = app(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except UsageError as error:
        _fail(str(error), 2)
    except GreenLangError as error:
        _fail(str(error), 1)
    except psycopg.Error as error:
        _fail(f"The database refused: {' '.join(str(error).split())}", 1)
    except (KeyboardInterrupt, click.Abort):
        _fail("Interrupted.", 130)
    else:
        sys.exit(code or 0)


def _fail(message: str, code: int) -> None:
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(code)


def _media_type_and_strategy(text: str) -> tuple[str, str]:
    media_type, separator, strategy = text.partition("=")
    if not separator:
        raise UsageError(f"{text!r} is not MEDIA_TYPE=STRATEGY.", "For example text/plain=fixed.")
    return media_type, strategy


def _status_json(state: NamespaceStatus) -> dict[str, Any]:
    return {
        "namespace": state.namespace,
        "documents": state.documents,
        "chunks": state.chunks,
        "collection": state.collection,
        "embeddings": state.embeddings,
        "dead_letters": state.dead_letters,
        "recall_at_10": state.recall_at_10,
        "checks": {"passed": state.checks_passed, "failed": state.checks_failed},
    }
