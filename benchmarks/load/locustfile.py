"""PRD 14.2 for locust: searches by a rising and falling number of users, inserts at a steady rate.

    locust -f benchmarks/load/locustfile.py --headless --stop-timeout 5 --host http://127.0.0.1:8000

Both scenarios run at once, as they do there; inserts only where LOAD_DATABASE_URL says where to.
Locust ends with code 1 where a threshold is missed. Read from the environment:

LOAD_KEY: the API key.
LOAD_NAMESPACE, LOAD_COLLECTION: where to search; the collection that serves by default.
LOAD_DATABASE_URL: where to insert (namespace "load-inserts", which is made), past the API, which
    takes files.
LOAD_SCALE: of all durations; 1 is PRD 14.2's 16 minutes.
LOAD_USERS: the most users that search at once; 200 is PRD 14.2, fewer keep its stages' shape.
LOAD_THINK: seconds a user waits between an answer and the next search.
"""

from __future__ import annotations

import os
import time
from itertools import count, cycle
from typing import Any

from locust import FastHttpUser, LoadTestShape, User, constant, constant_pacing, events, task
from locust.env import Environment

from benchmarks.rows import FINGERPRINT, new_leaf, rows
from benchmarks.vectors import DIMENSIONS, VectorSource
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.writing import write

SCALE = float(os.environ.get("LOAD_SCALE", "1"))
THINK = float(os.environ.get("LOAD_THINK", "1"))
USERS = int(os.environ.get("LOAD_USERS", "200"))
DATABASE_URL = os.environ.get("LOAD_DATABASE_URL")

START = 10
STAGES = ((120, 100), (300, 100), (120, 200), (300, 200), (120, 0))
"""(seconds, users at their end), a straight line from one to the next."""
MOST_USERS = max(users for _, users in STAGES)
INSERTS_A_SECOND, INSERT_SECONDS, INSERT_USERS = 1000, 600, 50
BATCH = 100
"""Embeddings an application sends at once."""

P50_MS, P99_MS, FAILED = 20, 100, 0.01
SEARCH, INSERT = "/v1/search", f"insert of {BATCH}"

_queries = cycle(VectorSource(2).take(1000).round(6).tolist())
_inserted = VectorSource(5).take(BATCH)
_turns = count()
_numbers = count(time.time_ns() // 1_000_000 * BATCH, BATCH)
"""The first row of each batch; other ones in every run."""


class VectorSearch(FastHttpUser):
    """Someone who searches by vectors, the top 10."""

    wait_time = constant(THINK)

    @task
    def search(self) -> None:
        """One search; fewer than 10 passages are a failure, too."""
        body: dict[str, Any] = {
            "namespace": os.environ["LOAD_NAMESPACE"],
            "vector": next(_queries),
            "top_k": 10,
        }
        if collection := os.environ.get("LOAD_COLLECTION"):
            body["collection"] = collection
        headers = {"Authorization": f"Bearer {os.environ['LOAD_KEY']}"}
        with self.client.post(SEARCH, json=body, headers=headers, catch_response=True) as answer:
            if answer.status_code == 200 and answer.json()["returned"] != 10:
                answer.failure("fewer than 10 passages")


class BatchInsert(User):
    """An application that inserts embeddings; together, in turn, they insert 1000 a second."""

    abstract = DATABASE_URL is None
    fixed_count = INSERT_USERS
    wait_time = constant_pacing(INSERT_USERS * BATCH / INSERTS_A_SECOND)

    def on_start(self) -> None:
        """Make the namespace, connect, and wait for one's turn."""
        self.connection = Database(DATABASE_URL or "").connect()
        self.leaf = new_leaf(self.connection, DIMENSIONS, namespace="load-inserts")
        self.until = time.monotonic() + INSERT_SECONDS * SCALE
        time.sleep(next(_turns) % INSERT_USERS * BATCH / INSERTS_A_SECOND)

    def on_stop(self) -> None:
        """Disconnect."""
        self.connection.close()

    @task
    def insert(self) -> None:
        """One batch."""
        if time.monotonic() > self.until:
            return
        first = next(_numbers)
        batch = rows(first, first + BATCH)
        with self.environment.events.request.measure("SDK", INSERT):
            report = write(self.connection, self.leaf, batch, _inserted, fingerprint=FINGERPRINT)
            assert report.inserted == BATCH


class Stages(LoadTestShape):
    """PRD 14.2's stages, and the users that insert beside them."""

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now; None at the end."""
        passed: float = self.get_run_time()  # type: ignore[no-untyped-call]
        searching = users_at(passed / SCALE)
        if searching is None:
            return None
        searching = max(1, round(searching * USERS / MOST_USERS))
        return searching + (0 if BatchInsert.abstract else INSERT_USERS), 100.0


def users_at(seconds: float) -> int | None:
    """How many search so long after the beginning; None after the last stage."""
    began, before = 0.0, START
    for duration, target in STAGES:
        if seconds < began + duration:
            return round(before + (target - before) * (seconds - began) / duration)
        began, before = began + duration, target
    return None


def check_thresholds(environment: Environment, **_: object) -> None:
    """Say what was measured and what was missed; end with code 1 in that case."""
    searches = environment.stats.get(SEARCH, "POST")
    p50, p99 = (searches.get_response_time_percentile(share) for share in (0.5, 0.99))
    failed = environment.stats.total.fail_ratio
    missed = not searches.num_requests
    for name, value, limit, unit in (
        ("p50", p50, P50_MS, " ms"),
        ("p99", p99, P99_MS, " ms"),
        ("failed", 100 * failed, 100 * FAILED, "%"),
    ):
        missed |= value >= limit
        said = "missed" if value >= limit else "met"
        print(f"{name}: {value:.1f}{unit} (threshold < {limit:.0f}{unit}: {said})")
    print(f"searches: {searches.num_requests}, {searches.total_rps:.0f} a second")
    environment.process_exit_code = int(missed)


events.quitting.add_listener(check_thresholds)  # type: ignore[no-untyped-call]
