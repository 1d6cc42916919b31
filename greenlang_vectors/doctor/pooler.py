"""PgBouncer before the server, against PRD 8.3; its console tells what it is set to."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg.conninfo import make_conninfo

from greenlang_vectors.doctor.findings import Finding, Subject, judged
from greenlang_vectors.store.server_settings import POOLER

SOURCE = "PRD 8.3"
CONSOLE_SECONDS = 2

AT_LEAST = ("max_client_conn", "default_pool_size", "reserve_pool_size")
BOUNDS = ("query_timeout", "server_idle_timeout", "reserve_pool_timeout")
"""Seconds, where 0 is for ever."""


def settings(subject: Subject) -> Iterator[Finding]:
    """Each setting of PRD 8.3; nothing where no pooler stands between."""
    if not subject.pooled:
        return
    try:
        found = _asked(subject)
    except psycopg.Error as error:
        yield Finding(
            "pgbouncer",
            "console",
            "warning",
            f"does not answer this login: {' '.join(str(error).split())}",
            "SHOW CONFIG",
            SOURCE,
            "Add the login to stats_users in pgbouncer.ini.",
        )
        return
    for name, wanted in POOLER.items():
        value = found.get(name, "unset")
        yield judged(
            "pgbouncer",
            name,
            "error" if name == "pool_mode" else "warning",
            value,
            well=_kept(name, value, wanted),
            expected=f"at least {wanted}" if name in AT_LEAST else wanted,
            source=SOURCE,
            remedy=f"Set {name} = {wanted} in pgbouncer.ini, then RELOAD.",
        )


def _asked(subject: Subject) -> dict[str, str]:
    conninfo = make_conninfo(
        subject.access.conninfo(CONSOLE_SECONDS), dbname="pgbouncer", options=""
    )
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as console:
        cursor = psycopg.ClientCursor(console)  # the console knows the simple protocol alone
        return {str(row[0]): str(row[1]) for row in cursor.execute("SHOW CONFIG")}


def _kept(name: str, value: str, wanted: str) -> bool:
    if not value.isdigit():
        return value == wanted
    if name in AT_LEAST:
        return int(value) >= int(wanted)
    return 0 < int(value) <= 10 * int(wanted) if name in BOUNDS else value == wanted
