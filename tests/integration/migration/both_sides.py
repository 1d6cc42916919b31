"""A namespace whose passages Weaviate and pgvector both hold, and searches of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import numpy as np
from psycopg import sql
from psycopg.rows import dict_row

from greenlang_vectors import direct
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.migration.mapping import Mapper
from greenlang_vectors.migration.objects import NO_TENANT
from greenlang_vectors.migration.peer import open_peer
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.migration.router import MigratingSearch
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.log import SearchLog
from greenlang_vectors.search.model import SearchAnswer, SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.weaviate_migrations import Phase
from greenlang_vectors.store.weaviate_rows import Rows, Target

from .shifting import GATES, moving

if TYPE_CHECKING:
    from local.weaviate_server.server import WeaviateServer

NAMESPACE = "both"
ORDINARY = "ordinary"
MODEL = "toy-16"
PLAN = Plan(
    collection="Named later",
    vectors=(VectorMapping(model=MODEL),),
    content="text",
    source_id="source",
    chunk_index="place",
    language="english",
    gates=GATES,
)
DEFINITION: dict[str, Any] = {
    "properties": [
        {"name": "text", "dataType": ["text"]},
        {"name": "source", "dataType": ["text"], "tokenization": "field"},
        {"name": "place", "dataType": ["int"]},
        {"name": "topic", "dataType": ["text"], "tokenization": "field"},
        {"name": "prose", "dataType": ["text"]},
        {"name": "year", "dataType": ["int"]},
        {"name": "share", "dataType": ["number"]},
        {"name": "binding", "dataType": ["boolean"]},
        {"name": "published", "dataType": ["date"]},
        {"name": "tags", "dataType": ["text[]"], "tokenization": "field"},
    ],
}
WORDS = ("cement", "steel", "cocoa", "forest", "carbon", "audit", "import", "price", "kiln", "soil")
DOCUMENTS, PLACES = 24, 3


def text(document: int, place: int) -> str:
    random = np.random.default_rng([document, place])
    words = random.choice(WORDS, size=random.integers(2, 5), replace=False)
    return f"{' '.join(words)} number{document} place{place}"


def metadata(document: int) -> dict[str, Any]:
    """Of some documents parts are missing."""
    found = {
        "topic": ("emissions", "Due diligence", "a_b%c")[document % 3],
        "prose": f"Some words of {WORDS[document % 10]}",
        "year": 2015 + document % 10,
        "share": document / 8,
        "binding": document % 2 == 0,
        "published": f"20{10 + document:02d}-06-01T00:00:00Z",
        "tags": [WORDS[document % 10], WORDS[(document + 1) % 10]],
    }
    missing = list(found)[document % 7]
    return {key: value for key, value in found.items() if key != missing or document % 4}


@dataclass
class Both:
    """The namespace, and what searches it needs."""

    database: Database
    weaviate: WeaviateServer
    embedders: Embedders
    settings: Settings
    plan: Plan

    @cached_property
    def engine(self) -> SearchEngine:
        return SearchEngine(self.database, self.embedders, self.settings)

    def become(self, phase: Phase = "shifting", share: int = 0) -> None:
        """Bring the move into this phase, its verification clean, without any shadow reads."""
        with self.database.connect() as connection:
            moving(connection, phase, share=share, name=NAMESPACE, plan=self.plan)

    @contextmanager
    def router(
        self, engine: SearchEngine | None = None, log: SearchLog | None = None
    ) -> Iterator[MigratingSearch]:
        router = MigratingSearch(
            engine or self.engine, self.database, self.embedders, self.settings, log
        )
        try:
            yield router
        finally:
            router.close()

    def reads(self) -> list[dict[str, Any]]:
        """The shadow reads that are kept, oldest first."""
        with (
            self.database.connect() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(
                "SELECT * FROM weaviate_shadow_reads WHERE namespace = %s ORDER BY read_at",
                [NAMESPACE],
            ).fetchall()


def ask(question: str | None = "cement price", **more: Any) -> SearchRequest:  # noqa: ANN401
    return SearchRequest(**{"query": question, "namespace": NAMESPACE, **more})


def shown(answer: SearchAnswer) -> list[dict[str, Any]]:
    """The results, without what each side measures in its own way."""
    own = {"score", "vector_rank", "text_rank", "vector_score"}
    return [
        {key: value for key, value in asdict(each).items() if key not in own}
        for each in answer.results
    ]


def keys(answer: SearchAnswer) -> list[tuple[str, int]]:
    return [(each.document, each.chunk_index) for each in answer.results]


def side(answer: SearchAnswer) -> str:
    """Who answered."""
    return "weaviate" if answer.plan.startswith("Weaviate") else "pgvector"


def build(
    database: Database, weaviate: WeaviateServer, embedders: Embedders, settings: Settings
) -> Both:
    """Passages that came from Weaviate, and some that were written here and relayed."""
    from local.weaviate_server.schema import UNNAMED
    from local.weaviate_server.store import Sent, Vector

    def sent(identity: UUID, source: str, place: int, words: str, more: Any) -> Sent:  # noqa: ANN401
        [vector] = embedders.open(MODEL).embed([words]).vectors
        properties = {"text": words, "source": source, "place": place, **more}
        data = vector.astype("<f4").tobytes()
        return Sent(str(identity), properties, {UNNAMED: Vector(data)})

    plan = PLAN.model_copy(update={"collection": f"Both{uuid4().hex}"})
    weaviate.control.create({**DEFINITION, "class": plan.collection})
    weaviate.control.put(
        plan.collection,
        [
            sent(uuid4(), f"doc/{number}", place, text(number, place), metadata(number))
            for number in range(DOCUMENTS)
            for place in range(PLACES)
        ],
    )
    with database.connect() as connection:
        for name in (NAMESPACE, ORDINARY):
            namespaces.register(connection, name)
        [collection] = embedders.collections(connection, NAMESPACE)
        embedder = embedders.of(collection)
        rows = Rows(
            NAMESPACE,
            [Target(collection.leaf, embedder.model.spec.fingerprint(embedder.normalize))],
            "english",
        )
        with open_peer(settings) as peer:
            mapper = Mapper(plan, NAMESPACE, peer.describe(plan.collection))
            for page in peer.pages(
                plan.collection,
                NO_TENANT,
                after=None,
                last=UUID(int=2**128 - 1),
                size=1000,
                properties=mapper.properties,
                vectors=mapper.vectors,
            ):
                rows.land(connection, [mapper.passage(each) for each in page])
        written = [
            DirectDocument(
                f"own/{number}",
                [text(100 + number, 0), text(100 + number, 1)],
                {"year": 1},
                title=f"A title of its own, {number}",
            )
            for number in range(3)
        ]
        for name in (NAMESPACE, ORDINARY):
            direct.put(connection, embedders, name, written, cache_seconds=60)
        relayed = connection.execute(
            sql.SQL(
                """
                SELECT e.id, d.source_key, e.chunk_index, c.content, e.metadata
                FROM {leaf} e JOIN documents d ON d.id = e.source_id AND d.namespace = e.namespace
                JOIN document_chunks c ON c.document_id = d.id AND c.namespace = e.namespace
                    AND c.chunk_index = e.chunk_index
                WHERE d.origin = 'sdk'
                """
            ).format(leaf=collection.leaf.table)
        ).fetchall()
    weaviate.control.put(plan.collection, [sent(*row) for row in relayed])
    assert len(relayed) == 6
    return Both(database, weaviate, embedders, settings, plan)
