"""The server: versions, settings against the profile, what protects data, clock, readers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import LiteralString, cast

import psutil

from greenlang_vectors.doctor.findings import Finding, Level, Subject, judged
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.store import schema
from greenlang_vectors.store.audit import PGAUDIT_SETTINGS
from greenlang_vectors.store.connections import Access
from greenlang_vectors.store.database import reader_urls
from greenlang_vectors.store.endpoints import READER_CONNECT_SECONDS
from greenlang_vectors.store.server_settings import ENVIRONMENTS, GIB, Expected, expected

OLDEST_SERVER = 16
"""Row-level security of namespaces rests on what grants of 16 can say (migration 0006)."""
OLDEST_PGVECTOR = (0, 8)
"""Iterative scans (PRD 5.1 has 0.7)."""

CLOCK_SECONDS = 2.0
CLOCK_TOKENS_SECONDS = 60.0
"""Half of what AWS lets a signature be off by, and of what tokens of the API are given."""

BUSY = 0.8
"""Of the connections (PRD 9.2)."""

EMBEDDED_MEMORY = 8 * GIB
"""The most of this machine's memory that the embedded server counts on (`store/embedded.py`)."""

_SETTING: LiteralString = """
    SELECT CASE WHEN unit IN ('8kB', 'kB', 'MB', 'GB', 'B') THEN pg_size_bytes(
               CASE unit WHEN '8kB' THEN setting::bigint * 8 || ' kB' ELSE setting || unit END)
           ELSE setting::float8 END
    FROM pg_settings WHERE name = %s
"""


def versions(subject: Subject) -> Iterator[Finding]:
    """PostgreSQL and pgvector."""
    found = schema.versions(subject.connection)
    major = int(found.server.split(".")[0])
    yield judged(
        "server",
        "PostgreSQL",
        "error",
        found.server,
        well=major >= OLDEST_SERVER,
        expected=f"{OLDEST_SERVER} or newer",
        source="migration 0006; PRD 5.1 has 15.x",
        remedy="Upgrade the server; on Aurora a blue/green deployment to a newer engine version.",
    )
    vector = cast("str | None", found.pgvector)
    numbers = tuple(int(part) for part in re.findall(r"\d+", vector or "")[:2])
    yield judged(
        "server",
        "pgvector",
        "error",
        vector or "not installed",
        well=numbers >= OLDEST_PGVECTOR,
        expected="0.8 or newer",
        source="iterative scans; PRD 5.1 has 0.7.0",
        remedy="CREATE EXTENSION vector, or ALTER EXTENSION vector UPDATE, as the database's"
        " owner.",
    )


def settings(subject: Subject) -> Iterator[Finding]:
    """Each setting of PRD 18.2, sized to the machine."""
    subject.connection.execute("SELECT '[1]'::vector")  # its settings are known once it is loaded
    aurora = subject.aurora
    for wanted in expected(subject.profile, *_size(subject)):
        row = subject.connection.execute(_SETTING, [wanted.name]).fetchone()
        if row is None:
            yield Finding(
                "settings",
                wanted.name,
                "error",
                "unknown to the server",
                source=wanted.source,
                remedy="Install pgvector 0.8 or newer."
                if wanted.name.startswith("hnsw.")
                else "Ask a PostgreSQL server.",
            )
            continue
        found = float(row[0])
        yield judged(
            "settings",
            wanted.name,
            "warning",
            _amount(found, wanted),
            well=wanted.kept(found),
            expected=f"{wanted.comparison} {_amount(wanted.value, wanted)}",
            source=wanted.source,
            remedy=_change(wanted, aurora=aurora),
        )


def safety(subject: Subject) -> Iterator[Finding]:
    """What a crash would cost."""
    for name in ("fsync", "full_page_writes"):
        row = subject.connection.execute("SELECT current_setting(%s, true)", [name]).fetchone()
        found = row[0] if row else None
        if found is None:
            continue  # Aurora has none
        yield judged(
            "server",
            name,
            "error",
            found,
            well=found == "on",
            expected="on",
            source="PostgreSQL: Write Ahead Log",
            remedy=f"ALTER SYSTEM SET {name} = on: a power cut would lose the database.",
        )
    row = subject.connection.execute("SELECT pg_is_in_recovery()").fetchone()
    yield judged(
        "server",
        "writer",
        "error",
        "a reader" if row == (True,) else "takes writes",
        well=row == (False,),
        remedy="Let GREENLANG_DATABASE_URL name the cluster's writer endpoint.",
    )


