"""`greenlang-vectors collections`: change a namespace's model while it is searched."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
import psycopg
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    embedders_of,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import collection_states, collections, namespaces
from greenlang_vectors.store.collection_states import CollectionState
from greenlang_vectors.store.index_settings import IndexSettings

COLUMNS = (
    "collection",
    "serves",
    "dimensions",
    "metric",
    "index",
    "rows",
    "missing",
    "MiB",
    "recall@10",
)


@click.group("collections")
def collections_group() -> None:
    """What callers search: models of a namespace side by side, one of which serves."""


@collections_group.command("create")
@click.argument("namespace")
@click.option("--model", required=True, help="A model's name, or its folder.")
@click.option("--metric", default="cosine", show_default=True, help="Or l2, inner_product.")
@click.option("--index", "kind", default="hnsw", show_default=True, help="Or ivfflat.")
@click.option("--storage", default="vector", show_default=True, help="Or halfvec, bit.")
@click.option("--m", type=int, help="HNSW: neighbours of a node; the profile's by default.")
@click.option("--ef-construction", type=int, help="HNSW: breadth of building.")
@click.option("--ef-search", type=int, help="HNSW: breadth of searching.")
@click.option("--lists", type=int, help="IVFFlat: lists; by the number of rows by default.")
@click.option("--probes", type=int, help="IVFFlat: lists a search visits.")
@click.option("--description", help="What it is for.")
def create_collection(
    namespace: str,
    model: str,
    description: str | None,
    **index: Any,  # noqa: ANN401 - see options
) -> None:
    """Add an empty collection to NAMESPACE, beside the one that serves it."""
    settings = get_settings()
    with opened(settings) as database, database.connection() as connection:
        made = embedders_of(database, settings).create(
            connection, namespace, model, IndexSettings(**index), description
        )
    errors.print(
        f"{made.name} is empty. Fill it with: greenlang-vectors collections fill {made.name}",
        soft_wrap=True,
        highlight=False,
    )


@collections_group.command("fill")
@click.argument("name")
def fill_collection(name: str) -> None:
    """Embed and index what the collection NAME lacks; go on where a killed fill stopped."""
    from greenlang_vectors.stages import embeddings, vector_index  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database:
        with database.connection() as connection:
            leaf = collections.get(connection, name).leaf
        with bars() as shown:
            embeddings.fill_collection(
                database,
                name,
                embedders=embedders_of(database, settings),
                batch_size=settings.embedding_batch_size,
                progress=bar(shown, "embeddings"),
            )
            vector_index.build_index(
                database, leaf, settings=settings, progress=bar(shown, "vector_index")
            )


@collections_group.command("list")
@as_json_option
def list_collections(as_json: bool) -> None:
    """Show every collection: model, index, rows, size, newest recall."""
    with opened(get_settings()) as database, database.connection() as connection:
        states = [
            collection_states.state_of(connection, each)
            for each in collections.list_all(connection)
        ]
    if as_json:
        print_json({"collections": [_as_json(state) for state in states]})
        return
    table = Table()
    for column in COLUMNS:
        table.add_column(column, no_wrap=column == "collection")
    for state in states:
        index = state.collection.index
        table.add_row(
            state.collection.name,
            "yes" if state.collection.serving else "",
            str(state.collection.dimensions),
            index.metric,
            f"{index.kind} {index.storage}",
            f"{state.rows:,}",
            f"{state.missing:,}",
            f"{(state.table_bytes + state.index_bytes) / 2**20:.1f}",
            "–" if state.recall_at_10 is None else f"{state.recall_at_10:.4f}",
        )
    output.print(table)


@collections_group.command("compare")
@click.argument("namespace")
@as_json_option
def compare_collections(namespace: str, as_json: bool) -> None:
    """Measure the collections of NAMESPACE side by side.

    Recall is against each one's own exact answers; nDCG and MRR are over the judged questions
    in the source's folder _evaluation, where there are any.
    """
    from greenlang_vectors.quality import comparison  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database:
        with database.connection() as connection:
            namespaces.get(connection, namespace)
        with bars() as shown:
            compared = comparison.compare(
                database,
                namespace,
                embedders=embedders_of(database, settings),
                settings=settings,
                progress=bar(shown, "questions"),
            )
    if as_json:
        rows = [
            {
                **_as_json(each.state),
                "quality": each.measured.quality and asdict(each.measured.quality),
                "retrieval": each.measured.retrieval,
            }
            for each in compared
        ]
        print_json({"namespace": namespace, "collections": rows})
        return
    names, *figures = zip(comparison.COLUMNS, *comparison.rows_of(compared), strict=True)
    table = Table(*names)
    for figure in figures:
        table.add_row(*figure)
    output.print(table)


@collections_group.command("tune")
@click.argument("name")
@as_json_option
def tune_collection(name: str, as_json: bool) -> None:
    """Find how wide the collection NAME is to be searched, and let searches be so from now on.

    That is the narrowest ef_search (or probes) that finds what its namespace is promised of the
    exact answers, without a filter and inside those that the search log shows. A collection of
    few rows, or one whose width a person set, is measured alone.
    """
    from greenlang_vectors.quality import comparison  # noqa: PLC0415

    settings = get_settings()
    with opened(settings) as database:
        with database.connection() as connection:
            collection = collections.get(connection, name)
        with bars() as shown:
            measured = comparison.measure(
                database,
                collection,
                embedders=embedders_of(database, settings),
                settings=settings,
                tune=True,
                progress=bar(shown, "measuring"),
            )
    quality = measured.quality
    if as_json:
        print_json(
            {"collection": name, "rows": measured.rows, "quality": quality and asdict(quality)}
        )
        return
    if quality is None:
        errors.print(f"{name} is empty.", highlight=False)
        return
    table = Table("width", "recall@10", "lowest, filters included", "p50 ms")
    for point in quality.curve:
        chosen = "[bold]" if point["width"] == quality.ef_search else ""
        table.add_row(
            f"{chosen}{point['width']}",
            f"{point['recall_at_10']:.4f}",
            f"{point['lowest_recall']:.4f}",
            f"{point['latency_p50_ms']:.2f}",
        )
    if quality.curve:
        output.print(table)
    lowest, inside = quality.lowest
    where = "" if inside is None else f", {lowest:.4f} inside the filter {json.dumps(inside)}"
    kept = lowest >= (quality.recall_target or 0)
    output.print(
        f"{name} is searched at width {quality.ef_search}: recall@10 {quality.recall_at_10:.4f}"
        f"{where}; {quality.recall_target} is {'kept' if kept else 'missed'}.",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


@collections_group.command("switch")
@click.argument("name")
def switch_collection(name: str) -> None:
    """Let the collection NAME serve its namespace from now on.

    What served before is written to as before: switching to it again undoes this.
    """
    settings = get_settings()
    with opened(settings) as database, database.connection() as connection:
        wanted = collections.get(connection, name)
        before = collections.switch(
            connection, name, embedders_of(database, settings).fingerprint(wanted)
        )
        recall = collection_states.state_of(connection, wanted).recall_at_10
        target = namespaces.get(connection, wanted.namespace).recall_target
    if wanted.serving:
        errors.print(f"{name} serves {wanted.namespace} already.", highlight=False)
        return
    if recall is None or recall < target:
        found = "not been measured" if recall is None else f"been measured as {recall:.4f}"
        errors.print(
            f"Its recall@10 has {found}; at least {target} is wanted. "
            f"greenlang-vectors collections compare {wanted.namespace} measures it.",
            soft_wrap=True,
            highlight=False,
        )
    errors.print(f"{name} serves {wanted.namespace} now.", soft_wrap=True, highlight=False)
    if before is not None:
        back = f"To go back: greenlang-vectors collections switch {before.name}"
        errors.print(back, soft_wrap=True, highlight=False)


@collections_group.command("drop")
@click.argument("name")
def drop_collection(name: str) -> None:
    """Remove the collection NAME with its embeddings; the one that serves cannot be dropped."""
    with opened(get_settings()) as database, database.connection() as connection:
        collections.drop(connection, name)
    errors.print(f"{name} is dropped.", highlight=False)


def collection_of_settings(
    connection: psycopg.Connection,
    namespace: str,
    embedders: Any,  # noqa: ANN401 - `Embedders` loads slowly
) -> str:
    """The name of a namespace's collection of the settings' model, made if it is not there."""
    model = embedders.open(embedders.default).model.spec.name
    for known in embedders.collections(connection, namespace):
        if known.model == model:
            return str(known.name)
    return str(embedders.create(connection, namespace, embedders.default, IndexSettings()).name)


def _as_json(state: CollectionState) -> dict[str, Any]:
    collection = state.collection
    return {
        "name": collection.name,
        "namespace": collection.namespace,
        "description": collection.description,
        "model": collection.model,
        "dimensions": collection.dimensions,
        "serving": collection.serving,
        "index": collection.index.as_json(),
        "search_width": collection.searched.width,
        "chunks": state.chunks,
        "rows": state.rows,
        "missing": state.missing,
        "complete": state.missing == 0 and (state.rows > 0 or state.chunks == 0),
        "table_bytes": state.table_bytes,
        "index_bytes": state.index_bytes,
        "recall_at_10": state.recall_at_10,
    }
