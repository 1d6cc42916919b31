"""Messages of a topic become documents, the last of each key; what cannot is a dead letter.

A message's key is the document's, its value a JSON object with `text` or `reference`; without a
value the document is removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self

import psycopg
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from greenlang_vectors import direct
from greenlang_vectors.chunking.chunk import chunk_document, fingerprint
from greenlang_vectors.chunking.model import ChunkingConfig
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.documents.extract import EXTRACTION_VERSION, extract, extraction_version
from greenlang_vectors.documents.source import ItemVanished, RawDocument, S3Source, source_from_uri
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.landing import Arrival, apart, land, landed
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.documents import SOURCE_TYPE, NewVersion
from greenlang_vectors.store.embedding_jobs import Burst
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.locks import exclusive

STAGE = "kafka"
ORIGIN = "kafka"

LETTERS = "kafka letters"
"""The lock under which a replay and later messages of the same keys take turns, so that what is
replayed never comes after them."""

LONGEST_KEY = 1024

AGAIN = "Produce it again, mended, with the same key."


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came.

    Attributes:
        place: TOPIC/PARTITION@OFFSET.
    """

    place: str
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Stored:
    """What became of messages.

    Attributes:
        messages: that came.
        documents: that they leave, those that were stored already among them.
        written: embeddings that are other than before.
        removed: documents that were there.
        failed: keys that are dead letters now.
    """

    messages: int = 0
    documents: int = 0
    written: int = 0
    removed: int = 0
    failed: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(
            self.messages + other.messages,
            self.documents + other.documents,
            self.written + other.written,
            self.removed + other.removed,
            self.failed + other.failed,
        )

    @property
    def said(self) -> str:
        """In words."""
        return (
            f"{self.messages} messages, {self.documents} documents, {self.written} embeddings"
            f" written, {self.removed} documents removed, {self.failed} dead letters."
        )