def audit(subject: Subject) -> Iterator[Finding]:
    """pgaudit, where others rely on the database (PRD 10.4)."""
    if not subject.strict:
        return
    row = subject.connection.execute("SELECT current_setting('pgaudit.log', true)").fetchone()
    source = "PRD 10.4"
    if row is None or not row[0]:
        yield Finding(
            "audit",
            "pgaudit",
            "warning",
            "not loaded",
            "write, ddl",
            source,
            "Add pgaudit to shared_preload_libraries (a cluster parameter group on Aurora),"
            " restart, and CREATE EXTENSION pgaudit. The product's own audit log works without it.",
        )
        return
    for name, wanted in PGAUDIT_SETTINGS.items():
        row = subject.connection.execute("SELECT current_setting(%s, true)", [name]).fetchone()
        found = (row[0] if row else None) or "unset"
        yield judged(
            "audit",
            name,
            "warning",
            found,
            well={*re.split(r",\s*", wanted)} <= {*re.split(r",\s*", found.lower())},
            expected=wanted,
            source=source,
            remedy=f"Set {name} = '{wanted}' in the cluster parameter group (ALTER SYSTEM"
            " elsewhere).",
        )


def clock(subject: Subject) -> Iterator[Finding]:
    """How far the server's clock and this machine's are apart, as far as a round trip tells."""
    before = time.time()
    row = subject.connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
    after = time.time()
    server = float(row[0]) if row else before
    apart = max(0.0, before - server, server - after)
    level: Level = "error" if apart > CLOCK_TOKENS_SECONDS else "warning"
    yield judged(
        "server",
        "clock",
        level,
        f"{apart:.1f} s apart",
        well=apart <= CLOCK_SECONDS,
        expected=f"at most {CLOCK_SECONDS:g} s",
        source="tokens, backup ages and expiry times compare the two",
        remedy="Let both follow NTP (chrony, or Amazon Time Sync).",
    )


def connections(subject: Subject) -> Iterator[Finding]:
    """How many sessions are left."""
    row = subject.connection.execute(
        "SELECT count(*), current_setting('max_connections')::integer FROM pg_stat_activity"
        " WHERE backend_type = 'client backend'"
    ).fetchone()
    used, most = cast("tuple[int, int]", row)
    yield judged(
        "server",
        "connections in use",
        "warning",
        f"{used} of {most}",
        well=used <= BUSY * most,
        expected=f"at most {BUSY:.0%}",
        source="PRD 9.2",
        remedy="Put PgBouncer in front (PRD 8.3), or lower GREENLANG_DATABASE_POOL_SIZE.",
    )


def readers(subject: Subject) -> Iterator[Finding]:
    """Whether each reader answers, and is one."""
    for url in reader_urls(subject.settings):
        access = Access.of(subject.settings, url, "GREENLANG_DATABASE_READER_URLS")
        try:
            with access.connect(READER_CONNECT_SECONDS) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        except GreenLangError as error:
            yield Finding("readers", access.name, "error", error.message, remedy=error.remedy)
            continue
        yield judged(
            "readers",
            access.name,
            "warning",
            "answers" if row == (True,) else "takes writes: no reader",
            well=row == (True,),
            remedy="Let GREENLANG_DATABASE_READER_URLS name readers: searches of a writer there"
            " slow down writes.",
        )


def _size(subject: Subject) -> tuple[int, int]:
    """Memory and processors of the server: this machine's share, else those of the profile."""
    if subject.embedded:
        memory = min(psutil.virtual_memory().total // 2, EMBEDDED_MEMORY)
        return memory * 9 // 10, os.cpu_count() or 1  # what `store/embedded.py` rounds down
    environment = ENVIRONMENTS[subject.profile]
    return environment.memory_gib * GIB, environment.vcpu


def _amount(value: float, wanted: Expected) -> str:
    if wanted.unit == "":
        return f"{value:g}"
    for unit, size in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:g} B"


def _change(wanted: Expected, *, aurora: bool) -> str:
    value = f"{wanted.value:g}"
    if wanted.unit == "bytes":
        value = f"'{-(-int(wanted.value) // 2**20)}MB'"
    then = ", then restart" if wanted.restart else ""
    if aurora:
        return f"Set {wanted.name} = {value} in the DB parameter group{then}."
    how = "then restart" if wanted.restart else "then SELECT pg_reload_conf()"
    return f"ALTER SYSTEM SET {wanted.name} = {value}, {how}."
