"""The command line: status, namespaces, the embedded server, and what `commands` holds.

Results go to standard output, everything else to standard error. A user's mistake is one line
and exit code 2, a failure one line and exit code 1.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.table import Table

from greenlang_vectors.commands.api_keys import api_keys_group
from greenlang_vectors.commands.archive import archive_group
from greenlang_vectors.commands.audit import audit_group
from greenlang_vectors.commands.backup import backup_group
from greenlang_vectors.commands.bench import bench_group
from greenlang_vectors.commands.collections import collections_group
from greenlang_vectors.commands.common import (
    as_json_option,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.commands.consume import consume
from greenlang_vectors.commands.dead_letters import dead_letters_group
from greenlang_vectors.commands.doctor import doctor
from greenlang_vectors.commands.drill import drill
from greenlang_vectors.commands.encryption import encryption_group
from greenlang_vectors.commands.evaluate import evaluate
from greenlang_vectors.commands.import_passages import import_command
from greenlang_vectors.commands.indexes import indexes_group
from greenlang_vectors.commands.jobs import jobs_group
from greenlang_vectors.commands.metrics import metrics_group
from greenlang_vectors.commands.migrate import migrate_group
from greenlang_vectors.commands.near_duplicates import near_duplicates_command
from greenlang_vectors.commands.notify import notify_group
from greenlang_vectors.commands.plan import plan_command
from greenlang_vectors.commands.restore import restore
from greenlang_vectors.commands.roles import roles_group
from greenlang_vectors.commands.schema import schema_group
from greenlang_vectors.commands.search import search
from greenlang_vectors.commands.serve import serve
from greenlang_vectors.commands.slo import slo_group
from greenlang_vectors.commands.snapshots import snapshots_group
from greenlang_vectors.documents.source import source_from_uri
from greenlang_vectors.errors import GreenLangError, UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.status_table import status_table
from greenlang_vectors.store import embedded, namespaces
from greenlang_vectors.store.database import DATABASE_NAME
from greenlang_vectors.store.status import NamespaceStatus, namespace_status


@click.group()
@click.version_option(package_name="greenlang-vectors")
def app() -> None:
    """Search sustainability regulation, and see what is stored and how well it is found."""


@app.group("namespaces")
def namespaces_group() -> None:
    """The registry of namespaces."""


@app.group("server")
def server_group() -> None:
    """The embedded PostgreSQL."""


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
@click.option(
    "--source",
    metavar="FOLDER|s3://BUCKET/PREFIX",
    help="The folder or bucket its documents come from.",
)
@click.option("--chunking", help="semantic, fixed, sliding_window or hierarchical.")
@click.option(
    "--chunking-for",
    multiple=True,
    metavar="MEDIA_TYPE=STRATEGY",
    help="Another strategy for one media type, e.g. text/plain=fixed; may be repeated.",
)
@click.option(
    "--recall-target",
    type=float,
    help="The recall@10 its searches are promised; GREENLANG_RECALL_TARGET for a new one.",
)
def add_namespace(
    name: str,
    source: str | None,
    chunking: str | None,
    chunking_for: tuple[str, ...],
    recall_target: float | None,
) -> None:
    """Register the namespace NAME, or change the settings that are given."""
    by_type = dict(_media_type_and_strategy(text) for text in chunking_for) or None
    with opened(get_settings()) as database, database.connection() as connection:
        namespaces.register(
            connection,
            name,
            source_uri=None if source is None else _source_uri(source),
            chunking=chunking,
            chunking_by_media_type=by_type,
            recall_target=recall_target,
        )
    errors.print(f"Namespace {name} is registered.")


@namespaces_group.command("list")
@as_json_option
def list_namespaces(as_json: bool) -> None:
    """Show the registered namespaces: where documents come from, and what recall is promised."""
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
                        "recall_target": namespace.recall_target,
                    }
                    for namespace in known
                ]
            }
        )
        return
    table = Table("namespace", "source", "chunking", "recall target")
    for namespace in known:
        exceptions = [f"{t}={s}" for t, s in namespace.chunking_by_media_type.items()]
        table.add_row(
            namespace.name,
            namespace.source_uri or "",
            ", ".join([namespace.chunking, *exceptions]),
            f"{namespace.recall_target:g}",
        )
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


app.add_command(api_keys_group)
app.add_command(archive_group)
app.add_command(audit_group)
app.add_command(backup_group)
app.add_command(bench_group)
app.add_command(collections_group)
app.add_command(consume)
app.add_command(dead_letters_group)
app.add_command(doctor)
app.add_command(drill)
app.add_command(encryption_group)
app.add_command(evaluate)
app.add_command(import_command)
app.add_command(indexes_group)
app.add_command(jobs_group)
app.add_command(metrics_group)
app.add_command(migrate_group)
app.add_command(near_duplicates_command)
app.add_command(notify_group)
app.add_command(plan_command)
app.add_command(restore)
app.add_command(roles_group)
app.add_command(schema_group)
app.add_command(search)
app.add_command(serve)
app.add_command(slo_group)
app.add_command(snapshots_group)


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


def _source_uri(source: str) -> str:
    if "://" in source:
        return source_from_uri(source).uri
    if not Path(source).is_dir():
        raise UsageError(f"There is no folder {source!r}.")
    return str(Path(source).resolve())


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
        "recall_target": state.recall_target,
        "checks": {"passed": state.checks_passed, "failed": state.checks_failed},
    }
