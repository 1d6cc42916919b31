"""Expectations of single columns, as Great Expectations suites that run on the server."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.quality.outcome import CheckContext, CheckOutcome
from greenlang_vectors.store import chunks, leaves
from greenlang_vectors.store.embeddings import PREVIEW_CHARACTERS
from greenlang_vectors.store.encryption import data_keys
from greenlang_vectors.store.encryption.cipher import VERSION, sealed_length
from greenlang_vectors.store.namespaces import partition

SHA256 = "^[0-9a-f]{64}$"
ROWS_SHOWN = 3
UTF8_BYTES = 4
"""The most a character takes."""


def chunk_expectations(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Hashes, levels, lengths, spans and pages of the chunks are possible ones; none is twice."""
    if not chunks.totals(connection, context.namespace)[0]:
        return CheckOutcome(True, "The namespace holds no chunks.", {"chunks": 0}, [])
    gxe = _great_expectations().expectations
    return _validate(
        connection,
        "chunks",
        sql.SQL(
            """
            SELECT coalesce(d.source_key, CAST(c.document_id AS text)) AS document,
                   c.chunk_index, c.document_id, c.level,
                   c.content_hash, c.token_count, c.start_char, c.end_char, c.page_start, c.page_end
            FROM {chunks} c LEFT JOIN {documents} d ON d.id = c.document_id
            """
        ).format(
            chunks=partition("document_chunks", context.namespace),
            documents=partition("documents", context.namespace),
        ),
        [
            gxe.ExpectColumnValuesToMatchRegex(column="content_hash", regex=SHA256),
            gxe.ExpectColumnValuesToBeInSet(column="level", value_set=[0, 1]),
            gxe.ExpectColumnValuesToBeBetween(
                column="token_count", min_value=1, max_value=context.max_tokens
            ),
            gxe.ExpectColumnValuesToBeBetween(column="start_char", min_value=0),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="end_char", column_B="start_char"),
            gxe.ExpectColumnValuesToBeBetween(column="page_start", min_value=1),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="page_end",
                column_B="page_start",
                or_equal=True,
                ignore_row_if="both_values_are_missing",
            ),
            gxe.ExpectCompoundColumnsToBeUnique(
                column_list=["document", "document_id", "level", "start_char", "end_char"]
            ),
        ],
    )


def embedding_expectations(connection: psycopg.Connection, context: CheckContext) -> CheckOutcome:
    """Embeddings are of one fingerprint and of their documents' type; no chunk has two."""
    if not leaves.count(connection, context.leaf):
        return CheckOutcome(True, "The namespace holds no embeddings.", {"embeddings": 0}, [])
    gxe = _great_expectations().expectations
    shortest, longest, beginning = 1, PREVIEW_CHARACTERS, "^"
    if data_keys.of_namespace(connection, context.namespace):
        shortest, longest = sealed_length(1), sealed_length(PREVIEW_CHARACTERS * UTF8_BYTES)
        beginning = f"^{VERSION}:"
    return _validate(
        connection,
        "embeddings",
        sql.SQL(
            """
            SELECT coalesce(d.source_key, CAST(e.source_id AS text)) AS document,
                   e.chunk_index, e.source_id, e.content_hash,
                   e.content_preview, e.embedding_fingerprint, e.source_type,
                   d.source_type AS document_type
            FROM {leaf} e LEFT JOIN {documents} d ON d.id = e.source_id
            """
        ).format(leaf=context.leaf.table, documents=partition("documents", context.namespace)),
        [
            gxe.ExpectColumnValuesToMatchRegex(column="content_hash", regex=SHA256),
            gxe.ExpectColumnValueLengthsToBeBetween(
                column="content_preview", min_value=shortest, max_value=longest
            ),
            gxe.ExpectColumnValuesToMatchRegex(column="content_preview", regex=beginning),
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="source_type",
                column_B="document_type",
                ignore_row_if="either_value_is_missing",
            ),
            gxe.ExpectCompoundColumnsToBeUnique(
                column_list=["document", "source_id", "chunk_index"]
            ),
            gxe.ExpectColumnUniqueValueCountToBeBetween(
                column="embedding_fingerprint", max_value=1
            ),
        ],
    )


def _great_expectations() -> Any:  # noqa: ANN401 - it exports its names implicitly
    """The package, which takes seconds to import and tells of each of its own methods."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations  # noqa: PLC0415

    return great_expectations


def _validate(
    connection: psycopg.Connection,
    subject: str,
    query: sql.Composed,
    expectations: Sequence[object],
) -> CheckOutcome:
    """Hold the rows of a query against expectations.

    Great Expectations is given a connection and never learns the database's URL, so that none of
    its results can tell it.

    Args:
        subject: what the rows are, in the plural.
        query: has the columns `document` and `chunk_index` among those that are judged.
    """
    from great_expectations.data_context.types import base  # noqa: PLC0415
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    gx = _great_expectations()
    context = gx.get_context(
        mode="ephemeral",
        project_config=base.DataContextConfig(
            store_backend_defaults=base.InMemoryStoreBackendDefaults(),
            progress_bars=base.ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        ),
    )
    password = connection.info.password or None
    with psycopg.connect(connection.info.dsn, password=password) as given:
        store = context.data_sources.add_postgres(
            "store",
            connection_string="postgresql+psycopg://see@creator/",
            kwargs={"creator": lambda: given, "poolclass": StaticPool},
        )
        rows = store.add_query_asset(subject, query=query.as_string(connection))
        report = (
            rows.add_batch_definition_whole_table("all")
            .get_batch()
            .validate(
                gx.ExpectationSuite(subject, expectations=list(expectations)),
                result_format={
                    "result_format": "SUMMARY",
                    "partial_unexpected_count": ROWS_SHOWN,
                    "unexpected_index_column_names": ["document", "chunk_index"],
                },
            )
            .to_json_dict()
        )
    return _outcome(subject, report["results"])


def _outcome(subject: str, results: list[dict[str, Any]]) -> CheckOutcome:
    failures = [result for result in results if not result["success"]]
    total = max(result["result"].get("element_count", 0) for result in results)
    examples = [_example(failure) for failure in failures]
    message = f"{total} {subject} meet all {len(results)} expectations."
    if examples:
        message = (
            f"{total} {subject} fail {len(failures)} of {len(results)} expectations, the first "
            f"{examples[0]['expectation']} ({examples[0]['arguments']}): {examples[0]['found']}."
        )
    return CheckOutcome(
        passed=not failures,
        message=message,
        numbers={subject: total, "expectations": len(results), "failed": len(failures)},
        examples=examples,
    )


def _example(failure: dict[str, Any]) -> dict[str, JSON]:
    expectation, result = failure["expectation_config"], failure["result"]
    rows = result.get("partial_unexpected_index_list") or result.get("partial_unexpected_list", [])
    if "unexpected_count" in result:
        found = f"{result['unexpected_count']} rows ({result['unexpected_percent']:.3g}%) do not"
    elif "observed_value" in result:
        found = f"observed {result['observed_value']}"
    else:
        found = f"could not be evaluated, {failure['exception_info']}"
    return {
        "expectation": expectation["type"],
        "arguments": ", ".join(
            f"{name}={value}" for name, value in expectation["kwargs"].items() if name != "batch_id"
        ),
        "found": found,
        "rows": json.dumps(rows[:ROWS_SHOWN], ensure_ascii=False),
    }
