"""The registry of checks: what must hold after each stage, and whether the next may go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from greenlang_vectors.quality import expectations, integrity, passages
from greenlang_vectors.quality.outcome import MAX_EXAMPLES, CheckContext, CheckOutcome
from greenlang_vectors.store import dead_letters, embeddings, indexes, records
from greenlang_vectors.store.indexes import HnswIndex

__all__ = ["CHECKS", "Check", "CheckContext", "CheckOutcome", "run_check"]


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold after a stage.

    Attributes:
        stage: the stage it judges.
        name: unique over all stages.
        description: what holds when it passes.
        blocking: whether the stages that follow wait until it passes.
        run: judges one namespace, over a connection in autocommit.
    """

    stage: str
    name: str
    description: str
    blocking: bool
    run: Callable[[psycopg.Connection, CheckContext], CheckOutcome]


def run_check(connection: psycopg.Connection, check: Check, context: CheckContext) -> CheckOutcome:
    """Run a check on a connection in autocommit and keep its outcome."""
    outcome = check.run(connection, context)
    records.save_check(
        connection,
        context.namespace,
        check.name,
        passed=outcome.passed,
        blocking=check.blocking,
        message=outcome.message,
    )
    return outcome


def _without_dead_letters(stage: str) -> Check:
    def judge(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
        letters = dead_letters.list_all(connection, context.namespace, stage)
        first = f", the first {letters[0].item}: {letters[0].message}" if letters else "."
        return CheckOutcome(
            passed=not letters,
            message=f"{len(letters) or 'No'} items failed in the stage {stage}{first}",
            numbers={"dead_letters": len(letters)},
            examples=[
                {
                    "item": letter.item,
                    "reason": letter.reason,
                    "message": letter.message,
                    "remedy": letter.remedy,
                    "attempts": letter.attempts,
                }
                for letter in letters[:MAX_EXAMPLES]
            ],
        )

    return Check(
        stage,
        f"{stage}_without_dead_letters",
        "No item failed in this stage while its neighbours went on.",
        False,
        judge,
    )


def index_ready(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """The leaf has the profile's HNSW index, valid, and no other."""
    wanted = HnswIndex.of(context.leaf, context.settings.index).name
    rows = embeddings.count(connection, context.leaf)
    found = indexes.on_leaf(connection, context.leaf)
    ready = [state.name for state in found if state.valid] == [wanted] and len(found) == 1
    if rows == 0:
        message = "The namespace holds no embeddings to index."
    elif ready:
        message = f"The index {wanted} serves {rows} embeddings."
    else:
        names = ", ".join(
            state.name if state.valid else f"{state.name} (invalid)" for state in found
        )
        message = f"{rows} embeddings should be served by {wanted} alone, not by {names or 'none'}."
    return CheckOutcome(
        passed=ready or rows == 0,
        message=message,
        numbers={
            "embeddings": rows,
            "indexes": len(found),
            "index_bytes": sum(state.size_bytes for state in found),
        },
        examples=[]
        if ready
        else [
            {"index": state.name, "valid": state.valid, "bytes": state.size_bytes}
            for state in found[:MAX_EXAMPLES]
        ],
    )


def recall_reached(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """The newest measurement of the index finds as much of the exact answers as it must."""
    rows = embeddings.count(connection, context.leaf)
    if rows == 0:
        return CheckOutcome(True, "The namespace holds no embeddings to search.", {}, [])
    measured = records.newest_search_quality(connection, context.leaf)
    if measured is None:
        return CheckOutcome(
            False, f"No search over the {rows} embeddings has been measured yet.", {}, []
        )
    target = context.settings.recall_target
    passed = measured.recall_at_10 >= target
    return CheckOutcome(
        passed,
        f"recall@10 is {measured.recall_at_10:.4f} over {measured.queries} queries at ef_search "
        f"{measured.ef_search}, {'as' if passed else 'but'} at least {target} is wanted.",
        {
            "recall_at_10": measured.recall_at_10,
            "recall_target": target,
            "queries": measured.queries,
        },
        [],
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "documents",
        "documents_intact",
        "Stored texts match their hashes and are not empty; pages and headings lie within them.",
        True,
        integrity.documents_intact,
    ),
    _without_dead_letters("documents"),
    Check(
        "chunks",
        "chunks_complete",
        "Every document has been cut into chunks, and every chunk has its document.",
        True,
        integrity.chunks_complete,
    ),
    Check(
        "chunks",
        "chunk_hashes_match",
        "Every chunk's hash is that of its content.",
        True,
        integrity.chunk_hashes_match,
    ),
    Check(
        "chunks",
        "chunks_match_text",
        "Every chunk's content is what stands at its span in its document's text.",
        True,
        passages.chunks_match_text,
    ),
    Check(
        "chunks",
        "chunks_cover_text",
        "No text lies between, before or after the searched chunks of a document.",
        True,
        passages.chunks_cover_text,
    ),
    Check(
        "chunks",
        "chunks_numbered",
        "A document's chunks are numbered without holes, and parents are there.",
        True,
        integrity.chunks_numbered,
    ),
    Check(
        "chunks",
        "chunk_expectations",
        "The columns of document_chunks hold what they should (Great Expectations).",
        True,
        expectations.chunk_expectations,
    ),
    _without_dead_letters("chunks"),
    Check(
        "embeddings",
        "embeddings_match_chunks",
        "Every searched chunk has an embedding of its content, and every embedding its chunk.",
        True,
        integrity.embeddings_match_chunks,
    ),
    Check(
        "embeddings",
        "vectors_sound",
        "Every vector has the model's dimensions and length 1; none holds NaN or infinity.",
        True,
        integrity.vectors_sound,
    ),
    Check(
        "embeddings",
        "embedding_expectations",
        "The columns of vector_embeddings hold what they should (Great Expectations).",
        True,
        expectations.embedding_expectations,
    ),
    _without_dead_letters("embeddings"),
    Check(
        "vector_index",
        "index_ready",
        "The leaf has the profile's HNSW index, valid, and no other.",
        True,
        index_ready,
    ),
    Check(
        "search_quality",
        "recall_reached",
        "The index finds at least the wanted share of the exact ten nearest.",
        True,
        recall_reached,
    ),
)
"""In the order of the stages."""
