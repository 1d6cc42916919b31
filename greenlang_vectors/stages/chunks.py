"""Stage 2: documents are cut into chunks the model can read whole (PRD 7.3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from greenlang_vectors.chunking.chunk import chunk_document, fingerprint
from greenlang_vectors.chunking.model import ChunkingConfig, content_hash
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import ItemError
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.store import chunks, dead_letters, documents, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption.data_keys import cipher_of
from greenlang_vectors.store.locks import exclusive

STAGE = "chunks"


@dataclass(frozen=True, slots=True)
class ChunksReport:
    """What a run of the stage did.

    Attributes:
        cut: documents that were cut (new, changed, or cut in another way before).
        failed: documents that are dead letters now.
        stored: chunks of the namespace in the store now, parents included.
        searched: those of them that are embedded and searched.
        tokens: tokens of the searched chunks.
        max_tokens: the most tokens a chunk may have.
        model_reads: the most tokens the model reads of a text.
    """

    cut: int
    failed: int
    stored: int
    searched: int
    tokens: int
    max_tokens: int
    model_reads: int


def cut_chunks(
    database: Database,
    name: str,
    *,
    embedders: Embedders,
    chunk_tokens: int,
    cache_seconds: int,
    only: Collection[str] | None = None,
    progress: Progress = silent,
) -> ChunksReport:
    """Cut every document that is new, changed, or was cut in another way.

    Args:
        embedders: the serving collection's tokenizer counts, no chunk is longer than it reads.
        chunk_tokens: the most tokens a chunk may have.
        cache_seconds: how long the vectors of vanished chunks stay in the cache.
        only: look at these documents alone, by their keys in the source.

    Raises:
        UnknownNamespace: it is not registered.
        ModelUnavailable: the serving collection's model is not on this machine.
        KeyUnavailable: the namespace is encrypted, and its master key cannot be used.
    """
    with database.connect() as connection, exclusive(connection, STAGE, name):
        namespace = namespaces.get(connection, name)
        model = embedders.of(embedders.collections(connection, name)[0]).model.spec
        tokenizer = model.tokenizer()
        max_tokens = min(chunk_tokens, model.max_tokens)

        def config_for(media_type: str) -> ChunkingConfig:
            return ChunkingConfig.of(namespace.strategy_for(media_type), max_tokens)

        work = documents.uncut(
            connection,
            name,
            {
                media_type: fingerprint(config_for(media_type), tokenizer)
                for media_type in namespace.chunking_by_media_type
            },
            fingerprint(config_for(""), tokenizer),
        )
        work = [(identity, key) for identity, key in work if only is None or key in only]
        cipher = cipher_of(connection, name)
        cut = 0
        failed: list[str] = []
        progress(0, len(work), "documents")
        for done, (identity, source_key) in enumerate(work, start=1):
            try:
                document = documents.load(connection, name, identity, cipher)
                if document is None:
                    continue
                config = config_for(document.media_type)
                cut += chunks.replace(
                    connection,
                    name,
                    identity,
                    list(chunk_document(document, config, tokenizer)),
                    text_hash=content_hash(document.text),
                    fingerprint=fingerprint(config, tokenizer),
                    cache_seconds=cache_seconds,
                    cipher=cipher,
                )
            except ItemError as error:
                dead_letters.record(connection, name, STAGE, source_key, error)
                failed.append(source_key)
            progress(done, len(work), "documents")
        dead_letters.keep_only(connection, name, STAGE, failed, among=only)
        stored, searched, tokens = chunks.totals(connection, name)
        return ChunksReport(
            cut=cut,
            failed=len(failed),
            stored=stored,
            searched=searched,
            tokens=tokens,
            max_tokens=max_tokens,
            model_reads=model.max_tokens,
        )
