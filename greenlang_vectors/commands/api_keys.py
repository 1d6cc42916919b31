"""`api-keys`: who may call the HTTP API, where and to what end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, opened, output, print_json
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import api_keys
from greenlang_vectors.store.api_keys import EVERY_NAMESPACE, SCOPES, ApiKey, Scope


@click.group("api-keys")
def api_keys_group() -> None:
    """Keys of the HTTP API."""


@api_keys_group.command("create")
@click.argument("name")
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    help="A namespace it opens; may be repeated.",
)
@click.option("--all-namespaces", is_flag=True, help="It opens every namespace, later ones too.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("read",),
    show_default=True,
    help="What it may do there; may be repeated. An admin may all, and read the metrics.",
)
@click.option("--expires", metavar="DAYS", help="Valid so long, as in 90d; for ever without it.")
@as_json_option
def create(
    name: str,
    namespaces: tuple[str, ...],
    all_namespaces: bool,
    scopes: tuple[Scope, ...],
    expires: str | None,
    as_json: bool,
) -> None:
    """Create a key called NAME and print it, for the only time."""
    if bool(namespaces) == all_namespaces:
        raise UsageError("Say where it opens: --namespace NAMESPACE, or --all-namespaces.")
    with opened(get_settings()) as database, database.connection() as connection:
        key, text = api_keys.create(
            connection,
            name,
            for_namespaces=namespaces or (EVERY_NAMESPACE,),
            scopes=scopes,
            expires_at=None if expires is None else datetime.now(UTC) + _days(expires),
        )
    if as_json:
        print_json({"key": text, **_as_json(key)})
        return
    output.print(text, soft_wrap=True, highlight=False)
    errors.print("Keep it now: it is not shown again.")


@api_keys_group.command("list")
@as_json_option
def list_keys(as_json: bool) -> None:
    """Show every key, without its secret."""
    with opened(get_settings()) as database, database.connection() as connection:
        keys = api_keys.list_all(connection)
    if as_json:
        print_json({"api_keys": [_as_json(key) for key in keys]})
        return
    table = Table("id", "name", "namespaces", "scopes", "state", "last used")
    for key in keys:
        table.add_row(
            key.id,
            escape(key.name),
            ", ".join(key.namespaces) or "none",
            ", ".join(key.scopes),
            _state(key),
            "–" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}",
        )
    output.print(table)


@api_keys_group.command("revoke")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Let the key KEY_ID open nothing; services that run know it within seconds."""
    with opened(get_settings()) as database, database.connection() as connection:
        api_keys.revoke(connection, key_id)
    errors.print(f"{key_id} opens nothing any more.", highlight=False)


def _days(text: str) -> timedelta:
    matched = re.fullmatch(r"([1-9][0-9]{0,4})d", text)
    if matched is None:
        raise UsageError(f"{text!r} is no number of days.", "Write 90d.")
    return timedelta(days=int(matched[1]))


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "valid"
    expired = key.expires_at <= datetime.now(UTC)
    return f"{'expired' if expired else 'until'} {key.expires_at:%Y-%m-%d}"


def _as_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "namespaces": key.namespaces,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
