"""How fast each backend embeds on this machine, and what its vectors are worth beside torch's."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.documents.sources.jsonl import JsonlSource
from greenlang_vectors.embedding.backends import local_models
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.exported import PROBES
from greenlang_vectors.embedding.models import ModelSpec
from greenlang_vectors.errors import ExtractionError, GreenLangError
from greenlang_vectors.progress import Progress, silent
from greenlang_vectors.quality.retrieval_metrics import Qrels, ndcg
from greenlang_vectors.settings import Backend, Precision

TEXTS = 200
"""Texts of one round."""

ROUNDS = 3
"""Times that every backend embeds them, in turn: what else runs here slows all of them alike."""

CUT_OFF = 10
RESAMPLED = 2000
"""Bootstrap samples of the questions, of which 95% of the losses are told."""

WORTH = 0.005
"""The share of nDCG@10 that may be lost for speed."""

ALIKE = 0.999
"""The cosine with torch's vectors that is taken for no loss where nothing is judged."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A retrieval set.

    Attributes:
        documents: texts by id.
        queries: texts by id.
        qrels: judgements of the documents by query.
    """

    documents: Mapping[str, str]
    queries: Mapping[str, str]
    qrels: Qrels


@dataclass(frozen=True, slots=True)
class Measured:
    """What a backend does here.

    Attributes:
        texts_per_second: median of the rounds.
        times: what torch takes in float32 for the same texts, divided by what this takes: the
            median of the rounds.
        cosine: the least between a vector and torch's of the same text.
        batch_tokens: tokens it takes at once, as found.
        ndcg: nDCG@10 of the judged questions, by exact search; None where nothing is judged.
        loss: the share of torch's nDCG@10 that is lost; below zero: won.
        loss_interval: where 95% of the losses are when questions are drawn again.
    """

    backend: Backend
    precision: Precision
    texts_per_second: float
    times: float
    cosine: float
    batch_tokens: int
    ndcg: float | None = None
    loss: float | None = None
    loss_interval: tuple[float, float] | None = None

    @property
    def loses_nothing_that_matters(self) -> bool:
        """Whether it may stand in for torch in float32."""
        return self.cosine >= ALIKE if self.loss is None else self.loss < WORTH


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A backend that does not run here, and why."""

    backend: Backend
    precision: Precision
    reason: str


def measure(
    spec: ModelSpec, folder: Path, judged: Judged | None = None, progress: Progress = silent
) -> tuple[list[Measured], list[Unavailable]]:
    """Every backend in every precision; torch in float32, which the others are measured by, first.

    Args:
        spec: a model of this machine.
        folder: where exported models are kept.

    Raises:
        ModelUnavailable: torch cannot run the model.
    """
    wanted = local_models(spec, folder)
    reference = next(iter(wanted))
    total = len(wanted) * (1 + ROUNDS + (judged is not None))
    texts = passages(spec) if judged is None else _sample(spec, judged)
    steps = iter(range(1, total + 1))
    embedders: dict[tuple[Backend, Precision], Embedder] = {}
    failed: list[Unavailable] = []
    for key, model in wanted.items():
        try:
            model.encode(texts[:1])
        except GreenLangError as error:
            if key == reference:
                raise
            failed.append(Unavailable(*key, str(error)))
        else:
            embedders[key] = Embedder(model)
        progress(next(steps), total, "steps")
    seconds: dict[tuple[Backend, Precision], list[float]] = {key: [] for key in embedders}
    vectors = {}
    for _ in range(ROUNDS):
        for key, embedder in embedders.items():
            began = time.perf_counter()
            vectors[key] = embedder.embed(texts).vectors
            seconds[key].append(time.perf_counter() - began)
            progress(next(steps), total, "steps")
    scores = {}
    if judged is not None:
        for key, embedder in embedders.items():
            scores[key] = _ndcg_by_question(embedder, spec, judged)
            progress(next(steps), total, "steps")
    found = []
    for key, embedder in embedders.items():
        found.append(
            Measured(
                *key,
                texts_per_second=len(texts) / median(seconds[key]),
                times=median(
                    torch / this
                    for torch, this in zip(seconds[reference], seconds[key], strict=True)
                ),
                cosine=float(np.min(np.sum(vectors[reference] * vectors[key], axis=1))),
                batch_tokens=embedder.model.spec.limits.tokens,
                **_lost(scores[reference], scores[key]) if scores else {},
            )
        )
    progress(total, total, "steps")
    return found, failed


def fastest(found: Sequence[Measured]) -> Measured:
    """The fastest that loses nothing that matters."""
    return max(
        (each for each in found if each.loses_nothing_that_matters), key=lambda each: each.times
    )


def read_judged(folder: Path, judgements: tuple[Mapping[str, str], Qrels]) -> Judged:
    """A retrieval set with its documents; lines that hold none are left out.

    Raises:
        SourceUnavailable: the corpus cannot be read.
    """
    source = JsonlSource(folder / "corpus.jsonl")
    documents = {}
    for item in source.list():
        with suppress(ExtractionError):
            documents[item.key] = source.read(item, source.LONGEST_LINE).data.decode()
    return Judged(documents, *judgements)


def passages(spec: ModelSpec) -> list[str]:
    """Texts as long as passages of regulations are: 40 to 310 tokens; speed sees lengths alone."""
    words = (PROBES[1] + " ") * 8
    spans = spec.tokenizer().spans(words)
    lengths = np.random.default_rng(0).integers(40, 310, TEXTS).clip(max=spec.max_tokens - 2)
    return [words[: spans[length - 1, 1]] + f" {number}" for number, length in enumerate(lengths)]


def _sample(spec: ModelSpec, judged: Judged) -> list[str]:
    texts = sorted(judged.documents.values())
    return _fitting(spec, texts[:: max(1, len(texts) // TEXTS)][:TEXTS])


def _fitting(spec: ModelSpec, texts: Sequence[str]) -> list[str]:
    """The texts, each cut where the model would read no further."""
    tokenizer = spec.tokenizer()
    most = spec.max_tokens - tokenizer.special_tokens
    spans = [tokenizer.spans(text) for text in texts]
    return [
        text if len(found) <= most else text[: found[most - 1, 1]]
        for text, found in zip(texts, spans, strict=True)
    ]


def _ndcg_by_question(embedder: Embedder, spec: ModelSpec, judged: Judged) -> NDArray[np.float64]:
    """nDCG@10 of each question that has a relevant document, by exact search."""
    asked = [
        key for key in judged.queries if any(s > 0 for s in judged.qrels.get(key, {}).values())
    ]
    names = list(judged.documents)
    stored = embedder.embed(_fitting(spec, list(judged.documents.values()))).vectors
    questions = embedder.embed(_fitting(spec, [judged.queries[key] for key in asked])).vectors
    scores = []
    for key, likeness in zip(asked, questions @ np.nan_to_num(stored, nan=-1.0).T, strict=True):
        best = [names[row] for row in np.argsort(-likeness, kind="stable")[:CUT_OFF]]
        scores.append(ndcg({key: best}, {key: judged.qrels[key]}, CUT_OFF))
    return np.array(scores)


def _lost(reference: NDArray[np.float64], scores: NDArray[np.float64]) -> dict[str, Any]:
    lost = (reference - scores) / reference.mean()
    drawn = np.random.default_rng(0).integers(0, len(lost), (RESAMPLED, len(lost)))
    low, high = np.quantile(lost[drawn].mean(axis=1), [0.025, 0.975])
    return {
        "ndcg": float(scores.mean()),
        "loss": float(lost.mean()),
        "loss_interval": (float(low), float(high)),
    }
