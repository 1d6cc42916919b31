"""`greenlang-vectors evaluate`: how well a judged retrieval set is answered, in every mode."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
from rich.table import Table

from greenlang_vectors.commands.collections import collection_of_settings
from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    embedders_of,
    opened,
    output,
    print_json,
)
from greenlang_vectors.search.model import Mode
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.status import namespace_status


@click.command()
@click.argument("folder", type=Path)
@click.option(
    "--rerank", is_flag=True, help="Each mode again, re-ranked by GREENLANG_RERANK_MODEL."
)
@as_json_option
def evaluate(folder: Path, rerank: bool, as_json: bool) -> None:
    """Load a retrieval set into a namespace of its own and measure the answers.

    FOLDER holds corpus.jsonl, queries.jsonl and qrels.tsv (BEIR). The namespace is called
    evaluation- and the folder's name; a second run embeds nothing again.
    """
    from greenlang_vectors.quality.evaluation import (  # noqa: PLC0415
        evaluate as evaluate_ranking,
    )
    from greenlang_vectors.quality.evaluation import rank_documents  # noqa: PLC0415
    from greenlang_vectors.quality.retrieval_metrics import read_judgements  # noqa: PLC0415
    from greenlang_vectors.search.engine import SearchEngine  # noqa: PLC0415
    from greenlang_vectors.search.rerank import reranker_of  # noqa: PLC0415
    from greenlang_vectors.stages.pipeline import fill  # noqa: PLC0415

    queries, qrels = read_judgements(folder)
    name = namespaces.validate_name(f"evaluation-{folder.resolve().name.lower()}")
    settings = get_settings()
    if rerank:
        reranker_of(settings.rerank_model)
    with opened(settings) as database, bars() as shown:
        embedders = embedders_of(database, settings)
        with database.connection() as connection:
            namespaces.register(
                connection, name, source_uri=str((folder / "corpus.jsonl").resolve())
            )
            collection = collection_of_settings(connection, name, embedders)
        fill(
            database,
            name,
            embedders=embedders,
            settings=settings,
            progress=lambda stage: bar(shown, stage),
        )
        engine = SearchEngine(database, embedders, settings)
        modes = {}
        for again in (False, True) if rerank else (False,):
            for mode in get_args(Mode):
                title = f"{mode}, re-ranked" if again else mode
                ranker = rank_documents(
                    engine, name, collection=collection, mode=mode, rerank=again
                )
                modes[title] = evaluate_ranking(ranker, queries, qrels, bar(shown, title))
        with database.connection() as connection:
            documents = next(
                state.documents for state in namespace_status(connection) if state.namespace == name
            )
    if as_json:
        print_json({"documents": documents, "queries": len(queries), "modes": modes})
        return
    table = Table("mode", *modes["vector"], title=f"{documents} documents, {len(queries)} queries")
    for mode, values in modes.items():
        table.add_row(mode, *(f"{value:.4f}" for value in values.values()))
    output.print(table)
