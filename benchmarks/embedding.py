"""Embedding by each backend beside the runtime alone: the same batches, tokenized beforehand.

The ways take turns. What the product adds is counting and reading tokens, hashing texts, putting
them in batches, and looking at every vector.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.common import console, number
from greenlang_vectors.embedding import sentence_transformer
from greenlang_vectors.embedding.backends import local_models
from greenlang_vectors.embedding.batching import length_sorted_batches
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.exported import exported
from greenlang_vectors.embedding.graph_model import LOADERS
from greenlang_vectors.embedding.models import ModelSpec, resolve_model
from greenlang_vectors.errors import ModelUnavailable
from greenlang_vectors.quality.backends import passages
from greenlang_vectors.settings import Backend, Precision

Batch = dict[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Taken:
    """Seconds of each round for the same texts: in the product, and in the runtime alone."""

    product: list[float]
    floor: list[float]


def measure(
    spec: ModelSpec, texts: Sequence[str], folder: Path, rounds: int
) -> dict[tuple[Backend, Precision], Taken]:
    """Every backend that runs here, in every precision."""
    ways: dict[tuple[Backend, Precision], tuple[Embedder, Callable[[], object]]] = {}
    for key, model in local_models(spec, folder).items():
        embedder = Embedder(model)
        try:
            embedder.embed(texts[:1])
            ways[key] = embedder, _alone(model.spec, key[0], folder, texts)
        except ModelUnavailable as error:
            console.print(f"{' '.join(key)}: {error}")
    taken = {key: Taken([], []) for key in ways}
    for _ in range(1 + rounds):
        for key, (embedder, alone) in ways.items():
            taken[key].product.append(_seconds(partial(embedder.embed, texts)))
            taken[key].floor.append(_seconds(alone))
    return {key: Taken(each.product[1:], each.floor[1:]) for key, each in taken.items()}


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _alone(
    spec: ModelSpec, backend: Backend, folder: Path, texts: Sequence[str]
) -> Callable[[], object]:
    """The runtime over all texts, in the product's batches."""
    tokenizer = spec.tokenizer()
    batches = []
    for rows in length_sorted_batches(tokenizer.counts(texts), spec.limits):
        tokens, attended = tokenizer.padded([texts[row] for row in rows])
        batches.append({"input_ids": tokens, "attention_mask": attended})
    if backend == "torch":
        return _torch(spec, batches)
    run, names = LOADERS[backend](exported(spec, folder).graph, spec)
    inputs = [{n: each.get(n, np.zeros_like(each["input_ids"])) for n in names} for each in batches]
    return lambda: [run(each) for each in inputs]


def _torch(spec: ModelSpec, batches: Sequence[Batch]) -> Callable[[], object]:
    import torch  # noqa: PLC0415 - seconds

    model = sentence_transformer.load(spec, "cpu").eval()
    if spec.precision == "bfloat16":
        model.to(torch.bfloat16)
    inputs = [{name: torch.from_numpy(each[name]) for name in each} for each in batches]
    if "token_type_ids" in model.preprocess(["its inputs"]):
        for each in inputs:
            each["token_type_ids"] = torch.zeros_like(each["input_ids"])

    def run() -> None:
        with torch.inference_mode():
            for each in inputs:
                model(dict(each))

    return run


def main() -> None:
    """Print a table; RUNS sets how often the ways take turns."""
    spec, rounds = resolve_model("all-MiniLM-L6-v2"), number("RUNS", 5)
    texts = passages(spec)
    tokens = sum(spec.tokenizer().counts(texts))
    with tempfile.TemporaryDirectory() as folder:
        found = measure(spec, texts, Path(folder), rounds)
    title = f"embedding: {len(texts)} texts of {tokens / len(texts):.0f} tokens, {spec.name}"
    table = Table("backend", "precision", title=title)
    for column in ("chunks/s", "runtime alone", "of it", "times torch float32"):
        table.add_column(column, justify="right")
    reference = found["torch", "float32"].product
    for (backend, precision), taken in found.items():
        table.add_row(
            backend,
            precision,
            f"{len(texts) / median(taken.product):.1f}",
            f"{len(texts) / median(taken.floor):.1f}",
            f"{_ratio(taken.floor, taken.product):.2f}",
            f"{_ratio(reference, taken.product):.2f}",
        )
    console.print(table)


def _ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios within a round."""
    return median(one / other for one, other in zip(over, under, strict=True))
