"""A second look at what seemed to differ: what was on its way across is no difference.

While applications write, one side is ahead of the other for a moment, and a verification may see
just that. So each such object is read again, in an order that leaves no doubt.

pgvector primary: the passage, what the relay has still to carry, the object, the passage again. If
its document waited for nothing and the passage stayed as it was, the relay had brought across all
that was ever committed of it: an object that differs even so is a difference.

Weaviate primary: nothing tells what the follower has still to carry but the time of an object's
last change. One whose newest change was carried over, and that differs even so, is a difference;
any other has time until it must have been.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import psycopg

from greenlang_vectors.migration.comparison import Difference
from greenlang_vectors.migration.plan import Primary
from greenlang_vectors.migration.sides import Pair, Sides
from greenlang_vectors.store import weaviate_verifications

AT_ONCE = 500
"""Objects looked at in one step."""

PAUSE_SECONDS = 0.2

Verdict = Literal["same", "differs", "under way"]


@dataclass(slots=True)
class Settled:
    """What a second look left.

    Attributes:
        differences: what is not the same, by tenant and id.
        under_way: objects whose change was still on its way across in the end.
    """

    differences: list[Difference] = field(default_factory=list)
    under_way: int = 0


def settle(
    connection: psycopg.Connection,
    sides: Sides,
    suspects: Mapping[str, Sequence[UUID]],
    *,
    since_ms: int,
    patience: float,
) -> Settled:
    """Look again at objects that seemed to differ.

    Args:
        suspects: by tenant.
        since_ms: in a move whose primary is Weaviate: what was changed there after this moment
            (milliseconds since 1970) and has not come across is under way, and no difference yet.
        patience: seconds that changes under way are waited for.
    """
    settled = Settled()
    until = time.monotonic() + patience
    judge = Judge(connection, sides)
    for tenant in sorted(suspects):
        left = sorted(set(suspects[tenant]))
        while left:
            late = time.monotonic() >= until
            left = _judged(judge, tenant, left, settled, since_ms if late else None)
            if late:
                break
            if left:
                time.sleep(PAUSE_SECONDS)
    return settled


def _judged(
    judge: Judge, tenant: str, ids: Sequence[UUID], settled: Settled, since_ms: int | None
) -> list[UUID]:
    """Note what is decided; return what is not. With `since_ms`, all is decided."""
    left = []
    for start in range(0, len(ids), AT_ONCE):
        for identity, (verdict, pair) in judge.look(tenant, ids[start : start + AT_ONCE]).items():
            if verdict == "under way" and since_ms is None:
                left.append(identity)
            elif verdict == "under way" and judge.excused(pair, since_ms):
                settled.under_way += 1
            elif verdict != "same" and pair.found is not None:
                settled.differences.append(pair.found)
    return left


class Judge:
    """Looks at objects, and tells whether what differs of them may be on its way across."""

    def __init__(self, connection: psycopg.Connection, sides: Sides) -> None:
        self._connection, self._sides = connection, sides
        self._namespace, self._primary = sides.contents.namespace, sides.plan.primary

    def look(self, tenant: str, ids: Sequence[UUID]) -> dict[UUID, tuple[Verdict, Pair]]:
        """Each object with what is to be said of it now."""
        read = self._sides.stored_of
        before = read(self._connection, tenant, ids)
        waiting = weaviate_verifications.waiting(self._connection, self._namespace)
        self._sides.renew()
        given = self._sides.given_of(tenant, ids)
        after = read(self._connection, tenant, ids)
        found = {}
        for each in ids:
            pair = self._sides.pair(tenant, before.get(each), given.get(each))
            if pair.found is not None and pair.titles_differ:
                pair = self._sides.with_document_title(self._connection, tenant, pair)
            moved = before.get(each) != after.get(each)
            found[each] = self._verdict(pair, moved, waiting), pair
        return found

    def excused(self, pair: Pair, since_ms: int | None) -> bool:
        """Whether a change that is still under way is none of anybody's fault."""
        if self._primary == "pgvector":
            return True
        return pair.given is not None and pair.given.updated_ms >= (since_ms or 0)

    def _verdict(self, pair: Pair, moved: bool, waiting: set[UUID]) -> Verdict:
        if pair.found is None:
            return "same"
        if moved or _UNDER_WAY[self._primary](pair, waiting):
            return "under way"
        return "differs"


def _relayed(pair: Pair, waiting: set[UUID]) -> bool:
    return not pair.documents.isdisjoint(waiting)


def _followed(pair: Pair, _waiting: set[UUID]) -> bool:
    carried = None if pair.stored is None else pair.stored.updated_ms
    return pair.given is None or pair.given.updated_ms != carried


_UNDER_WAY: Mapping[Primary, Callable[[Pair, set[UUID]], bool]] = {
    "pgvector": _relayed,
    "weaviate": _followed,
}
