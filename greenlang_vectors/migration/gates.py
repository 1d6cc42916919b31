"""What must hold before more callers are shifted, and what shifts them back when it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import psycopg
from psycopg.rows import class_row

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.migration.callers import step_down
from greenlang_vectors.migration.plan import Gates, Plan
from greenlang_vectors.store import weaviate_migrations, weaviate_shadow_reads
from greenlang_vectors.store.weaviate_migrations import State
from greenlang_vectors.store.weaviate_shadow_reads import Figures

Name = Literal[
    "overlap",
    "text_overlap",
    "p99_ms",
    "error_rate",
    "open_differences",
    "reads",
    "held_seconds",
]

LEAST_WINDOW = timedelta(minutes=1)
"""Reads of so long are judged at least, however short the gates have to hold."""

RELAY_GRACE = timedelta(minutes=1)
"""A document that waits for the relay is no difference before so long: some always do."""

_SLOW = 0.01
"""The share of searches that may be slower than a p99."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate, and what was measured at it.

    Attributes:
        value: None where nothing was measured.
        limit: the least, or the most, that `value` may be.
        holds: whether it is within the limit.
        breached: it is not, and would not be if every read that `Gates.reads` still wants went
            well: few reads breach nothing by chance, and many failures need not wait for more.
    """

    name: Name
    value: float | None
    limit: float
    holds: bool
    breached: bool

    @property
    def at_least(self) -> bool:
        """Whether the limit is the least that `value` may be."""
        return self.name in {"overlap", "text_overlap", "reads", "held_seconds"}


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A breach that shifted callers back."""

    namespace: str
    from_share: int
    to_share: int
    gates: list[Gate]


@dataclass(frozen=True, slots=True)
class _Open:
    """What the newest verification left open, and what waits for the relay."""

    verified: bool | None
    differences: int
    waiting: int
    compared_since: datetime


def judge(connection: psycopg.Connection, namespace: str) -> list[Gate]:
    """Every gate of the plan, by the shadow reads of the last `Gates.hold_seconds`.

    Reads from before the present share, or from before the backfill was done, do not count.
    Latency (p99) and errors are pgvector's; open differences are those of the newest
    verification and the documents that have waited for the relay for a minute. The latter keep a
    step from being taken and shift nobody back: what they lack is Weaviate, not pgvector.

    Raises:
        UnknownNamespace, UsageError: no move is planned.
    """
    return _judged(connection, weaviate_migrations.get(connection, namespace))


def held(gates: Sequence[Gate]) -> bool:
    """Whether all hold, and have for as long as they must."""
    return all(gate.holds for gate in gates)


def evidence(gates: Sequence[Gate]) -> dict[str, JSON]:
    """The gates as a step records them."""
    return {gate.name: {k: v for k, v in asdict(gate).items() if k != "name"} for gate in gates}


def said(gates: Sequence[Gate]) -> str:
    """Gates in words ("overlap 0.71, not 0.9 or more")."""
    return ", ".join(_said(gate) for gate in gates)


def watch(connection: psycopg.Connection) -> list[RolledBack]:
    """Look once at every namespace whose callers are being shifted, and shift back where a gate is
    breached: one step, or to none where pgvector fails. Each is recorded as a step with its
    evidence (`rollback`).

    Args:
        connection: in autocommit.
    """
    done = []
    for known in weaviate_migrations.all_under_way(connection):
        with weaviate_migrations.changing(connection, known.namespace) as state:
            if state.phase != "shifting" or state.share == 0:
                continue
            gates = _judged(connection, state)
            breached: set[str] = {gate.name for gate in gates if gate.breached}
            if not breached:
                continue
            share = 0 if "error_rate" in breached else step_down(state.share)
            weaviate_migrations.move(
                connection,
                state.namespace,
                "rollback",
                phase="shifting",
                share=share,
                evidence={
                    "from": state.share,
                    "breached": [*sorted(breached)],
                    "gates": evidence(gates),
                },
            )
            done.append(RolledBack(state.namespace, state.share, share, gates))
    return done


