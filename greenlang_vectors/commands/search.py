"""`greenlang-vectors search`: a question, and the passages that answer it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import cast, get_args

import click
from rich.markup import escape

from greenlang_vectors.commands.common import (
    as_json_option,
    embedders_of,
    errors,
    opened,
    output,
    print_json,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.search.filters import And, Filter, parse, parse_text
from greenlang_vectors.search.model import Mode, SearchAnswer, SearchRequest, SearchResult
from greenlang_vectors.settings import get_settings


@click.command()
@click.argument("query")
@click.option("--namespace", default="default", show_default=True, help="Where to search.")
@click.option("--top-k", default=5, show_default=True, help="The most results.")
@click.option(
    "--mode",
    type=click.Choice(get_args(Mode)),
    default="vector",
    show_default=True,
    help="By meaning, by words, or both.",
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="CONDITION",
    help="Only passages of which this is true, e.g. 'metadata.year >= 2023'; may be repeated.",
)
@click.option("--filter-json", metavar="JSON", help='The same as JSON, with "and", "or", "not".')
@click.option("--threshold", type=float, help="Leave out lower scores (mode vector).")
@click.option("--collection", help="Ask this one, NAMESPACE/MODEL, instead of what serves.")
@click.option("--exact", is_flag=True, help="Compare with every embedding, whatever the index.")
@click.option("--per-document", type=int, help="The most passages of one document.")
@click.option("--diversity", type=float, help="0: the most similar; towards 1: the most different.")
@click.option("--rerank", is_flag=True, help="Order the best by GREENLANG_RERANK_MODEL.")
@click.option(
    "--weights", type=float, nargs=2, metavar="VECTOR TEXT", help="Of both ranks (mode hybrid)."
)
@click.option("--all-versions", is_flag=True, help="Older versions of an act, too.")
@click.option("--parents", is_flag=True, help="Each passage with what it stands in, once.")
@click.option("--max-tokens", type=int, help="End before more tokens are shown.")
@click.option("--after", metavar="CURSOR", help="`next` of the page before, for the page after.")
@as_json_option
def search(
    query: str,
    namespace: str,
    top_k: int,
    mode: str,
    filters: tuple[str, ...],
    filter_json: str | None,
    threshold: float | None,
    collection: str | None,
    exact: bool,
    per_document: int | None,
    diversity: float | None,
    rerank: bool,
    weights: tuple[float, float] | None,
    all_versions: bool,
    parents: bool,
    max_tokens: int | None,
    after: str | None,
    as_json: bool,
) -> None:
    """Find the passages that answer QUERY, by meaning, by words or by both.

    As the API answers a caller without a key: while a namespace moves from Weaviate, Weaviate
    answers until all callers are shifted. The plan says who did.
    """
    from greenlang_vectors.migration.router import MigratingSearch  # noqa: PLC0415
    from greenlang_vectors.search.engine import SearchEngine  # noqa: PLC0415
    from greenlang_vectors.search.log import SearchLog  # noqa: PLC0415

    request = SearchRequest(
        query=query,
        namespace=namespace if collection is None else collection.partition("/")[0],
        top_k=top_k,
        mode=cast("Mode", mode),
        filter=_filter(filters, filter_json),
        threshold=threshold,
        collection=collection,
        after=after,
        exact=exact,
        per_document=per_document,
        diversity=diversity,
        rerank=rerank,
        weights=weights or (1.0, 1.0),
        all_versions=all_versions,
        parents=parents,
        max_tokens=max_tokens,
    )
    settings = get_settings()
    with opened(settings) as database, closing(SearchLog(database, settings)) as log:
        embedders = embedders_of(database, settings)
        engine = SearchEngine(database, embedders, settings, log)
        with closing(MigratingSearch(engine, database, embedders, settings, log)) as sides:
            answer = sides.search(request)
    if as_json:
        print_json(_json(request, answer))
        return
    for result in answer.results:
        _show(result, answer.mode)
    if answer.collection is None:
        errors.print(f"Nothing is stored in {request.namespace} yet.")
        return
    errors.print(
        f"asked {answer.asked}, returned {answer.returned}, plan: {answer.plan}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    if answer.next is not None:
        errors.print(f"more: --after {answer.next}", soft_wrap=True, highlight=False, markup=False)


def _filter(texts: Sequence[str], as_json: str | None) -> Filter | None:
    """All conditions at once; None where there is none."""
    parts: list[Filter] = [parse_text(text) for text in texts]
    if as_json is not None:
        try:
            parts.append(parse(json.loads(as_json)))
        except json.JSONDecodeError as error:
            raise UsageError(f"--filter-json is not JSON: {error}.") from error
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _json(request: SearchRequest, answer: SearchAnswer) -> dict[str, object]:
    return {
        "query": request.query,
        "namespace": request.namespace,
        "mode": answer.mode,
        "collection": answer.collection,
        "asked": answer.asked,
        "returned": answer.returned,
        "plan": answer.plan,
        "next": answer.next,
        "embed_ms": round(answer.embed_ms, 3),
        "search_ms": round(answer.search_ms, 3),
        "results": [asdict(result) for result in answer.results],
    }


def _show(result: SearchResult, mode: Mode) -> None:
    shown = result.parent or result
    where = [result.document]
    where += [f"page {shown.page}"] if shown.page is not None else []
    where += [f"found in it: {len(result.parent.children)}"] if result.parent else []
    score = f"{result.score:.4f}" if mode == "hybrid" else f"{result.score:.3f}"
    output.print(
        f"\n[bold]{result.rank}. {escape(result.title)}[/bold]  {score}{_ranks(result, mode)}"
    )
    output.print(f"   [cyan]{escape(' · '.join(where))}[/cyan]")
    if shown.heading_path:
        output.print(f"   [dim]{escape(' › '.join(shown.heading_path))}[/dim]")
    output.print(escape(shown.content))


def _ranks(result: SearchResult, mode: Mode) -> str:
    if mode != "hybrid":
        return ""
    ranks = (("vector", result.vector_rank), ("text", result.text_rank))
    return "  (" + ", ".join(f"{arm} {'–' if r is None else f'#{r}'}" for arm, r in ranks) + ")"
