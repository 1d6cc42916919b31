"""Passages by their words: what is found, in which order, and by which index."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from greenlang_vectors.errors import UsageError
from greenlang_vectors.quality.retrieval_metrics import ndcg, read_qrels, read_queries
from greenlang_vectors.search import fulltext
from greenlang_vectors.search.filters import Comparison, Filter
from greenlang_vectors.search.fulltext import matching
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import roles, text_statistics
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.leaves import Leaf

from ..conftest import AddDocument

pytestmark = pytest.mark.integration

EmbedAll = Callable[[psycopg.Connection, Leaf], int]


@dataclass
class Shelf:
    """A namespace whose passages are known by their text."""

    connection: psycopg.Connection
    leaf: Leaf
    add_document: AddDocument
    embed_all: EmbedAll
    texts: dict[tuple[object, int], str] = field(default_factory=dict)

    def add(self, key: str, *passages: str, embedded: bool = True, counted: bool = True) -> None:
        identity = self.add_document(self.connection, self.leaf.namespace, key, passages)
        self.texts |= {(identity, place): text for place, text in enumerate(passages)}
        if embedded:
            self.embed_all(self.connection, self.leaf)
        if counted:
            text_statistics.refresh(self.connection, self.leaf.namespace)

    def find(self, query: str, k: int = 10, filter: Filter | None = None) -> list[str]:
        found = matching(self.connection, self.leaf, query, k, filter=filter)
        return [self.texts[each.document_id, each.chunk_index] for each in found.candidates]


@pytest.fixture
def shelf(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> Iterator[Shelf]:
    with database.connect() as connection:
        yield Shelf(connection, leaf, add_document, embed_all)


CARBON = (
    "Carbon prices rise.",
    "The price of carbon and the price of steel.",
    "Steel is made of iron.",
    "Carbon, carbon, carbon: what a price! Steel no more.",
    "Forests store carbon.",
    "Chains supply anchors.",
    "The supply chain of steel.",
)


def test_the_whole_passage_is_searched(shelf: Shelf) -> None:
    text = "The installation reports every year. " * 40 + "It burns peat."
    shelf.add("long", text)
    assert len(text) > 1000
    assert shelf.find("peat") == [text]


def test_passages_with_all_the_words_come_before_those_with_some(shelf: Shelf) -> None:
    shelf.add("carbon", *CARBON)
    found = matching(shelf.connection, shelf.leaf, "carbon price", 10).candidates
    whole = {shelf.texts[each.document_id, each.chunk_index] for each in found if each.value >= 1}
    assert whole == {CARBON[0], CARBON[1], CARBON[3]}
    assert [each.value for each in found] == sorted((e.value for e in found), reverse=True)
    assert shelf.find("carbon price")[3:] == [CARBON[4]]


def test_no_passage_holds_all_of_a_long_question_and_some_are_found(shelf: Shelf) -> None:
    shelf.add("carbon", *CARBON)
    assert shelf.find("Which anchors would a ministry of forests see in a supply chain?") == [
        CARBON[5],
        CARBON[6],
        CARBON[4],
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('"supply chain"', {6}),
        ('"supply chain" anchors', {6}),
        ("supply chain", {5, 6}),
        ("carbon -price", {4}),
        ('carbon -"prices rise"', {1, 3, 4}),
        ("steel -carbon -iron", {6}),
        ("forests OR iron", {2, 4}),
        ('"supply chain" OR forests', {4, 6}),
        ("carbon steel OR anchors", {1, 3, 5}),
        ("forests or iron", {2, 4}),
        ("-carbon", set()),
        ("of the", set()),
        ("zebra", set()),
        ("", set()),
    ],
)
def test_websearch_syntax_is_kept_to(shelf: Shelf, query: str, expected: set[int]) -> None:
    shelf.add("carbon", *CARBON)
    assert {CARBON.index(text) for text in shelf.find(query)} == expected


def test_a_rare_word_counts_for_more_than_a_common_one(shelf: Shelf) -> None:
    passages = [f"Operators report emissions of plant {n}." for n in range(30)]
    shelf.add("plants", *passages, "Operators of kilns.", "Reports report on reporting.")
    assert shelf.find("report kilns", 1) == ["Operators of kilns."]


def test_equal_passages_come_by_document_and_place(shelf: Shelf) -> None:
    for key in "abc":
        shelf.add(key, *["The same words."] * 3)
    found = matching(shelf.connection, shelf.leaf, "same words", 9).candidates
    order = [(each.document_id, each.chunk_index) for each in found]
    assert len(order) == 9
    assert order == sorted(order)


def test_a_shorter_list_begins_the_longer_one(shelf: Shelf) -> None:
    shelf.add("carbon", *CARBON)
    longest = shelf.find("carbon price of steel in the supply chain")
    assert len(longest) == len(CARBON)
    for k in range(1, len(longest)):
        assert shelf.find("carbon price of steel in the supply chain", k) == longest[:k]


def test_the_order_is_that_of_bm25(shelf: Shelf) -> None:
    words = ("ash", "beech", "cedar", "elm", "fir")
    passages = [
        " ".join(words[(n * step) % 5] for step in range(1, 3 + n % 7)) + f" x{n}"
        for n in range(40)
    ]
    shelf.add("trees", *passages)
    query = ("ash", "cedar", "nowhere")
    expected = bm25(passages, query)
    found = shelf.find(" ".join(query), 40)
    assert sorted(found) == sorted(expected)
    assert [expected[text] for text in found] == pytest.approx(
        sorted(expected.values(), reverse=True)
    )


def bm25(passages: Sequence[str], query: Sequence[str]) -> dict[str, float]:
    """Robertson's formula over the passages that hold a word, lengths in tokens as stored."""
    bags = [Counter(re.findall(r"\w+", text)) for text in passages]
    lengths = [len(text.split()) + 2 for text in passages]
    mean = sum(lengths) / len(lengths)
    scores = {}
    for text, bag, length in zip(passages, bags, lengths, strict=True):
        score = 0.0
        for word in query:
            holding = max(1, sum(word in other for other in bags))
            idf = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
            score += idf * bag[word] * 2.2 / (bag[word] + 1.2 * (0.25 + 0.75 * length / mean))
        if score:
            scores[text] = score
    return scores


