"""`bench embedding`: which backend embeds fastest on this machine without a loss that matters."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from greenlang_vectors.commands.common import (
    as_json_option,
    bar,
    bars,
    errors,
    output,
    print_json,
)
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import get_settings

if TYPE_CHECKING:
    from greenlang_vectors.quality.backends import Measured


@click.group("bench")
def bench_group() -> None:
    """What this machine does."""


@bench_group.command("embedding")
@click.argument("folder", type=Path, required=False)
@as_json_option
def bench_embedding(folder: Path | None, as_json: bool) -> None:
    """Run GREENLANG_EMBEDDING_MODEL by every backend installed here, in every precision.

    FOLDER holds a retrieval set: corpus.jsonl, queries.jsonl and qrels.tsv (BEIR). With it the
    answers are judged, too, and int8 is recommended where it loses less than 0.5% of nDCG@10.
    Nothing is stored and no setting changed.
    """
    from greenlang_vectors.embedding.models import resolve_model  # noqa: PLC0415
    from greenlang_vectors.embedding.opening import exports_of  # noqa: PLC0415
    from greenlang_vectors.quality import backends  # noqa: PLC0415
    from greenlang_vectors.quality.retrieval_metrics import read_judgements  # noqa: PLC0415

    settings = get_settings()
    spec = resolve_model(settings.embedding_model)
    if spec.directory is None:
        raise UsageError(
            f"{spec.name} runs on another machine.",
            "Set GREENLANG_EMBEDDING_MODEL to a model of this one.",
        )
    judged = backends.read_judged(folder, read_judgements(folder)) if folder else None
    with bars() as shown:
        found, failed = backends.measure(spec, exports_of(settings), judged, bar(shown, spec.name))
    best = backends.fastest(found)
    if as_json:
        print_json(
            {
                "model": spec.name,
                "measured": [asdict(each) for each in found],
                "unavailable": [asdict(each) for each in failed],
                "fastest": {"backend": best.backend, "precision": best.precision},
            }
        )
        return
    output.print(_table(spec.name, found))
    for each in failed:
        errors.print(f"{each.backend} {each.precision}: {each.reason}")
    output.print(
        f"Fastest without a loss that matters: {best.times:.1f} times torch in float32 with\n"
        f"GREENLANG_EMBEDDING_BACKEND={best.backend}\n"
        f"GREENLANG_EMBEDDING_PRECISION={best.precision}",
        highlight=False,
    )
    if best.precision != settings.embedding_precision:
        output.print("With another precision than until now every namespace is embedded anew.")


def _table(model: str, found: list[Measured]) -> Table:
    judged = any(each.loss is not None for each in found)
    columns = ["backend", "precision", "texts/s", "times torch", "tokens at once", "least cosine"]
    table = Table(*columns, *(["nDCG@10", "lost (95%)"] if judged else []), title=model)
    for each in found:
        row = [
            each.backend,
            each.precision,
            f"{each.texts_per_second:.1f}",
            f"{each.times:.2f}",
            str(each.batch_tokens),
            f"{each.cosine:.4f}",
        ]
        if each.loss is not None and each.loss_interval is not None:
            low, high = each.loss_interval
            row += [f"{each.ndcg:.4f}", f"{each.loss:+.2%} ({low:+.2%} to {high:+.2%})"]
        table.add_row(*row)
    return table
