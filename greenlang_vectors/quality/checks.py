"""The registry of checks: what must hold after each stage, and whether the next may go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from greenlang_vectors.quality import expectations, integrity, passages
from greenlang_vectors.quality.outcome import MAX_EXAMPLES, CheckContext, CheckOutcome, merged
from greenlang_vectors.store import (
    collections,
    dead_letters,
    leaves,
    maintenance,
    namespaces,
    records,
    segments,
)

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
        of_each_collection: whether it judges embeddings, which each collection has of its own.
    """

    stage: str
    name: str
    description: str
    blocking: bool
    run: Callable[[psycopg.Connection, CheckContext], CheckOutcome]
    of_each_collection: bool = False


def run_check(
    connection: psycopg.Connection, check: Check, context: CheckContext, *beside: CheckContext
) -> CheckOutcome:
    """Run a check on a connection in autocommit and keep its outcome.

    Args:
        context: of the collection that serves.
        beside: of the namespace's other collections, for checks that judge each.
    """
    outcome = check.run(connection, context)
    if check.of_each_collection and beside:
        judged = {each.leaf.model: check.run(connection, each) for each in beside}
        outcome = merged({context.leaf.model: outcome, **judged})
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
    """The leaf's rows are served by valid indexes of the collection's settings."""
    rows = leaves.count(connection, context.leaf)
    found = segments.on_leaf(connection, context.leaf)
    problems = maintenance.problems(connection, context.leaf, context.settings)
    if rows == 0:
        message = "The namespace holds no embeddings to index."
    elif problems:
        message = f"Of {rows} embeddings: {'; '.join(problems)}."
    else:
        message = f"{len(found)} indexes serve {rows} embeddings."
    return CheckOutcome(
        passed=not problems or rows == 0,
        message=message,
        numbers={
            "embeddings": rows,
            "indexes": len(found),
            "index_bytes": sum(index.size_bytes for index in found),
        },
        examples=[
            {"index": index.name, "valid": index.valid, "bytes": index.size_bytes}
            for index in found[:MAX_EXAMPLES]
        ]
        if problems
        else [],
    )


def recall_reached(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Searches find as much of the exact answers as the namespace is promised, without a filter
    and inside those that are used, and they did so until they were last tuned."""
    leaf = context.leaf
    rows = leaves.count(connection, leaf)
    if rows == 0:
        return CheckOutcome(True, "The namespace holds no embeddings to search.", {}, [])
    measured = records.newest_search_quality(connection, leaf)
    if measured is None:
        return CheckOutcome(
            False, f"No search over the {rows} embeddings has been measured yet.", {}, []
        )
    target = namespaces.get(connection, leaf.namespace).recall_target
    collection = collections.get(connection, f"{leaf.namespace}/{leaf.model}")
    name = "ef_search" if collection.index.kind == "hnsw" else "probes"
    used = collection.searched.width or measured.ef_search
    lowest, inside = measured.lowest
    passed = used == measured.ef_search and lowest >= target and measured.recall_before is None
    message = (
        f"recall@10 is {measured.recall_at_10:.4f} over {measured.queries} queries at {name} "
        f"{measured.ef_search}, {'as' if lowest >= target else 'but'} at least {target} is wanted."
    )
    if inside is not None:
        message += f" It is {lowest:.4f} inside the filter {json.dumps(inside)}."
    if used != measured.ef_search:
        message += f" Searches use {name} {used}, which has not been measured."
    if measured.recall_before is not None:
        message += (
            f" It had fallen to {measured.recall_before:.4f} before searches were tuned again;"
            " if that is mended, the next measurement passes."
        )
    return CheckOutcome(
        passed,
        message,
        {
            "recall_at_10": measured.recall_at_10,
            "lowest_recall_at_10": lowest,
            "recall_target": target,
            "queries": measured.queries,
            name: used,
        },
        [
            {"filter": json.dumps(each["filter"]), "recall_at_10": each["recall_at_10"]}
            for each in measured.filtered[:MAX_EXAMPLES]
        ]
        if not passed
        else [],
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
        of_each_collection=True,
    ),
    Check(
        "embeddings",
        "vectors_sound",
        "Every vector has the model's dimensions and length 1; none holds NaN or infinity.",
        True,
        integrity.vectors_sound,
        of_each_collection=True,
    ),
    Check(
        "embeddings",
        "embedding_expectations",
        "The columns of vector_embeddings hold what they should (Great Expectations).",
        True,
        expectations.embedding_expectations,
        of_each_collection=True,
    ),
    _without_dead_letters("embeddings"),
    Check(
        "vector_index",
        "index_ready",
        "The leaf's rows are served by valid indexes of the collection's settings.",
        True,
        index_ready,
        of_each_collection=True,
    ),
    Check(
        "search_quality",
        "recall_reached",
        "Searches find at least the promised share of the exact ten nearest, inside the filters "
        "they use as well as without.",
        True,
        recall_reached,
        of_each_collection=True,
    ),
)
"""In the order of the stages."""