def test_each_passage_is_searched_in_its_own_language(shelf: Shelf) -> None:
    german = (
        "Die Unternehmen müssen die Häuser, in denen sie produzieren, mit erneuerbaren Energien "
        "beheizen und darüber in ihrem Lagebericht ausführlich berichten."
    )
    french = (
        "Les entreprises doivent publier chaque année les quantités de gaz à effet de serre que "
        "leurs installations ont émises, ainsi que celles de leurs fournisseurs."
    )
    english = (
        "Every company discloses the quantities of greenhouse gases that its installations have "
        "emitted, together with those of all of its suppliers."
    )
    for key, text in (("de", german), ("fr", french), ("en", english)):
        shelf.add(key, text)
    assert shelf.find("Haus", 1) == [german]
    assert shelf.find("entreprise fournisseur", 1) == [french]
    assert shelf.find("supplier disclosing emission quantity", 1) == [english]


def test_only_passages_with_an_embedding_in_the_leaf_are_found(shelf: Shelf) -> None:
    shelf.add("old", "Carbon is priced.")
    shelf.add("new", "Carbon is taxed.", embedded=False)
    assert shelf.find("carbon") == ["Carbon is priced."]
    other = Leaf(shelf.leaf.namespace, "other-model", 4)
    shelf.embed_all(shelf.connection, other)
    assert len(matching(shelf.connection, other, "carbon", 10).candidates) == 2


