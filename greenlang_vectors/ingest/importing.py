"""Manual import: documents whose passages, and perhaps vectors, others have made (PRD 7.1).

Batches are transactions of their own: an import that was killed is repeated, passes over what is
stored, and goes on. A row that cannot be stored is a dead letter; the document's others are stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.chunking.model import Chunk
from greenlang_vectors.chunking.passages import as_chunks
from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.documents.direct import SEPARATOR
from greenlang_vectors.documents.model import ExtractedDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ItemError, UsageError
from greenlang_vectors.ingest.passage_files import Passage, PassageFile, Row
from greenlang_vectors.ingest.vectors import compare, unsound
from greenlang_vectors.landing import Arrival, SuppliedVectors, apart, land, landed
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import collections, dead_letters, namespaces
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.documents import NewVersion
from greenlang_vectors.store.embedding_jobs import EmbeddingJob, embedding_job

STAGE = "import"
ORIGIN = "import"
FORMAT = "import"
"""Extraction version and chunking fingerprint of what comes as passages."""

BATCH_PASSAGES = 1000
"""About how many are stored in one transaction."""

PROBLEMS_SHOWN = 20


@dataclass(slots=True)
class ImportReport:
    """What became of a file.

    Attributes:
        rows: that are not blank.
        documents: that its good rows make.
        written: embeddings that are other than before.
        unchanged: documents that were stored already.
        failed: rows that are dead letters now; in a dry run would be.
        problems: the first of them, and why.
        ignored_columns: columns that mean nothing here.
    """

    rows: int = 0
    documents: int = 0
    written: int = 0
    unchanged: int = 0
    failed: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    ignored_columns: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Document:
    """The good rows of one document."""

    rows: list[Row]

    @property
    def passages(self) -> list[Passage]:
        return [row.passage for row in self.rows if row.passage is not None]

    @property
    def vectors(self) -> list[NDArray[np.float32]]:
        return [row.vector for row in self.rows if row.vector is not None]


def import_passages(
    database: Database,
    namespace: str,
    file: PassageFile,
    *,
    embedders: Embedders,
    model: str | None = None,
    batch_size: int,
    cache_seconds: int,
    dry_run: bool = False,
    progress: Progress = silent,
) -> ImportReport:
    """Store the documents of a file in place of older ones of the same keys.

    Without vectors each passage is embedded for every collection of the namespace. With vectors
    they go into the collection "<namespace>/<model>", which is made on first use; where that model
    is one of this machine's, some passages are embedded here to see that it made the vectors.

    Args:
        model: whose vectors the file holds; needed where it holds any.
        batch_size: texts embedded in one step.
        dry_run: check every row and store nothing.

    Raises:
        UnknownNamespace: it is not registered.
        UsageError: the file cannot be read, or its vectors cannot be that model's; what was stored
            before stays.
        ModelUnavailable, EmbeddingFailed: of a collection's model; the same.
        DatabaseUnavailable: the database cannot be reached, or through a pooler alone.
    """
    with database.connect() as connection:
        namespaces.get(connection, namespace)
        opened: AbstractContextManager[EmbeddingJob | None] = (
            nullcontext()
            if dry_run
            else embedding_job(connection, namespace, model, "import", source=str(file.path))
        )
        with opened as job:
            run = _Import(
                connection, namespace, file, embedders, model, batch_size, cache_seconds, job
            )
            progress(0, file.total, file.unit)
            for place, documents in _batches(run):
                run.store(documents)
                progress(place, file.total, file.unit)
            progress(file.total, file.total, file.unit)
            if not dry_run:
                dead_letters.keep_only(connection, namespace, STAGE, run.failed, ending=file.ending)
        run.report.ignored_columns = sorted(file.ignored)
        return run.report


class _Import:
    """One import under way.

    Args:
        job: None in a dry run.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        namespace: str,
        file: PassageFile,
        embedders: Embedders,
        model: str | None,
        batch_size: int,
        cache_seconds: int,
        job: EmbeddingJob | None,
    ) -> None:
        self.file = file
        self.report = ImportReport()
        self.failed: list[str] = []
        self._connection, self._namespace, self._embedders = connection, namespace, embedders
        self._batch_size, self._cache_seconds, self._job = batch_size, cache_seconds, job
        self._model = model
        self._collection = None if model is None else self._destination(model)
        self._dimensions = None if self._collection is None else self._collection.dimensions
        self._fingerprint: str | None = None
        self._normalized = False

    def _destination(self, model: str) -> Collection | None:
        """The collection of the model; the first one of a namespace is made where it is that."""
        present = collections.list_all(self._connection, self._namespace)
        if not present and model == self._embedders.default and self._job is not None:
            present = self._embedders.collections(self._connection, self._namespace)
        return next((each for each in present if each.model == model), None)

    def refuse(self, item: str, error: ItemError) -> None:
        """A row becomes a dead letter."""
        self._note(item, error)
        if self._job is not None:
            self._job.add(source=1, failed=1)

    def _note(self, item: str, error: ItemError) -> None:
        self.report.failed += 1
        self.failed.append(item)
        if len(self.report.problems) < PROBLEMS_SHOWN:
            self.report.problems[item.removesuffix(self.file.ending)] = str(error)
        if self._job is not None:
            dead_letters.record(self._connection, self._namespace, STAGE, item, error)

    def problem(self, row: Row) -> ItemError | None:
        """Why a row cannot be stored.

        Raises:
            UsageError: it has a vector, and no model is named.
        """
        if row.error is not None or (row.vector is None and self._model is None):
            return row.error
        if row.vector is None:
            return ItemError("no_vector", "The row has no embedding, as others do.", "Embed it.")
        if self._model is None:
            raise UsageError(
                f"{row.item.capitalize()} has an embedding, and no model is named.",
                "Name the model with --model.",
            )
        if self._dimensions is None:
            self._dimensions = len(row.vector)
        return unsound(row.vector, self._dimensions)

    def store(self, found: Sequence[_Document]) -> None:
        """Land these; one that cannot be is a dead letter of its first row."""
        self.report.documents += len(found)
        if (job := self._job) is None:
            return
        arrivals = {each: _arrival(document, self._model) for each, document in enumerate(found)}
        known = landed(self._connection, self._namespace, [*arrivals.values()], self._model)
        self.report.unchanged += len(known)
        self._compare(found)
        left = [
            (found[each], arrival)
            for each, arrival in arrivals.items()
            if arrival.identity(self._namespace) not in known
        ]
        if left:
            job.add(source=sum(len(arrival.texts) for _, arrival in left))

        def refuse(each: tuple[_Document, Arrival], error: UsageError) -> None:
            document, arrival = each
            self.report.documents -= 1
            self._note(document.rows[0].item, ItemError("refused", error.message, error.remedy))
            job.add(failed=len(arrival.texts))

        self.report.written += apart(left, lambda each: self._land(job, each), refuse)

    def _land(self, job: EmbeddingJob, arrivals: Sequence[tuple[_Document, Arrival]]) -> int:
        return land(
            self._connection,
            self._embedders,
            self._namespace,
            [arrival for _, arrival in arrivals],
            origin=ORIGIN,
            extraction_version=FORMAT,
            job=job,
            supplied=self._supplied([document for document, _ in arrivals]),
            batch_size=self._batch_size,
            cache_seconds=self._cache_seconds,
        )

    def _compare(self, documents: Sequence[_Document]) -> None:
        """See once that a model of this machine made the vectors, where they are said to be its."""
        if self._fingerprint or self._collection is None or self._collection.supplied:
            return
        embedder = self._embedders.of(self._collection)
        texts = [passage.content for each in documents for passage in each.passages]
        compare(embedder, texts, _vectors(documents))
        self._fingerprint = embedder.model.spec.fingerprint(embedder.normalize)
        self._normalized = embedder.normalize

    def _supplied(self, documents: Sequence[_Document]) -> SuppliedVectors | None:
        if self._model is None:
            return None
        rows = _vectors(documents)
        if self._normalized:
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return SuppliedVectors(self._model, rows, self._fingerprint)


