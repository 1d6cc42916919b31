"""A namespace of two documents, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.quality.checks import CHECKS, CheckContext, CheckOutcome
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchRequest, SearchResult
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import cut_chunks
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.leaves import Leaf

MARKER = "zebrafish"
FILES = {
    "importers.md": f"# {MARKER} importers\n\nOnly an authorised {MARKER} declarant may import.",
    "prices.md": f"# Prices\n\n## Weekly {MARKER} price\n\nA certificate costs the average.",
}


@dataclass
class Corpus:
    """A namespace with a source, brought through the stages."""

    database: Database
    embedder: Embedder
    name: str
    folder: Path
    settings: Settings
    server: str

    @property
    def leaf(self) -> Leaf:
        spec = self.embedder.model.spec
        return Leaf(self.name, spec.name, spec.dimensions)

    def fill(self) -> dict[str, int]:
        """Run the stages; how many documents, documents cut and embeddings were written."""
        embedders = Embedders.only(self.embedder)
        loaded = load_documents(self.database, self.name, max_bytes=10**6, cache_seconds=60)
        cut = cut_chunks(
            self.database, self.name, embedders=embedders, chunk_tokens=512, cache_seconds=60
        )
        reports = embed_chunks(self.database, self.name, embedders=embedders, batch_size=2)
        return {
            "documents": loaded.added + loaded.changed,
            "cut": cut.cut,
            "written": sum(report.written for report in reports.values()),
        }

    def search(self, query: str, top_k: int = 10) -> list[SearchResult]:
        engine = SearchEngine(self.database, Embedders.only(self.embedder), self.settings)
        return engine.search(SearchRequest(query, self.name, top_k)).results

    def enable(self, *metadata_keys: str) -> int:
        with self.database.connect() as connection:
            return administration.enable(
                connection, self.name, self.settings, metadata_keys=metadata_keys
            )

    def rotate(self, progress: Callable[[int, int, str], None] = lambda *_: None) -> int:
        with self.database.connect() as connection:
            return administration.rotate(connection, self.name, self.settings, progress=progress)

    def status(self) -> administration.EncryptionStatus:
        with self.database.connect() as connection:
            [found] = [s for s in administration.status(connection) if s.namespace == self.name]
        return found

    def checks(self, *stages: str) -> dict[str, CheckOutcome]:
        context = CheckContext(self.leaf, self.settings, 512)
        with self.database.connect() as connection:
            return {
                check.name: check.run(connection, context)
                for check in CHECKS
                if check.stage in stages
            }

    def execute(self, statement: str) -> int:
        """Change rows behind the library's and its triggers' back; %(ns)s is the namespace."""
        with self.database.connect() as connection:
            name = connection.info.dbname
        with psycopg.connect(self.server, dbname=name, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            return connection.execute(statement.encode(), {"ns": self.name}).rowcount

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.database.connect() as connection:
            return connection.execute(statement.encode(), {"ns": self.name}).fetchall()


def columns_that_show(database: Database, namespace: str, word: str) -> set[str]:
    """Columns of text or JSON, of every table, in which rows of the namespace hold the word."""
    found = set()
    with database.connect() as connection:
        columns = connection.execute(
            """
            SELECT a.attrelid::regclass::text, a.attname
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
              AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
              AND a.atttypid = ANY ('{text,varchar,bpchar,jsonb,json,bytea,text[],varchar[],
                                      bpchar[],jsonb[]}'::regtype[])
              AND EXISTS (SELECT FROM pg_attribute n
                          WHERE n.attrelid = c.oid AND n.attname = 'namespace')
            """
        ).fetchall()
        assert ("documents", "text") in columns
        for table, column in columns:
            row = connection.execute(
                sql.SQL(
                    "SELECT EXISTS (SELECT FROM {} WHERE namespace = %s AND {}::text ILIKE %s)"
                ).format(sql.Identifier(table), sql.Identifier(column)),
                [namespace, f"%{word}%"],
            ).fetchone()
            if row == (True,):
                found.add(f"{table}.{column}")
    return found