def test_a_login_of_one_namespace_stores_words_and_finds_them(
    shelf: Shelf, database: Database
) -> None:
    namespace, login = shelf.leaf.namespace, f"t_{uuid4().hex[:8]}"
    roles.create_login(shelf.connection, login, "writer", [namespace], "correct horse battery")
    netloc = f"{login}:correct%20horse%20battery@"
    url = urlunsplit(urlsplit(database.url)._replace(netloc=netloc))
    with psycopg.connect(url, autocommit=True) as connection:
        own = Shelf(connection, shelf.leaf, shelf.add_document, shelf.embed_all)
        own.add("carbon", *CARBON, embedded=False, counted=False)
        shelf.embed_all(shelf.connection, shelf.leaf)
        assert own.find("anchors") == [CARBON[5]]
    roles.drop_login(shelf.connection, login)


def test_words_are_found_before_they_are_counted(shelf: Shelf) -> None:
    shelf.add("carbon", *CARBON, counted=False)
    assert set(shelf.find("forests iron")) == {CARBON[2], CARBON[4]}


@pytest.mark.parametrize("affordable", [(3, None), (None,)])
def test_a_filter_leaves_as_many_as_there_are(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, affordable: tuple[int | None, ...]
) -> None:
    monkeypatch.setattr(fulltext, "AFFORDABLE", affordable)
    for n in range(20):
        shelf.add(f"d{n}", f"Carbon price number {n}.", counted=False)
    text_statistics.refresh(shelf.connection, shelf.leaf.namespace)
    wanted = Comparison("document", "in", ["d3", "d17"])
    assert set(shelf.find("carbon price", 5, wanted)) == {
        "Carbon price number 3.",
        "Carbon price number 17.",
    }


def test_among_many_passages_those_that_speak_of_a_common_word_come_first(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [f"Carbon and matter {n} of the report." for n in range(200)]
    telling = [f"Carbon {'carbon ' * n}and carbon report." for n in range(1, 10)]
    shelf.add("many", *plain[:100], *telling, *plain[100:])
    every = shelf.find("carbon report", 209)
    monkeypatch.setattr(fulltext, "AFFORDABLE", (10, None))
    found = matching(shelf.connection, shelf.leaf, "carbon report", 5)
    assert "stand out" in found.plan
    assert shelf.find("carbon report", 5) == every[:5]
    assert set(every[:5]) <= set(telling)
    assert shelf.find("carbon report", 209) == every


def test_the_words_of_an_encrypted_namespace_are_gone(shelf: Shelf, settings: Settings) -> None:
    shelf.add("carbon", *CARBON)
    namespace = shelf.leaf.namespace
    administration.enable(shelf.connection, namespace, settings)
    kept = shelf.connection.execute(
        """
        SELECT (SELECT count(*) FROM document_chunks
                WHERE namespace = %(n)s AND (words IS NOT NULL OR language IS NOT NULL)),
               (SELECT count(*) FROM documents WHERE namespace = %(n)s AND language IS NOT NULL),
               (SELECT count(*) FROM text_terms WHERE namespace = %(n)s),
               (SELECT count(*) FROM text_statistics WHERE namespace = %(n)s),
               (SELECT count(*) FROM pg_stats WHERE tablename = 'document_chunks_' || %(n)s
                AND (most_common_elems IS NOT NULL OR histogram_bounds::text LIKE '%%arbon%%'))
        """,
        {"n": namespace},
    ).fetchone()
    assert kept == (0, 0, 0, 0, 0)
    assert text_statistics.refresh(shelf.connection, namespace) is False
    with pytest.raises(UsageError, match="encrypted"):
        matching(shelf.connection, shelf.leaf, "carbon", 10)
    with pytest.raises(psycopg.errors.CheckViolation):
        shelf.connection.execute(
            "UPDATE document_chunks SET language = 'english' WHERE namespace = %s", [namespace]
        )


def test_counting_again_is_only_done_when_passages_changed(shelf: Shelf) -> None:
    shelf.add("carbon", *CARBON)
    namespace = shelf.leaf.namespace
    assert text_statistics.refresh(shelf.connection, namespace) is False
    shelf.add("carbon", *CARBON[:3], counted=False)
    assert text_statistics.refresh(shelf.connection, namespace) is True
    chunks = "SELECT chunks FROM text_statistics WHERE namespace = %s"
    assert shelf.connection.execute(chunks, [namespace]).fetchall() == [(3,)]


@pytest.fixture(scope="module")
def fuzzed(database: Database) -> Iterator[Shelf]:
    from greenlang_vectors.store import leaves, namespaces

    from ..conftest import add_document, embed_all

    with database.connect() as connection:
        namespaces.register(connection, "fuzzed")
        leaf = Leaf("fuzzed", "test-model", 8)
        leaves.ensure_leaf(connection, leaf)
        shelf = Shelf(connection, leaf, add_document.__wrapped__(), embed_all.__wrapped__())
        shelf.add("carbon", *CARBON)
        yield shelf


query = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(["carbon", "price", "or", "OR", "-", '"', "'", "\\", "%s", "%(k)s", "--"]),
        max_size=40,
    ).map(" ".join),
    st.text(alphabet="-\"'\\ab%:*&|!()<>\x00\ud800", max_size=100),
)


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query)
@example("-" * 10_000)
@example('"' * 9_999)
@example("'); DROP TABLE documents; --")
@example("a" * 10_000)
@example(" ".join(f"w{n}" for n in range(1800)))
@example("carbon\x02 & steel:*A")
@example("-".join("ab" * 1600))
def test_any_text_can_be_searched_for(fuzzed: Shelf, text: str) -> None:
    found = matching(fuzzed.connection, fuzzed.leaf, text, 3).candidates
    assert len(found) <= 3
    assert all(0 < each.value <= 2 for each in found)


