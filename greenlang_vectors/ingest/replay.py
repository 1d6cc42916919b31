"""Dead letters tried again: messages of topics as they came, all others through their stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.ingest.messages import LETTERS, STAGE, Message, Sink
from greenlang_vectors.ingest.topics import BATCH_MESSAGES
from greenlang_vectors.progress import Progress
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages import replay as pipeline
from greenlang_vectors.stages.replay import Replayed
from greenlang_vectors.store import dead_letters
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.dead_letters import DeadLetter
from greenlang_vectors.store.locks import exclusive


def split(
    connection: psycopg.Connection, letters: Sequence[DeadLetter]
) -> tuple[list[DeadLetter], list[DeadLetter]]:
    """The letters that `replay` can try, and those that it cannot.

    It cannot where a move or an import failed, nor where a message came without a key, asked for a
    removal, or was not kept because its namespace is encrypted.
    """
    not_kept = dead_letters.without_original(connection, [each.id for each in letters])

    def can(each: DeadLetter) -> bool:
        if each.stage == STAGE:
            return each.id not in not_kept and each.item != _place(each)
        return each.stage in pipeline.STAGES

    return [each for each in letters if can(each)], [each for each in letters if not can(each)]


def instead(letter: DeadLetter) -> str:
    """What helps with a letter that `replay` cannot try."""
    return letter.remedy if letter.stage == STAGE else pipeline.command(letter)


def replay(
    database: Database,
    letters: Sequence[DeadLetter],
    *,
    embedders: Embedders,
    settings: Settings,
    progress: Callable[[str], Progress],
) -> list[Replayed]:
    """Try these again; what a stage leaves to later ones the next run does.

    Args:
        progress: gives the listener for a stage of this name.

    Raises:
        UsageError: one of them cannot be tried here (see `split`); none is tried.
        GreenLangError: the error of what stopped; what came through before stays so.
    """
    with database.connect() as connection:
        _, cannot = split(connection, letters)
        for letter in cannot:
            raise UsageError(
                f"The dead letter {letter.id} ({letter.item}) of the stage {letter.stage} cannot be"
                " replayed.",
                instead(letter),
            )
        own = [each for each in letters if each.stage != STAGE]
        pipeline.replay(database, own, embedders=embedders, settings=settings, progress=progress)
        for namespace in sorted({each.namespace for each in letters if each.stage == STAGE}):
            messages = [e for e in letters if (e.stage, e.namespace) == (STAGE, namespace)]
            told = progress(STAGE)
            with Sink(connection, namespace, embedders, settings) as sink:
                for start in range(0, len(messages), BATCH_MESSAGES):
                    _store(connection, sink, namespace, messages[start : start + BATCH_MESSAGES])
                    told(min(start + BATCH_MESSAGES, len(messages)), len(messages), "messages")
    return pipeline.outcome(database, letters)


def _store(
    connection: psycopg.Connection, sink: Sink, namespace: str, letters: Sequence[DeadLetter]
) -> None:
    """Store what these keep; one that a later message has settled meanwhile keeps nothing."""
    with exclusive(connection, LETTERS, namespace):
        sink.store(
            [
                Message(_place(each), each.item.encode(), value)
                for each in letters
                if (value := dead_letters.original(connection, each)) is not None
            ]
        )


def _place(letter: DeadLetter) -> str:
    """Where its message was; what a letter without a key is called by."""
    return letter.message.partition(": ")[0]
