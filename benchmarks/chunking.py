"""How well questions are answered, by chunking strategy, length of chunks and mode of search.

Cranfield: documents ranked by their best passage, against its judgements. Regulations: few acts,
each long, so passages are judged: by whether they hold the words of the act that answer
(`regulation_questions.jsonl`), which no strategy has a say in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.common import CRANFIELD, console, corpora, new_database
from benchmarks.common import server as own_server
from greenlang_vectors.chunking.model import STRATEGIES, StrategyName
from greenlang_vectors.embedding.embedders import Embedders, embedders_of
from greenlang_vectors.progress import silent
from greenlang_vectors.quality.evaluation import DEPTH, rank_documents
from greenlang_vectors.quality.retrieval_metrics import ndcg, read_qrels, read_queries, recall
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import Mode, SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import chunks, namespaces
from greenlang_vectors.store.database import Database

QUESTIONS = Path(__file__).parent / "regulation_questions.jsonl"

TOKENS = (512, 256, 128)
"""Lengths of chunks; the first is the product's own, and its first strategy what others are
compared with. Children of the hierarchical strategy have a quarter."""

READ_TOKENS = 2000
"""How much of what is found a reader, or a prompt, has room for."""

RESAMPLES = 2000
"""Of the questions, for the intervals (Efron's bootstrap)."""

Scores = dict[str, NDArray[np.float64]]
"""Of each question, by measure; the first measure is nDCG@10."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the acts of a namespace.

    Attributes:
        answers: words of them; a text that holds one of these answers.
    """

    namespace: str
    text: str
    answers: Sequence[str]

    def answered_by(self, text: str) -> bool:
        """Whether a passage holds an answer, white space aside."""
        plain = " ".join(text.split())
        return any(answer in plain for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of cutting a corpus.

    Attributes:
        passages, tokens: that are searched.
        scores: by mode.
    """

    strategy: StrategyName
    passages: int
    tokens: int
    scores: dict[Mode, Scores]


def questions() -> list[Question]:
    """The regulations' questions."""
    return [Question(**json.loads(line)) for line in QUESTIONS.read_text("utf-8").splitlines()]


def cranfield(
    database: Database, embedders: Embedders, strategy: StrategyName, settings: Settings
) -> Measured:
    """Its questions, over abstracts that are cut in this way."""
    name = f"cranfield-{strategy}-{settings.chunk_tokens}"
    size = _filled(database, embedders, name, CRANFIELD / "corpus.jsonl", strategy, settings)
    asked, qrels = read_queries(CRANFIELD / "queries.jsonl"), read_qrels(CRANFIELD / "qrels.tsv")
    judged = [each for each in asked if any(score > 0 for score in qrels.get(each, {}).values())]
    engine = SearchEngine(database, embedders, settings)
    scores: dict[Mode, Scores] = {}
    for mode in get_args(Mode):
        rank = rank_documents(engine, name, mode=mode)
        runs = [({each: rank(asked[each])}, {each: qrels[each]}) for each in judged]
        scores[mode] = {
            "nDCG@10": np.array([ndcg(*run, 10) for run in runs]),
            "recall@10": np.array([recall(*run, 10) for run in runs]),
            f"recall@{DEPTH}": np.array([recall(*run, DEPTH) for run in runs]),
        }
    return Measured(strategy, *size, scores)


def regulations(
    database: Database,
    embedders: Embedders,
    folder: Path,
    strategy: StrategyName,
    settings: Settings,
) -> Measured:
    """Questions about the acts, each asked of its own namespace."""
    asked = questions()
    names = {
        name: f"{name}-{strategy}-{settings.chunk_tokens}"
        for name in dict.fromkeys(question.namespace for question in asked)
    }
    sizes = [
        _filled(database, embedders, cut, folder / name, strategy, settings)
        for name, cut in names.items()
    ]
    engine = SearchEngine(database, embedders, settings)
    scores: dict[Mode, Scores] = {}
    for mode in get_args(Mode):
        each = [_read(engine, names[question.namespace], question, mode) for question in asked]
        scores[mode] = {measure: np.array([one[measure] for one in each]) for measure in each[0]}
    passages, tokens = (sum(size) for size in zip(*sizes, strict=True))
    return Measured(strategy, passages, tokens, scores)


def _filled(
    database: Database,
    embedders: Embedders,
    name: str,
    source: Path,
    strategy: StrategyName,
    settings: Settings,
) -> tuple[int, int]:
    """How many passages and tokens of a namespace that is cut like this are searched."""
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(source), chunking=strategy)
    fill(database, name, embedders=embedders, settings=settings, progress=lambda _: silent)
    with database.connect() as connection:
        _, passages, tokens = chunks.totals(connection, name)
    return passages, tokens


def _read(engine: SearchEngine, namespace: str, question: Question, mode: Mode) -> dict[str, float]:
    """How soon one that reads the results meets an answer."""
    ranked = engine.search(SearchRequest(question.text, namespace, 10, mode=mode)).results
    first = next((each.rank for each in ranked if question.answered_by(each.content)), None)
    return {
        "nDCG@10": 0.0 if first is None else 1 / log2(first + 1),
        f"in {READ_TOKENS:,} tokens": any(_shown(engine, namespace, question, mode, parents=False)),
        "of parents": any(_shown(engine, namespace, question, mode, parents=True)),
    }


def _shown(
    engine: SearchEngine, namespace: str, question: Question, mode: Mode, *, parents: bool
) -> Iterator[bool]:
    """Whether each text that a prompt has room for answers."""
    request = SearchRequest(
        question.text, namespace, DEPTH, mode=mode, parents=parents, max_tokens=READ_TOKENS
    )
    for each in engine.search(request).results:
        yield question.answered_by(each.content if each.parent is None else each.parent.content)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Between which 95% of the means of resampled questions lie."""
    resampled = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[resampled].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _print(title: str, measured: Sequence[Measured], usual: Measured) -> None:
    measures = list(usual.scores["vector"])
    table = Table("strategy", "passages", "tokens each", "mode", title=title)
    for column in (measures[0], "95%", "less semantic 512, 95%", *measures[1:]):
        table.add_column(column, justify="right")
    for each in measured:
        size = [f"{each.passages:,}", f"{each.tokens / each.passages:.0f}"]
        for place, (mode, scores) in enumerate(each.scores.items()):
            first = scores[measures[0]]
            low, high = interval(first)
            less, more = interval(first - usual.scores[mode][measures[0]])
            table.add_row(
                *([each.strategy, *size] if place == 0 else ["", "", ""]),
                mode,
                f"{first.mean():.3f}",
                f"{low:.3f} to {high:.3f}",
                "" if each is usual else f"{less:+.3f} to {more:+.3f}",
                *(f"{scores[measure].mean():.3f}" for measure in measures[1:]),
            )
        table.add_section()
    console.print(table)


def main() -> None:
    """Print a table for each corpus and length of chunks."""
    folder = corpora().get("regulations")
    with own_server() as server_url:
        database = new_database(server_url)
        settings = Settings()
        embedders = embedders_of(database, settings, cache_seconds=settings.embedding_cache_seconds)
        usual: dict[str, Measured] = {}
        for tokens in TOKENS:
            cut = settings.model_copy(update={"chunk_tokens": tokens})
            if CRANFIELD.is_dir():
                measured = [cranfield(database, embedders, each, cut) for each in STRATEGIES]
                usual.setdefault("Cranfield", measured[0])
                _print(f"Cranfield, chunks of {tokens} tokens", measured, usual["Cranfield"])
            if folder is not None:
                measured = [
                    regulations(database, embedders, folder, each, cut) for each in STRATEGIES
                ]
                usual.setdefault("regulations", measured[0])
                _print(f"regulations, chunks of {tokens} tokens", measured, usual["regulations"])
        database.close()
