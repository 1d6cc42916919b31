"""Dead letters once more through the stage they failed at, and through no other.

Each item is a transaction of its own there, and one that comes through is no letter any more: a
replay that was killed is repeated, and does what is left.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages import chunks, documents, embeddings
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.dead_letters import DeadLetter

STAGES = (documents.STAGE, chunks.STAGE, embeddings.STAGE)

ELSEWHERE = {
    "relay": "greenlang-vectors migrate relay {namespace} --retry --once",
    "follow": "greenlang-vectors migrate follow {namespace} --once",
    "backfill": "greenlang-vectors migrate repair {namespace}",
    "import": "greenlang-vectors import {file} --namespace {namespace}",
}
"""What tries the dead letters of a move from Weaviate and of an import again."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one dead letter.

    Attributes:
        letter: as it was.
        again: as it is now; None where its item came through, or is gone.
    """

    letter: DeadLetter
    again: DeadLetter | None


def replay(
    database: Database,
    letters: Sequence[DeadLetter],
    *,
    embedders: Embedders,
    settings: Settings,
    progress: Callable[[str], Progress],
) -> None:
    """Try these again, stage by stage; what they leave to later stages the next run does.

    Args:
        letters: of the pipeline's stages.
        progress: gives the listener for a stage of this name.

    Raises:
        GreenLangError: the error of the stage that stopped; what came through before stays so.
    """
    for namespace, stage, items in _groups(letters):
        match stage:
            case documents.STAGE:
                documents.load_documents(
                    database,
                    namespace,
                    max_bytes=settings.max_document_bytes,
                    ocr_languages=settings.ocr_languages,
                    cache_seconds=settings.embedding_cache_seconds,
                    only=items,
                    progress=progress(stage),
                )
            case chunks.STAGE:
                chunks.cut_chunks(
                    database,
                    namespace,
                    embedders=embedders,
                    chunk_tokens=settings.chunk_tokens,
                    cache_seconds=settings.embedding_cache_seconds,
                    only=items,
                    progress=progress(stage),
                )
            case embeddings.STAGE:
                embeddings.embed_chunks(
                    database,
                    namespace,
                    embedders=embedders,
                    batch_size=settings.embedding_batch_size,
                    only=sorted(items),
                    progress=progress(stage),
                )


def outcome(database: Database, letters: Sequence[DeadLetter]) -> list[Replayed]:
    """What became of letters that were tried again."""
    with database.connection() as connection:
        left = {
            letter.id: letter
            for namespace in {letter.namespace for letter in letters}
            for letter in dead_letters.list_all(connection, namespace, discarded=True)
        }
    return [Replayed(letter, left.get(letter.id)) for letter in letters]


def command(letter: DeadLetter) -> str:
    """What tries this letter again, in words."""
    if letter.stage in STAGES:
        return f"Run `greenlang-vectors dead-letters replay {letter.id}`."
    if letter.stage == "kafka" and letter.reason != "damaged":
        return f"Once what it lacked is there: `greenlang-vectors dead-letters replay {letter.id}`."
    if known := ELSEWHERE.get(letter.stage):
        file = shlex.quote(letter.item.partition(" of ")[2])  # "line 3 of /data/passages.jsonl"
        return f"Run `{known.format(namespace=letter.namespace, file=file)}`."
    return letter.remedy


def _groups(letters: Sequence[DeadLetter]) -> Iterator[tuple[str, str, Collection[str]]]:
    """The items of each namespace and stage, stages in the order of the pipeline."""
    for namespace in sorted({letter.namespace for letter in letters}):
        for stage in STAGES:
            items = {
                letter.item
                for letter in letters
                if (letter.namespace, letter.stage) == (namespace, stage)
            }
            if items:
                yield namespace, stage, items