def test_the_index_finds_them_not_a_scan(shelf: Shelf) -> None:
    """As the server counts its scans of the table and of the index."""
    passages = [
        f"Operator {n} reports on plant p{n % 50} and m{n} every year." for n in range(6000)
    ]
    shelf.add("many", *passages)
    table = f"document_chunks_{shelf.leaf.namespace}"
    shelf.connection.execute(f"VACUUM ANALYZE {table}".encode())
    before = scans(shelf.connection, table)
    assert shelf.find("what does m4711 report?", 1) == [passages[4711]]
    assert len(shelf.find("plant p7 reports", 100)) == 100
    after = scans(shelf.connection, table)
    assert after["seq"] == before["seq"]
    assert after["index"] > before["index"]


def scans(connection: psycopg.Connection, table: str) -> dict[str, int]:
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(
        """
        SELECT t.seq_scan, i.idx_scan FROM pg_stat_user_tables t
        JOIN pg_stat_user_indexes i USING (relid)
        JOIN pg_index x USING (indexrelid)
        JOIN pg_class c ON c.oid = indexrelid
        WHERE t.relname = %s AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'gin')
        """,
        [table],
    ).fetchone()
    assert row is not None
    return {"seq": row[0], "index": row[1]}


def test_cranfield_is_answered_better_than_by_words_without_stemming(
    shelf: Shelf, shared_data: Path
) -> None:
    folder = shared_data / "retrieval" / "cranfield"
    documents = {
        entry["_id"]: entry["text"]
        for entry in map(json.loads, (folder / "corpus.jsonl").read_text("utf-8").splitlines())
        if entry["text"].strip()
    }
    shelf.add("cranfield", *documents.values())
    qrels = read_qrels(folder / "qrels.tsv")
    names = list(documents)
    run = {
        query: [
            names[each.chunk_index]
            for each in matching(shelf.connection, shelf.leaf, text, 10).candidates
        ]
        for query, text in list(read_queries(folder / "queries.jsonl").items())[::3]
    }
    assert ndcg(run, {query: qrels[query] for query in run}, 10) > 0.36
