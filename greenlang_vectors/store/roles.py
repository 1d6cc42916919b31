"""Who may do what (PRD 10.3), enforced by PostgreSQL: group roles, and the logins in them.

vector_admin owns the tables and runs the pipeline; vector_reader and vector_writer reach every
namespace; vector_reader_<namespace> and vector_writer_<namespace> reach one. What a namespace's
roles may do, and the row-level security that keeps them to it, is in migration 0006. Roles belong
to the server: databases of one server share them, and a login of one namespace reaches the
namespace of that name in each database it may connect to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from greenlang_vectors.errors import UnknownNamespace, UsageError

ADMIN = "vector_admin"
MIN_PASSWORD = 12

Right = Literal["reader", "writer", "admin"]

_LOGIN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED = ("vector_", "pg_", "greenlang_owner")


@dataclass(frozen=True, slots=True)
class Access:
    """One thing a login may do.

    Attributes:
        namespace: where; None for every namespace.
    """

    login: str
    role: Right
    namespace: str | None


def act_as_admin(connection: psycopg.Connection) -> None:
    """Go on as vector_admin until the transaction ends: what is made then belongs to the group.

    Raises:
        psycopg.errors.InsufficientPrivilege: the login is not an admin.
    """
    connection.execute("SET LOCAL ROLE vector_admin")


def secure_namespace(connection: psycopg.Connection, name: str) -> None:
    """Give a namespace its roles, and keep all others out of its partitions.

    Only what is not yet so is changed. In a transaction, after `act_as_admin`.
    """
    connection.execute("SELECT secure_namespace(%s)", [name])


def secure_leaf(connection: psycopg.Connection, table: sql.Identifier, namespace: str) -> None:
    """Open a new partition to its namespace's roles alone; after `act_as_admin`."""
    connection.execute(
        "SELECT secure_leaf(%s::regclass, %s)", [table.as_string(connection), namespace]
    )


def forget_namespace(connection: psycopg.Connection, name: str) -> None:
    """Remove the roles of a namespace that is gone, unless another database uses them."""
    connection.execute("SELECT forget_namespace(%s)", [name])


def create_login(
    connection: psycopg.Connection,
    login: str,
    right: Right,
    namespaces: Sequence[str],
    password: str,
) -> None:
    """Create a login with this right, or set the password of one and add the right to it.

    The server is sent the password's SCRAM-SHA-256 verifier, never the password.

    Args:
        namespaces: where; none for every namespace.

    Raises:
        UsageError: a name that cannot be a login, is reserved, or belongs to a role that was not
            made here; a short password; an admin of single namespaces.
        UnknownNamespace: one of them is not registered.
    """
    _check(login, right, namespaces, password)
    verifier = connection.pgconn.encrypt_password(
        password.encode(), login.encode(), b"scram-sha-256"
    ).decode()
    groups = [f"vector_{right}_{name}" for name in namespaces] or [f"vector_{right}"]
    with connection.transaction():
        _check_registered(connection, namespaces)
        role, made = sql.Identifier(login), _made(connection, login)
        if made not in (None, "admin" if right == "admin" else "tenant"):
            raise UsageError(
                f"The login {login!r} cannot become {right} beside what it is.",
                f"Run `greenlang-vectors roles drop {login}` first, or choose another name.",
            )
        if right != "admin":
            act_as_admin(connection)
        if made is None:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(verifier)))
        for group in groups:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))


def list_access(connection: psycopg.Connection) -> list[Access]:
    """What each login may do in this database, by login; superusers, who may all, left out."""
    with connection.cursor(row_factory=class_row(Access)) as cursor:
        return cursor.execute(
            """
            SELECT login.rolname AS login, split_part(granted.rolname, '_', 2) AS role,
                   nullif(regexp_replace(granted.rolname, '^vector_[a-z]+_?', ''), '') AS namespace
            FROM pg_auth_members
            JOIN pg_roles login ON login.oid = member AND login.rolcanlogin
            JOIN pg_roles granted ON granted.oid = roleid
            WHERE granted.rolname IN ('vector_reader', 'vector_writer', 'vector_admin')
               OR EXISTS (SELECT FROM namespaces n WHERE granted.rolname IN
                          ('vector_reader_' || n.name, 'vector_writer_' || n.name))
            GROUP BY login.rolname, granted.rolname
            ORDER BY login.rolname, role, namespace NULLS FIRST
            """
        ).fetchall()


def drop_login(connection: psycopg.Connection, login: str) -> None:
    """Remove a login; its open connections lose every right at once.

    Raises:
        UsageError: there is none of this name, it was not made here, or it owns something.
    """
    with connection.transaction():
        made = _made(connection, login)
        if made is None:
            raise UsageError(f"There is no login {login!r}.")
        if made == "tenant":
            act_as_admin(connection)
        try:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(login)))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise UsageError(
                f"The login {login!r} owns objects or was granted more by hand.",
                "Run DROP OWNED BY as a superuser in each database, then drop it again.",
            ) from error


def _check(login: str, right: Right, namespaces: Sequence[str], password: str) -> None:
    if not _LOGIN.fullmatch(login) or login.startswith(_RESERVED):
        raise UsageError(
            f"{login!r} cannot be a login: lower-case letters, digits and underscores, at most "
            f"63, beginning with a letter, and not with {', '.join(_RESERVED)}."
        )
    if right == "admin" and namespaces:
        raise UsageError("An admin is one of all namespaces.", "Leave --namespace out.")
    if len(password) < MIN_PASSWORD or "\x00" in password:
        raise UsageError(f"The password must have at least {MIN_PASSWORD} characters, none NUL.")


def _check_registered(connection: psycopg.Connection, wanted: Sequence[str]) -> None:
    known = [row[0] for row in connection.execute("SELECT name FROM namespaces ORDER BY name")]
    for name in wanted:
        if name not in known:
            raise UnknownNamespace(f"Unknown namespace {name!r}.", f"Known: {', '.join(known)}.")


def _made(connection: psycopg.Connection, login: str) -> Literal["admin", "tenant"] | None:
    """What `create_login` made the login as; None if there is none.

    vector_admin makes the logins it may later administer. It cannot make its own members (that
    would be a circle), so an admin's login is made by whoever may make one.

    Raises:
        UsageError: the role was made by other hands.
    """
    row = connection.execute(
        """
        SELECT CASE
            WHEN EXISTS (SELECT FROM pg_auth_members
                         WHERE member = login.oid AND roleid = 'vector_admin'::regrole)
                THEN 'admin'
            WHEN EXISTS (SELECT FROM pg_auth_members WHERE roleid = login.oid AND admin_option
                           AND member = 'vector_admin'::regrole)
                THEN 'tenant'
        END
        FROM pg_roles login WHERE rolname = %s
        """,
        [login],
    ).fetchone()
    if row == (None,):
        raise UsageError(
            f"The role {login!r} was not made by `roles create`.", "Choose another name."
        )
    return None if row is None else cast("Literal['admin', 'tenant']", row[0])
