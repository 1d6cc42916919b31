"""What a chunk is, and how a namespace says it wants its documents cut (PRD 7.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.errors import UsageError

StrategyName = Literal["semantic", "fixed", "sliding_window", "hierarchical"]
STRATEGIES: tuple[StrategyName, ...] = get_args(StrategyName)


@dataclass(frozen=True, slots=True)
class ChunkingConfig:
    """How to cut documents. Token counts include what the model adds ([CLS], [SEP]).

    Attributes:
        strategy: one of PRD 7.3's four.
        max_tokens: no chunk is longer than this; at most what the model reads.
        overlap_tokens: tokens a chunk shares with the one before it (fixed, sliding window).
        child_tokens: size of the searched chunks (hierarchical); parents have `max_tokens`.
    """

    strategy: StrategyName = "semantic"
    max_tokens: int = 512
    overlap_tokens: int = 0
    child_tokens: int = 128

    def __post_init__(self) -> None:
        """Refuse what no document can be cut by.

        Raises:
            UsageError: an unknown strategy, or sizes that contradict each other.
        """
        if self.strategy not in STRATEGIES:
            raise UsageError(
                f"There is no chunking strategy {self.strategy!r}.",
                f"Choose one of {', '.join(STRATEGIES)}.",
            )
        if not 0 <= self.overlap_tokens < self.max_tokens:
            raise UsageError(
                f"Chunks of {self.max_tokens} tokens cannot overlap by {self.overlap_tokens}.",
                "Choose longer chunks or a smaller overlap.",
            )
        if self.strategy == "hierarchical" and not 0 < self.child_tokens <= self.max_tokens:
            raise UsageError(
                f"Parents of {self.max_tokens} tokens cannot hold children of {self.child_tokens}.",
                "Choose larger parents or smaller children.",
            )

    @classmethod
    def of(cls, strategy: StrategyName, max_tokens: int = 512) -> ChunkingConfig:
        """The configuration PRD 7.3 gives a strategy: overlaps of 64 and 128 of 512 tokens.

        For other lengths overlap and children change in proportion.
        """
        overlap = {"fixed": max_tokens // 8, "sliding_window": max_tokens // 4}.get(strategy, 0)
        return cls(strategy, max_tokens, overlap, child_tokens=max(1, max_tokens // 4))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document: `document.text[start:end] == content`.

    Attributes:
        index: position among the document's chunks, from 0; unique across levels.
        start, end: character span in the document's text.
        content: the passage; holds at least one character that is not whitespace.
        token_count: tokens the model reads for it, special tokens included.
        page_start, page_end: 1-based pages it begins and ends on; None without pages.
        heading_path: headings in force where it begins, outermost first.
        level: 0 for a chunk that is embedded and searched, 1 for a parent.
        parent_index: index of the parent chunk (hierarchical), else None.
        metadata: which provisions of which act it holds, for filters (`labels`).
    """

    index: int
    start: int
    end: int
    content: str
    token_count: int
    page_start: int | None
    page_end: int | None
    heading_path: tuple[str, ...]
    level: int = 0
    parent_index: int | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        """SHA-256 of the content, in hex (PRD 6.1)."""
        return content_hash(self.content)


def content_hash(text: str) -> str:
    """SHA-256 of the text as UTF-8, in hex (PRD 6.1 `content_hash`)."""
    return hashlib.sha256(text.encode()).hexdigest()
