"""`roles`: the logins of applications and people, and what each may do (PRD 10.3)."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.table import Table

from greenlang_vectors.commands.common import as_json_option, errors, opened, output, print_json
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import roles


@click.group("roles")
def roles_group() -> None:
    """Logins and what they may do."""


@roles_group.command("create")
@click.argument("login")
@click.option(
    "--role",
    "right",
    type=click.Choice(["reader", "writer", "admin"]),
    required=True,
    help="A reader searches, a writer also stores, an admin runs the pipeline.",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    help="The only namespace it may reach; may be repeated. Every namespace without it.",
)
@as_json_option
def create(login: str, right: roles.Right, namespaces: tuple[str, ...], as_json: bool) -> None:
    """Create LOGIN, or set its password and give it one more right.

    The password is read from GREENLANG_ROLE_PASSWORD, or from the file that
    GREENLANG_ROLE_PASSWORD_FILE names, as secret managers mount it.
    """
    settings = get_settings()
    password = _password(settings)
    with opened(settings) as database, database.connection() as connection:
        roles.create_login(connection, login, right, namespaces, password)
        access = [a for a in roles.list_access(connection) if a.login == login]
    if as_json:
        print_json({"roles": [asdict(a) for a in access]})
    else:
        errors.print(f"{login} may log in as {_in_words(access)}.")


@roles_group.command("list")
@as_json_option
def list_roles(as_json: bool) -> None:
    """Show who may do what, and where."""
    with opened(get_settings()) as database, database.connection() as connection:
        access = roles.list_access(connection)
    if as_json:
        print_json({"roles": [asdict(a) for a in access]})
        return
    table = Table("login", "role", "namespace")
    for a in access:
        table.add_row(a.login, a.role, a.namespace or "all")
    output.print(table)


@roles_group.command("drop")
@click.argument("login")
def drop(login: str) -> None:
    """Remove LOGIN."""
    with opened(get_settings()) as database, database.connection() as connection:
        roles.drop_login(connection, login)
    errors.print(f"{login} is removed.")


def _password(settings: Settings) -> str:
    if settings.role_password is not None:
        return settings.role_password.get_secret_value()
    if settings.role_password_file is None:
        raise UsageError(
            "There is no password for the login.",
            "Set GREENLANG_ROLE_PASSWORD, or GREENLANG_ROLE_PASSWORD_FILE to a file that holds it.",
        )
    try:
        return settings.role_password_file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The password file {str(settings.role_password_file)!r} cannot be read"
            f" ({type(error).__name__}).",
            "Point GREENLANG_ROLE_PASSWORD_FILE to a text file that this process may read.",
        ) from error


def _in_words(access: list[roles.Access]) -> str:
    return ", ".join(f"{a.role} of {a.namespace or 'every namespace'}" for a in access)
