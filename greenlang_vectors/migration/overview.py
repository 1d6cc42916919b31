"""How far a namespace's move is: all that an operator looks at, read at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass

import psycopg

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.migration import gates
from greenlang_vectors.migration.gates import Gate
from greenlang_vectors.store import (
    dead_letters,
    weaviate_migrations,
    weaviate_outbox,
    weaviate_ranges,
    weaviate_verifications,
)
from greenlang_vectors.store.weaviate_migrations import State, Step
from greenlang_vectors.store.weaviate_outbox import Lag
from greenlang_vectors.store.weaviate_verifications import Verified

STAGES = ("backfill", "relay", "follow")
"""Whose dead letters concern a move."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a backfill is.

    Attributes:
        objects: read so far.
        ranges: parts of the uuid space, of all tenants; 0 before the first run.
        done: ranges that are read to their end.
    """

    objects: int
    ranges: int
    done: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A move and what is known of it.

    Attributes:
        backfill: how far it is.
        waiting: documents that wait to be carried to Weaviate.
        dead_letters: how many, by stage.
        verified: the newest verification; None before the first.
        open_differences: of it, those that are not repaired yet.
        gates: what keeps callers from being shifted, or shifts them back; none before `backfilled`.
        steps: every one that was taken, oldest first.
    """

    state: State
    backfill: Reached
    waiting: Lag
    dead_letters: dict[str, int]
    verified: Verified | None
    open_differences: int
    gates: list[Gate]
    steps: list[Step]

    @property
    def breached(self) -> bool:
        """Whether a gate is breached while callers read from pgvector."""
        return self.state.share > 0 and any(gate.breached for gate in self.gates)

    def as_json(self) -> dict[str, JSON]:
        """As commands and Dagster report it."""
        verified = self.verified
        return {
            "namespace": self.state.namespace,
            "phase": self.state.phase,
            "share": self.state.share,
            "share_since": self.state.share_since.isoformat(),
            "plan": self.state.plan,
            "backfill": asdict(self.backfill),
            "waiting": asdict(self.waiting),
            "dead_letters": {**self.dead_letters},
            "verification": None
            if verified is None
            else {
                "finished_at": verified.finished_at.isoformat(),
                **verified.figures,
                "open_differences": self.open_differences,
            },
            "gates": gates.evidence(self.gates),
            "steps": [step_json(step) for step in self.steps],
        }


def overview(connection: psycopg.Connection, namespace: str) -> Overview:
    """All of one namespace's move.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: no move is planned.
    """
    state = weaviate_migrations.get(connection, namespace)
    ranges = weaviate_ranges.list_all(connection, namespace)
    failed = Counter(each.stage for each in dead_letters.list_all(connection, namespace))
    compared = state.phase in {"backfilled", "shifting"}
    return Overview(
        state=state,
        backfill=Reached(
            objects=sum(each.objects for each in ranges),
            ranges=len(ranges),
            done=sum(each.done for each in ranges),
        ),
        waiting=weaviate_outbox.lag(connection, namespace),
        dead_letters={stage: failed[stage] for stage in STAGES},
        verified=weaviate_verifications.newest(connection, namespace),
        open_differences=len(weaviate_verifications.differences(connection, namespace)),
        gates=gates.judge(connection, namespace) if compared else [],
        steps=weaviate_migrations.steps(connection, namespace),
    )


def step_json(step: Step) -> dict[str, JSON]:
    """A step as commands and Dagster report it."""
    return {**asdict(step), "taken_at": step.taken_at.isoformat()}
