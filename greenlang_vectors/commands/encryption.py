"""`greenlang-vectors encryption`: encrypt a namespace, rotate its data key, see how it stands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.encryption.administration import CONSEQUENCES, EncryptionStatus


@click.group("encryption")
def encryption_group() -> None:
    """Texts of a namespace sealed by this application; the database sees none of them."""


@encryption_group.command()
@click.argument("namespace")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY",
    help="Seal this metadata key's values, too; may be repeated.",
)
@click.option("--yes", is_flag=True, help="Do not ask; what it means is printed all the same.")
def enable(namespace: str, metadata: tuple[str, ...], yes: bool) -> None:
    """Encrypt NAMESPACE, empty or filled; it says first what stops working."""
    for sentence in CONSEQUENCES:
        errors.print(f"• {sentence}", highlight=False)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{namespace} was not encrypted.", "Confirm with --yes.")
        click.confirm(f"Encrypt {namespace}? There is no way back", abort=True, err=True)
    settings = get_settings()
    with opened(settings) as database, database.connect() as connection, bars() as shown:
        rows = administration.enable(
            connection,
            namespace,
            settings,
            metadata_keys=metadata,
            progress=bar(shown, "sealing"),
        )
    errors.print(f"{namespace} is encrypted; {rows} rows were sealed.", highlight=False)


@encryption_group.command()
@click.argument("namespace")
def rotate(namespace: str) -> None:
    """Seal every row of NAMESPACE with a new data key.

    Nothing is embedded again. A rotation that was killed goes on. Embeddings whose preview was
    sealed anew wait for the next index build, which the stage vector_index does.
    """
    settings = get_settings()
    with opened(settings) as database, database.connect() as connection, bars() as shown:
        rows = administration.rotate(
            connection, namespace, settings, progress=bar(shown, "sealing")
        )
    errors.print(f"{namespace} has a new data key; {rows} rows were sealed.", highlight=False)


@encryption_group.command()
@click.argument("namespace")
@click.option(
    "--old-key-file",
    type=Path,
    help="The key file the data keys are wrapped with now, if the settings name another.",
)
def rewrap(namespace: str, old_key_file: Path | None) -> None:
    """Wrap the data keys of NAMESPACE with the master key of the settings; no row is touched."""
    settings = get_settings()
    with opened(settings) as database, database.connect() as connection:
        keys = administration.rewrap(connection, namespace, settings, old_key_file=old_key_file)
    errors.print(f"{keys} data keys of {namespace} were wrapped anew.", highlight=False)


@encryption_group.command()
@as_json_option
def status(as_json: bool) -> None:
    """Show which namespaces are encrypted, with which keys, and whether all rows are."""
    with opened(get_settings()) as database, database.connection() as connection:
        states = administration.status(connection)
    if as_json:
        print_json({"namespaces": [_json(state) for state in states]})
        return
    table = Table("namespace", "encrypted", "rows to seal", "metadata", "data keys", "master key")
    for state in states:
        masters = {key.master_key for key in state.data_keys}
        table.add_row(
            state.namespace,
            ("yes" if state.complete else "unfinished") if state.encrypted else "no",
            str(state.pending_rows),
            ", ".join(state.metadata_keys),
            str(len(state.data_keys)),
            ", ".join(sorted(masters)),
        )
    output.print(table)


def _json(state: EncryptionStatus) -> dict[str, Any]:
    return {
        "namespace": state.namespace,
        "encrypted": state.encrypted,
        "complete": state.complete,
        "pending_rows": state.pending_rows,
        "metadata_keys": state.metadata_keys,
        "data_keys": [
            {
                "id": key.id,
                "state": key.state,
                "master_key": key.master_key,
                "created_at": key.created_at,
            }
            for key in state.data_keys
        ],
    }
