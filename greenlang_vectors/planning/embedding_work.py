"""What making the vectors takes: tokens, then processor hours of a local model or dollars."""

from __future__ import annotations

from dataclasses import dataclass

from greenlang_vectors.embedding.models import OPENAI_DIMENSIONS, PACKAGED_MODEL
from greenlang_vectors.errors import UsageError
from greenlang_vectors.planning.prices import Prices

MPNET = "all-mpnet-base-v2"

DIMENSIONS = {PACKAGED_MODEL: 384, MPNET: 768, **OPENAI_DIMENSIONS}
"""Of the models PRD 5.3 names, and OpenAI's others."""

CORE_TOKENS_A_SECOND = 2_200.0
"""all-MiniLM-L6-v2 in float32, texts sorted by length: 34 texts of 132 tokens a second on two
cores (docs/benchmarks.md)."""

MPNET_TIMES = 8.0
"""Work of all-mpnet-base-v2 over that of MiniLM, by their shapes: 12 layers of 768 against 6 of
384. Reckoned, not measured."""

OPENAI_TOKENS_TIMES = 1.02
"""Tokens that OpenAI's models count over the packaged tokenizer's, of EU regulations."""


@dataclass(frozen=True, slots=True)
class EmbeddingWork:
    """Embedding every text once.

    Attributes:
        core_hours: processor hours of a local model; None for a remote one.
        dollars: for those hours, or for a remote model's tokens.
        basis: how that was reckoned.
    """

    model: str
    tokens: int
    core_hours: float | None
    dollars: float
    basis: str


def embedding_work(model: str, texts: int, tokens_each: int, prices: Prices) -> EmbeddingWork:
    """What embedding so many texts takes.

    Args:
        model: one of DIMENSIONS; a local model of another name counts as mpnet, the slowest known.
    """
    tokens = texts * tokens_each
    if model in OPENAI_DIMENSIONS:
        counted = round(tokens * OPENAI_TOKENS_TIMES)
        price = prices.embedding[model]
        return EmbeddingWork(
            model, counted, None, counted / 1e6 * price, f"${price:g} a million tokens"
        )
    times = 1.0 if model == PACKAGED_MODEL else MPNET_TIMES
    hours = tokens / (CORE_TOKENS_A_SECOND / times) / 3600
    basis = f"{CORE_TOKENS_A_SECOND / times:,.0f} tokens a second and core"
    return EmbeddingWork(model, tokens, hours, hours * prices.compute.vcpu_hour, basis)


def dimensions_of(model: str, given: int | None) -> int:
    """The dimensions of a model's vectors.

    Raises:
        UsageError: the model is unknown and none are given, or it has others.
    """
    known = DIMENSIONS.get(model)
    if given is None and known is None:
        raise UsageError(
            f"How many dimensions {model!r} has is not known here.",
            f"Say it with --dimensions. Known: {', '.join(DIMENSIONS)}.",
        )
    if given is not None and known is not None and given != known:
        raise UsageError(f"{model} has {known} dimensions, not {given}.")
    return given or known or 0
