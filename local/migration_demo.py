"""`make migration-demo`: all four phases of leaving Weaviate, on a thousand objects of a stand-in.

The stand-in, a database and a backup location are the demonstration's own and go when it ends.
Returns 0; 1 if a phase failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from pydantic import SecretStr
from rich.console import Console

from greenlang_vectors import direct
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import Embedders, embedders_of
from greenlang_vectors.errors import GreenLangError
from greenlang_vectors.landing import SuppliedVectors
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.migration import gates, phases, traffic
from greenlang_vectors.migration.backfill import backfill, finish
from greenlang_vectors.migration.callers import SHARES
from greenlang_vectors.migration.decommission import decommission
from greenlang_vectors.migration.peer import Peer, open_peer
from greenlang_vectors.migration.plan import Gates, Plan, VectorMapping
from greenlang_vectors.migration.relay import relay
from greenlang_vectors.migration.repair import repair
from greenlang_vectors.migration.router import MigratingSearch
from greenlang_vectors.migration.verification import Verification, verify
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import embedded, namespaces, weaviate_migrations
from greenlang_vectors.store.database import Database, open_database
from local.weaviate_server.samples import PASSAGES, sample_objects
from local.weaviate_server.server import WeaviateServer
from local.weaviate_server.store import Sent

DATABASE_NAME = "migration_demo"
NAMESPACE = "regulations"
MODEL = "demonstration"
"""A name that the library does not know: the sample vectors were made by no model."""

DIMENSIONS = 384
DOCUMENTS = 20
"""Documents that an application writes while the move lasts."""

CALLERS = 40
PATIENCE = 30.0
"""Seconds that a gate is waited for."""

PLAN = Plan(
    collection=PASSAGES["class"],
    vectors=(VectorMapping(model=MODEL),),
    content="text",
    source_id="source_id",
    chunk_index="chunk_index",
    language="english",
    gates=Gates(hold_seconds=1, reads=CALLERS, p99_ms=1000),
)


class Demonstration:
    """The four phases of one namespace's move, told as they go."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        weaviate: WeaviateServer,
        objects: Sequence[Sent],
        console: Console,
    ) -> None:
        self._settings, self._database = settings, database
        self._weaviate, self._objects = weaviate, objects
        self._console = console
        self._embedders: Embedders = embedders_of(database, settings, cache_seconds=None)
        self._location = open_location(settings.backup_location)

    def run(self, peer: Peer) -> None:
        """All of it."""
        with self._database.connect() as connection:
            namespaces.register(connection, NAMESPACE)
            weaviate_migrations.save_plan(connection, NAMESPACE, PLAN.model_dump(mode="json"))
        self._phase(1, "parallel operation")
        self._write_to_both(peer)
        self._phase(2, "backfill")
        self._carry_over(peer)
        self._mend(peer)
        self._phase(3, "traffic")
        self._shift()
        self._verified(peer)
        self._phase(4, "decommission")
        done = decommission(self._database, peer, self._location, NAMESPACE, by="the demonstration")
        self._say("Archived, read back and signed off. The report:\n")
        self._console.print(
            done.report.as_markdown(done.json_sha256), soft_wrap=True, highlight=False, markup=False
        )

    def _write_to_both(self, peer: Peer) -> None:
        phases.start(self._database, peer, NAMESPACE)
        self._say("What applications write to pgvector is carried to Weaviate from now on.")
        with self._database.connect() as connection:
            for number in range(DOCUMENTS):
                direct.put(
                    connection,
                    self._embedders,
                    NAMESPACE,
                    [DirectDocument(f"new-{number}", [f"A rule of 2026, number {number}."])],
                    supplied=SuppliedVectors(MODEL, _vectors(1, seed=number)),
                    cache_seconds=60,
                )
            gone = str(self._objects[0].properties["source_id"])
            direct.delete(connection, NAMESPACE, [gone], cache_seconds=60)
        began = time.monotonic()
        report = relay(self._database, peer, NAMESPACE)
        self._say(
            f"An application wrote {DOCUMENTS} documents and deleted one that only Weaviate had:"
            f" {report.written} objects written there, {report.deleted} deleted, in"
            f" {time.monotonic() - began:.1f} s."
        )

    def _carry_over(self, peer: Peer) -> None:
        began = time.monotonic()
        report = backfill(self._database, NAMESPACE, peer=peer, location=self._location)
        seconds = time.monotonic() - began
        finish(self._database, NAMESPACE, PLAN, self._settings)
        self._say(
            f"{report.read:,} objects in {seconds:.1f} s: {report.written:,} written,"
            f" {report.left_alone:,} that were here already left alone, {report.failed} refused."
        )
        self._verified(peer)

    def _mend(self, peer: Peer) -> None:
        changed = self._objects[-1]
        sent = Sent(changed.id, {**changed.properties, "text": "Another text."}, changed.vectors)
        self._weaviate.control.put(PLAN.collection, [sent])
        self._say("Behind everybody's back a text is changed in Weaviate:")
        found = verify(self._database, peer, NAMESPACE)
        for each in found.differences:
            self._say(f"  the comparison fails and names {each.object_id} ({each.kind});")
        mended = repair(self._database, peer, NAMESPACE)
        self._say(f"  {len(mended.mended)} object is mended, towards the side that is written to.")
        self._verified(peer)

    def _verified(self, peer: Peer) -> Verification:
        found = verify(self._database, peer, NAMESPACE)
        if not found.clean or found.overlap is None:
            raise GreenLangError(f"The comparison failed: {' '.join(found.failures)}")
        self._say(
            f"Compared bit by bit in {found.seconds:.1f} s: {found.weaviate:,} objects there,"
            f" {found.pgvector:,} passages here, 0 differ; overlap@10 {found.overlap.mean:.3f}."
        )
        return found

    def _shift(self) -> None:
        search = MigratingSearch(
            SearchEngine(self._database, self._embedders, self._settings),
            self._database,
            self._embedders,
            self._settings,
        )
        try:
            for share in SHARES[1:]:
                self._hold(search)
                with self._database.connect() as connection:
                    traffic.set_share(connection, NAMESPACE, share)
                self._say(f"pgvector answers {share}% of callers.")
            self._hold(search)
        finally:
            search.close()

    def _hold(self, search: MigratingSearch) -> None:
        """Have callers search until the gates have held."""
        until = time.monotonic() + PATIENCE
        asked = 0
        while True:
            for caller, vector in enumerate(self._questions(seed=asked)):
                search.search(
                    SearchRequest(
                        None, NAMESPACE, vector=vector, collection=f"{NAMESPACE}/{MODEL}"
                    ),
                    f"caller {caller}",
                )
            asked += CALLERS
            time.sleep(0.5)  # shadow reads are written beside the searches
            with self._database.connect() as connection:
                judged = gates.judge(connection, NAMESPACE)
            if gates.held(judged):
                break
            if time.monotonic() > until:
                failing = [gate for gate in judged if not gate.holds]
                raise GreenLangError(f"The gates did not hold: {gates.said(failing)}.")
        shown = {gate.name: gate.value or 0.0 for gate in judged}
        self._say(
            f"{asked} searches were asked of both sides: overlap {shown['overlap']:.3f}, p99"
            f" {shown['p99_ms']:.0f} ms, {shown['error_rate']:.0%} errors; the gates hold."
        )

    def _questions(self, seed: int) -> NDArray[np.float32]:
        """Vectors near those of passages, as questions are, shape (CALLERS, DIMENSIONS)."""
        chosen = np.random.default_rng(seed).choice(len(self._objects), CALLERS)
        stored = [np.frombuffer(self._objects[each].vectors[""].data, "<f4") for each in chosen]
        return _unit(np.array(stored) + 0.5 * _vectors(CALLERS, seed))

    def _phase(self, number: int, name: str) -> None:
        self._console.print(f"\nPhase {number}, {name}", style="bold")

    def _say(self, line: str) -> None:
        self._console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def run(settings: Settings, objects: int, console: Console) -> None:
    """Start everything, go through the phases, clear it away."""
    console.print("Starting a stand-in for Weaviate and a database …")
    sent = list(sample_objects(objects, DIMENSIONS))
    with (
        WeaviateServer(process=True) as weaviate,
        own_database(settings) as url,
        tempfile.TemporaryDirectory(prefix="migration-demo-") as folder,
    ):
        weaviate.control.create(PASSAGES)
        weaviate.control.put(PLAN.collection, sent)
        own = settings.model_copy(
            update={
                "weaviate_url": weaviate.url,
                "weaviate_grpc_host": None,
                "weaviate_grpc_port": weaviate.grpc_port,
                "weaviate_api_key": None,
                "database_url": SecretStr(url),
                "backup_location": str(Path(folder) / "backups"),
            }
        )
        database = open_database(own)
        try:
            with open_peer(own) as peer:
                Demonstration(own, database, weaviate, sent, console).run(peer)
        finally:
            database.close()


@contextmanager
def own_database(settings: Settings) -> Iterator[str]:
    """A new database of the embedded server; it goes at the end, and one that was left before."""
    server = embedded.start(settings.data_dir)
    _drop_database(server)
    try:
        yield embedded.owned_database(server, DATABASE_NAME)
    finally:
        _drop_database(server)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run with these arguments (the process's own by default)."""
    parser = argparse.ArgumentParser(
        prog="make migration-demo", description="Leave Weaviate, in four phases."
    )
    parser.add_argument("--objects", type=int, default=1000)
    options = parser.parse_args(arguments)
    try:
        run(get_settings(), options.objects, Console())
    except GreenLangError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


def _drop_database(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE_NAME))
        )


def _vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors of length 1, shape (count, DIMENSIONS)."""
    return _unit(np.random.default_rng(seed).normal(size=(count, DIMENSIONS)))


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    made: NDArray[np.float32] = vectors.astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made
