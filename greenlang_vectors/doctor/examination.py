"""The examination: every check in its turn; none changes anything, none can stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import psycopg

from greenlang_vectors.doctor import api, contents, environment, pooler, rights, server, transport
from greenlang_vectors.doctor.findings import LEVELS, Check, Finding, Subject
from greenlang_vectors.errors import DatabaseUnavailable, GreenLangError
from greenlang_vectors.settings import ProfileName, Settings
from greenlang_vectors.store import embedded
from greenlang_vectors.store.connections import Access, through_pooler
from greenlang_vectors.store.database import DATABASE_NAME

CONNECT_SECONDS = 2
CHECK_MILLISECONDS = 1_000
"""What one check may take of the database; one that takes longer is a finding."""

OF_THE_SERVER: tuple[Check, ...] = (
    server.versions,
    server.settings,
    server.safety,
    server.audit,
    server.clock,
    server.connections,
    transport.spoken,
)
OF_THE_SCHEMA: tuple[Check, ...] = (
    rights.login,
    rights.groups,
    rights.tables,
    contents.indexes,
    contents.leftovers,
    contents.backups,
)
"""What asks tables and functions of the newest schema."""

OUTSIDE_TRANSACTIONS: tuple[Check, ...] = (
    server.readers,
    transport.certificates,
    pooler.settings,
    environment.dump_programs,
)


def examine(settings: Settings, profile: ProfileName) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding, too.

    Args:
        profile: whose numbers are the measure.
    """
    found = [
        *environment.folders(settings),
        *environment.bucket(settings),
        *environment.model(settings),
        *environment.redis(settings),
        *api.tokens(settings, profile),
        *api.bounds(settings, profile),
    ]
    try:
        with _subject(settings, profile) as subject:
            found += _of_the_database(subject)
    except GreenLangError as error:
        found.append(Finding("server", "connection", "error", error.message, remedy=error.remedy))
    return found


def worst(findings: Iterable[Finding]) -> int:
    """The exit code: 0 where nothing is to be changed, 1 for warnings, 2 for errors."""
    return max((LEVELS.index(each.level) for each in findings), default=0)


def _of_the_database(subject: Subject) -> Iterator[Finding]:
    for check in OF_THE_SERVER:
        yield from _reading(subject, check)
    revision = _reading(subject, contents.revision)
    yield from revision
    if all(each.level == "ok" for each in revision):
        for check in OF_THE_SCHEMA:
            yield from _reading(subject, check)
    for check in OUTSIDE_TRANSACTIONS:
        yield from _looked(check, partial(_all_of, check, subject))


def _all_of(check: Check, subject: Subject) -> list[Finding]:
    return list(check(subject))


def _reading(subject: Subject, check: Check) -> list[Finding]:
    """One check in a transaction that cannot write and does not last."""

    def look() -> list[Finding]:
        with subject.connection.transaction():
            subject.connection.execute(
                "SELECT set_config('transaction_read_only', 'on', true),"
                " set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)",
                [str(CHECK_MILLISECONDS), str(CHECK_MILLISECONDS)],
            )
            return list(check(subject))

    return _looked(check, look)


def _looked(check: Check, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except (psycopg.Error, GreenLangError) as error:
        name = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
        return [
            Finding(
                "doctor",
                name,
                "error",
                f"could not be looked at: {' '.join(str(error).split())}",
                remedy="Let the login read the catalogue (GRANT pg_monitor), or look again.",
            )
        ]


@contextmanager
def _subject(settings: Settings, profile: ProfileName) -> Iterator[Subject]:
    access = _access(settings)
    with access.connect(CONNECT_SECONDS) as connection:
        yield Subject(
            settings=settings,
            profile=profile,
            access=access,
            connection=connection,
            embedded=settings.database_url is None,
            pooled=through_pooler(connection),
        )


def _access(settings: Settings) -> Access:
    """The way to the writer. The embedded server is not started for an examination.

    Raises:
        DatabaseUnavailable: the embedded server does not run.
        UsageError: see `Access.of`.
    """
    if settings.database_url is not None:
        return Access.of(settings, settings.database_url.get_secret_value())
    if not (settings.data_dir / "postgres" / "postmaster.pid").exists():
        raise DatabaseUnavailable(
            "The embedded PostgreSQL does not run.",
            "Start it with `greenlang-vectors server url`, or set GREENLANG_DATABASE_URL.",
        )
    return Access(embedded.owned_database(embedded.start(settings.data_dir), DATABASE_NAME))