def _judged(connection: psycopg.Connection, state: State) -> list[Gate]:
    wanted = Plan.model_validate(state.plan).gates
    opened = _open(connection, state.namespace)
    now = datetime.now(UTC)
    since = max(state.share_since, opened.compared_since)
    window = max(timedelta(seconds=wanted.hold_seconds), LEAST_WINDOW)
    reads = weaviate_shadow_reads.figures(
        connection, state.namespace, max(since, now - window), wanted.p99_ms
    )
    held_for = (now - since).total_seconds()
    return [
        *_measured(reads, wanted),
        _open_differences(opened, wanted),
        Gate("reads", reads.compared, wanted.reads, reads.compared >= wanted.reads, False),
        Gate("held_seconds", held_for, wanted.hold_seconds, held_for >= wanted.hold_seconds, False),
    ]


def _measured(reads: Figures, wanted: Gates) -> list[Gate]:
    """The gates of what reads showed; breached where perfect reads in the place of those still
    wanted would not mend it."""
    wide = max(reads.reads, wanted.reads)
    error_rate = reads.failed / reads.reads if reads.reads else None
    return [
        _overlap("overlap", reads.overlap, reads.by_vector, wanted.overlap, wanted.reads),
        _overlap(
            "text_overlap", reads.text_overlap, reads.by_words, wanted.text_overlap, wanted.reads
        ),
        Gate(
            "p99_ms",
            reads.p99_ms,
            wanted.p99_ms,
            holds=reads.p99_ms is not None and reads.p99_ms <= wanted.p99_ms,
            breached=reads.slow > _SLOW * wide,
        ),
        Gate(
            "error_rate",
            error_rate,
            wanted.error_rate,
            holds=error_rate is not None and error_rate <= wanted.error_rate,
            breached=reads.failed > wanted.error_rate * wide,
        ),
    ]


def _overlap(name: Name, total: float, compared: int, limit: float, wanted: int) -> Gate:
    """One that nobody's searches were of keeps nobody: `Gates.reads` wants enough of all kinds."""
    mean = total / compared if compared else None
    missing = max(0, wanted - compared)
    best = (total + missing) / (compared + missing)
    return Gate(name, mean, limit, holds=mean is None or mean >= limit, breached=best < limit)


def _open_differences(opened: _Open, wanted: Gates) -> Gate:
    """Nothing is known to be open before a verification, and nothing to be in order."""
    count = opened.differences + opened.waiting
    within = count <= wanted.open_differences and opened.verified is True
    return Gate(
        "open_differences",
        None if opened.verified is None else count,
        wanted.open_differences,
        holds=within,
        breached=opened.differences > wanted.open_differences,
    )


def _open(connection: psycopg.Connection, namespace: str) -> _Open:
    with connection.cursor(row_factory=class_row(_Open)) as cursor:
        found = cursor.execute(
            """
            SELECT (SELECT clean FROM weaviate_verifications WHERE namespace = m.namespace
                    ORDER BY id DESC LIMIT 1) AS verified,
                   (SELECT count(*) FROM weaviate_differences
                    WHERE namespace = m.namespace) AS differences,
                   (SELECT count(DISTINCT document_id) FROM weaviate_outbox
                    WHERE namespace = m.namespace AND noted_at < now() - %(grace)s) AS waiting,
                   (SELECT coalesce(min(taken_at), m.created_at) FROM weaviate_steps
                    WHERE namespace = m.namespace AND phase IN ('backfilled', 'shifting')
                      AND id > (SELECT coalesce(max(id), 0) FROM weaviate_steps
                                WHERE namespace = m.namespace AND phase IN ('planned', 'parallel')))
                       AS compared_since
            FROM weaviate_migrations m WHERE namespace = %(namespace)s
            """,
            {"namespace": namespace, "grace": RELAY_GRACE},
        ).fetchone()
    if found is None:
        raise AssertionError(f"the move of {namespace} is locked or was just read")
    return found


def _said(gate: Gate) -> str:
    if gate.name == "held_seconds":
        return f"held for {gate.value:,.0f} of {gate.limit:,.0f} seconds"
    value = "unknown" if gate.value is None else f"{gate.value:.4g}"
    return f"{gate.name} {value}, not {gate.limit:.4g} or {'more' if gate.at_least else 'less'}"
