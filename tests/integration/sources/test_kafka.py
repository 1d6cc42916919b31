"""A topic fills a namespace: rows first, offsets after them, each document once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

pytest.importorskip("confluent_kafka", reason="needs the extra kafka")

from confluent_kafka import KafkaError, TopicPartition

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import EmbeddingFailed, SourceUnavailable, UsageError
from greenlang_vectors.ingest import messages, topics
from greenlang_vectors.ingest import replay as replaying
from greenlang_vectors.ingest.messages import LETTERS, Message, Sink, Stored
from greenlang_vectors.ingest.topics import TopicUnavailable, consume_batch
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages import originals
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.dead_letters import DeadLetter
from greenlang_vectors.store.locks import exclusive
from tests.integration.conftest import Cli

from ...scans import needs_tesseract, pdf
from .conftest import Refuse
from .kafka import Cluster, Topic

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def topic(cluster: Cluster, connection: psycopg.Connection, toys: Embedders) -> Topic:
    return Topic(cluster, connection, toys)


def test_messages_become_documents_and_the_last_of_a_key_counts(topic: Topic) -> None:
    topic.send(
        ("act", {"text": "It binds.", "metadata": {"year": 1}}),
        ("faq", {"text": "# Duties\n\nAsk.", "media_type": "text/markdown", "title": "FAQ"}),
        ("act", {"text": "It binds everyone.", "metadata": {"year": 2}}),
        ("gone", {"text": "It ends."}),
        ("gone", None),
    )
    assert topic.consume(5) == Stored(5, documents=2, written=2, removed=0)
    assert topic.rows["act"] == ("It binds everyone.", {"year": 2})
    assert "Ask." in topic.rows["faq"][0]
    assert topic.committed == 5
    topic.send(("act", None), ("faq", {"text": "Ask again."}))
    assert topic.consume(2) == Stored(2, documents=1, written=1, removed=1)
    assert topic.rows == {"faq": ("Ask again.", {})}
    assert topic.committed == 7
    assert topic.jobs == [("succeeded", topic.name, 1, 1, 0), ("succeeded", topic.name, 2, 2, 0)]


def test_poison_is_kept_as_it_came_and_holds_up_no_other(
    topic: Topic, add_document: Callable[..., Any]
) -> None:
    add_document(topic.connection, topic.namespace, "theirs", ["It is delivered."])
    poison: dict[str, bytes] = {
        "json": b"\xff{no JSON",
        "array": b"[]",
        "neither": b'{"title": "x"}',
        "both": b'{"text": "x", "reference": "s3://b/x"}',
        "nul": b'{"text": "x", "metadata": {"a": "\\u0000"}}',
        "blank": b'{"text": " "}',
        "kind": b'{"text": "x", "media_type": "image/png"}',
        "outside": b'{"reference": "s3://elsewhere/x.txt"}',
        "theirs": b'{"text": "It is ours."}',
        "deep": b'{"text": "x", "metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    }
    topic.send(*poison.items(), (None, {"text": "whose?"}), (b"\xff", {"text": "whose?"}))
    topic.send(("good", {"text": "It binds."}), ("theirs2", None))
    stored = topic.consume(14)
    assert (stored.documents, stored.written, stored.failed) == (1, 1, 12)
    assert topic.committed == 14
    assert set(topic.rows) == {"good"}
    assert topic.jobs == [("succeeded", topic.name, 13, 1, 12)]
    letters = topic.letters
    assert {key for key in letters if not key.startswith(topic.name)} == set(poison)
    assert (letters["theirs"], letters["outside"], letters["blank"]) == (
        *("refused", "refused"),
        "empty",
    )
    for letter in dead_letters.list_all(topic.connection, topic.namespace, "kafka"):
        assert letter.message.startswith(f"{topic.name}/")
        if letter.item in poison:
            assert originals.read(topic.connection, letter) == poison[letter.item]
    topic.send(("json", {"text": "It is mended."}))
    topic.consume(1)
    assert letters.keys() - topic.letters.keys() == {"json"}


def test_a_replay_stores_what_was_kept_and_nothing_older_than_what_is_there(
    topic: Topic, database: Database, add_document: Callable[..., Any]
) -> None:
    for key in ("a", "b"):
        add_document(topic.connection, topic.namespace, key, ["It is delivered."])
    ours = {"text": "It is ours."}
    topic.send(("a", ours), ("b", ours), ("json", b"{"), (None, ours), ("a", ours))
    topic.consume(5)
    found = dead_letters.list_all(topic.connection, topic.namespace, "kafka")
    letters, cannot = replaying.split(topic.connection, found)
    assert [letter.item for letter in letters] == ["a", "b", "json"]
    assert [letter.item[: len(topic.name)] for letter in cannot] == [topic.name]

    def again(*chosen: DeadLetter) -> dict[str, bool]:
        results = replaying.replay(
            database,
            chosen,
            embedders=topic.toys,
            settings=topic.settings,
            progress=lambda _: silent,
        )
        return {each.letter.item: each.again is None for each in results}

    with pytest.raises(UsageError, match=r"cannot be replayed.*Produce it again"):
        again(*found)
    assert again(*letters) == {"a": False, "b": False, "json": False}
    topic.connection.execute("DELETE FROM documents WHERE namespace = %s", [topic.namespace])
    topic.send(("b", {"text": "It is newer."}))
    topic.consume(1)
    assert again(*letters) == {"a": True, "b": True, "json": False}
    assert topic.rows == {"a": ("It is ours.", {}), "b": ("It is newer.", {})}
    left = dead_letters.list_all(topic.connection, topic.namespace, "kafka")
    assert [letter.attempts for letter in left if letter.item == "json"] == [3]


def test_a_later_message_waits_for_the_replay_of_an_older_one(
    topic: Topic, database: Database
) -> None:
    topic.sink.store([Message("t/0@1", b"a", b"{"), Message("t/0@2", b"b", b"{")])
    newer = Message("t/0@3", b"a", b'{"text": "It is newer."}')
    with database.connect() as other:
        with exclusive(other, LETTERS, topic.namespace):
            topic.sink.store([replace(newer, key=b"c")])
            storing = threading.Thread(target=topic.sink.store, args=[[newer]])
            storing.start()
            storing.join(0.5)
            assert storing.is_alive()
        storing.join(10)
    assert topic.rows.keys() == {"a", "c"}


def test_offsets_are_committed_only_after_the_rows(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.send(*((f"d{n}", {"text": f"Duty {n} binds."}) for n in range(6)))

    def fails(*_: object) -> Stored:
        raise psycopg.OperationalError("the server closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr(Sink, "store", fails)
        with pytest.raises(psycopg.OperationalError):
            topic.consume(6)
    assert topic.committed == 0
    assert topics.waiting(topic.settings, topic.namespace, topic.name) == 6
    assert topic.consume(6).written == 6
    assert topics.waiting(topic.settings, topic.namespace, topic.name) == 0


def test_a_batch_that_comes_again_is_not_embedded_again(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.send(("a", {"text": "It binds."}), ("b", {"text": "It ends."}))
    with monkeypatch.context() as patched:
        patched.setattr("confluent_kafka.TopicPartition", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            topic.consume(2)
    before = topic.rows
    again = topic.consume(2)
    assert (again.documents, again.written) == (2, 0)
    assert topic.rows == before
    assert topic.jobs == [("succeeded", topic.name, 2, 2, 0)]


def test_a_batch_that_fails_is_a_job_that_failed(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.send(("a", {"text": "It binds."}))

    def fails(*_: object, **__: object) -> int:
        raise EmbeddingFailed("The model gave nothing.", "Ask again.")

    with monkeypatch.context() as patched:
        patched.setattr(messages, "land", fails)
        with pytest.raises(EmbeddingFailed):
            topic.consume(1)
    assert topic.jobs == [("failed", topic.name, 1, 0, 0)]
    topic.consume(1)
    assert topic.jobs[0] == ("succeeded", topic.name, 1, 1, 0)


def test_a_reference_is_read_from_the_bucket_that_is_allowed(
    cluster: Cluster,
    connection: psycopg.Connection,
    toys: Embedders,
    put: Callable[[str, str], None],
    bucket: str,
    refuse: Refuse,
) -> None:
    allowed = f"s3://{bucket}/acts"
    topic = Topic(cluster, connection, toys, kafka_references=allowed)
    put("acts/a b.md", "# Article 1\n\nIt binds.")
    put("secret.txt", "It is nobody's business.")
    topic.send(
        ("a", {"reference": f"{allowed}/a b.md", "metadata": {"year": 3}}),
        ("b", {"reference": f"s3://{bucket}/secret.txt"}),
        ("c", {"reference": f"{allowed}/missing.md"}),
        ("d", {"reference": f"{allowed}-others/x.md"}),
    )
    assert topic.consume(4).failed == 3
    assert topic.letters == {"b": "refused", "c": "unreadable", "d": "refused"}
    assert topic.rows["a"][1] == {"article": "1", "year": 3}
    refuse("acts/", "SlowDown", 503)
    topic.send(("a", {"reference": f"{allowed}/a b.md"}))
    with pytest.raises(SourceUnavailable):
        topic.consume(1)
    assert topic.committed == 4


@needs_tesseract
def test_a_scan_that_is_referred_to_is_recognised(
    cluster: Cluster,
    connection: psycopg.Connection,
    toys: Embedders,
    put: Callable[[str, bytes], None],
    bucket: str,
) -> None:
    where = {"kafka_references": f"s3://{bucket}/acts", "ocr_languages": "eng"}
    topic = Topic(cluster, connection, toys, **where)
    put("acts/scan.pdf", pdf(printed=False, scanned=True))
    topic.send(("scan", {"reference": f"s3://{bucket}/acts/scan.pdf"}))
    assert topic.consume(1).failed == 0
    assert "monitor the emissions of each installation" in topic.rows["scan"][0]


def test_settings_that_cannot_be_are_refused(
    topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="KAFKA_TOPICS"):
        topics.topics(Settings(kafka_topics="csrd"))
    assert topics.topics(Settings(kafka_topics="a=t1, b=t.2,")) == {"a": "t1", "b": "t.2"}
    with pytest.raises(UsageError, match="BOOTSTRAP"):
        topics.waiting(Settings(), topic.namespace, topic.name)
    file = tmp_path / "kafka.properties"
    file.write_text("# TLS\nno.such.property=1\n")
    wrong = Settings(kafka_bootstrap_servers="x:1", kafka_config_file=file)
    with pytest.raises(UsageError, match="CONFIG_FILE"):
        topics.waiting(wrong, topic.namespace, topic.name)
    file.write_text(f"bootstrap.servers = {topic.cluster.brokers}\nsocket.timeout.ms=5000")
    topic.send(("a", {"text": "x"}))
    there = Settings(kafka_config_file=file)
    assert topics.waiting(there, topic.namespace, topic.name) == 1
    monkeypatch.setattr(topics, "ASK_SECONDS", 1)
    nowhere = Settings(kafka_bootstrap_servers="127.0.0.1:9")
    with pytest.raises(TopicUnavailable):
        topics.waiting(nowhere, topic.namespace, topic.name)


class Standin:
    """A consumer that says what a test has it say, for what a group takes minutes to come to."""

    def __init__(self, *found: Any, owned: Sequence[int] = ()) -> None:  # noqa: ANN401
        self.found, self.owned = list(found), owned
        self.committed: list[Any] = []

    def subscribe(self, _: list[str], **callbacks: Callable[..., None]) -> None:
        self.callbacks = callbacks

    def consume(self, *_: object) -> list[Any]:
        return self.found

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("t", number) for number in self.owned]

    def commit(self, offsets: list[Any], asynchronous: bool) -> None:
        assert not asynchronous
        self.committed = offsets

    def close(self) -> None:
        pass


class Came:
    """A message, or what the client says in place of one."""

    def __init__(self, partition: int, offset: int, error: KafkaError | None = None) -> None:
        self.partition, self.offset = lambda: partition, lambda: offset
        self.error, self.topic = lambda: error, lambda: "t"
        self.key, self.value = lambda: b"k%d" % offset, lambda: b'{"text": "It binds."}'


def test_a_partition_is_begun_only_once_whoever_lost_it_has_stored_what_it_held(
    topic: Topic, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Standin(), Standin()
    clients = [first, second]
    monkeypatch.setattr(topics, "_client", lambda *_: clients.pop(0))
    both = [TopicPartition("t", 0), TopicPartition("t", 1)]
    begun = threading.Event()

    def take_over() -> None:
        with (
            database.connect() as locking,
            topics.opened(topic.settings, locking, topic.namespace, "t"),
        ):
            second.callbacks["on_assign"](second, both)
            begun.set()

    with (
        database.connect() as locking,
        topics.opened(topic.settings, locking, topic.namespace, "t"),
    ):
        first.callbacks["on_assign"](first, both)
        other = threading.Thread(target=take_over)
        other.start()
        assert not begun.wait(0.5)
        first.callbacks["on_revoke"](first, both[:1])
        assert not begun.wait(0.5)
        first.callbacks["on_lost"](first, both[1:])
        assert begun.wait(10)
        other.join(10)


def test_messages_of_partitions_that_have_gone_are_left_to_their_new_owner(topic: Topic) -> None:
    late = Came(0, 9, KafkaError(KafkaError._MAX_POLL_EXCEEDED))
    consumer = Standin(Came(0, 4), Came(1, 5), late, owned=[1])
    assert consume_batch(consumer, topic.sink).documents == 1
    assert list(topic.rows) == ["k5"]
    assert [(each.partition, each.offset) for each in consumer.committed] == [(1, 6)]
    gone = Standin(Came(0, 4, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    with pytest.raises(TopicUnavailable):
        consume_batch(gone, topic.sink)


def test_the_command_says_what_it_lacks(cli: Cli, topic: Topic) -> None:
    done = cli("consume", topic.namespace)
    assert (done.code, "GREENLANG_KAFKA_TOPICS" in done.said) == (2, True)
    done = cli("consume", topic.namespace, "--topic", topic.name)
    assert (done.code, "GREENLANG_KAFKA_BOOTSTRAP_SERVERS" in done.said) == (2, True)
