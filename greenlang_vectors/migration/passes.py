"""One pass of what keeps both sides alike, over the namespaces that are written to both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.migration.follow import FollowReport, follow
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.plan import Plan, Primary
from greenlang_vectors.migration.relay import RelayReport, relay
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import weaviate_migrations, weaviate_outbox
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.weaviate_migrations import State


@dataclass(frozen=True, slots=True)
class Carried:
    """What one pass over a namespace did.

    Attributes:
        report: None where it failed.
        problem: why it did, and what helps.
    """

    namespace: str
    report: RelayReport | FollowReport | None
    problem: str | None = None

    @property
    def failed(self) -> bool:
        """Whether something could not be carried."""
        return self.report is None or bool(self._refused or self._left)

    @property
    def said(self) -> str:
        """What was done, in words; empty where nothing was."""
        report = self.report
        if report is None:
            return f"{self.namespace}: {self.problem}"
        if not (report.written or report.deleted or self.failed):
            return ""
        return (
            f"{self.namespace}: {report.written:,} written, {report.deleted:,} deleted,"
            f" {self._refused:,} refused. {self._left}"
        ).strip()

    @property
    def _refused(self) -> int:
        return 0 if self.report is None else self.report.refused

    @property
    def _left(self) -> str:
        """What was not even tried, and why."""
        report = self.report
        if report is None:
            return ""
        if report.unavailable or isinstance(report, RelayReport) or not report.emptied:
            return report.unavailable or ""
        names = ", ".join(each or "the collection" for each in report.emptied)
        return f"Empty in Weaviate, and kept here: {names}. `follow --allow-empty` deletes it."

    def as_json(self) -> dict[str, JSON]:
        """As commands report it."""
        report = None if self.report is None else asdict(self.report)
        return {"namespace": self.namespace, "problem": self.problem, "report": report}


def carry(
    database: Database,
    settings: Settings,
    *,
    primary: Primary | None = None,
    namespace: str | None = None,
    retry: bool = False,
    allow_empty: bool = False,
    progress: Progress = silent,
) -> list[Carried]:
    """Relay or follow once, as its plan says, every namespace for which there is something to do.

    What fails for one harms no other. Weaviate is not even connected to where nothing is to do.

    Args:
        primary: of those alone whose applications write to this side.
        namespace: this one alone; what is wrong with it is raised.
        retry: relay at once what was put off or refused, too.
        allow_empty: follow Weaviate even where a tenant, or the collection, is empty or gone.

    Raises:
        DatabaseUnavailable: there is no database.
        WeaviateUnavailable: Weaviate cannot be connected to; what is to do waits.
        UsageError: GREENLANG_WEAVIATE_URL is no such URL, or as of `relay` and `follow`.
    """
    with database.connection() as connection:
        if namespace is not None:
            state = weaviate_migrations.get(connection, namespace)
            due = {namespace: primary or _primary(state)}
        else:
            due = {
                state.namespace: _primary(state)
                for state in weaviate_migrations.all_under_way(connection)
                if primary in {None, _primary(state)} and (retry or _is_due(connection, state))
            }
    if not due:
        return []
    with open_peer(settings) as peer:

        def one(name: str) -> RelayReport | FollowReport:
            if due[name] == "pgvector":
                return relay(database, peer, name, retry=retry, progress=progress)
            return follow(database, peer, name, allow_empty=allow_empty, progress=progress)

        if namespace is not None:
            return [Carried(namespace, one(namespace))]
        return [_guarded(one, name) for name in due]


def _guarded(one: Callable[[str], RelayReport | FollowReport], namespace: str) -> Carried:
    try:
        return Carried(namespace, one(namespace))
    except GreenLangError as error:
        return Carried(namespace, None, str(error))


def _is_due(connection: psycopg.Connection, state: State) -> bool:
    """Whether documents wait for the relay; what changed in Weaviate only a look at it tells."""
    if _primary(state) == "weaviate":
        return True
    return bool(weaviate_outbox.read(connection, state.namespace, notes=1))


def _primary(state: State) -> Primary:
    return Plan.model_validate(state.plan).primary
