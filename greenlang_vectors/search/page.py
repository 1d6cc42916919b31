"""One page of results, ended where its tokens are used up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenlang_vectors.search.hits import Key
from greenlang_vectors.search.model import SearchResult


@dataclass(frozen=True, slots=True)
class Page:
    """Results, best first.

    Attributes:
        keys: what a cursor names each by.
        tokens: of each.
        more: others come after these.
        plan: how they were found, in words.
    """

    keys: Sequence[Key]
    results: list[SearchResult]
    tokens: Sequence[int]
    more: bool
    plan: str

    def within(self, budget: int | None) -> Page:
        """The first of them that have no more tokens together; all where no budget is set.

        What does not fit begins the next page; where it is the first of this one, pages end.
        """
        if budget is None:
            return self
        used = 0
        for count, tokens in enumerate(self.tokens):
            used += tokens
            if used > budget:
                return Page(
                    self.keys[:count],
                    self.results[:count],
                    self.tokens[:count],
                    count > 0,
                    f"{self.plan}; {used} tokens with the next do not fit into {budget}",
                )
        return self