class _Value(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str | None = None
    reference: str | None = None
    title: str | None = None
    media_type: Literal["text/plain", "text/markdown", "text/html"] = "text/plain"
    metadata: dict[Annotated[str, Field(min_length=1)], Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_both(self) -> _Value:
        if (self.text is None) == (self.reference is None):
            raise ValueError("it has neither text nor reference, or both")
        return self


class Sink:
    """Stores messages in a namespace. Each call is a job; as a context manager, all are one until
    nothing comes (see `Burst`).

    Args:
        settings: how large a document and its chunks may be, and which references are followed.
        topic: that they come from; None where they are dead letters that are replayed.

    Raises:
        UnknownNamespace: it is not registered.
        ModelUnavailable: the model of the collection that serves is not on this machine.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        namespace: str,
        embedders: Embedders,
        settings: Settings,
        *,
        topic: str | None = None,
    ) -> None:
        self._connection, self._embedders, self._settings = connection, embedders, settings
        self._namespace = namespaces.get(connection, namespace)
        self._references = _references(settings)
        self._job = Burst(connection, namespace, "kafka", topic)
        self._going_on = False

    def __enter__(self) -> Self:
        self._going_on = True
        return self

    def __exit__(self, *_: object) -> None:
        self._job.close()

    def rest(self) -> None:
        """No message has come."""
        self._job.rest()

    def store(self, messages: Sequence[Message]) -> Stored:
        """Store these in their order; all is committed when it returns, and repeating it is safe.

        Raises:
            SourceUnavailable: what a message refers to cannot be had at present; of the others
                some may be stored.
            ModelUnavailable, EmbeddingFailed, KeyUnavailable: nothing is stored.
        """
        last = {_item(message): message for message in messages}
        with self._job.bit(going_on=self._going_on):
            if not dead_letters.any_of(self._connection, self._namespace.name, STAGE, last):
                return self._store(len(messages), last)
            with exclusive(self._connection, LETTERS, self._namespace.name):
                return self._store(len(messages), last)

    def _store(self, count: int, last: Mapping[str, Message]) -> Stored:
        """Store the last messages of their keys, of so many that came."""
        stored = Stored(count)
        failed: list[str] = []

        def refuse(item: str, error: ItemError) -> None:
            failed.append(item)
            self._refuse(item, last[item], error)

        arrivals: list[tuple[str, Arrival]] = []
        removed: list[str] = []
        config_for, tokenizer = self._cutting()
        for item, message in last.items():
            try:
                key = _key(message)
                if message.value is None:
                    removed.append(key)
                else:
                    arrivals.append(
                        (item, self._arrival(key, message.value, config_for, tokenizer))
                    )
            except ItemError as error:
                refuse(item, error)
        stored.documents = len(arrivals)
        known = landed(self._connection, self._namespace.name, [each for _, each in arrivals])
        fresh = [each for each in arrivals if each[1].identity(self._namespace.name) not in known]
        if fresh or failed:
            passages = sum(len(arrival.texts) for _, arrival in fresh)
            self._job.add(source=passages + len(failed), failed=len(failed))

        def refuse_document(each: tuple[str, Arrival], error: UsageError) -> None:
            refuse(each[0], _refused(error))
            self._job.add(failed=len(each[1].texts))

        stored.written = apart(fresh, self._land, refuse_document)
        stored.removed = apart(
            removed, self._remove, lambda key, error: refuse(key, _refused(error))
        )
        stored.documents -= sum(item in failed for item, _ in arrivals)
        stored.failed = len(failed)
        dead_letters.keep_only(
            self._connection, self._namespace.name, STAGE, failed, among=list(last)
        )
        return stored

    def _cutting(self) -> tuple[Callable[[str], ChunkingConfig], Tokenizer]:
        """How a document of a media type is cut, by the model that serves now."""
        [serving, *_] = self._embedders.collections(self._connection, self._namespace.name)
        spec = self._embedders.of(serving).model.spec
        most = min(self._settings.chunk_tokens, spec.max_tokens)
        return (
            lambda media_type: ChunkingConfig.of(self._namespace.strategy_for(media_type), most),
            spec.tokenizer(),
        )

    def _arrival(
        self,
        key: str,
        value: bytes,
        config_for: Callable[[str], ChunkingConfig],
        tokenizer: Tokenizer,
    ) -> Arrival:
        said = _value(value)
        raw = self._raw(key, said)
        languages = self._settings.ocr_languages
        document = extract(raw, languages)
        config = config_for(document.media_type)
        chunks = [
            replace(chunk, metadata={**chunk.metadata, **said.metadata})
            for chunk in chunk_document(document, config, tokenizer)
        ]
        searched = [chunk for chunk in chunks if chunk.level == 0]
        digest = hashlib.sha256(value)
        digest.update(extraction_version(document.media_type, languages).encode())
        digest.update(raw.data)
        return Arrival(
            NewVersion(SOURCE_TYPE, key, document, digest.hexdigest(), len(raw.data)),
            [chunk.content for chunk in searched],
            [chunk.index for chunk in searched],
            [chunk.metadata for chunk in searched],
            fingerprint(config, tokenizer),
            lambda _: chunks,
        )

    def _raw(self, key: str, said: _Value) -> RawDocument:
        if said.text is not None:
            return RawDocument(said.text.encode(), key, said.title, said.media_type)
        source, reference = self._references, str(said.reference)
        if source is None or not reference.startswith(f"{source.uri}/"):
            raise ItemError(
                "refused",
                "What it refers to lies outside GREENLANG_KAFKA_REFERENCES.",
                f"Set it to the bucket that messages may name, or send the text. {AGAIN}",
            )
        try:
            item = source.find(reference.removeprefix(f"s3://{source.bucket}/"))
            raw = source.read(item, self._settings.max_document_bytes)
        except ItemVanished as error:
            raise ItemError("unreadable", f"{reference} is not there.", AGAIN) from error
        return replace(raw, title=said.title or raw.title)

    def _land(self, arrivals: Sequence[tuple[str, Arrival]]) -> int:
        return land(
            self._connection,
            self._embedders,
            self._namespace.name,
            [arrival for _, arrival in arrivals],
            origin=ORIGIN,
            extraction_version=EXTRACTION_VERSION,
            job=self._job,
            batch_size=self._settings.embedding_batch_size,
            cache_seconds=self._settings.embedding_cache_seconds,
        )

    def _remove(self, keys: Sequence[str]) -> int:
        return direct.delete(
            self._connection,
            self._namespace.name,
            keys,
            cache_seconds=self._settings.embedding_cache_seconds,
        )

    def _refuse(self, item: str, message: Message, error: ItemError) -> None:
        """A dead letter with the message as it came; sealed namespaces keep none in clear."""
        clear = cipher_of(self._connection, self._namespace.name) is None
        dead_letters.record(
            self._connection,
            self._namespace.name,
            STAGE,
            item,
            ItemError(error.reason, f"{message.place}: {error.message}", error.remedy or AGAIN),
            original=message.value if clear else None,
        )


def _references(settings: Settings) -> S3Source | None:
    if settings.kafka_references is None:
        return None
    source = source_from_uri(settings.kafka_references)
    if not isinstance(source, S3Source):
        raise UsageError(
            "GREENLANG_KAFKA_REFERENCES is no bucket.", "Name s3://BUCKET or s3://BUCKET/PREFIX."
        )
    return source


def _item(message: Message) -> str:
    """What a dead letter calls it: its key, or where it is."""
    try:
        return _key(message)
    except ItemError:
        return message.place


def _key(message: Message) -> str:
    try:
        key = (message.key or b"").decode()
    except UnicodeDecodeError:
        key = ""
    if not key or "\x00" in key or len(key) > LONGEST_KEY:
        raise ItemError(
            "damaged",
            f"Its key is no text of 1 to {LONGEST_KEY} characters.",
            "Produce it again with the document's key.",
        )
    return key


def _value(value: bytes) -> _Value:
    try:
        said = _Value.model_validate_json(value)
        if "\\u0000" in said.model_dump_json():
            raise ItemError("damaged", "Its value holds NUL.", AGAIN)
    except (ValidationError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        where = ".".join(str(part) for part in first.get("loc", ()))
        raise ItemError(
            "damaged",
            f"Its value is no document ({': '.join(filter(None, (where, str(first['msg']))))}).",
            f'Send {{"text": "…", "title": "…", "metadata": {{}}}}. {AGAIN}',
        ) from error
    return said


def _refused(error: UsageError) -> ItemError:
    return ItemError("refused", error.message, error.remedy)