def _vectors(documents: Sequence[_Document]) -> NDArray[np.float32]:
    return np.array([vector for each in documents for vector in each.vectors], np.float32)


def _batches(run: _Import) -> Iterator[tuple[int, list[_Document]]]:
    """The documents of the file, about so many passages at a time, and how far it was read."""
    seen: set[bytes] = set()
    batch: list[_Document] = []
    waiting, place, last = 0, 0, b""
    for row in run.file.rows():
        run.report.rows += 1
        error = run.problem(row)
        key = b"" if row.passage is None else _key(row.passage)
        if error is None and key != last and key in seen:
            error = _SCATTERED
        if error is not None:
            run.refuse(row.item, error)
            continue
        if key == last:
            batch[-1].rows.append(row)
        else:
            if waiting >= BATCH_PASSAGES:
                yield place, batch
                batch, waiting = [], 0
            batch.append(_Document([row]))
            seen.add(key)
        waiting, place, last = waiting + 1, row.place, key
    if batch:
        yield place, batch


def _key(passage: Passage) -> bytes:
    name = "\0".join((passage.source_type, passage.source_id))
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


_SCATTERED = ItemError(
    "scattered",
    "Rows of its document stand further up, with others between.",
    "Sort the file by source_id.",
)


def _arrival(document: _Document, model: str | None) -> Arrival:
    passages = document.passages
    texts = [passage.content for passage in passages]
    first = passages[0]
    said = json.dumps(
        [model, *(passage.model_dump() for passage in passages)], sort_keys=True, default=list
    )
    digest = hashlib.sha256(said.encode())
    for vector in document.vectors:
        digest.update(vector.tobytes())
    text = SEPARATOR.join(texts)
    extracted = ExtractedDocument(text, first.title or first.source_id, "text/plain")

    def cut(tokenizer: Tokenizer) -> list[Chunk]:
        return [
            replace(
                chunk,
                heading_path=passage.heading_path,
                page_start=passage.page,
                page_end=passage.page,
                metadata=passage.metadata,
            )
            for chunk, passage in zip(as_chunks(texts, SEPARATOR, tokenizer), passages, strict=True)
        ]

    return Arrival(
        NewVersion(
            first.source_type, first.source_id, extracted, digest.hexdigest(), len(text.encode())
        ),
        texts,
        range(len(texts)),
        [passage.metadata for passage in passages],
        FORMAT,
        cut,
    )
